/*
 * table: uthash as we use it everywhere: lack of memory costs the one entry (HASH_NONFATAL_OOM), and the hash is keyed (SipHash-2-4 of libsodium,
 * key from the kernel at start), so that nobody outside can choose names that collide. Include this instead of uthash.h.
 */
#ifndef TABLE_H
#define TABLE_H

#include <stdbool.h>
#include <stddef.h>

/* Before the first table. False: no random bytes to be had. */
bool table_init(void);
/* The key of an earlier life, so that what was kept by hash is found again. Before the first table, and before any thread. */
enum { TABLE_KEY_BYTES = 16 };
void table_get_key(unsigned char key[TABLE_KEY_BYTES]);
void table_set_key(const unsigned char key[TABLE_KEY_BYTES]);
unsigned table_hash(const void *key, size_t size);

#define HASH_NONFATAL_OOM 1
#define HASH_FUNCTION(key, size, hash) ((hash) = table_hash((key), (size)))
#include <uthash.h>
#undef uthash_nonfatal_oom
/* Whoever adds sets `.hh.tbl` to NULL first and looks at it afterwards: still NULL when memory lacked. */
#define uthash_nonfatal_oom(entry) ((entry)->hh.tbl = NULL)

#endif
