/*
 * bell: wakes a thread that sleeps until another one has done something. Ringing costs a system call only when somebody waits, so it is rung as often as
 * there is something to tell, and wakes once.
 *
 * Who waits: bell_await, look once more for what is waited for, and only then sleep until the descriptor can be read. Who rings: change, then bell_ring.
 */
#ifndef BELL_H
#define BELL_H

#include <stdatomic.h>
#include <stdbool.h>

struct bell {
    int fd; /* readable when it rang; owned */
    atomic_bool is_awaited;
};

/* False: no descriptor, errno says why. */
bool bell_init(struct bell *bell) __attribute__((warn_unused_result));
/* Nobody rings any more. Fine for one that is zeroed, or could not be initialized. */
void bell_finish(struct bell *bell);

/* The next ring will be heard. The waiting thread only. */
void bell_await(struct bell *bell);
/* After waking: it does not ring any more. The waiting thread only. */
void bell_hear(struct bell *bell);
/* Sleeps until it rings, at most `limit_ms` (-1: no limit), and hears it. The waiting thread only. */
void bell_sleep(struct bell *bell, int limit_ms);
/* any thread */
void bell_ring(struct bell *bell);

#endif
