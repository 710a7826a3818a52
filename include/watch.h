/*
 * watch: subscribers that listen to patterns. Such a one, a watcher, has links to channels that it named and, behind them in the same array, to
 * those that its patterns match. Matching happens when it joins, over all channels there are, and when a channel gets its first message; from then on
 * a link is a link. Two things are different with links by a pattern:
 *  - they do not keep their channel (watch_close), and above subscribe.max_matched those that are idle longest are left (watch_relieve). The next
 *    message of a channel that was left is matched again: `is_unmatched`.
 *  - what is lost to a watcher without a link to tell it by is kept as one id, `untold`: below it the client is told of a gap.
 */
#ifndef WATCH_H
#define WATCH_H

#include "interests.h"
#include "subscriber.h"

#include <stddef.h>

struct channel;
struct replica;
struct string_list;

/* What a subscriber needs that listens to patterns, and others do not. Its owner. */
struct watcher {
    struct subscriber *subscriber;
    TAILQ_ENTRY(watcher) of_crowded; /* on replica->crowded while `is_crowded` */
    struct event_id untold;          /* the highest id lost without a link; the client was not told. Zero: none */
    uint64_t seen;                   /* replica->matching of the last channel that it has a link to, or shall have */
    uint32_t named;                  /* links to channels that it named: the first of the array */
    uint32_t capacity;               /* of the array */
    bool is_crowded;                 /* it has more links than subscribe.max_matched */
    bool is_scrambled;               /* places have changed: the list of pending links is broken, though each knows whether it is in */
    uint32_t count;
    struct share shares[];           /* of its patterns, in their order */
};

TAILQ_HEAD(watcher_queue, watcher);

/* Makes it a watcher of `patterns`; `several` and `link_count` hold the links that it named. False: no memory; watch_end is due all the same. */
bool watch_begin(struct replica *replica, struct subscriber *subscriber, const struct string_list *patterns)
    __attribute__((warn_unused_result));
/*
 * Adds links, on no list yet, to the channels there are that match; the named ones are open and ordered by address. Above subscribe.max_matched
 * those with the newest messages. What the others hold is then in `untold`. False: no memory.
 */
bool watch_join(struct replica *replica, struct subscriber *subscriber) __attribute__((warn_unused_result));
/* Gives up its patterns; its links are on no list any more. Fine for one that is no watcher. */
void watch_end(struct replica *replica, struct subscriber *subscriber);

/* The channel gets the message `id`: whoever wants it by a pattern is linked, or will be told of a gap. */
void watch_match(struct replica *replica, struct channel *channel, struct event_id id);
/* Whether somebody listens to the channel `name`, which there is not, by a pattern. */
bool watch_wants(struct replica *replica, struct span name);
/* There was no memory for the channel `name`, nor for its message `id`: whoever would have got it by a pattern will be told of a gap. */
void watch_lose(struct replica *replica, struct span name, struct event_id id);
/* The channel goes: its links by patterns too. */
void watch_close(struct replica *replica, struct channel *channel);
/* The end of a turn: whoever has more links than subscribe.max_matched leaves those that had no message for the longest time. */
void watch_relieve(struct replica *replica);

/* What channels without a record have lost counts as lost to this one, if they lie where its patterns may match: it was not there. */
void watch_take_marks(struct replica *replica, struct subscriber *subscriber);
/* Mends a watcher's list of pending links, if it is broken. */
void watch_tidy(struct subscriber *subscriber);

/* Something was lost after `cursor` that no link tells of. */
static inline bool watch_has_gap(const struct subscriber *subscriber, struct event_id cursor)
{
    return subscriber->is_watcher && event_id_less(cursor, subscriber->watcher->untold);
}

/* How many of its links, the first ones, are to channels that it named. */
static inline uint32_t watch_named(const struct subscriber *subscriber)
{
    return subscriber->is_watcher ? subscriber->watcher->named : subscriber->link_count;
}

/* The link is there because a pattern matched. */
static inline bool watch_is_match(const struct link *link)
{
    const struct subscriber *subscriber = link->subscriber;

    return subscriber->is_watcher && link - subscriber->several >= (ptrdiff_t)subscriber->watcher->named;
}

#endif
