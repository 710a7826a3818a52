/*
 * access: who may listen and publish: by what nginx says (SIDECAST_*, trusted), by a token, or because it is public. Pure: parameters,
 * keys and time come in.
 */
#ifndef ACCESS_H
#define ACCESS_H

#include "problem.h"
#include "request.h"
#include "settings.h"
#include "span.h"

struct keyring;

enum access_purpose { ACCESS_LISTEN, ACCESS_PUBLISH };

/* By what it is decided. All borrowed. */
struct access_rules {
    enum access_purpose purpose;
    const struct settings *settings;
    const struct keyring *keyring; /* NULL: no tokens */
    uint64_t wall_ms;              /* now, since 1970 */
};

/* Who makes a request, as far as it is known, and what it may have. What does not concern the purpose is empty. */
struct identity {
    bool has_grant;              /* nginx says what it may have, perhaps nothing: then nothing else counts */
    bool from_cookie;            /* its token came in a cookie, which any page could make a browser send */
    struct string_list channels; /* names that may be listened to */
    struct string_list patterns; /* of names that may be listened to, each with a `*` */
    struct string_list publish;  /* names and patterns that may be published to */
    char *client;                /* its id; NULL: what client= says */
    uint64_t expires_ms;         /* since 1970: the permission ends then; 0: never */
};

/*
 * Reads from `params` (NAME=VALUE, ends with NULL) who makes the request. False: `problem` says why it is refused. Finish the identity in
 * either case.
 *  - the grant of nginx, lists with commas: to listen SIDECAST_CHANNELS (names) and SIDECAST_PATTERNS, to publish SIDECAST_PUBLISH (both);
 *    400 bad_channel. Where one is there, perhaps empty, no token is looked at. One that is there twice: 403 bad_grant, as with the two below.
 *  - SIDECAST_CLIENT (not empty) wins over the token's `sub`; 400 bad_query when it is no label.
 *  - SIDECAST_EXPIRES: seconds since 1970 in digits; 403 bad_expires, grant_expired. Empty: never. Of two ends the earlier holds.
 *  - a token: HTTP_AUTHORIZATION `Bearer …`, else token= in the query (not empty; the last one), else the cookie token.cookie (not empty;
 *    the first one) of HTTP_COOKIE. The first that is there decides: 401 token_not_supported, or what token_verify says. One from a
 *    cookie gives nothing to publish to.
 */
bool access_identify(struct identity *identity, char *const *params, const struct access_rules *rules, struct problem *problem)
    __attribute__((warn_unused_result));
void access_finish(struct identity *identity);

/*
 * Decides what of the identity's channels the request gets, and makes `channels`, `patterns`, `client` and `expires_ms` of the request final;
 * call it once. With channel= each must be covered: a name is in the names or matches a pattern, a pattern is covered by one
 * (pattern_covers); else 403 not_allowed. Without a grant also names that access.public matches may be had, but never a pattern by it. Without channel= all of the
 * identity's is taken over (400 too_many_channels, too_many_patterns); if it has nothing: 403 not_allowed with a grant, else 400
 * no_channel. A grant of nothing is 403 in any case.
 */
bool access_authorize(struct request *request, struct identity *identity, const struct settings *settings, struct problem *problem)
    __attribute__((warn_unused_result));

/* Whether it may publish to the channel. Of an identity for ACCESS_PUBLISH. */
bool access_may_publish(const struct identity *identity, struct span channel);

#endif
