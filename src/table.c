#include "table.h"

#include <sodium.h>
#include <string.h>
#include <sys/random.h>

/* The one secret of the process; set once, before any thread. */
static unsigned char hash_key[crypto_shorthash_KEYBYTES];

bool table_init(void)
{
    return getrandom(hash_key, sizeof hash_key, 0) == (ssize_t)sizeof hash_key;
}

_Static_assert(TABLE_KEY_BYTES == crypto_shorthash_KEYBYTES, "the key of SipHash-2-4");

void table_get_key(unsigned char key[TABLE_KEY_BYTES])
{
    memcpy(key, hash_key, sizeof hash_key);
}

void table_set_key(const unsigned char key[TABLE_KEY_BYTES])
{
    memcpy(hash_key, key, sizeof hash_key);
}

unsigned table_hash(const void *key, size_t size)
{
    unsigned char out[crypto_shorthash_BYTES];
    unsigned hash;

    crypto_shorthash(out, key, size, hash_key);
    memcpy(&hash, out, sizeof hash);
    return hash;
}
