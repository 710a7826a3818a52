/*
 * buffer: immutable counted bytes: whatever can be in the middle of a write. The count is atomic, because workers share
 * messages; the bytes are written once, by the creator, before anybody else sees them.
 */
#ifndef BUFFER_H
#define BUFFER_H

#include "span.h"

#include <stdatomic.h>
#include <stdint.h>

struct buffer {
    atomic_uint references;
    uint32_t before;        /* bytes in front of it in its allocation: the owner's, who lives as long as the buffer */
    size_t size;
    char bytes[];
};

/* A buffer of `size` unset bytes with one reference, the caller's; NULL when memory lacks. */
struct buffer *buffer_create(size_t size) __attribute__((warn_unused_result));

/* The same behind `before` unset bytes, a multiple of its alignment: where something is that goes when the buffer goes. */
struct buffer *buffer_create_behind(size_t before, size_t size) __attribute__((warn_unused_result));

/* One more reference to `buffer`, which is returned. any thread */
struct buffer *buffer_ref(struct buffer *buffer);

/* Gives one reference back; the last one frees. NULL is fine. any thread */
void buffer_unref(struct buffer *buffer);

static inline struct span buffer_span(const struct buffer *buffer)
{
    return (struct span){buffer->bytes, buffer->size};
}

/* What it takes, but for the allocator's own. */
static inline size_t buffer_memory(const struct buffer *buffer)
{
    return buffer->before + sizeof *buffer + buffer->size;
}

#endif
