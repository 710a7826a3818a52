#include "replica.h"

#include "advance.h"
#include "answers.h"
#include "buffer.h"
#include "message.h"

#include <assert.h>
#include <stdlib.h>

void replica_init(struct replica *replica, const struct settings *settings, const struct replica_io *io,
                  struct metrics *metrics, struct event_id start, uint64_t seed)
{
    memset(replica, 0, sizeof *replica);
    replica->settings = settings;
    replica->io = io;
    replica->metrics = metrics;
    replica->random = seed;
    replica->newest = start;
    TAILQ_INIT(&replica->dirty);
    TAILQ_INIT(&replica->idle);
    TAILQ_INIT(&replica->ready);
    TAILQ_INIT(&replica->blocked);
    TAILQ_INIT(&replica->order);
    TAILQ_INIT(&replica->crowded);
    pins_init(&replica->pins);
    for (int i = 0; i < REPLICA_MARKS; i++)
        replica->marks[i] = replica->directory_marks[i] = start;
}

void replica_finish(struct replica *replica)
{
    struct channel *channel, *next;

    HASH_ITER(hh, replica->channels, channel, next) {
        history_finish(replica, channel);
        channel_close_unused(replica, channel);
    }
    free(replica->spare);
    assert(!replica->interests.by_pattern && !replica->interests.directories);
    replica_forget_shared(replica);
    pins_finish(&replica->pins);
    merge_finish(&replica->merge);
    timeouts_finish(&replica->timeouts);
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t next_random(struct replica *replica)
{
    uint64_t z = replica->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

int64_t replica_jitter(struct replica *replica, int64_t least, int64_t most)
{
    assert(least <= most);
    return least + (int64_t)(next_random(replica) % (uint64_t)(most - least + 1));
}

void replica_forget_shared(struct replica *replica)
{
    answers_forget(replica);
    batch_forget(&replica->batch);
}

static void raise_mark(struct event_id marks[REPLICA_MARKS], struct span name, struct event_id id)
{
    struct event_id *mark = &marks[table_hash(name.bytes, name.size) % REPLICA_MARKS];

    *mark = event_id_max(*mark, id);
}

void replica_raise_marks(struct replica *replica, struct span name, struct event_id id)
{
    raise_mark(replica->marks, name, id);
    for (size_t size = 0; size <= name.size; size++)
        if (size == 0 || name.bytes[size - 1] == '/')
            raise_mark(replica->directory_marks, (struct span){name.bytes, size}, id);
}

/* There is no memory to keep the message: whoever lacks it is told of a gap. */
static void lose_take(struct replica *replica, struct channel *channel, struct message *message)
{
    struct span name = message_channel(message);

    replica->metrics->dropped_no_memory++;
    log_limited(&replica->lost, replica->now_ms, LOG_ERROR, "no memory to keep a message: clients are told of a gap");
    if (message->store && channel) {
        channel_lose(channel, message->id);
    } else if (message->store) {
        replica_raise_marks(replica, name, message->id);
        watch_lose(replica, name, message->id);
    }
    message_unref(message);
}

/* The message's channel; NULL when there is none and none is wanted, or no memory for one. */
static struct channel *channel_for(struct replica *replica, const struct message *message)
{
    struct span name = message_channel(message);
    struct channel *channel = channel_find(replica, name);

    if (!channel && (message->store || watch_wants(replica, name)))
        channel = channel_open(replica, name);
    if (channel && channel->is_unmatched)
        watch_match(replica, channel, message->id);
    return channel;
}

void replica_apply_take(struct replica *replica, struct message *message)
{
    struct channel *channel;

    replica->newest = message->id;
    replica->number++;
    replica_forget_shared(replica);
    channel = channel_for(replica, message);
    if (!message->store && !(channel && channel_has_subscribers(channel))) {
        /* One that was made for somebody for whom there was no memory. */
        if (channel)
            channel_close_unused(replica, channel);
        message_unref(message);
        return;
    }
    if (!channel || !history_append_take(replica, channel, message))
        lose_take(replica, channel, message);
    if (!channel)
        return;
    channel_notify(replica, channel);
    history_trim(replica, channel);
    history_enforce_budget(replica);
}

/* Those who have more than one write took: each once, then the sockets are looked at again. */
static void advance_ready(struct replica *replica)
{
    struct subscriber *last = TAILQ_LAST(&replica->ready, subscriber_queue);
    struct subscriber *subscriber;

    while (last && (subscriber = TAILQ_FIRST(&replica->ready))) {
        /* To the end, so that the round ends also if it stays ready. */
        TAILQ_REMOVE(&replica->ready, subscriber, of_state);
        TAILQ_INSERT_TAIL(&replica->ready, subscriber, of_state);
        advance(replica, subscriber);
        if (subscriber == last)
            break;
    }
}

/* Slow clients hold too many bytes that history has let go: those who hold the oldest are closed; they come back with their cursor. */
static void enforce_pinned_bytes(struct replica *replica)
{
    while (replica->pins.bytes > (size_t)replica->settings->history_pinned_bytes) {
        const struct buffer *oldest = pins_oldest(&replica->pins);
        size_t before = replica->pins.bytes;
        struct subscriber *subscriber, *next;

        for (subscriber = TAILQ_FIRST(&replica->blocked); subscriber; subscriber = next) {
            next = TAILQ_NEXT(subscriber, of_state);
            if (subscriber->half == oldest)
                subscriber_leave(replica, subscriber, LEAVE_SLOW);
        }
        assert(replica->pins.bytes < before); /* whoever holds a pin is BLOCKED */
    }
    replica->metrics->pinned_bytes = replica->pins.bytes;
}

bool replica_flush(struct replica *replica)
{
    while (!TAILQ_EMPTY(&replica->dirty))
        channel_flush(replica, TAILQ_FIRST(&replica->dirty));
    advance_ready(replica);
    watch_relieve(replica);
    /* Envelopes and answers were made meanwhile. */
    history_enforce_budget(replica);
    enforce_pinned_bytes(replica);
    replica_forget_shared(replica);
    return !TAILQ_EMPTY(&replica->ready);
}

void replica_run_timeouts(struct replica *replica)
{
    struct timeout *timeout;

    while ((timeout = timeouts_take_due(&replica->timeouts, replica->now_ms)) != NULL) {
        switch (timeout->kind) {
        case TIMEOUT_PACE:
            channel_flush(replica, (struct channel *)((char *)timeout - offsetof(struct channel, pace)));
            break;
        case TIMEOUT_TRIM:
            history_sweep(replica, (struct channel *)((char *)timeout - offsetof(struct channel, trim)));
            break;
        case TIMEOUT_SUBSCRIBER:
            subscriber_timeout(replica, (struct subscriber *)((char *)timeout - offsetof(struct subscriber, timeout)));
            break;
        default:
            replica->io->timeout(timeout);
        }
    }
}

void replica_spread_ends(struct replica *replica, int64_t window_ms)
{
    const struct subscriber_queue *queues[] = {&replica->idle, &replica->ready, &replica->blocked};
    struct subscriber *subscriber;

    for (size_t i = 0; i < sizeof queues / sizeof *queues; i++)
        TAILQ_FOREACH(subscriber, queues[i], of_state)
            subscriber_end_by(replica, subscriber, replica->now_ms + replica_jitter(replica, 0, window_ms));
}

void replica_reload(struct replica *replica)
{
    struct channel *channel, *next;

    /* All before any: a subscriber of several channels is advanced by one set of rules. */
    HASH_ITER(hh, replica->channels, channel, next)
        channel->policy = settings_channel_policy(replica->settings, channel_name(channel));
    HASH_ITER(hh, replica->channels, channel, next)
        history_trim(replica, channel);
    history_enforce_budget(replica);
}
