/*
 * crew: the workers. One is on the hub's loop, without a thread or a hop; several have a thread with a loop each, and share with the hub and among each
 * other nothing but immutable messages, their inboxes, and a few atomic numbers. Hub thread only.
 *
 *                        ┌─ inbox ─► worker (thread, loop, replica) ─┐
 *     hub, acceptor ─────┤                                           ├─ bells: room in an inbox, a place for a client ─► hub's loop
 *                        └─ inbox ─► worker (thread, loop, replica) ─┘
 */
#ifndef CREW_H
#define CREW_H

#include "bell.h"
#include "worker.h"

#include <pthread.h>

struct member;
struct snapshot;

struct crew {
    struct member *members;   /* owned */
    struct inbox **inboxes;   /* owned; one per worker */
    size_t count;
    size_t running;           /* threads */
    struct places places;
    struct bell room;         /* a worker took from its inbox */
    struct bell place;        /* a connection was closed or became idle */
    pthread_mutex_t lock;     /* of the two below */
    pthread_cond_t changed;
    bool is_paused;
    size_t standing;          /* workers that wait for the end of the pause */
    void (*collected)(void *context); /* of crew_collect */
    void *collecting;                 /* its context */
};

/* Descriptors of one worker: its loop, its bell, libfcgi's file, and one to spare. */
enum { CREW_DESCRIPTORS = 4 };

/*
 * hub.workers workers. `loop`: the hub's, which is that of a single worker. `hub`: may be initialized later, with the inboxes. `start`: where ids begin.
 * `max_clients`: subscribers over all workers. False: no memory or descriptor; errno says why, and nothing is left.
 */
bool crew_init(struct crew *crew, struct ev_loop *loop, const struct settings *settings, struct hub *hub, struct event_id start, size_t max_clients)
    __attribute__((warn_unused_result));
/* Starts the threads, if there are to be any, with all signals blocked. False: errno says why, and none runs. */
bool crew_start(struct crew *crew) __attribute__((warn_unused_result));
/* Ends the threads, if there are any. What the workers hold stays. */
void crew_stop(struct crew *crew);
/* Closes all connections. After crew_stop. */
void crew_finish(struct crew *crew);

/* The keys that all workers check tokens with; borrowed, and changed within a pause only. While no thread runs. */
void crew_set_keyring(struct crew *crew, const struct keyring *keyring);
/* What publish requests go through. Before crew_start. */
void crew_set_offers(struct crew *crew, struct offers *offers);

/* Gives an order to each worker. */
void crew_order(struct crew *crew, enum worker_order order);
/* Whether each worker's loop has turned since the last call that said so, or there is no thread. */
bool crew_is_alive(struct crew *crew);
/* Returns when each inbox has room. */
void crew_wait_for_room(struct crew *crew);
/* Connections that were dealt out and are not closed. */
size_t crew_open_count(const struct crew *crew);

/* Until crew_resume no worker runs, and the hub may look at what is theirs and change the settings. Waits for the turns that run. */
void crew_pause(struct crew *crew);
void crew_resume(struct crew *crew);
/*
 * Has the messages of history collected into `snapshot`, a slice each turn of one worker, which then calls `collected` on its thread. One at a time; after
 * crew_stop it is not called any more.
 */
void crew_collect(struct crew *crew, struct snapshot *snapshot, void (*collected)(void *context), void *context);
/* One of them, from 0 on, to be looked at. Within a pause, or while no thread runs. */
struct worker *crew_worker(struct crew *crew, size_t index);
/* Adds what the workers count to `sum`. The same. */
void crew_add_metrics(struct crew *crew, struct metrics *sum);

#endif
