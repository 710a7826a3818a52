/*
 * token: JSON Web Tokens (RFC 7519) in their compact signed form: HS256, RS256 and ES256. Pure: keys, rules and time are parameters;
 * any thread may call it.
 */
#ifndef TOKEN_H
#define TOKEN_H

#include "keyring.h"
#include "problem.h"
#include "settings.h"

struct key;

enum { TOKEN_MAX_BYTES = 8 * 1024 };

struct token_rules {
    const char *issuer;   /* what `iss` must be; empty: whatever it is */
    const char *audience; /* what `aud` must be or have; empty: whatever it is */
    int64_t leeway_ms;    /* by which clocks may differ */
};

struct claims {
    struct string_list channels; /* `channels` without a `*`, each once */
    struct string_list patterns; /* `channels` with one, each once */
    struct string_list publish;  /* names and patterns, each once */
    char *client;                /* `sub`; NULL: none */
    uint64_t expires_ms;         /* since 1970, after `now_ms`: `exp`, or within the leeway behind it the end of that */
};

/*
 * Whether the token is signed by a key of the ring, and good at `now_ms` (since 1970). False: `problem` (401) says which check it
 * did not pass, and nothing of keys, rules and the token itself; 500 no_memory. Finish the claims in either case.
 *  - the header: `alg` one of the ring's, `kid` a string if it is there; no `crit`, no `enc`. With a `kid`, keys of that id are tried, and
 *    those without an id; without one all of the algorithm.
 *  - `exp` is required: good while now < exp + leeway; `nbf`: from nbf - leeway on. NumericDates may have fractions.
 *  - `iss`, `aud` (a string or an array of strings) must be there if the rules want them.
 *  - `channels`, `publish`: arrays of channel names and patterns. `sub`: a label; empty is none.
 * A claim that occurs twice or is of another type makes the token invalid. Other claims are passed over.
 */
bool token_verify(struct claims *claims, struct span token, const struct keyring *keyring, const struct token_rules *rules,
                  uint64_t now_ms, struct problem *problem) __attribute__((warn_unused_result));
void token_claims_finish(struct claims *claims);

/* Signs `payload`, a JSON text, with a key that can. The result is the caller's to free; NULL: no memory, or the key is broken. */
char *token_sign(struct span payload, const struct key *key) __attribute__((warn_unused_result));

#endif
