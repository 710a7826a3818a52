#include "message.h"

#include <assert.h>

static size_t size_of(const struct message_names *names)
{
    size_t size = sizeof(struct message) + names->channel.size + names->event.size + names->except.size;

    return (size + _Alignof(struct buffer) - 1) / _Alignof(struct buffer) * _Alignof(struct buffer);
}

struct message *message_create(struct event_id id, const struct message_names *names, size_t encoded_size)
{
    struct buffer *encoded;
    struct message *message;

    assert(names->channel.size <= 255 && names->event.size <= 255 && names->except.size <= 255);
    encoded = buffer_create_behind(size_of(names), encoded_size);
    if (!encoded)
        return NULL;
    message = (struct message *)((char *)encoded - encoded->before);
    *message = (struct message){
        .store = true,
        .channel_size = (unsigned char)names->channel.size,
        .event_size = (unsigned char)names->event.size,
        .except_size = (unsigned char)names->except.size,
        .id = id,
        .expires_ms = INT64_MAX,
        .encoded = encoded,
    };
    char *end = mempcpy(message->names, names->channel.bytes, names->channel.size);
    if (names->event.size > 0)
        end = mempcpy(end, names->event.bytes, names->event.size);
    if (names->except.size > 0)
        memcpy(end, names->except.bytes, names->except.size);
    return message;
}

void message_share(struct message *message, unsigned count)
{
    assert(count > 0);
    atomic_store_explicit(&message->encoded->references, count, memory_order_relaxed);
}

struct message *message_ref(struct message *message)
{
    buffer_ref(message->encoded);
    return message;
}

void message_unref(struct message *message)
{
    buffer_unref(message ? message->encoded : NULL);
}
