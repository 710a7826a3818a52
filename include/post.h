/*
 * post: a publication as it comes by HTTP: data in the body with channels and options in the query and in headers, or a JSON document as over ZeroMQ.
 * Pure: no I/O, no clock. What it gives are frames, so that all rules are those of wire.h.
 */
#ifndef POST_H
#define POST_H

#include "problem.h"
#include "settings.h"
#include "text.h"

enum { POST_FRAMES_MAX = 3 };

struct post {
    struct string_list channels; /* channel=, in the order of the query, repeats too; none: the body is a JSON document */
    struct text options;         /* a JSON object; empty: none were given */
    struct text body;
    char *checked_key;           /* of a document whose channels were checked: what was read as the channel; else NULL */
    const char *code, *reason;   /* of a checked document in which no channel was found: what is wrong with it; else NULL */
};

/* Whether `channel` may be published to. */
typedef bool post_may(void *context, struct span channel);

/*
 * Reads `params` (NAME=VALUE, ends with NULL) and takes `body` over, also when it fails; finish it in either case. False: `problem` says why.
 *  - channel= in the query: the body is the data of one message per channel, whatever its CONTENT_TYPE. Options: event, except, key, store (0, 1,
 *    true, false) and ttl, in the query (the last holds), else in HTTP_X_SIDECAST_EVENT and so on, not empty. Their values are checked with the frames.
 *  - no channel=, and CONTENT_TYPE is application/json: the body is an object or a batch, and its options are within.
 *  - 400 no_channel; bad_channel, bad_option (broken encoding, unknown name, options beside a document), bad_data (not as long as CONTENT_LENGTH says); 413 too_large
 *    (more channels or bytes in all than one frame may make); 500 no_memory. `token` in the query is passed over.
 */
bool post_parse_take(struct post *post, char *const *params, struct text *body, const struct settings *settings, struct problem *problem)
    __attribute__((warn_unused_result));
void post_finish(struct post *post);

/*
 * Whether `may` says so for each channel that is named; once. What breaks a rule is not published anyway, and does not count. A document is allowed only as
 * long as `channel_key` (publish.channel_key) is what it was, and not to be published at all if it has a `reason`: what could not be read for lack of
 * memory could be read later.
 */
bool post_is_allowed(struct post *post, const char *channel_key, post_may *may, void *context);

/* How many multipart messages it is, and the frames of each: they live as long as the post. */
size_t post_message_count(const struct post *post);
size_t post_frames(const struct post *post, size_t index, struct span frames[POST_FRAMES_MAX]);

/* Bytes that it makes, in all its messages; at least 1. */
size_t post_size(const struct post *post);

#endif
