#include "buffer.h"

#include <stdlib.h>

struct buffer *buffer_create(size_t size)
{
    struct buffer *buffer = malloc(sizeof *buffer + size);

    if (!buffer)
        return NULL;
    atomic_init(&buffer->references, 1);
    buffer->size = size;
    return buffer;
}

struct buffer *buffer_ref(struct buffer *buffer)
{
    atomic_fetch_add_explicit(&buffer->references, 1, memory_order_relaxed);
    return buffer;
}

void buffer_unref(struct buffer *buffer)
{
    if (buffer && atomic_fetch_sub_explicit(&buffer->references, 1, memory_order_acq_rel) == 1)
        free(buffer);
}
