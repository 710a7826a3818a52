/*
 * ingest: the turn in which publishers' messages are taken in, on the hub's loop: a bounded number of them, the sockets in turns; none while an inbox is
 * full, so that ZeroMQ's high-water mark pushes back. Hub thread only.
 */
#ifndef INGEST_H
#define INGEST_H

#include "bell.h"
#include "hub.h"
#include "intake.h"
#include "zap.h"

struct state;

enum { INGEST_INTAKES = 4 }; /* PULL and ROUTER, each without and with CURVE */

struct ingest {
    struct ev_loop *loop;               /* borrowed */
    struct hub *hub;                    /* borrowed */
    struct bell *room;                  /* borrowed; a worker rings it when it has taken from its inbox */
    struct state *state;                /* borrowed */
    void *zmq;                          /* context */
    struct zap zap;                     /* who may come with CURVE */
    struct intake intakes[INGEST_INTAKES];
    size_t intake_count;
    size_t next;                        /* the intake whose turn it is */
    ev_io made_room;
    ev_prepare turn;
    ev_idle more;                       /* active while a turn has left messages behind, so that the loop does not sleep */
};

/*
 * Listens on publish.listen and publish.confirm_listen, or on what was passed in (NULL: nothing). `room` is heard on this loop. A publisher beyond publish.max_connections, or without a
 * descriptor for it, is closed at once (gate.h). False: `error` says why, nothing is left.
 */
bool ingest_init(struct ingest *ingest, struct ev_loop *loop, const struct settings *settings, const struct activation *passed, struct hub *hub,
                 struct bell *room, struct state *state, char *error, size_t size) __attribute__((warn_unused_result));
/* Reads publish.curve_clients_file anew. If it cannot be read that is logged, and the old list holds. Publishers that are there stay. */
void ingest_reload(struct ingest *ingest, const struct settings *settings);
/*
 * Takes in what publishers have sent so far, lets go of the endpoints, and takes in what ZeroMQ still holds; requests are taken in and answered until
 * the endpoints go. `take_inbox` is called whenever an inbox is full, and returns when there is room. `limit_ms`: publishers that never pause are cut
 * after it.
 */
void ingest_drain(struct ingest *ingest, void (*take_inbox)(void *context), void *context, int64_t limit_ms);
/* May wait a second for publishers to take their answers. */
void ingest_finish(struct ingest *ingest);

#endif
