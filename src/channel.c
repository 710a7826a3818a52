/*
 * Channels: the table, and when subscribers are told. Pacing decides when a subscriber is advanced, never which messages it gets: a channel that
 * was quiet for its pace is flushed at the end of the turn, what follows within the interval together at its end.
 */
#include "channel.h"

#include "advance.h"
#include "message.h"
#include "replica.h"
#include "watch.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

enum { CHANNEL_TIMEOUTS = 2 };

struct channel *channel_find(struct replica *replica, struct span name)
{
    struct channel *channel = replica->recent;

    if (channel && span_equal(channel_name(channel), name))
        return channel;
    HASH_FIND(hh, replica->channels, name.bytes, name.size, channel);
    replica->recent = channel;
    return channel;
}

static struct channel *create(struct replica *replica, struct span name)
{
    struct channel *channel = calloc(1, offsetof(struct channel, name) + name.size);

    if (!channel)
        return NULL;
    channel->policy = settings_channel_policy(replica->settings, name);
    channel->pace.kind = TIMEOUT_PACE;
    channel->trim.kind = TIMEOUT_TRIM;
    channel->flushed_ms = INT64_MIN / 2;
    channel->name_size = (unsigned char)name.size;
    memcpy(channel->name, name.bytes, name.size);
    LIST_INIT(&channel->solo);
    LIST_INIT(&channel->shared);
    LIST_INIT(&channel->matched);
    if (!timeouts_reserve(&replica->timeouts, CHANNEL_TIMEOUTS))
        goto no_timeouts;
    HASH_ADD(hh, replica->channels, name, channel->name_size, channel);
    if (!channel->hh.tbl)
        goto no_entry;
    channel->lost_through = replica->marks[channel->hh.hashv % REPLICA_MARKS];
    channel->losses = 1;
    channel->is_unmatched = true;
    replica->metrics->channels++;
    return channel;

no_entry:
    timeouts_release(&replica->timeouts, CHANNEL_TIMEOUTS);
no_timeouts:
    free(channel);
    return NULL;
}

struct channel *channel_open(struct replica *replica, struct span name)
{
    struct channel *channel = channel_find(replica, name);

    return channel ? channel : create(replica, name);
}

void channel_close_unused(struct replica *replica, struct channel *channel)
{
    if (channel_is_named(channel) || channel->history.count > 0)
        return;
    replica_forget_shared(replica); /* answers are found by its address, where the next one may lie */
    watch_close(replica, channel);
    replica_raise_marks(replica, channel_name(channel), channel->lost_through);
    if (channel->scheduled)
        TAILQ_REMOVE(&replica->dirty, channel, dirty);
    if (replica->unmarked == channel)
        replica->unmarked = NULL;
    timeouts_clear(&replica->timeouts, &channel->pace);
    timeouts_clear(&replica->timeouts, &channel->trim);
    timeouts_release(&replica->timeouts, CHANNEL_TIMEOUTS);
    history_finish(replica, channel);
    if (replica->recent == channel)
        replica->recent = NULL;
    HASH_DEL(replica->channels, channel);
    replica->metrics->channels--;
    free(channel);
}

static void untell(struct link_list *links, struct event_id id)
{
    struct link *link;

    LIST_FOREACH(link, links, of_channel)
        if (event_id_less(link->subscriber->cursor, id))
            link->told = link->channel->losses - 1;
}

/* Whoever was told of the mark would not be told of a loss below it. */
static void lose_below_mark(struct channel *channel, struct event_id id)
{
    untell(&channel->solo, id);
    untell(&channel->shared, id);
    untell(&channel->matched, id);
}

void channel_lose(struct channel *channel, struct event_id id)
{
    if (!event_id_less(channel->lost_through, id)) {
        lose_below_mark(channel, id);
        return;
    }
    channel->lost_through = id;
    channel->losses++;
}

void channel_mark_news(struct replica *replica)
{
    struct link *link;

    if (!replica->unmarked)
        return;
    LIST_FOREACH(link, &replica->unmarked->shared, of_channel)
        subscriber_mark_pending(link);
    LIST_FOREACH(link, &replica->unmarked->matched, of_channel)
        subscriber_mark_pending(link);
    replica->unmarked = NULL;
}

void channel_notify(struct replica *replica, struct channel *channel)
{
    int64_t due_ms = channel->flushed_ms + channel->policy.pace_ms;

    if (channel->news || !channel_has_subscribers(channel))
        return;
    channel->news = true;
    channel_mark_news(replica);
    if (!LIST_EMPTY(&channel->shared) || !LIST_EMPTY(&channel->matched))
        replica->unmarked = channel;
    if (due_ms > replica->now_ms) {
        timeouts_set(&replica->timeouts, &channel->pace, due_ms);
        return;
    }
    channel->scheduled = true;
    TAILQ_INSERT_TAIL(&replica->dirty, channel, dirty);
}

/* A subscriber of several channels may have had this one's news with another's: to look through its others for each of them would be quadratic. */
static bool has_news(const struct link *link)
{
    const struct channel *channel = link->channel;
    const struct history *history = &channel->history;
    struct event_id last = history->count > 0 ? history_at(history, history->count - 1)->message->id : EVENT_ID_ZERO;

    return event_id_less(link->subscriber->cursor, event_id_max(last, channel->lost_through));
}

/* A load: a prefetch is dropped by some processors when the page's translation is not at hand either, which is the usual case here. */
static void touch(const void *byte)
{
    (void)*(const volatile char *)byte;
}

/* Among many clients none is in the cache. What the next step reads is fetched together, with the link of the one after, not one after the other. */
static void fetch(const struct link *next)
{
    const struct link *after = next ? LIST_NEXT(next, of_channel) : NULL;

    if (!next)
        return;
    touch(&next->subscriber->joined);
    touch(&next->subscriber->request_id);
    touch(&next->subscriber->own.next_pending);
    if (after) {
        touch(after);
        touch(&after->next_pending);
    }
}

/*
 * slow.policy = close: it takes no bytes, and lacks what a newcomer would not be given any more. Most of that is still there (history.keep) when its
 * client comes back. A long-poll is in the middle of its answer and gets the rest with the next.
 */
static bool is_behind(const struct link *link)
{
    const struct history *history = &link->channel->history;
    const struct subscriber *subscriber = link->subscriber;

    return link->channel->policy.slow == SLOW_CLOSE && subscriber->state == SUBSCRIBER_BLOCKED && !subscriber->is_poll &&
           (history->count - history_after(history, subscriber->cursor) > link->channel->policy.messages ||
            advance_link_has_gap(link, subscriber->cursor));
}

/*
 * Advances the list's subscribers once, `marks`: each with its link marked before. False: some of the writable ones lack something still.
 * Who leaves meanwhile is off the list, but its memory stays until the end of the worker's turn.
 */
static bool flush_list(struct replica *replica, struct link_list *links, bool marks)
{
    struct link *link, *next;
    bool settled = true;

    for (link = LIST_FIRST(links); link; link = next) {
        struct subscriber *subscriber = link->subscriber;

        next = LIST_NEXT(link, of_channel);
        fetch(next);
        if (marks)
            subscriber_mark_pending(link);
        if (subscriber->state == SUBSCRIBER_IDLE && (subscriber->is_single || has_news(link)))
            advance(replica, subscriber);
        else if (is_behind(link))
            subscriber_leave(replica, subscriber, LEAVE_SLOW);
        settled &= subscriber->state != SUBSCRIBER_READY;
    }
    return settled;
}

void channel_flush(struct replica *replica, struct channel *channel)
{
    bool marks = replica->unmarked == channel, settled;

    if (marks)
        replica->unmarked = NULL;
    if (channel->scheduled)
        TAILQ_REMOVE(&replica->dirty, channel, dirty);
    timeouts_clear(&replica->timeouts, &channel->pace);
    channel->scheduled = false;
    channel->news = false;
    channel->flushed_ms = replica->now_ms;
    settled = flush_list(replica, &channel->solo, false);
    settled &= flush_list(replica, &channel->shared, marks);
    settled &= flush_list(replica, &channel->matched, marks);
    if (settled)
        channel->settled = replica->newest;
    history_trim(replica, channel);
}

static bool lacks(const struct subscriber *subscriber, struct event_id id)
{
    return (subscriber->state == SUBSCRIBER_IDLE || subscriber->state == SUBSCRIBER_READY) &&
           event_id_less(subscriber->cursor, id);
}

static void catch_up_list(struct replica *replica, struct link_list *links, struct event_id id)
{
    struct link *link, *next;

    for (link = LIST_FIRST(links); link; link = next) {
        struct subscriber *subscriber = link->subscriber;
        struct event_id before;

        next = LIST_NEXT(link, of_channel);
        while (lacks(subscriber, id)) {
            before = subscriber->cursor;
            advance(replica, subscriber);
            if (subscriber->state == SUBSCRIBER_OUT || !event_id_less(before, subscriber->cursor))
                break;
        }
    }
}

void channel_catch_up(struct replica *replica, struct channel *channel, struct event_id id)
{
    if (!channel_has_subscribers(channel) || !event_id_less(channel->settled, id))
        return;
    catch_up_list(replica, &channel->solo, id);
    catch_up_list(replica, &channel->shared, id);
    catch_up_list(replica, &channel->matched, id);
    channel->settled = event_id_max(channel->settled, id);
}
