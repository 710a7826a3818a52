/* acceptor: takes FastCGI connections from the listening sockets and deals each to the worker that has the fewest. Hub thread only. */
#ifndef ACCEPTOR_H
#define ACCEPTOR_H

#include "inbox.h"
#include "listener.h"
#include "log.h"

#include <ev.h>

struct activation;
struct settings;

struct acceptor_socket {
    struct listener listener;
    ev_io watcher;
};

/* What an acceptor asks of those around it. All may be NULL. */
struct acceptor_owner {
    void (*await_place)(void *context); /* it rests: acceptor_go_on is to be called when a connection was closed or became idle from now on */
    void (*make_place)(void *context);  /* the limit is reached and somebody waits: idle connections may be closed, now or soon */
    void *context;
};

enum { ACCEPTOR_REFUSAL_ROOM = 64 }; /* connections above hub.max_clients, to be refused with an answer */

struct acceptor {
    struct ev_loop *loop;             /* borrowed */
    struct acceptor_socket *sockets;  /* owned */
    size_t socket_count;
    struct inbox **inboxes;           /* borrowed */
    size_t inbox_count;
    size_t next;                      /* the inbox that comes first among equals */
    size_t limit;                     /* of connections that were dealt out and are not closed */
    int reserve;                      /* a descriptor to give up when there are no others; -1: given up */
    bool is_paused;
    bool leaves_passed;               /* who waits at a socket that was passed in is the next process's */
    bool is_stopped;
    struct acceptor_owner owner;
    ev_timer retry;                   /* while descriptors lack */
    uint64_t refused;                 /* connections for which no inbox had memory */
    struct log_limit log_limit;
};

/* Listens on all of fastcgi.listen, or on what was passed in (NULL: nothing). False: `error` says why, and nothing is left open. */
bool acceptor_init(struct acceptor *acceptor, struct ev_loop *loop, const struct settings *settings, const struct activation *passed,
                   struct inbox **inboxes, size_t inbox_count, size_t limit, char *error, size_t size) __attribute__((warn_unused_result));
/* Accepts no more at sockets that were passed in: a connect waits there for the next process. */
void acceptor_leave_passed(struct acceptor *acceptor);
/*
 * The end of accepting. At sockets of our own who waits already is taken, so that they are answered and not cut; then the files go, and nobody is let in.
 * Those that were passed in stay open, for whoever comes.
 */
void acceptor_stop(struct acceptor *acceptor);
/* Stops accepting, removes the socket files and closes. */
void acceptor_finish(struct acceptor *acceptor);
/* A connection was closed, or became idle. */
void acceptor_go_on(struct acceptor *acceptor);

#endif
