/*
 * footprint: how much memory the process can come to hold, worked out of the configuration: the formula of docs/operations.md, "Sizing". It takes every limit
 * as reached, all at the same time. Pure.
 */
#ifndef FOOTPRINT_H
#define FOOTPRINT_H

#include <stddef.h>
#include <stdio.h>

struct settings;

enum footprint_part {
    FOOTPRINT_PROGRAM,
    FOOTPRINT_HISTORY,      /* with what half-written connections hold, and inboxes */
    FOOTPRINT_SNAPSHOT,
    FOOTPRINT_KEYS,
    FOOTPRINT_SUBSCRIBERS,
    FOOTPRINT_PATTERNS,
    FOOTPRINT_REQUESTS,     /* that are being read, or wait to be published */
    FOOTPRINT_PUBLICATION,  /* the one that is being decoded */
    FOOTPRINT_PUBLISHERS,   /* what ZeroMQ has read ahead */
    FOOTPRINT_PARTS,
};

/* In bytes, the allocator's loss included. As floating point: with all options at their most it is beyond 64 bits. */
double footprint_part(const struct settings *settings, enum footprint_part part);
double footprint_total(const struct settings *settings);
/* A line for each part, and the sum, in MiB. */
void footprint_print(FILE *out, const struct settings *settings);

#endif
