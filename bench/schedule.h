/*
 * schedule: publishes at a rate, on a fixed schedule that no delay moves, and reads meanwhile. One thread: publishing and
 * reading take turns.
 */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include <stdint.h>

struct publisher;
struct subscribers;

struct schedule {
    struct subscribers *subscribers;
    struct publisher *publisher;
    uint64_t published; /* messages so far, of all runs */
    /* of the last run: */
    uint64_t overlaps; /* messages that were published before all before them had arrived */
    uint64_t start_ns;
    uint64_t lag_ns; /* how late the last message was published */
};

/* Publishes the next message now. */
void schedule_publish(struct schedule *schedule);

/* `rate` 0: all at once. Ends early at a fault. What is still awaited then is the caller's to read. */
void schedule_run(struct schedule *schedule, uint64_t messages, double rate);

#endif
