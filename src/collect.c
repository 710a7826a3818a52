/*
 * Collecting. The place in the list of all entries is a bookmark, which history moves on when it lets the entry go. Restoring is to apply messages as if they
 * came now, aged as they are, to channels that have the marks from before.
 */
#include "collect.h"

#include "message.h"
#include "replica.h"
#include "snapshot.h"

_Static_assert(SNAPSHOT_MARKS == 2 * REPLICA_MARKS, "the marks of channels and of directories");

void collect_begin(struct replica *replica, struct snapshot *snapshot)
{
    snapshot_reserve_messages(snapshot, replica->metrics->history_messages);
    replica->bookmark = TAILQ_FIRST(&replica->order);
}

static bool is_kept(const struct replica *replica, const struct message *message)
{
    return message->store && message->expires_ms > replica->now_ms;
}

bool collect_messages(struct replica *replica, struct snapshot *snapshot, size_t most)
{
    for (; replica->bookmark && most > 0; most--) {
        struct entry *entry = replica->bookmark;

        if (entry->number > snapshot->published) {
            replica->bookmark = NULL;
            break;
        }
        if (is_kept(replica, entry->message))
            snapshot_add_message_take(snapshot, message_ref(entry->message));
        replica->bookmark = TAILQ_NEXT(entry, order);
    }
    return replica->bookmark != NULL;
}

void collect_marks(struct replica *replica, struct snapshot *snapshot)
{
    struct channel *channel, *next;

    snapshot_add_marks(snapshot);
    if (snapshot->failed)
        return;
    memcpy(snapshot->marks, replica->marks, sizeof replica->marks);
    memcpy(snapshot->marks + REPLICA_MARKS, replica->directory_marks, sizeof replica->directory_marks);
    HASH_ITER(hh, replica->channels, channel, next)
        snapshot_add_channel(snapshot, channel_name(channel), channel->lost_through);
}

/* Its record may have taken a higher mark from the table, that of another channel. */
static void restore_mark(struct replica *replica, struct span name, struct event_id mark)
{
    struct channel *channel = channel_open(replica, name);

    if (channel)
        channel->lost_through = mark;
    else
        replica_raise_marks(replica, name, mark);
}

static void restore_marks(struct replica *replica, const struct snapshot *snapshot)
{
    struct event_id mark;
    struct span name;
    size_t offset = 0;

    memcpy(replica->marks, snapshot->marks, sizeof replica->marks);
    memcpy(replica->directory_marks, snapshot->marks + REPLICA_MARKS, sizeof replica->directory_marks);
    while (snapshot_next_channel(snapshot, &offset, &name, &mark))
        restore_mark(replica, name, mark);
}

void collect_restore(struct replica *replica, const struct snapshot *snapshot)
{
    struct event_id start = replica->newest;
    struct channel *channel, *next;

    if (snapshot->marks)
        restore_marks(replica, snapshot);
    for (size_t i = 0; i < snapshot->message_count; i++)
        replica_apply_take(replica, message_ref(snapshot->messages[i]));
    replica->newest = start;
    HASH_ITER(hh, replica->channels, channel, next)
        channel_close_unused(replica, channel);
}
