/* keyfile: the files that the keys for tokens are in. */
#ifndef KEYFILE_H
#define KEYFILE_H

#include "keyring.h"

enum { KEYFILE_MAX_BYTES = 256 * 1024 };

/* Where keys are; NULL or empty: no such file. */
struct keyfile_paths {
    const char *secret; /* a secret for HS256; one newline at its end is not part of it */
    const char *set;    /* a JWK Set */
    bool allow_short;
};

/*
 * Reads the keys of both files, which are secret (guarded_file.h); with none the keyring is empty. False: `error` (of `size` bytes) names the file and says what was expected, and
 * the keyring is finished.
 */
bool keyfile_read(struct keyring *keyring, const struct keyfile_paths *paths, char *error, size_t size)
    __attribute__((warn_unused_result));

#endif
