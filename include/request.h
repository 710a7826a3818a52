/*
 * request: what a client asks for, read from the FastCGI parameters of its request. Pure: no I/O, no clock.
 * What nginx sets is trusted (SIDECAST_*), what a browser sends is not (QUERY_STRING, HTTP_*).
 */
#ifndef REQUEST_H
#define REQUEST_H

#include "event_id.h"
#include "problem.h"
#include "settings.h"
#include "span.h"

enum request_method { METHOD_GET, METHOD_HEAD, METHOD_OPTIONS, METHOD_POST };
enum request_endpoint { ENDPOINT_SUBSCRIBE, ENDPOINT_HEALTH, ENDPOINT_PUBLISH };
enum request_transport { TRANSPORT_SSE, TRANSPORT_POLL };

enum request_cursor {
    CURSOR_NONE, /* from now on */
    CURSOR_ZERO, /* all that history has */
    CURSOR_LAST, /* the last `last` messages of the merged order */
    CURSOR_ID,
    CURSOR_TIME, /* digits only: `cursor` stands just below <ms>-0 */
    CURSOR_BAD,  /* not to be understood: answered with a gap, never an error */
};

struct request {
    enum request_method method;
    enum request_endpoint endpoint;
    enum request_transport transport;
    enum request_cursor cursor_kind;
    struct event_id cursor;       /* of CURSOR_ID and CURSOR_TIME */
    uint32_t last;                /* of CURSOR_LAST, at least 1; larger numbers count as 4294967295 */
    bool envelope;
    struct string_list channels;  /* asked for with channel=, each once, in the order of the query; final after access_authorize */
    struct string_list patterns;  /* asked for with channel= and a `*`, each once: also channels that are yet to come */
    uint64_t expires_ms;          /* since 1970: the permission ends then; 0: never. From access_authorize on */
    char *client;                 /* what `except` compares with; NULL when none */
};

/*
 * Reads `params` (NAME=VALUE, ends with NULL, as libfcgi gives them). False: `problem` says why; transport is right all the same,
 * so that the refusal takes the right form. Status 500 with code no_memory when memory lacks. Finish the request in either case.
 *  - transport: transport=sse|poll (else 400), else Accept: whichever of text/event-stream and application/json it names first,
 *    neither: SSE.
 *  - cursor: HTTP_LAST_EVENT_ID (not empty), else in the query, not empty, the first of this list that is there: last_event_id,
 *    lastEventId, lastEventID, Last-Event-ID, cursor. It wins over last=N (last=0 and not a number: 400). `0` is CURSOR_ZERO.
 *    One that is not a cursor, in its percent-encoding or otherwise, is CURSOR_BAD.
 *  - 405 method_not_allowed; 400 bad_channel (neither a channel name nor a pattern), too_many_channels, too_many_patterns, bad_query (broken
 *    percent-encoding, not UTF-8, bad client=, last=, transport=, envelope=), 404 unknown_endpoint. Unknown query parameters are
 *    passed over, their values unread. Of a parameter that comes twice the last holds, as in PHP.
 * HEAD is read like GET; of OPTIONS, ENDPOINT_HEALTH and ENDPOINT_PUBLISH nothing else is read. The latter takes POST and OPTIONS only.
 */
bool request_parse(struct request *request, char *const *params, const struct settings *settings, struct problem *problem)
    __attribute__((warn_unused_result));
void request_finish(struct request *request);

/* The methods that an endpoint takes, as the header Allow names them. */
const char *request_allowed_methods(enum request_endpoint endpoint);

/* The value of the parameter `name` in `params`, or NULL. */
const char *request_param(char *const *params, const char *name);
/* The same, for parameters that say nothing when they are empty: NULL then. */
const char *request_filled_param(char *const *params, const char *name);

/* Adds a name to `names`, a pattern with a `*` to `patterns` (NULL: it is refused). 400 bad_channel, with `source` in the message. */
bool request_add_channel(struct string_list *names, struct string_list *patterns, struct span item, const char *source,
                         struct problem *problem) __attribute__((warn_unused_result));
/* 400 too_many_channels, too_many_patterns above the limits of the settings. */
bool request_check_counts(const struct request *request, const struct settings *settings, struct problem *problem)
    __attribute__((warn_unused_result));

#endif
