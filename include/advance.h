/* advance: the one way of messages to a client: gather what is after the cursor, one write, move the cursor. */
#ifndef ADVANCE_H
#define ADVANCE_H

#include "event_id.h"

struct entry;
struct link;
struct replica;
struct subscriber;
struct text;

/*
 * Writes to the subscriber once, unless it is blocked. Afterwards it is IDLE (has everything), READY (has more to come), BLOCKED, or has left.
 */
void advance(struct replica *replica, struct subscriber *subscriber);

/* Whether the entry is for this subscriber at all: not from before its time, not expired, not its own. */
_Bool advance_is_visible(const struct replica *replica, const struct link *link, const struct entry *entry);

/*
 * Looks for a gap between `*cursor` and history: one of the links has a mark above the cursor that the client was not told of, a watcher lost something
 * without a link, or `everything`: whatever the marks say. If so, moves `*cursor` just below what follows, appends the gap event to `text` (NULL: none wanted) and returns true.
 * `after`: the client's own cursor for the event, NULL for null. advance_gap_told remembers that it was told.
 */
_Bool advance_find_gap(struct replica *replica, const struct subscriber *subscriber, struct event_id *cursor, const char *after,
                       _Bool everything, struct text *text);
/* The link's channel has a mark above `cursor` that the client was not told of. */
_Bool advance_link_has_gap(const struct link *link, struct event_id cursor);
void advance_gap_told(struct replica *replica, struct subscriber *subscriber);

#endif
