/*
 * History: a ring of entries per channel, and one list of all entries in the order of their ids. Entries leave at the front, by policy or by the
 * byte budget; store:false and expired ones may leave between others, in a sweep.
 */
#include "history.h"

#include "buffer.h"
#include "latest.h"
#include "message.h"
#include "replica.h"

#include <assert.h>
#include <stdlib.h>

/* How long a store:false message waits for subscribers that could be written to (docs/protocol.md). */
enum { TRANSIENT_MS = 1000 };
/* Sweeps of one channel are at least this far apart. */
enum { SWEEP_PAUSE_MS = 100 };
/* An allocator's own cost for an entry and its message, and for a channel and its ring, roughly. */
enum { ALLOCATION_BYTES = 32 };

static size_t entry_bytes(const struct entry *entry)
{
    size_t bytes = sizeof *entry + buffer_memory(entry->message->encoded) + ALLOCATION_BYTES;

    if (entry->envelope)
        bytes += buffer_memory(entry->envelope);
    if (entry->answer)
        bytes += buffer_memory(entry->answer);
    return bytes;
}

void history_count_bytes(struct replica *replica, size_t bytes)
{
    replica->bytes += bytes;
    replica->metrics->history_bytes = replica->bytes;
}

static bool is_transient(const struct message *message)
{
    return !message->store || message->expires_ms != INT64_MAX;
}

uint32_t history_after(const struct history *history, struct event_id id)
{
    uint32_t low = 0, high = history->count, middle;

    /* Who is up to date lacks the last few: look there first. */
    for (uint32_t step = 1; step < high; step *= 2) {
        if (!event_id_less(id, history_at(history, high - step)->message->id)) {
            low = high - step + 1;
            break;
        }
        high -= step;
    }
    while (low < high) {
        middle = low + (high - low) / 2;
        if (event_id_less(id, history_at(history, middle)->message->id))
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

uint64_t history_newcomer_floor(const struct replica *replica, const struct channel *channel)
{
    const struct history *history = &channel->history;
    int64_t oldest_ms = replica->now_ms - channel->policy.age_ms;
    int64_t left = channel->policy.messages;
    uint64_t floor = replica->number + 1;

    for (uint32_t i = history->count; i-- > 0 && left > 0;) {
        const struct entry *entry = history_at(history, i);

        if (entry->message->ingest_ms < oldest_ms)
            break;
        if (!entry->message->store || entry->message->expires_ms <= replica->now_ms)
            continue;
        floor = entry->number;
        left--;
    }
    return floor;
}

/* What a channel costs as long as it has a ring. Otherwise it is there for its subscribers, who are counted. */
static size_t channel_bytes(const struct channel *channel)
{
    size_t ring = channel->history.capacity * sizeof *channel->history.ring;

    return ring > 0 ? ring + CHANNEL_BYTES + channel->name_size + ALLOCATION_BYTES : 0;
}

static bool resize(struct replica *replica, struct channel *channel, uint32_t capacity)
{
    struct history *history = &channel->history;
    struct entry **ring = calloc(capacity, sizeof *ring);

    if (!ring)
        return false;
    history_count_bytes(replica, -channel_bytes(channel));
    for (uint32_t i = 0; i < history->count; i++)
        ring[i] = history_at(history, i);
    free(history->ring);
    history->ring = ring;
    history->head = 0;
    history->capacity = capacity;
    history_count_bytes(replica, channel_bytes(channel));
    return true;
}

static bool grow(struct replica *replica, struct channel *channel)
{
    const struct history *history = &channel->history;

    return history->count < history->capacity || resize(replica, channel, history->capacity ? history->capacity * 2 : 4);
}

static void drop_ring(struct replica *replica, struct channel *channel)
{
    history_count_bytes(replica, -channel_bytes(channel));
    free(channel->history.ring);
    channel->history = (struct history){0};
}

/* A burst leaves a large ring behind. A failure only means that it stays large. */
static void shrink(struct replica *replica, struct channel *channel)
{
    uint32_t capacity = channel->history.capacity;

    while (capacity > 64 && channel->history.count < capacity / 8)
        capacity /= 4;
    if (capacity < channel->history.capacity)
        (void)resize(replica, channel, capacity);
}

static int64_t transient_due_ms(const struct message *message)
{
    return message->store ? message->expires_ms : message->ingest_ms + TRANSIENT_MS;
}

/* Look at the channel again at `due_ms` or before. */
static void look_again(struct replica *replica, struct channel *channel, int64_t due_ms)
{
    if (channel->trim.place == 0 || due_ms < channel->trim.due_ms)
        timeouts_set(&replica->timeouts, &channel->trim, due_ms);
}

bool history_append_take(struct replica *replica, struct channel *channel, struct message *message)
{
    struct history *history = &channel->history;
    struct entry *entry;

    if (!replica->spare)
        replica->spare = malloc(sizeof *entry);
    entry = replica->spare;
    if (!entry || !grow(replica, channel))
        return false;
    replica->spare = NULL;
    *entry = (struct entry){.channel = channel, .message = message, .number = replica->number};
    history->ring[(history->head + history->count++) & (history->capacity - 1)] = entry;
    TAILQ_INSERT_TAIL(&replica->order, entry, order);
    history->stored += message->store;
    if (is_transient(message)) {
        int64_t due_ms = transient_due_ms(message);

        history->transient++;
        look_again(replica, channel, due_ms > replica->now_ms + SWEEP_PAUSE_MS ? due_ms : replica->now_ms + SWEEP_PAUSE_MS);
    }
    history_count_bytes(replica, entry_bytes(entry));
    replica->metrics->history_messages++;
    return true;
}

/* The entry is no longer in the ring. */
static void let_go(struct replica *replica, struct entry *entry)
{
    struct history *history = &entry->channel->history;

    batch_forget(&replica->batch);
    history->stored -= entry->message->store;
    history->transient -= is_transient(entry->message);
    history_count_bytes(replica, -entry_bytes(entry));
    replica->metrics->history_messages--;
    if (replica->bookmark == entry)
        replica->bookmark = TAILQ_NEXT(entry, order);
    TAILQ_REMOVE(&replica->order, entry, order);
    pins_evicted(&replica->pins, entry->message->encoded);
    pins_evicted(&replica->pins, entry->envelope);
    message_unref(entry->message);
    buffer_unref(entry->envelope);
    buffer_unref(entry->answer);
    free(replica->spare);
    replica->spare = entry;
}

static bool is_over(const struct replica *replica, const struct entry *entry)
{
    const struct message *message = entry->message;

    if (message->expires_ms <= replica->now_ms)
        return true;
    return !message->store && (!event_id_less(entry->channel->settled, message->id) ||
                               message->ingest_ms + TRANSIENT_MS <= replica->now_ms);
}

/* When policy stops keeping the oldest entry. */
static int64_t front_due_ms(const struct channel *channel)
{
    const struct message *message = history_at(&channel->history, 0)->message;
    int64_t kept_ms = message->ingest_ms + channel->policy.keep_ms;
    int64_t aged_ms = message->ingest_ms + channel->policy.age_ms;

    if (is_transient(message) && transient_due_ms(message) < kept_ms)
        return transient_due_ms(message);
    if (channel->history.stored > channel->policy.messages)
        return kept_ms;
    return aged_ms > kept_ms ? aged_ms : kept_ms;
}

static void evict_front(struct replica *replica, struct channel *channel)
{
    struct history *history = &channel->history;
    struct entry *entry = history_at(history, 0);
    bool is_replaced = latest_replaces(entry);

    if (!is_replaced && !is_over(replica, entry))
        channel_catch_up(replica, channel, entry->message->id);
    if (!is_replaced && entry->message->store && entry->message->expires_ms > replica->now_ms) {
        /* The mark is higher already when a later message was lost for lack of memory, or this one was loaded after a crash. */
        channel_lose(channel, entry->message->id);
        replica->metrics->history_evicted++;
    }
    history->head = (history->head + 1) & (history->capacity - 1);
    history->count--;
    let_go(replica, entry);
}

void history_trim(struct replica *replica, struct channel *channel)
{
    struct history *history = &channel->history;

    while (history->count > 0 &&
           (is_over(replica, history_at(history, 0)) || front_due_ms(channel) <= replica->now_ms))
        evict_front(replica, channel);
    look_again(replica, channel, history->count > 0 ? front_due_ms(channel) : replica->now_ms);
}

/* Takes out what is over, wherever it lies; the time at which the next one will be. */
static int64_t sweep_transient(struct replica *replica, struct history *history)
{
    int64_t due_ms = TIMEOUTS_NEVER;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < history->count; i++) {
        struct entry *entry = history_at(history, i);

        if (is_over(replica, entry)) {
            let_go(replica, entry);
            continue;
        }
        if (is_transient(entry->message) && transient_due_ms(entry->message) < due_ms)
            due_ms = transient_due_ms(entry->message);
        history->ring[(history->head + kept++) & (history->capacity - 1)] = entry;
    }
    history->count = kept;
    return due_ms;
}

/* Nothing is left in it. The channel may be gone afterwards. */
static void leave_empty(struct replica *replica, struct channel *channel)
{
    drop_ring(replica, channel);
    timeouts_clear(&replica->timeouts, &channel->trim);
    channel_close_unused(replica, channel);
}

void history_sweep(struct replica *replica, struct channel *channel)
{
    struct history *history = &channel->history;

    timeouts_clear(&replica->timeouts, &channel->trim);
    if (history->transient > 0) {
        int64_t due_ms = sweep_transient(replica, history);

        if (due_ms != TIMEOUTS_NEVER)
            look_again(replica, channel, due_ms > replica->now_ms + SWEEP_PAUSE_MS ? due_ms : replica->now_ms + SWEEP_PAUSE_MS);
    }
    if (history->count > 0)
        history_trim(replica, channel);
    if (history->count == 0)
        leave_empty(replica, channel);
    else
        shrink(replica, channel);
}

void history_enforce_budget(struct replica *replica)
{
    while (replica->bytes > (size_t)replica->settings->history_bytes && !TAILQ_EMPTY(&replica->order)) {
        struct channel *channel = TAILQ_FIRST(&replica->order)->channel;

        evict_front(replica, channel);
        if (channel->history.count == 0)
            leave_empty(replica, channel);
        else
            shrink(replica, channel);
    }
}

void history_finish(struct replica *replica, struct channel *channel)
{
    struct history *history = &channel->history;

    for (; history->count > 0; history->count--) {
        struct entry *entry = history_at(history, 0);

        history->head = (history->head + 1) & (history->capacity - 1);
        let_go(replica, entry);
    }
    drop_ring(replica, channel);
}
