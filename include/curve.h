/*
 * curve: CURVE keys (ZMTP-CURVE, RFC 26) in files, as Z85 text (RFC 32) of 40 characters. A line that begins with `#` is a comment; no key begins so,
 * since five characters of Z85 that do are more than 32 bits. Secret keys never appear in an error.
 *
 * A secret key file holds one key alone, or `secret = <key>` and, as curve_write_pair writes it, `public = <key>`. A list has one public key a line.
 */
#ifndef CURVE_H
#define CURVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CURVE_KEY_BYTES = 32, CURVE_TEXT_BYTES = 40, CURVE_TEXT = CURVE_TEXT_BYTES + 1 };

struct curve_key {
    uint8_t bytes[CURVE_KEY_BYTES];
};

struct curve_list {
    struct curve_key *keys; /* owned */
    size_t count;
};

/* Whether `text`, NUL-terminated, is a key. */
bool curve_is_key(const char *text);

/*
 * Reads a secret key, from a file that is secret (guarded_file.h). False: `error` says why. The caller forgets the key with explicit_bzero.
 */
bool curve_read_secret(const char *path, char secret[CURVE_TEXT], char *error, size_t size) __attribute__((warn_unused_result));
/* Reads a public key: a file as curve_write_pair writes it, or one with the key alone. */
bool curve_read_public(const char *path, char public[CURVE_TEXT], char *error, size_t size) __attribute__((warn_unused_result));
/* The public key of a secret one. */
bool curve_public_of(const char secret[CURVE_TEXT], char public[CURVE_TEXT]) __attribute__((warn_unused_result));

/* Reads a list, which may be empty. Everybody may read it, but not write to it. False: `error` says why, nothing is left. */
bool curve_read_list(const char *path, struct curve_list *list, char *error, size_t size) __attribute__((warn_unused_result));
bool curve_list_has(const struct curve_list *list, const uint8_t key[CURVE_KEY_BYTES]);
void curve_list_finish(struct curve_list *list);

/*
 * Makes a key pair: `<prefix>.secret` with both keys, for its owner alone, and `<prefix>.public`. Files that are there are never overwritten.
 * False: `error` says why, nothing is left.
 */
bool curve_write_pair(const char *prefix, char public[CURVE_TEXT], char *error, size_t size) __attribute__((warn_unused_result));

#endif
