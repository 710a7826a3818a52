/* clock: the two clocks, in milliseconds. Only io and edge read them; everything below is given the time. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_read_ms(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* For ages and deadlines. */
static inline int64_t clock_monotonic_ms(void)
{
    return clock_read_ms(CLOCK_MONOTONIC);
}

/* Since 1970; may step. For ids. */
static inline uint64_t clock_wall_ms(void)
{
    return (uint64_t)clock_read_ms(CLOCK_REALTIME);
}

#endif
