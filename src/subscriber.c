/*
 * Subscribers: the lists they are on, their deadlines, and how they go. How they come is join.c, what they are sent is advance.c.
 */
#include "subscriber.h"

#include "advance.h"
#include "buffer.h"
#include "framing.h"
#include "message.h"
#include "replica.h"
#include "text.h"
#include "watch.h"

#include <assert.h>
#include <stdlib.h>

/* --- states and lists --- */

static struct subscriber_queue *queue_of(struct replica *replica, enum subscriber_state state)
{
    switch (state) {
    case SUBSCRIBER_IDLE: return &replica->idle;
    case SUBSCRIBER_READY: return &replica->ready;
    case SUBSCRIBER_BLOCKED: return &replica->blocked;
    case SUBSCRIBER_OUT: break;
    }
    return NULL;
}

/* When something is to be done if nothing happens before. */
static int64_t due_ms(const struct replica *replica, const struct subscriber *subscriber)
{
    int64_t heartbeat_ms = subscriber->wrote_ms + replica->settings->sse_heartbeat;

    if (subscriber->state == SUBSCRIBER_BLOCKED)
        return subscriber->wrote_ms + replica->settings->slow_close_after;
    if (subscriber->is_poll || (subscriber->ends_ms < heartbeat_ms && !subscriber->is_ending))
        return subscriber->ends_ms;
    return heartbeat_ms;
}

/* A deadline that is set too early is corrected when it comes: a delivery need not touch the heap. */
static void arm(struct replica *replica, struct subscriber *subscriber)
{
    timeouts_lower(&replica->timeouts, &subscriber->timeout, due_ms(replica, subscriber));
}

void subscriber_set_state(struct replica *replica, struct subscriber *subscriber, enum subscriber_state state)
{
    struct subscriber_queue *from, *to = queue_of(replica, state);
    bool was_blocked = subscriber->state == SUBSCRIBER_BLOCKED;

    if (subscriber->state == state)
        return;
    from = queue_of(replica, subscriber->state);
    /* The time in which it accepts nothing begins when there is something to accept. */
    if (subscriber->state == SUBSCRIBER_IDLE && state == SUBSCRIBER_BLOCKED)
        subscriber->wrote_ms = replica->now_ms;
    if (from)
        TAILQ_REMOVE(from, subscriber, of_state);
    if (to)
        TAILQ_INSERT_TAIL(to, subscriber, of_state);
    subscriber->state = (uint8_t)state;
    if (was_blocked != (state == SUBSCRIBER_BLOCKED) && state != SUBSCRIBER_OUT) {
        replica->io->want_write(subscriber, state == SUBSCRIBER_BLOCKED);
        arm(replica, subscriber);
    }
}

void subscriber_mark_pending(struct link *link)
{
    struct subscriber *subscriber = link->subscriber;

    if (link->next_pending != 0)
        return;
    link->next_pending = subscriber->first_pending != 0 ? subscriber->first_pending : PENDING_END;
    subscriber->first_pending = (uint32_t)(link - subscriber->several) + 1;
}

int subscriber_compare_links(const void *a, const void *b)
{
    const struct link *left = a, *right = b;

    return left->channel < right->channel ? -1 : left->channel > right->channel;
}

/* A gap too: there may have been no memory to tell it. */
static bool link_has_more(const struct link *link, struct event_id cursor)
{
    const struct history *history = &link->channel->history;

    return (history->count > 0 && event_id_less(cursor, history_at(history, history->count - 1)->message->id)) ||
           advance_link_has_gap(link, cursor);
}

bool subscriber_has_more(struct subscriber *subscriber)
{
    struct link *link, *next;
    bool more = watch_has_gap(subscriber, subscriber->cursor);

    if (subscriber->is_single)
        return link_has_more(&subscriber->own, subscriber->cursor);
    link = subscriber_next_link(subscriber, NULL);
    subscriber->first_pending = 0;
    for (; link; link = next) {
        bool has_more = link_has_more(link, subscriber->cursor);

        next = subscriber_next_link(subscriber, link);
        link->next_pending = 0;
        more |= has_more;
        /* A channel marks its links at the first news only, so they stay until it is flushed. */
        if (has_more || link->channel->news)
            subscriber_mark_pending(link);
    }
    return more;
}

void subscriber_write_next_take(struct subscriber *subscriber, struct buffer *buffer, bool is_last)
{
    assert(!subscriber->half && buffer->size <= UINT32_MAX);
    subscriber->half = buffer;
    subscriber->half_offset = 0;
    subscriber->is_last = is_last;
}

/* --- beginning and leaving --- */

void subscriber_begin(struct replica *replica, struct subscriber *subscriber)
{
    replica->metrics->subscribers++;
    subscriber->wrote_ms = replica->now_ms;
    subscriber->timeout.kind = TIMEOUT_SUBSCRIBER;
    subscriber_set_state(replica, subscriber, SUBSCRIBER_IDLE);
    arm(replica, subscriber);
    if (subscriber->half)
        advance(replica, subscriber);
}

void subscriber_answer_take(struct replica *replica, struct subscriber *subscriber, struct buffer *response)
{
    subscriber->is_poll = true;
    subscriber->ends_ms = INT64_MAX;
    subscriber_write_next_take(subscriber, response, true);
    subscriber_begin(replica, subscriber);
}

void subscriber_unsettle(struct subscriber *subscriber)
{
    struct link *link = NULL;

    if (subscriber->is_watcher)
        watch_tidy(subscriber);
    /* The others' messages it has all. */
    while ((link = subscriber_next_link(subscriber, link)) != NULL)
        if (event_id_less(subscriber->cursor, link->channel->settled))
            link->channel->settled = subscriber->cursor;
}

void subscriber_free_parts(struct subscriber *subscriber)
{
    if (!subscriber->is_single)
        free(subscriber->several);
    free(subscriber->client);
    subscriber->several = NULL;
    subscriber->client = NULL;
    subscriber->link_count = 0;
    subscriber->is_single = false;
}


void subscriber_end(struct replica *replica, struct subscriber *subscriber)
{
    subscriber->is_ending = true;
    if (subscriber->state != SUBSCRIBER_OUT)
        advance(replica, subscriber);
}

void subscriber_end_by(struct replica *replica, struct subscriber *subscriber, int64_t ends_ms)
{
    if (ends_ms >= subscriber->ends_ms)
        return;
    subscriber->ends_ms = ends_ms;
    subscriber->ends_early = true;
    arm(replica, subscriber);
}

bool subscriber_has_expired(const struct replica *replica, const struct subscriber *subscriber)
{
    return subscriber->may_expire && subscriber->ends_ms <= replica->now_ms;
}

static void unlink_channels(struct replica *replica, struct subscriber *subscriber)
{
    for (uint32_t i = 0; i < subscriber->link_count; i++) {
        struct link *link = &subscriber_links(subscriber)[i];
        struct channel *channel = link->channel;

        LIST_REMOVE(link, of_channel);
        /* Somebody may be walking over the channel: it is closed when its deadline comes. */
        if (channel->history.count == 0)
            timeouts_set(&replica->timeouts, &channel->trim, replica->now_ms);
    }
    subscriber->first_pending = 0;
}

void subscriber_leave(struct replica *replica, struct subscriber *subscriber, enum leave_reason reason)
{
    if (subscriber->state == SUBSCRIBER_OUT)
        return;
    unlink_channels(replica, subscriber);
    if (subscriber->is_pinned)
        pins_let_go(&replica->pins, subscriber->half);
    buffer_unref(subscriber->half);
    subscriber->half = NULL;
    subscriber->is_pinned = false;
    watch_end(replica, subscriber);
    subscriber_free_parts(subscriber);
    subscriber_set_state(replica, subscriber, SUBSCRIBER_OUT);
    replica->metrics->subscribers--;
    if (reason == LEAVE_SLOW)
        replica->metrics->subscribers_slow_closed++;
    replica->io->left(subscriber, reason);
}

/* --- events --- */

void subscriber_writable(struct replica *replica, struct subscriber *subscriber)
{
    if (subscriber->state != SUBSCRIBER_BLOCKED)
        return;
    subscriber_set_state(replica, subscriber, SUBSCRIBER_READY);
    subscriber_unsettle(subscriber);
    advance(replica, subscriber);
}

static void heartbeat(struct replica *replica, struct subscriber *subscriber)
{
    struct text line = TEXT_EMPTY;
    struct buffer *buffer = NULL;

    text_append_string(&line, replica->settings->sse_heartbeat_text);
    text_append_string(&line, "\n");
    if (!line.failed)
        buffer = framings[subscriber->framing]->body(subscriber->request_id, text_span(&line));
    text_finish(&line);
    if (!buffer) {
        subscriber_leave(replica, subscriber, LEAVE_NO_MEMORY);
        return;
    }
    subscriber_write_next_take(subscriber, buffer, false);
    advance(replica, subscriber);
}

void subscriber_timeout(struct replica *replica, struct subscriber *subscriber)
{
    int64_t now_ms = replica->now_ms;

    if (due_ms(replica, subscriber) > now_ms)
        ;
    else if (subscriber->state == SUBSCRIBER_BLOCKED)
        subscriber_leave(replica, subscriber, LEAVE_SLOW);
    else if (subscriber->ends_ms <= now_ms)
        subscriber_end(replica, subscriber);
    else
        heartbeat(replica, subscriber);
    if (subscriber->state != SUBSCRIBER_OUT)
        arm(replica, subscriber);
}
