/* The time that the calling thread has had on a processor: what others of the machine do does not count. */
#ifndef CPU_TIME_H
#define CPU_TIME_H

#include <stdint.h>
#include <time.h>

static inline int64_t cpu_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

#endif
