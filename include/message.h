/* message: immutable, counted, encoded once. Shared by all workers; never changed after message_create. */
#ifndef MESSAGE_H
#define MESSAGE_H

#include "event_id.h"
#include "span.h"

#include <stdatomic.h>

struct buffer;

struct message {
    atomic_uint references;
    bool store;             /* false: only for those connected when it came */
    unsigned char channel_size;
    unsigned char event_size;
    unsigned char except_size;
    struct event_id id;
    int64_t ingest_ms;      /* monotonic clock */
    int64_t expires_ms;     /* monotonic clock; INT64_MAX: never */
    struct buffer *encoded; /* one reference: STDOUT records of request id 1 */
    char names[];           /* channel, event, except */
};

/* What message_create copies; sizes are at most 255 bytes. */
struct message_names {
    struct span channel;
    struct span event;
    struct span except;
};

/* Takes the reference to `encoded` over, also when it fails (NULL: no memory). One reference, the caller's. */
struct message *message_create_take(struct event_id id, const struct message_names *names, struct buffer *encoded)
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
