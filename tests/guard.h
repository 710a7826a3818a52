/*
 * guard: memory that ends where a page without access begins: reading or writing one byte too many is a crash, also without a sanitizer.
 * Lack of memory ends the test.
 */
#ifndef GUARD_H
#define GUARD_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Bytes of the pages that hold `size` bytes; the page without access follows them. */
static inline size_t guard_usable(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return (size + page - 1) / page * page;
}

/* `size` bytes, zero, right before the page without access. The caller's: guard_free with the same size. */
static inline char *guard_alloc(size_t size)
{
    size_t usable = guard_usable(size);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, usable + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (pages == MAP_FAILED || mprotect(pages + usable, page, PROT_NONE) < 0)
        abort();
    return pages + usable - size;
}

/* As guard_alloc, with a copy of `bytes`. */
static inline char *guard_copy(const void *bytes, size_t size)
{
    char *copy = guard_alloc(size);

    if (size > 0)
        memcpy(copy, bytes, size);
    return copy;
}

static inline void guard_free(char *bytes, size_t size)
{
    size_t usable = guard_usable(size);

    munmap(bytes + size - usable, usable + (size_t)sysconf(_SC_PAGESIZE));
}

#endif
