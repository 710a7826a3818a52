/*
 * worker: one event loop that owns connections, and its replica of the channels. With one worker the hub is on the same loop; with several each has a thread
 * (crew.h).
 *
 * A turn, before each sleep: do what was ordered, take what the inbox holds (messages, connections), decide the requests that are whole, write, free what was
 * closed.
 */
#ifndef WORKER_H
#define WORKER_H

#include "bell.h"
#include "decoder.h"
#include "fcgi.h"
#include "inbox.h"
#include "poller.h"
#include "replica.h"

#include <ev.h>

struct hub;
struct keyring;
struct offers;
struct snapshot;

enum { WORKER_READ_BYTES = 64 * 1024 };

/* What the hub may want of a worker. Bits: an order that is given twice before it is seen is carried out once. */
enum worker_order {
    WORKER_CLOSE_IDLE = 1, /* closes the connection that is idle for the longest time, with nothing waiting to be read from it, if there is one */
    WORKER_DRAIN = 2,      /* ends every stream, closes idle connections, refuses what still comes. Once the last message is in the inbox */
    WORKER_RELOAD = 4,     /* the settings changed */
    WORKER_STAND = 8,      /* calls worker->stand */
    WORKER_STOP = 16,      /* leaves its loop */
    WORKER_SPREAD = 32,    /* ends streams one by one within hub.drain, closes idle connections, refuses what still comes */
    WORKER_ANSWER = 64,    /* nothing: that the order is gone shows that the loop turns */
    WORKER_COLLECT = 128,   /* collects worker->snapshot, a slice each turn, and calls worker->collected */
};

/* What a worker tells those around it, on its own thread. All but closed_one may be NULL. */
struct worker_owner {
    void (*closed_one)(void *context); /* a connection was closed */
    void (*idle_one)(void *context);   /* a kept connection became idle */
    void (*took)(void *context);       /* there is room in the inbox */
    void (*stand)(void *context);      /* WORKER_STAND was ordered, as is done only where this is set */
    void (*collected)(void *context);  /* WORKER_COLLECT was ordered, as is done only where this is set, and the snapshot has its messages */
    void *context;
};

/* Subscribers that there may be over all workers. */
struct places {
    atomic_size_t taken;
    size_t limit;
};

struct worker {
    struct ev_loop *loop;                /* borrowed */
    const struct settings *settings;
    struct hub *hub;
    const struct keyring *keyring;       /* borrowed; NULL: no tokens */
    struct offers *offers;               /* borrowed; set before its thread starts. NULL: nothing can be published */
    struct metrics metrics;
    struct log_limit rejected, lacking;
    struct inbox inbox;
    struct bell bell;                    /* an inbox or an order has something; awaited while the loop sleeps */
    atomic_uint orders;                  /* bits of enum worker_order */
    struct replica replica;
    struct decoder decoder;
    struct fcgi_limits limits;
    struct poller poller;                /* of all connections */
    struct subscriber_queue idle;        /* connections between two requests, the longest first */
    struct subscriber_queue reading;     /* with a part of a request */
    struct subscriber_queue undecided;   /* with a whole request */
    struct subscriber_queue offered;     /* that wait for the hub */
    struct subscriber_queue closed;      /* freed at the end of the turn. All others are the replica's */
    size_t connection_count;
    struct places *places;               /* borrowed; shared by all workers */
    size_t places_taken;                 /* how many of them are this worker's */
    struct snapshot *snapshot;           /* borrowed; set by the hub before it orders, and left alone until it is collected */
    bool is_asked;                       /* for a snapshot that is not begun */
    bool is_collecting;
    bool is_draining;                    /* every request is refused for the moment */
    struct worker_owner owner;
    bool has_thread;                     /* of its own, so that it must be woken; else the hub is on the same loop */
    ev_prepare turn;
    ev_io rung;
    ev_idle more;                        /* on while somebody has more to come, so that the loop does not sleep */
    ev_timer timer;
    char *scratch;                       /* owned: what is read goes here first */
};

/* `start`: where ids begin. False: no memory or descriptor. Before its thread starts. */
bool worker_init(struct worker *worker, struct ev_loop *loop, const struct settings *settings, struct hub *hub, struct event_id start,
                 struct places *places) __attribute__((warn_unused_result));
/* Closes every connection. After its thread ended. */
void worker_finish(struct worker *worker);

/* any thread */
void worker_order(struct worker *worker, enum worker_order order);
/* Takes all that the inbox holds, so that the hub can go on within its own turn. */
void worker_take_inbox(struct worker *worker);
/* Whether there may be one subscriber more; then its place is taken, until the end of the turn finds that there is no such subscriber (any more). */
bool worker_take_place(struct worker *worker);

#endif
