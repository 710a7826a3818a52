#include "message.h"

#include "buffer.h"

#include <assert.h>
#include <stdlib.h>

struct message *message_create_take(struct event_id id, const struct message_names *names, struct buffer *encoded)
{
    size_t size = names->channel.size + names->event.size + names->except.size;
    struct message *message = malloc(sizeof *message + size);

    assert(names->channel.size <= 255 && names->event.size <= 255 && names->except.size <= 255);
    if (!message) {
        buffer_unref(encoded);
        return NULL;
    }
    *message = (struct message){
        .store = true,
        .channel_size = (unsigned char)names->channel.size,
        .event_size = (unsigned char)names->event.size,
        .except_size = (unsigned char)names->except.size,
        .id = id,
        .expires_ms = INT64_MAX,
        .encoded = encoded,
    };
    atomic_init(&message->references, 1);
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
    atomic_store_explicit(&message->references, count, memory_order_relaxed);
}

struct message *message_ref(struct message *message)
{
    atomic_fetch_add_explicit(&message->references, 1, memory_order_relaxed);
    return message;
}

void message_unref(struct message *message)
{
    if (!message || atomic_fetch_sub_explicit(&message->references, 1, memory_order_acq_rel) != 1)
        return;
    buffer_unref(message->encoded);
    free(message);
}
