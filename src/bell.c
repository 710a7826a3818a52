/*
 * Await stores and then looks at the state, ring changes the state and then loads: one of the two sees the other (both are sequentially consistent, or the
 * state has a lock of its own).
 */
#include "bell.h"

#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

bool bell_init(struct bell *bell)
{
    atomic_init(&bell->is_awaited, false);
    bell->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return bell->fd >= 0;
}

void bell_finish(struct bell *bell)
{
    if (bell->fd > 0)
        close(bell->fd);
    bell->fd = -1;
}

void bell_await(struct bell *bell)
{
    atomic_store(&bell->is_awaited, true);
}

void bell_hear(struct bell *bell)
{
    uint64_t rings;

    while (read(bell->fd, &rings, sizeof rings) > 0)
        ;
}

void bell_sleep(struct bell *bell, int limit_ms)
{
    struct pollfd item = {.fd = bell->fd, .events = POLLIN};

    (void)poll(&item, 1, limit_ms);
    bell_hear(bell);
}

void bell_ring(struct bell *bell)
{
    uint64_t one = 1;

    if (atomic_load(&bell->is_awaited) && atomic_exchange(&bell->is_awaited, false))
        while (write(bell->fd, &one, sizeof one) < 0)
            ; /* interrupted: an eventfd that is read to zero never is full */
}
