#include "timeouts.h"

#include <assert.h>
#include <stdlib.h>

bool timeouts_reserve(struct timeouts *timeouts, size_t more)
{
    size_t wanted = timeouts->reserved + more + 1;

    if (wanted > timeouts->capacity) {
        size_t capacity = timeouts->capacity ? timeouts->capacity : 64;

        while (capacity < wanted)
            capacity *= 2;
        struct timeout **heap = realloc(timeouts->heap, capacity * sizeof *heap);
        if (!heap)
            return false;
        timeouts->heap = heap;
        timeouts->capacity = capacity;
    }
    timeouts->reserved += more;
    return true;
}

void timeouts_release(struct timeouts *timeouts, size_t less)
{
    assert(timeouts->reserved >= less);
    timeouts->reserved -= less;
    assert(timeouts->count <= timeouts->reserved);
}

void timeouts_finish(struct timeouts *timeouts)
{
    free(timeouts->heap);
    *timeouts = (struct timeouts){0};
}

static void put(struct timeouts *timeouts, size_t place, struct timeout *timeout)
{
    timeouts->heap[place] = timeout;
    timeout->place = (uint32_t)place;
}

static void sift_up(struct timeouts *timeouts, size_t place)
{
    struct timeout *timeout = timeouts->heap[place];

    for (; place > 1 && timeouts->heap[place / 2]->due_ms > timeout->due_ms; place /= 2)
        put(timeouts, place, timeouts->heap[place / 2]);
    put(timeouts, place, timeout);
}

static void sift_down(struct timeouts *timeouts, size_t place)
{
    struct timeout *timeout = timeouts->heap[place];
    size_t child;

    while ((child = place * 2) <= timeouts->count) {
        if (child < timeouts->count && timeouts->heap[child + 1]->due_ms < timeouts->heap[child]->due_ms)
            child++;
        if (timeouts->heap[child]->due_ms >= timeout->due_ms)
            break;
        put(timeouts, place, timeouts->heap[child]);
        place = child;
    }
    put(timeouts, place, timeout);
}

void timeouts_set(struct timeouts *timeouts, struct timeout *timeout, int64_t due_ms)
{
    timeout->due_ms = due_ms;
    if (timeout->place == 0) {
        assert(timeouts->count < timeouts->reserved);
        put(timeouts, ++timeouts->count, timeout);
    }
    sift_up(timeouts, timeout->place);
    sift_down(timeouts, timeout->place);
}

void timeouts_clear(struct timeouts *timeouts, struct timeout *timeout)
{
    size_t place = timeout->place;
    struct timeout *last;

    if (place == 0)
        return;
    timeout->place = 0;
    last = timeouts->heap[timeouts->count--];
    if (last == timeout)
        return;
    put(timeouts, place, last);
    sift_up(timeouts, place);
    sift_down(timeouts, last->place);
}

int64_t timeouts_due_ms(const struct timeouts *timeouts)
{
    return timeouts->count > 0 ? timeouts->heap[1]->due_ms : TIMEOUTS_NEVER;
}

struct timeout *timeouts_take_due(struct timeouts *timeouts, int64_t now_ms)
{
    struct timeout *first;

    if (timeouts_due_ms(timeouts) > now_ms || timeouts->count == 0)
        return NULL;
    first = timeouts->heap[1];
    timeouts_clear(timeouts, first);
    return first;
}
