/*
 * Watchers. Why nothing is lost in silence: a watcher that is connected has a link to every matching channel from its first message on, or that
 * message is in `untold`; so the mark that a new channel takes from the table stands for nothing that it lacks, and its link begins as if told of it.
 * A link that goes, with its channel or as one too many, takes what the client still lacked of that channel into `untold`. `untold` is only ever
 * raised until it is told, all of it at once, and the cursor cannot pass it before (advance.c).
 */
#include "watch.h"

#include "advance.h"
#include "channel.h"
#include "history.h"
#include "message.h"
#include "pattern.h"
#include "replica.h"

#include <stdlib.h>

enum { CAPACITY_LEAST = 4 };

/* --- links --- */

static uint32_t match_count(const struct watcher *watcher)
{
    return watcher->subscriber->link_count - watcher->named;
}

static struct link *last_link(const struct watcher *watcher)
{
    return &watcher->subscriber->several[watcher->subscriber->link_count - 1];
}

/* Its place in memory changed: its neighbours on the list, none of them the same subscriber's, learn of it. */
static void relink(struct link *link)
{
    struct link *next = link->of_channel.le_next;

    if (!link->of_channel.le_prev)
        return; /* on no list yet */
    *link->of_channel.le_prev = link;
    if (next)
        next->of_channel.le_prev = &link->of_channel.le_next;
}

static void relink_all(struct subscriber *subscriber)
{
    for (uint32_t i = 0; i < subscriber->link_count; i++)
        relink(&subscriber->several[i]);
}

static bool resize(struct replica *replica, struct watcher *watcher, uint32_t capacity)
{
    struct subscriber *subscriber = watcher->subscriber;
    struct link *links;

    if (!merge_reserve(&replica->merge, capacity))
        return false;
    links = realloc(subscriber->several, capacity * sizeof *links);
    if (!links)
        return false;
    subscriber->several = links;
    watcher->capacity = capacity;
    relink_all(subscriber);
    return true;
}

static struct link *append(struct replica *replica, struct watcher *watcher, struct channel *channel)
{
    struct subscriber *subscriber = watcher->subscriber;
    uint32_t capacity = watcher->capacity;

    if (subscriber->link_count == capacity &&
        !resize(replica, watcher, capacity < CAPACITY_LEAST ? CAPACITY_LEAST : 2 * capacity))
        return NULL;
    replica->metrics->pattern_links++;
    subscriber->link_count++;
    *last_link(watcher) = (struct link){.channel = channel, .subscriber = subscriber};
    return last_link(watcher);
}

static struct event_id newest_of(const struct channel *channel)
{
    const struct history *history = &channel->history;

    return history->count > 0 ? history_at(history, history->count - 1)->message->id : EVENT_ID_ZERO;
}

/* The client has not got all of the channel, nor been told of what it has lost. */
static bool lacks(const struct link *link)
{
    struct event_id cursor = link->subscriber->cursor;

    return event_id_less(cursor, newest_of(link->channel)) || advance_link_has_gap(link, cursor);
}

/* The watcher will be told that it may have lost something up to `id`: at the end of the turn, or when it takes bytes again. */
static void lose(struct replica *replica, struct watcher *watcher, struct event_id id)
{
    watcher->untold = event_id_max(watcher->untold, id);
    if (watcher->subscriber->state == SUBSCRIBER_IDLE)
        subscriber_set_state(replica, watcher->subscriber, SUBSCRIBER_READY);
}

/* The last link takes its place. To find who of the pending points at either would be linear for each. */
static void remove_link(struct replica *replica, struct link *link)
{
    struct watcher *watcher = link->subscriber->watcher;
    struct subscriber *subscriber = watcher->subscriber;
    struct link *last = last_link(watcher);

    if (lacks(link))
        lose(replica, watcher, event_id_max(newest_of(link->channel), link->channel->lost_through));
    if (link->of_channel.le_prev)
        LIST_REMOVE(link, of_channel);
    watcher->is_scrambled |= link->next_pending != 0 || last->next_pending != 0;
    if (link != last) {
        *link = *last;
        relink(link);
    }
    subscriber->link_count--;
    replica->metrics->pattern_links--;
    /* That it cannot be made smaller does no harm. */
    if (watcher->capacity > CAPACITY_LEAST && subscriber->link_count < watcher->capacity / 8)
        (void)resize(replica, watcher, watcher->capacity / 4);
}

void watch_tidy(struct subscriber *subscriber)
{
    if (!subscriber->watcher->is_scrambled)
        return;
    subscriber->watcher->is_scrambled = false;
    subscriber->first_pending = 0;
    for (uint32_t i = 0; i < subscriber->link_count; i++) {
        struct link *link = &subscriber->several[i];

        if (link->next_pending == 0)
            continue;
        link->next_pending = 0;
        subscriber_mark_pending(link);
    }
}

/* --- too many --- */

static uint64_t last_number(const struct channel *channel)
{
    const struct history *history = &channel->history;

    return history->count > 0 ? history_at(history, history->count - 1)->number : 0;
}

static int newest_first(const void *a, const void *b)
{
    uint64_t left = last_number(((const struct link *)a)->channel), right = last_number(((const struct link *)b)->channel);

    return left > right ? -1 : left < right;
}

/*
 * Leaves channels until `wanted` are left, the idle longest first. What the client lacks of is left only if it must be; and then it would be told no
 * less if less were left.
 */
static void leave_idlest(struct replica *replica, struct watcher *watcher, uint32_t wanted)
{
    uint32_t most = (uint32_t)replica->settings->subscribe_max_matched;
    struct subscriber *subscriber = watcher->subscriber;
    bool is_lost = false;

    if (match_count(watcher) <= most)
        return;
    qsort(&subscriber->several[watcher->named], match_count(watcher), sizeof(struct link), newest_first);
    relink_all(subscriber);
    watcher->is_scrambled = true;
    while (match_count(watcher) > wanted) {
        struct link *link = last_link(watcher);

        if (lacks(link) && !is_lost && match_count(watcher) <= most)
            break;
        is_lost |= lacks(link);
        link->channel->is_unmatched = true;
        remove_link(replica, link);
        replica->metrics->pattern_links_left++;
    }
}

static void crowd(struct replica *replica, struct watcher *watcher)
{
    if (watcher->is_crowded || match_count(watcher) <= (uint32_t)replica->settings->subscribe_max_matched)
        return;
    watcher->is_crowded = true;
    TAILQ_INSERT_TAIL(&replica->crowded, watcher, of_crowded);
}

static void relieve(struct replica *replica, struct watcher *watcher)
{
    uint32_t most = (uint32_t)replica->settings->subscribe_max_matched;
    struct subscriber *subscriber = watcher->subscriber;

    /* What pacing holds back. */
    if (subscriber->state == SUBSCRIBER_IDLE && subscriber->first_pending != 0)
        advance(replica, subscriber);
    /* It may have left, the watcher with it. Who has more to come is looked at again when it was written to. */
    if (subscriber->state == SUBSCRIBER_OUT || subscriber->state == SUBSCRIBER_READY)
        return;
    /* An eighth of what it may have at a time, so that the sorting is paid for by as many further channels. */
    leave_idlest(replica, watcher, most - most / 8);
    watcher->is_crowded = false;
    TAILQ_REMOVE(&replica->crowded, watcher, of_crowded);
}

void watch_relieve(struct replica *replica)
{
    struct watcher *watcher, *next;

    if (TAILQ_EMPTY(&replica->crowded))
        return;
    channel_mark_news(replica);
    for (watcher = TAILQ_FIRST(&replica->crowded); watcher; watcher = next) {
        next = TAILQ_NEXT(watcher, of_crowded);
        relieve(replica, watcher);
    }
}

/* --- beginning and end --- */

static void count_patterns(struct replica *replica)
{
    replica->metrics->patterns = HASH_COUNT(replica->interests.by_pattern);
}

bool watch_begin(struct replica *replica, struct subscriber *subscriber, const struct string_list *patterns)
{
    struct watcher *watcher = calloc(1, sizeof *watcher + patterns->count * sizeof *watcher->shares);
    bool done = watcher != NULL;

    if (!watcher)
        return false;
    subscriber->watcher = watcher;
    subscriber->is_watcher = true;
    watcher->subscriber = subscriber;
    watcher->named = watcher->capacity = subscriber->link_count;
    watcher->count = (uint32_t)patterns->count;
    for (uint32_t i = 0; i < watcher->count && done; i++) {
        watcher->shares[i].watcher = watcher;
        done = interests_add(&replica->interests, span_of(patterns->items[i]), &watcher->shares[i]);
    }
    count_patterns(replica);
    return done;
}

void watch_end(struct replica *replica, struct subscriber *subscriber)
{
    struct watcher *watcher = subscriber->watcher;

    if (!subscriber->is_watcher)
        return;
    for (uint32_t i = 0; i < watcher->count; i++)
        interests_remove(&replica->interests, &watcher->shares[i]);
    if (watcher->is_crowded)
        TAILQ_REMOVE(&replica->crowded, watcher, of_crowded);
    replica->metrics->pattern_links -= match_count(watcher);
    count_patterns(replica);
    free(watcher);
    subscriber->watcher = NULL;
    subscriber->is_watcher = false;
}

static bool is_named(const struct watcher *watcher, const struct channel *channel)
{
    struct link wanted = {.channel = (struct channel *)channel};

    return watcher->named > 0 &&
           bsearch(&wanted, watcher->subscriber->several, watcher->named, sizeof wanted, subscriber_compare_links);
}

static bool matches(const struct watcher *watcher, struct span name)
{
    for (uint32_t i = 0; i < watcher->count; i++)
        if (pattern_matches(interest_pattern(watcher->shares[i].interest), name))
            return true;
    return false;
}

bool watch_join(struct replica *replica, struct subscriber *subscriber)
{
    struct watcher *watcher = subscriber->watcher;
    struct channel *channel, *next;

    HASH_ITER(hh, replica->channels, channel, next) {
        if (matches(watcher, channel_name(channel)) && !is_named(watcher, channel) && !append(replica, watcher, channel))
            return false;
    }
    /* Its cursor is still zero: all that is left is lacked. */
    leave_idlest(replica, watcher, (uint32_t)replica->settings->subscribe_max_matched);
    return true;
}

void watch_take_marks(struct replica *replica, struct subscriber *subscriber)
{
    struct watcher *watcher = subscriber->watcher;

    for (uint32_t i = 0; subscriber->is_watcher && i < watcher->count; i++)
        lose(replica, watcher, replica->directory_marks[interest_directory_hash(watcher->shares[i].interest) % REPLICA_MARKS]);
}

/* --- matching --- */

struct matching {
    struct replica *replica;
    struct channel *channel; /* NULL: there is none, and no memory for one */
    struct event_id id;      /* of the message that it gets */
};

static void see_linked(struct replica *replica, const struct link_list *links)
{
    const struct link *link;

    LIST_FOREACH(link, links, of_channel)
        if (link->subscriber->is_watcher)
            link->subscriber->watcher->seen = replica->matching;
}

/*
 * The message before which nothing was lost to it (see above) is about to come. Of what is there from before it joined it had, or was told, all; that goes
 * without a word if it gets to it first, so who is on the way through older messages unsettles the channel.
 */
static void link_to(struct channel *channel, struct link *link)
{
    struct subscriber *subscriber = link->subscriber;

    link->told = channel->losses;
    link->floor = channel->history.count > 0 ? subscriber->joined + 1 : 0;
    LIST_INSERT_HEAD(&channel->matched, link, of_channel);
    subscriber_mark_pending(link);
    if (subscriber->state == SUBSCRIBER_READY && event_id_less(subscriber->cursor, channel->settled))
        channel->settled = subscriber->cursor;
}

static void take_match(const struct matching *matching, struct watcher *watcher)
{
    struct replica *replica = matching->replica;
    struct link *link;

    if (watcher->seen == replica->matching)
        return;
    watcher->seen = replica->matching;
    link = matching->channel ? append(replica, watcher, matching->channel) : NULL;
    if (link) {
        link_to(matching->channel, link);
        crowd(replica, watcher);
        return;
    }
    lose(replica, watcher, matching->id);
    if (matching->channel)
        matching->channel->is_unmatched = true;
}

static bool take_matches(struct interest *interest, void *context)
{
    struct share *share;

    LIST_FOREACH(share, &interest->shares, of_interest)
        take_match(context, share->watcher);
    return false;
}

void watch_match(struct replica *replica, struct channel *channel, struct event_id id)
{
    struct matching matching = {replica, channel, id};

    replica->matching++;
    channel->is_unmatched = false;
    see_linked(replica, &channel->shared);
    see_linked(replica, &channel->matched);
    (void)interests_match(&replica->interests, channel_name(channel), take_matches, &matching);
}

static bool is_wanted(struct interest *interest, void *context)
{
    (void)interest;
    (void)context;
    return true;
}

bool watch_wants(struct replica *replica, struct span name)
{
    return interests_match(&replica->interests, name, is_wanted, NULL);
}

void watch_lose(struct replica *replica, struct span name, struct event_id id)
{
    struct matching matching = {replica, NULL, id};

    replica->matching++;
    (void)interests_match(&replica->interests, name, take_matches, &matching);
}

void watch_close(struct replica *replica, struct channel *channel)
{
    while (!LIST_EMPTY(&channel->matched))
        remove_link(replica, LIST_FIRST(&channel->matched));
}
