/*
 * message: immutable, counted, encoded once. Shared by all workers; never changed after message_create. It lies in front of its encoded bytes, in one
 * allocation: the buffer's count is the message's, and whoever is in the middle of writing the bytes keeps the message too.
 */
#ifndef MESSAGE_H
#define MESSAGE_H

#include "buffer.h"
#include "event_id.h"
#include "span.h"

struct message {
    bool store;             /* false: only for those connected when it came */
    unsigned char channel_size;
    unsigned char event_size;
    unsigned char except_size;
    struct event_id id;
    int64_t ingest_ms;      /* monotonic clock */
    int64_t expires_ms;     /* monotonic clock; INT64_MAX: never */
    struct buffer *encoded; /* the bytes behind it: STDOUT records of request id 1 */
    char names[];           /* channel, event, except */
};

/* What message_create copies; sizes are at most 255 bytes. */
struct message_names {
    struct span channel;
    struct span event;
    struct span except;
};

/* With `encoded_size` unset bytes, for the caller to write. One reference, the caller's. NULL: no memory. */
struct message *message_create(struct event_id id, const struct message_names *names, size_t encoded_size)
    __attribute__((warn_unused_result));

/* Makes the creator's one reference `count` of them, before anybody else has it. */
void message_share(struct message *message, unsigned count);
/* any thread */
struct message *message_ref(struct message *message);
/* NULL is fine. any thread */
void message_unref(struct message *message);

static inline struct span message_channel(const struct message *message)
{
    return (struct span){message->names, message->channel_size};
}

static inline struct span message_event(const struct message *message)
{
    return (struct span){message->names + message->channel_size, message->event_size};
}

static inline struct span message_except(const struct message *message)
{
    return (struct span){message->names + message->channel_size + message->event_size, message->except_size};
}

#endif
