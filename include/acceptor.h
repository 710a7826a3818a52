/* acceptor: takes FastCGI connections from the listening sockets and deals them out to the workers' inboxes. Hub thread only. */
#ifndef ACCEPTOR_H
#define ACCEPTOR_H

#include "inbox.h"
#include "listener.h"
#include "log.h"

#include <ev.h>

struct settings;

struct acceptor_socket {
    struct listener listener;
    ev_io watcher;
};

struct acceptor {
    struct ev_loop *loop;             /* borrowed */
    struct acceptor_socket *sockets;  /* owned */
    size_t socket_count;
    struct inbox **inboxes;           /* borrowed */
    size_t inbox_count;
    size_t next;                      /* the inbox whose turn it is */
    size_t open;                      /* connections dealt out and not closed */
    size_t limit;                     /* of them */
    int reserve;                      /* a descriptor to give up when there are no others; -1: given up */
    bool is_paused;
    void (*make_room)(void *context); /* the limit is reached and somebody waits: an idle connection may be closed; may be NULL */
    void *context;
    ev_timer retry;                   /* while descriptors lack */
    struct log_limit log_limit;
};

/* Listens on all of fastcgi.listen. False: `error` says why, and nothing is left open. */
bool acceptor_init(struct acceptor *acceptor, struct ev_loop *loop, const struct settings *settings, struct inbox **inboxes,
                   size_t inbox_count, size_t limit, char *error, size_t size) __attribute__((warn_unused_result));
/* Before the end: takes who waits already, so that they are answered and not cut. */
void acceptor_take_waiting(struct acceptor *acceptor);
/* Stops accepting, removes the socket files and closes. */
void acceptor_finish(struct acceptor *acceptor);
/* A connection that was dealt out is closed. */
void acceptor_closed_one(struct acceptor *acceptor);
/* A connection became idle: make_room may find it. */
void acceptor_idle_one(struct acceptor *acceptor);

#endif
