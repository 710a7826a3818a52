/*
 * channel: a name that messages are published to. Exists while it has history or subscribers that named it. Here: the table, who listens, and when they are
 * told (pacing). Its messages are in history.h.
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#include "event_id.h"
#include "history.h"
#include "settings.h"
#include "table.h"
#include "timeouts.h"

#include <sys/queue.h>

struct replica;
struct link;
LIST_HEAD(link_list, link);

/* Kinds of struct timeout in a replica's heap; from TIMEOUT_OTHER on they are the worker's. */
enum timeout_kind { TIMEOUT_PACE, TIMEOUT_TRIM, TIMEOUT_SUBSCRIBER, TIMEOUT_OTHER };

struct channel {
    UT_hash_handle hh;
    TAILQ_ENTRY(channel) dirty;     /* on replica->dirty while `scheduled` */
    struct channel_policy policy;
    struct history history;
    struct link_list solo;          /* of subscribers of this channel alone */
    struct link_list shared;        /* of subscribers of several channels */
    struct link_list matched;       /* of subscribers by a pattern, which do not keep the channel */
    struct event_id lost_through;   /* its gap mark: the highest evicted id that counts as lost */
    struct event_id settled;        /* every subscriber that is not BLOCKED has everything up to here; lowered (subscriber_unsettle) when
                                       one joins, is linked or becomes writable with less */
    struct timeout pace;
    struct timeout trim;
    int64_t flushed_ms;             /* when subscribers were last told */
    uint32_t losses;                /* how often something was lost, from 1 on. It may wrap: nobody is left out for so long */
    bool news;                      /* messages came since then */
    bool scheduled;
    bool is_unmatched;              /* its next message is matched against the patterns first: somebody may want it who has no link yet */
    unsigned char name_size;
    char name[];
};

TAILQ_HEAD(channel_queue, channel);

/* What one costs but for its name, its ring and the allocator's own: the record, its place in the table, and two in the heap of timeouts, which doubles. */
enum { CHANNEL_BYTES = sizeof(struct channel) + sizeof(UT_hash_bucket) + 4 * sizeof(struct timeout *) };

/* NULL when there is none. */
struct channel *channel_find(struct replica *replica, struct span name);
/* The channel, made if there is none: without a record its gap mark comes from the table of marks. NULL: no memory. */
struct channel *channel_open(struct replica *replica, struct span name) __attribute__((warn_unused_result));
/* Ends it if it has neither history nor subscribers that named it; its gap mark goes to the table. */
void channel_close_unused(struct replica *replica, struct channel *channel);

static inline struct span channel_name(const struct channel *channel)
{
    return (struct span){channel->name, channel->name_size};
}

/* Raises the gap mark, so that whoever lacks `id` is told of a gap. A lower id leaves the mark: it is for those who are connected, and lack it. */
void channel_lose(struct channel *channel, struct event_id id);

static inline bool channel_is_named(const struct channel *channel)
{
    return !LIST_EMPTY(&channel->solo) || !LIST_EMPTY(&channel->shared);
}

static inline bool channel_has_subscribers(const struct channel *channel)
{
    return channel_is_named(channel) || !LIST_EMPTY(&channel->matched);
}

/* A message was added: its subscribers are told at the end of this turn, or of the running pace interval. */
void channel_notify(struct replica *replica, struct channel *channel);
/* Marks the links of replica->unmarked: before a subscriber of several channels is advanced. */
void channel_mark_news(struct replica *replica);
/* Advances every subscriber that is not blocked. */
void channel_flush(struct replica *replica, struct channel *channel);
/* Advances the writable ones until each has everything up to `id`. */
void channel_catch_up(struct replica *replica, struct channel *channel, struct event_id id);

#endif
