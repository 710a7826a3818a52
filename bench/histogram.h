/* histogram: latencies in nanoseconds, in buckets that are at most 1/32 of their value wide. Zeroed memory is an empty one. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_STEPS = 32, HISTOGRAM_BUCKETS = 60 * HISTOGRAM_STEPS }; /* a power of two is cut into STEPS */

struct histogram {
    uint64_t count;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

static inline unsigned histogram_bucket(uint64_t value)
{
    unsigned power = value < HISTOGRAM_STEPS ? 0 : 63 - (unsigned)__builtin_clzll(value) - 5;

    return power * HISTOGRAM_STEPS + (unsigned)(value >> power);
}

static inline void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->buckets[histogram_bucket(value)]++;
    histogram->count++;
}

/* The lower end of the bucket in which the value of rank `share` (0 to 1) lies; 0 for an empty one. */
static inline uint64_t histogram_at(const struct histogram *histogram, double share)
{
    uint64_t left = (uint64_t)(share * (double)histogram->count);

    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        unsigned power = i < 2 * HISTOGRAM_STEPS ? 0 : i / HISTOGRAM_STEPS - 1;

        if (left < histogram->buckets[i])
            return (uint64_t)(i - power * HISTOGRAM_STEPS) << power;
        left -= histogram->buckets[i];
    }
    return 0;
}

#endif
