/*
 * poller: many descriptors in an epoll set of their own, which the loop watches as one. A descriptor costs its owner nothing else: a libev watcher
 * and its place in libev's table would take 64 bytes each. Level-triggered; worker thread only.
 */
#ifndef POLLER_H
#define POLLER_H

#include <ev.h>
#include <stdbool.h>

struct poller {
    struct ev_loop *loop; /* borrowed */
    ev_io watcher;        /* of the epoll set, which is owned */
    void (*ready)(void *item, bool readable, bool writable);
};

/*
 * `ready` is called for each descriptor that is, a bounded number in each turn of the loop; readable is also what is broken or at its end. It may close
 * descriptors, also others: an item whose descriptor was closed may still be named until the turn ends, so its memory has to last as long.
 * False: no memory, or no descriptor; errno says which.
 */
bool poller_init(struct poller *poller, struct ev_loop *loop, void (*ready)(void *item, bool readable, bool writable)) __attribute__((warn_unused_result));
/* All descriptors were closed before. Fine for one that is all zero. */
void poller_finish(struct poller *poller);

/* From now on `item` is told when `fd` is readable. Closing `fd`, which nobody has duplicated, ends it. False: the kernel has no room. */
bool poller_add(struct poller *poller, int fd, void *item) __attribute__((warn_unused_result));
/* From now on it is told (not) only of that, but of room for writing too. */
void poller_want_write(struct poller *poller, int fd, void *item, bool wanted);

#endif
