/*
 * Latest. Nothing is remembered of what is skipped: it follows from the cursor, from history and from what is visible to whom, at the moment of each
 * write. So a message that goes before it is written (it expires) brings the one before it back.
 */
#include "latest.h"

#include "advance.h"
#include "history.h"
#include "message.h"
#include "replica.h"
#include "subscriber.h"

uint32_t latest_begin(const struct replica *replica, const struct link *link, uint32_t index)
{
    const struct history *history = &link->channel->history;

    if (!latest_holds(link->channel))
        return index;
    for (uint32_t newest = history->count; newest-- > index;)
        if (advance_is_visible(replica, link, history_at(history, newest)))
            return newest;
    return index;
}

static uint64_t skipped_of(const struct replica *replica, const struct link *link, struct event_id from, struct event_id to)
{
    uint32_t first = history_after(&link->channel->history, from), passed = history_after(&link->channel->history, to);
    uint32_t begin = latest_begin(replica, link, first);

    return (begin < passed ? begin : passed) - first;
}

uint64_t latest_skipped(const struct replica *replica, const struct subscriber *subscriber, struct event_id from, struct event_id to)
{
    const struct link *link = NULL;
    uint64_t skipped = 0;

    if (!event_id_less(from, to))
        return 0;
    while ((link = subscriber_next_link(subscriber, link)) != NULL)
        if (latest_holds(link->channel))
            skipped += skipped_of(replica, link, from, to);
    return skipped;
}

bool latest_replaces(const struct entry *entry)
{
    const struct history *history = &entry->channel->history;
    const struct message *newest = history_at(history, history->count - 1)->message;

    return latest_holds(entry->channel) && newest != entry->message && newest->store && newest->except_size == 0 &&
           newest->expires_ms >= entry->message->expires_ms;
}
