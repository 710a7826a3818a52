/*
 * collect: from a replica into a snapshot, and back. Messages are collected a slice at a time, so that no turn is long because of it: each is a reference.
 * Worker thread only, of the replica.
 */
#ifndef COLLECT_H
#define COLLECT_H

#include "event_id.h"

#include <stdbool.h>
#include <stddef.h>

struct replica;
struct snapshot;

/* Messages of one turn: less than a millisecond, if each has to come from memory. */
enum { COLLECT_SLICE = 1024 };

/* The replica has applied `snapshot->published` messages, or more: what history has of these is collected. */
void collect_begin(struct replica *replica, struct snapshot *snapshot);
/* The next messages, at most `most`; store:false and expired ones are left out, and so is what history lets go meanwhile. True: there are more. */
bool collect_messages(struct replica *replica, struct snapshot *snapshot, size_t most);
/* All gap marks. At once: they are of this moment, and so must be the messages. */
void collect_marks(struct replica *replica, struct snapshot *snapshot);

/*
 * Into a replica that is new, by the rules for every message: what is over, or too much, goes as it would have gone, and is a gap where it would have been
 * one. Without marks in `snapshot` everything before the start stays lost to whoever comes back. The settings count that hold now.
 */
void collect_restore(struct replica *replica, const struct snapshot *snapshot);

#endif
