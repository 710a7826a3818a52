/*
 * subscribers: opens the clients, reads what they get, checks and counts it. Client i is of group i modulo the number of groups;
 * a group's clients listen to the same `per_client` channels, which no other group has. Stuck clients ask and never read.
 */
#ifndef SUBSCRIBERS_H
#define SUBSCRIBERS_H

#include "check.h"
#include "histogram.h"
#include "options.h"

#include <stdbool.h>
#include <stdint.h>

struct client;

struct subscribers {
    const struct options *options;
    struct client *clients;
    struct client *current; /* whose bytes are being read */
    int epoll;              /* of watchers, publishers' included */
    struct check check;
    uint64_t groups;
    uint32_t *readers;        /* of each group: clients that are not stuck */
    uint64_t opened;          /* clients that have been answered */
    uint64_t awaited;         /* deliveries still to come */
    uint64_t faults, answers; /* answers: of long-polls */
    uint64_t now_ns;          /* of the last read */
    uint64_t last_ns;         /* when the last delivery came */
    /* in the measured part: */
    bool is_measured;
    uint64_t received, bytes;
    struct histogram latencies;
    bool is_quiet; /* faults are counted and not told */
};

enum { SILENCE_SECONDS = 10 }; /* without a byte although some are awaited */

void subscribers_init(struct subscribers *subscribers, const struct options *options);

/* Returns when all have been answered; ends the program if that does not come. */
void subscribers_open(struct subscribers *subscribers);

/* The group that message `number` goes to, and its channel. */
uint64_t subscribers_group(const struct subscribers *subscribers, uint64_t number);
void subscribers_channel(const struct subscribers *subscribers, uint64_t number, char name[32]);

/* Reads what is there, or waits for it until `until_ns`. False: the wait ended without any. */
bool subscribers_read(struct subscribers *subscribers, uint64_t until_ns);

/* Reads until nothing is awaited any more or `patience_ns` pass without a byte; then all that is left over. */
void subscribers_read_rest(struct subscribers *subscribers, uint64_t patience_ns);

/* Bytes that client `number` has not read. */
int subscribers_unread(const struct subscribers *subscribers, uint64_t number);

void subscribers_fault(void *subscribers, const char *what);

/* Of the measured part: its values are forgotten. */
void subscribers_reset(struct subscribers *subscribers);

#endif
