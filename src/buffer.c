#include "buffer.h"

#include <assert.h>
#include <stdlib.h>

struct buffer *buffer_create(size_t size)
{
    return buffer_create_behind(0, size);
}

struct buffer *buffer_create_behind(size_t before, size_t size)
{
    char *memory = malloc(before + sizeof(struct buffer) + size);
    struct buffer *buffer = (struct buffer *)(memory + before);

    assert(before % _Alignof(struct buffer) == 0 && before <= UINT32_MAX);
    if (!memory)
        return NULL;
    atomic_init(&buffer->references, 1);
    buffer->before = (uint32_t)before;
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
    if (!buffer)
        return;
    /* Whose is the only reference need not tell anybody that it goes; that spares most messages a locked instruction. */
    if (atomic_load_explicit(&buffer->references, memory_order_acquire) == 1 ||
        atomic_fetch_sub_explicit(&buffer->references, 1, memory_order_acq_rel) == 1)
        free((char *)buffer - buffer->before);
}
