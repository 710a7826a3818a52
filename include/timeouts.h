/*
 * timeouts: deadlines in a binary heap. A deadline is set, moved and cleared in logarithmic time and without memory, once room for it was reserved.
 * Time is a parameter: whoever owns the heap asks for the next deadline and comes back then.
 */
#ifndef TIMEOUTS_H
#define TIMEOUTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embedded in its owner; all zero: not set. */
struct timeout {
    int64_t due_ms;
    uint32_t place; /* in the heap, from 1; 0: not set */
    uint32_t kind;  /* the owner's: what is due */
};

struct timeouts {
    struct timeout **heap; /* owned; [0] is not used */
    size_t count;
    size_t capacity;
    size_t reserved;
};

#define TIMEOUTS_NEVER INT64_MAX

/* Room for `more` further deadlines that are set at the same time. False: no memory. */
bool timeouts_reserve(struct timeouts *timeouts, size_t more) __attribute__((warn_unused_result));
void timeouts_release(struct timeouts *timeouts, size_t less);
void timeouts_finish(struct timeouts *timeouts);

void timeouts_set(struct timeouts *timeouts, struct timeout *timeout, int64_t due_ms);
/* The same for one that is not set or due later: whoever is told too early looks at what is really due. Setting it so costs nothing mostly. */
static inline void timeouts_lower(struct timeouts *timeouts, struct timeout *timeout, int64_t due_ms)
{
    if (timeout->place == 0 || due_ms < timeout->due_ms)
        timeouts_set(timeouts, timeout, due_ms);
}
void timeouts_clear(struct timeouts *timeouts, struct timeout *timeout);

/* The earliest deadline, or TIMEOUTS_NEVER. */
int64_t timeouts_due_ms(const struct timeouts *timeouts);
/* Takes the earliest deadline that is not after `now_ms` out of the heap; NULL when there is none. */
struct timeout *timeouts_take_due(struct timeouts *timeouts, int64_t now_ms);

#endif
