/*
 * latest: channels with slow.policy = latest (prices, gauges): whoever lacks several messages of one gets the newest that is for it, at connect too.
 * The others are skipped: they are no gap, and the cursor passes them in the order of all ids.
 */
#ifndef LATEST_H
#define LATEST_H

#include "channel.h"
#include "event_id.h"

struct entry;
struct link;
struct replica;
struct subscriber;

static inline bool latest_holds(const struct channel *channel)
{
    return channel->policy.slow == SLOW_LATEST;
}

/* The index, `index` or above, of the entry with which the link goes on; below it all is skipped. */
uint32_t latest_begin(const struct replica *replica, const struct link *link, uint32_t index);

/* How many messages of history the subscriber's cursor skips on its way from `from` to `to`, at this moment. */
uint64_t latest_skipped(const struct replica *replica, const struct subscriber *subscriber, struct event_id from, struct event_id to);

/* Whoever may lack the entry can be given a newer one of its channel, for as long as it could have been given this one: nothing is lost with it. */
bool latest_replaces(const struct entry *entry);

#endif
