/* keys: idempotency keys of the last minutes: channel and key → the id that the first message got. Bounded; the oldest goes first. */
#ifndef KEYS_H
#define KEYS_H

#include "event_id.h"
#include "span.h"

#include <sys/queue.h>

struct key_record;
TAILQ_HEAD(key_queue, key_record);

struct keys {
    struct key_record *table;
    struct key_queue queue; /* oldest first */
    size_t count;
};

void keys_init(struct keys *keys);
void keys_finish(struct keys *keys);

/* Forgets what is older than `since_ms` (monotonic), and the oldest above `limit`. */
void keys_trim(struct keys *keys, int64_t since_ms, size_t limit);
/* The id of the first message with this key on this channel; false when it is not known. */
bool keys_find(const struct keys *keys, struct span channel, struct span key, struct event_id *id);
/* Remembers. False: no memory. */
bool keys_add(struct keys *keys, struct span channel, struct span key, struct event_id id, int64_t now_ms)
    __attribute__((warn_unused_result));

#endif
