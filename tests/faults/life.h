/*
 * life: one life of a daemon, from start to end, with a scenario that touches everything, and what has to hold of it whatever fails. The bystander is a
 * client that was there before; everybody else is a victim at most once.
 */
#ifndef LIFE_H
#define LIFE_H

#include "daemon.h"
#include "peer.h"

enum { LIFE_MESSAGES = 64, LIFE_STAYING = 8 };

struct life {
    struct daemon daemon;
    char folder[64];
    int workers;
    struct board *board;
    struct peer bystander, push, confirm;
    struct peer staying[LIFE_STAYING]; /* streams that are open until the end */
    int staying_count;
    struct text heard;  /* by the bystander on all its connections */
    unsigned patience;  /* how often somebody comes again who was refused; whoever is refused once is let in the next time, unless lack lasts */
    unsigned victims;   /* requests and connections that were refused or cut */
    unsigned drops;     /* messages that were refused, or that the bystander was told a gap for */
    int sent;           /* messages so far: their numbers are 1 to this */
    bool is_acked[LIFE_MESSAGES + 1];
    char verdict[320];  /* what does not hold; empty: all does */
};

/* A folder like `kept`, which may be NULL: a new one. Its parts are made. */
void life_prepare(struct life *life, const char *folder, const char *kept, int workers);
/* The three phases. False: there is a verdict, or (start only) the daemon did not start, as it may. */
bool life_start(struct life *life);
void life_serve(struct life *life);
void life_end(struct life *life);
/* Whatever is left of it. The folder stays. */
void life_finish(struct life *life);
void life_blame(struct life *life, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The newest id that the bystander has. Empty: none. */
void life_last_id(const struct life *life, char id[64]);
/* A life without faults in the same folder: whoever comes back with `id` is not told of a gap, and nothing comes twice. */
void life_check_next(struct life *life, const char *id, bool may_gap);

#endif
