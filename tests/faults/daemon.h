/* daemon: the whole program, main() included, in a child process that shares the board. */
#ifndef DAEMON_H
#define DAEMON_H

#include "board.h"
#include "text.h"

#include <sys/types.h>

enum {
    DAEMON_LEAKS_DESCRIPTORS = 97,
    DAEMON_SANITIZER = 98, /* what ASan, LSan or UBSan ends it with */
};

struct daemon {
    pid_t pid;
    int log_fd, notify_fd;
    struct text log;     /* what it said on standard error */
    size_t mark;         /* where daemon_said begins to look */
    bool is_ready, is_over;
    int code;            /* once it is over: of its exit; below zero: a signal's number */
    const char *folder;  /* its private one; borrowed */
};

/* In `folder`, which has its configuration: `sidecast.conf`. `faults` may be NULL: nothing is counted. */
bool daemon_start(struct daemon *daemon, const char *folder, struct board *faults);
/* True: it is ready. False: it is over, or neither in time. */
bool daemon_await_ready(struct daemon *daemon);
/* What it said since is read. */
void daemon_listen(struct daemon *daemon, int wait_ms);
bool daemon_said(const struct daemon *daemon, const char *text);
void daemon_signal(struct daemon *daemon, int number);
/* False: it does not end, and is killed. */
bool daemon_await_end(struct daemon *daemon);

#endif
