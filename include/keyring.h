/*
 * keyring: the keys that tokens are signed with. Each has its algorithm; a token is never tried with one of another. Pure: files are
 * keyfile.h's. Nothing in it changes once it is made, so any thread may use it.
 */
#ifndef KEYRING_H
#define KEYRING_H

#include "span.h"

struct _cjose_jwk_int;

enum key_algorithm { KEY_HS256, KEY_RS256, KEY_ES256 };

struct key {
    struct _cjose_jwk_int *jwk; /* owned */
    enum key_algorithm algorithm;
    bool can_sign;              /* it is secret, or has its private half */
    char *id;                   /* owned; NULL: none */
};

struct keyring {
    struct key *keys; /* owned */
    size_t count;
};

/* Least sizes, unless short keys are allowed (RFC 7518, 3.2 and 3.3). */
enum { KEY_SECRET_BITS = 256, KEY_RSA_BITS = 2048 };

/* `HS256` and so on. */
const char *key_algorithm_name(enum key_algorithm algorithm);
/* False: not one of those that are taken. */
bool key_algorithm_find(const char *name, enum key_algorithm *algorithm);

/*
 * Both add to a keyring that is all zero at first, and may be called several times. False: `error` (of `size` bytes) says what was
 * expected, never what is in the key; finish the keyring all the same.
 */
/* A secret for HS256: the bytes as they are. */
bool keyring_add_secret(struct keyring *keyring, struct span secret, bool allow_short, char *error, size_t size)
    __attribute__((warn_unused_result));
/* A JWK Set (RFC 7517, section 5) of at least one key. Each has `alg`: HS256, RS256 or ES256; `kid` is optional. */
bool keyring_add_set(struct keyring *keyring, struct span json, bool allow_short, char *error, size_t size)
    __attribute__((warn_unused_result));
void keyring_finish(struct keyring *keyring);

/* The first key that can sign and, unless `id` is NULL, has this id; NULL: there is none. */
const struct key *keyring_find_signer(const struct keyring *keyring, const char *id);

#endif
