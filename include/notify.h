/*
 * notify: tells who started the process how it is, as sd_notify(3) does: a datagram to the socket in NOTIFY_SOCKET, and, if a watchdog is set, one at every
 * half of its time while all is alive. Hub thread only.
 */
#ifndef NOTIFY_H
#define NOTIFY_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

/* The variables; NULL: not there. */
struct notify_environment {
    const char *notify_socket;
    const char *watchdog_usec;
    const char *watchdog_pid;
};

struct notify {
    int fd;                          /* owned; -1: nobody wants to know */
    struct sockaddr_un name;
    socklen_t name_size;
    int64_t watchdog_ms;             /* somebody must hear of us that often; 0: no watchdog */
    bool (*is_alive)(void *context); /* whether all that is not the loop itself is alive */
    void *context;
    struct ev_loop *loop;            /* borrowed; NULL: no watchdog runs */
    ev_timer timer;
    bool is_silent;                  /* the last look found somebody who is not alive */
};

/* Reads the environment of the process `self`. What is wrong in it is logged, and then nobody is told: that keeps no server from its work. */
void notify_init(struct notify *notify, const struct notify_environment *environment, pid_t self);
void notify_finish(struct notify *notify);

/* Sends lines of sd_notify(3). Waits for at most a second, if the other's queue is full. */
void notify_send(struct notify *notify, const char *lines);
/* Keeps the watchdog quiet from now on, as long as `is_alive` says so and `loop` runs. */
void notify_watch(struct notify *notify, struct ev_loop *loop, bool (*is_alive)(void *context), void *context);
/* A look for the watchdog; returns after how many milliseconds the next is due. For notify_watch, and tests. */
int64_t notify_look(struct notify *notify);

#endif
