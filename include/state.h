/*
 * state: hub.state_dir, so that ids rise across a restart also when the clock went back. The file `next-id` holds a time that no id has reached; it
 * is moved ahead a few seconds at a time.
 */
#ifndef STATE_H
#define STATE_H

#include "event_id.h"
#include "log.h"

#include <stdbool.h>
#include <stddef.h>

struct state {
    const char *folder;     /* borrowed; empty: nothing is kept */
    uint64_t reserved_ms;   /* ids stay below it */
    struct log_limit log_limit;
};

/* Reads what the life before has reserved. `start`: the first id of this life, above all ids given before. False: `error` says why. */
bool state_init(struct state *state, const char *folder, uint64_t wall_ms, struct event_id *start, char *error, size_t size)
    __attribute__((warn_unused_result));
/* Before ids of `wall_ms`, or after `newest` if the clock is behind it, are given. A file that cannot be written is logged. */
void state_reserve(struct state *state, struct event_id newest, uint64_t wall_ms);

#endif
