/*
 * snapshot: what a hub knows, to be known after a restart: the messages of history, the newest id, publication keys and, once nothing more is taken in, the gap
 * marks. Here: the memory it is gathered in. snapshot_form.h says what it is as bytes, collect.h fills and uses it, archive.h keeps it in files.
 * any thread, one at a time
 */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include "event_id.h"
#include "table.h"
#include "text.h"

struct message;

enum { SNAPSHOT_MARKS = 2 * 4096 };

struct snapshot {
    unsigned char table_key[TABLE_KEY_BYTES]; /* the marks below are by its hashes */
    struct event_id newest;
    uint64_t wall_ms;          /* the moment in which it was begun */
    int64_t now_ms;            /* the same on this life's monotonic clock, wherever it was begun: what ages in the records count from */
    struct event_id *marks;    /* owned; SNAPSHOT_MARKS of them, or NULL: what was lost is not known */
    struct message **messages; /* owned, a reference each; ids rise */
    size_t message_count;
    size_t message_capacity;
    struct text channels;      /* records: snapshot_add_channel, snapshot_next_channel */
    struct text keys;          /* records: snapshot_add_key, snapshot_next_key */
    size_t key_count;
    uint64_t published;        /* the number of the last message that belongs to it; not part of the bytes */
    bool failed;               /* memory lacked: it is not whole */
};

/* What `since_ms` (monotonic) is as an age; 0 for what came later. */
static inline uint64_t snapshot_age(const struct snapshot *snapshot, int64_t since_ms)
{
    return since_ms < snapshot->now_ms ? (uint64_t)(snapshot->now_ms - since_ms) : 0;
}

/* Of this moment, on both clocks. NULL: no memory. */
struct snapshot *snapshot_create(uint64_t wall_ms, int64_t now_ms) __attribute__((warn_unused_result));
/* NULL is fine. */
void snapshot_destroy(struct snapshot *snapshot);

/* --- filling it; what memory lacks for sets `failed` --- */

/* Room for `more` messages without moving those that are there. */
void snapshot_reserve_messages(struct snapshot *snapshot, size_t more);
/* Takes its reference over. */
void snapshot_add_message_take(struct snapshot *snapshot, struct message *message);
/* Room for all marks, zero. */
void snapshot_add_marks(struct snapshot *snapshot);
void snapshot_add_channel(struct snapshot *snapshot, struct span name, struct event_id mark);

/* `added_ms`: monotonic. */
struct snapshot_key {
    struct event_id id;
    int64_t added_ms;
    struct span channel;
    struct span key;
};

/* Bytes that `count` keys take with `name_bytes` in all names. */
size_t snapshot_key_bytes(size_t count, size_t name_bytes);
/* The content of a key's record. False: its sizes do not fit. */
bool snapshot_read_key(const struct snapshot *snapshot, struct span content, struct snapshot_key *key);
void snapshot_add_key(struct snapshot *snapshot, const struct snapshot_key *key);

/* --- what it has: from `*offset` 0 on; false at the end --- */

bool snapshot_next_channel(const struct snapshot *snapshot, size_t *offset, struct span *name, struct event_id *mark);
bool snapshot_next_key(const struct snapshot *snapshot, size_t *offset, struct snapshot_key *key);

#endif
