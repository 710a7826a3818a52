/*
 * answers: long-poll answers, each built once for all clients that get the same messages: same channels, same cursor, and nothing in it
 * hidden from one of them. Kept until the next message or the end of the turn.
 */
#ifndef ANSWERS_H
#define ANSWERS_H

/* Of answers that are kept for others: polls of the same news may differ in the channels beside it, or in their cursors. */
enum { ANSWERS_KEPT_BYTES = 4 * 1024 * 1024 };

struct replica;
struct subscriber;

/*
 * The answer for a long-poll of what its channels have after its cursor (moved to the last one in it), with its end. One reference for the caller.
 * NULL with `*empty` true: nothing to tell; an answer is made all the same if `even_empty`. NULL with `*empty` false: no memory.
 * Whose permission has ended is told nothing but its cursor.
 */
struct buffer *answers_get(struct replica *replica, struct subscriber *subscriber, _Bool even_empty, _Bool *empty)
    __attribute__((warn_unused_result));
/* What they depend on changed. */
void answers_forget(struct replica *replica);

#endif
