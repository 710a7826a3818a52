/*
 * worker: one event loop that owns connections, and its replica of the channels. With one worker the hub is on the same loop.
 *
 * A turn, before each sleep: take what the inbox holds (messages, connections), decide the requests that are whole, write, free what was closed.
 */
#ifndef WORKER_H
#define WORKER_H

#include "decoder.h"
#include "fcgi.h"
#include "inbox.h"
#include "poller.h"
#include "replica.h"

#include <ev.h>

struct hub;

enum { WORKER_READ_BYTES = 64 * 1024 };

struct worker {
    struct ev_loop *loop;                /* borrowed */
    const struct settings *settings;
    struct hub *hub;
    struct metrics metrics;
    struct inbox inbox;
    struct replica replica;
    struct decoder decoder;
    struct fcgi_limits limits;
    struct poller poller;                /* of all connections */
    struct subscriber_queue idle;        /* connections between two requests, the longest first */
    struct subscriber_queue reading;     /* with a part of a request */
    struct subscriber_queue undecided;   /* with a whole request */
    struct subscriber_queue closed;      /* freed at the end of the turn. All others are the replica's */
    size_t connection_count;
    size_t max_clients;
    bool is_draining;                    /* every request is refused for the moment */
    void (*closed_one)(void *context);   /* a connection was closed */
    void (*idle_one)(void *context);     /* a kept connection became idle */
    void *context;
    ev_prepare turn;
    ev_idle more;                        /* on while somebody has more to come, so that the loop does not sleep */
    ev_timer timer;
    char *scratch;                       /* owned: what is read goes here first */
};

/* `start`: where ids begin. False: no memory. */
bool worker_init(struct worker *worker, struct ev_loop *loop, const struct settings *settings, struct hub *hub, struct event_id start,
                 size_t max_clients) __attribute__((warn_unused_result));
/* Closes every connection. */
void worker_finish(struct worker *worker);

/* Takes what the inbox holds, so that the hub can go on within its own turn. */
void worker_take_inbox(struct worker *worker);
/* Closes the connection that is idle for the longest time, with nothing waiting to be read from it, if there is one. */
void worker_close_idle(struct worker *worker);
/* Ends every stream, closes idle connections, refuses what still comes. Call it once the last message is in the inbox. */
void worker_drain(struct worker *worker);
/* The settings changed. */
void worker_reload(struct worker *worker);

#endif
