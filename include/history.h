/*
 * history: the last messages of a channel, in a ring of entries. By count and age it says what a newcomer may be given; what connected subscribers
 * still lack is kept longer (history.keep), and goes only by the byte budget over all channels, the oldest first.
 * Every eviction that counts as lost raises the channel's gap mark.
 */
#ifndef HISTORY_H
#define HISTORY_H

#include "event_id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct buffer;
struct channel;
struct message;
struct replica;

/* A message as one replica keeps it. */
struct entry {
    TAILQ_ENTRY(entry) order;  /* over all channels */
    struct channel *channel;
    struct message *message;   /* one reference */
    struct buffer *envelope;   /* made on first need, or NULL */
    struct buffer *answer;     /* JSON for long-polls, made on first need, or NULL */
    uint64_t number;           /* how many messages the replica had applied, this one included */
};

TAILQ_HEAD(entry_queue, entry);

struct history {
    struct entry **ring;       /* owned; capacity is a power of two */
    uint32_t head;
    uint32_t count;
    uint32_t capacity;
    uint32_t transient;        /* entries that may go before older ones: store:false, or with a ttl */
    uint32_t stored;           /* what history.messages counts: all but store:false */
};

/* The entry at `index`, from the oldest on; `index` < count. */
static inline struct entry *history_at(const struct history *history, uint32_t index)
{
    return history->ring[(history->head + index) & (history->capacity - 1)];
}

/* The index of the first entry after `id`; count when there is none. */
uint32_t history_after(const struct history *history, struct event_id id);

/* The number of the first entry that a newcomer may be given. */
uint64_t history_newcomer_floor(const struct replica *replica, const struct channel *channel);

/* Adds the message and takes its reference over. False: no memory; then it does not, and the message counts as lost. */
bool history_append_take(struct replica *replica, struct channel *channel, struct message *message)
    __attribute__((warn_unused_result));

/* Evicts the oldest while policy no longer keeps them, and sees to it that somebody looks again in time. */
void history_trim(struct replica *replica, struct channel *channel);
/* The deadline for that came: also takes out what is over between others. The channel may be gone afterwards. */
void history_sweep(struct replica *replica, struct channel *channel);
/* Evicts the oldest over all channels until history.bytes holds. Channels may be gone afterwards. */
void history_enforce_budget(struct replica *replica);
/* Counts what history has more now, as by an entry's further encoding; it wraps where it is less. */
void history_count_bytes(struct replica *replica, size_t bytes);

/* Lets everything go, without marks. */
void history_finish(struct replica *replica, struct channel *channel);

#endif
