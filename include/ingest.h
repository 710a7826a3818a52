/*
 * ingest: the ZeroMQ PULL socket on the hub's loop. Reads a bounded number of messages a turn; stops reading while an inbox is full, so that
 * ZeroMQ's high-water mark pushes back. Hub thread only.
 */
#ifndef INGEST_H
#define INGEST_H

#include "bell.h"
#include "hub.h"
#include "listener.h"

#include <ev.h>

struct state;

struct ingest_endpoint {
    struct listener listener;
    int guarded_fd;     /* libzmq's */
    char endpoint[160]; /* as libzmq knows it */
};

struct ingest {
    struct ev_loop *loop;               /* borrowed */
    struct hub *hub;                    /* borrowed */
    struct bell *room;                  /* borrowed; a worker rings it when it has taken from its inbox */
    struct state *state;                /* borrowed */
    void *zmq;                          /* context */
    void *socket;
    void *monitor;                      /* PAIR that tells of publishers; NULL when there is none */
    struct ingest_endpoint *endpoints;  /* owned */
    size_t endpoint_count;
    ev_io readable;                     /* ZMQ_FD: edge-triggered, so only a hint */
    ev_io monitored;
    ev_io made_room;
    ev_prepare turn;
    ev_idle more;                       /* on while a turn stopped before there was nothing left, at its own bound */
};

/* Listens on all of publish.listen. False: `error` says why, and nothing is left open. */
bool ingest_init(struct ingest *ingest, struct ev_loop *loop, const struct settings *settings, struct hub *hub, struct bell *room,
                 struct state *state, char *error, size_t size) __attribute__((warn_unused_result));
/*
 * Takes in what publishers have sent so far, lets go of the endpoints, and takes in what ZeroMQ still holds. `take_inbox` is called
 * whenever an inbox is full, and returns when there is room. `limit_ms`: publishers that never pause are cut after it.
 */
void ingest_drain(struct ingest *ingest, void (*take_inbox)(void *context), void *context, int64_t limit_ms);
void ingest_finish(struct ingest *ingest);

#endif
