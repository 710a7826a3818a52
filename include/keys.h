/* keys: idempotency keys of the last minutes: channel and key → the id that the first message got. Bounded; the oldest goes first. */
#ifndef KEYS_H
#define KEYS_H

#include "event_id.h"
#include "span.h"

#include <sys/queue.h>

struct key_record;
struct snapshot;
TAILQ_HEAD(key_queue, key_record);

/* What a record costs but for its two names and the allocator's own. */
enum { KEY_BYTES = 128 };

/* Those that one turn collects for a snapshot. */
enum { KEYS_SLICE = 1024 };

struct keys {
    struct key_record *table;
    struct key_queue queue; /* oldest first */
    size_t count;
    size_t name_bytes;           /* of all */
    struct key_record *bookmark; /* the next one for the snapshot that is being collected, or NULL */
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

/* Begins with the oldest; `snapshot` gets room for all. Those of messages after `snapshot->newest` do not belong to it. */
void keys_collect_begin(struct keys *keys, struct snapshot *snapshot);
/* Copies the next ones, at most `most`, into `snapshot`. True: there are more. */
bool keys_collect(struct keys *keys, struct snapshot *snapshot, size_t most);
/* Remembers those of `snapshot`; what memory lacks for is not remembered. */
void keys_restore(struct keys *keys, const struct snapshot *snapshot);

#endif
