/* options: the command line of load; see the head of load.c. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "framing.h"
#include "process.h"

#include <stdbool.h>
#include <stdint.h>

enum mode { MODE_MEASURE, MODE_RAMP, MODE_INGEST, MODE_BURST };
enum poll_kind { POLL_NOT, POLL_JSON, POLL_HEADERS };

struct options {
    enum mode mode;
    enum framing_kind framing;
    enum poll_kind poll;
    const char *listen, *path, *publish; /* the path has one %s, the channel */
    uint64_t clients, stuck;             /* the stuck are some of the clients */
    uint64_t unanswered;                 /* clients that may wait for their answer while they come */
    uint64_t channels, per_client;       /* channels that get messages; how many of them one client listens to */
    uint64_t idle;                       /* channels of each client that get none */
    uint64_t size, messages, warm, publishers, bursts;
    bool ids_rise;
    double rate, step, seconds;     /* messages a second; of a ramp: factor from step to step, length of one */
    struct process_set server, own; /* all processes; those that are not nginx */
};

/* Ends the program when something is wrong. */
void options_parse(struct options *options, int argc, char **argv);

#endif
