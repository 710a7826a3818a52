/*
 * board: what the daemon's calls that can fail are counted on, and which of them is to fail. It lies in memory that the test and the daemon, its child, share.
 * A call is known by its site: its name and the functions of ours that it comes from, up to BOARD_FRAMES of them; so the n-th call of a site means the
 * same from run to run, also when threads take turns otherwise.
 */
#ifndef BOARD_H
#define BOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum phase { PHASE_START, PHASE_SERVING, PHASE_END, PHASES };
enum { BOARD_FRAMES = 5, BOARD_SITES = 8192, BOARD_ERRORS = 5 };

struct site {
    atomic_ulong hash; /* of name, frames and phase; 0: free */
    const char *call;
    const int *errors; /* those that it can fail with; 0 ends them */
    enum phase phase;
    uintptr_t frames[BOARD_FRAMES]; /* in the program's text; 0 ends them */
    atomic_uint calls;
};

/* One call that is to fail. */
struct fault {
    unsigned long hash; /* 0: none */
    unsigned number;    /* of the site's calls, from 0 on */
    unsigned streak;    /* how many further calls fail behind it with the same error, for as long as a lack lasts */
    int error;
};

struct board {
    atomic_int phase;
    struct fault fault;
    atomic_bool is_struck;
    atomic_bool is_log_short; /* the call that failed was to write a line of the log */
    atomic_int streak_left;
    atomic_llong struck_ms;
    struct site sites[BOARD_SITES];
};

/* The daemon's; NULL in the test itself, where nothing is counted and nothing fails. */
extern struct board *board;

/* For the shim: 0, or the error that this call is to fail with. `errors` lasts. */
int board_strike(const char *call, const int *errors);

#endif
