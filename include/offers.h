/*
 * offers: the queue of what workers offer, and its turn on the hub's loop: beside ingest, and like it a bounded number each turn, and none while an inbox is full.
 *
 *     connection ─► publishing ─► offer ─► offers (queue, bell) ─► hub ─► inbox of each worker ─► that of the offer ─► connection
 *
 * The way is the same whether the worker has a thread or is on the hub's loop. Hub thread only, but for offers_put_take.
 */
#ifndef OFFERS_H
#define OFFERS_H

#include "bell.h"
#include "offer.h"

#include <ev.h>
#include <pthread.h>

struct state;

/* So much may wait for the hub. */
enum {
    OFFERS_COUNT = 1024,
    OFFERS_BYTES = 64 * 1024 * 1024, /* one offer is always let in */
};

struct offers {
    pthread_mutex_t lock;
    STAILQ_HEAD(offer_list, offer) queue; /* owned */
    size_t count;
    size_t bytes;
    bool is_closed;       /* takes no more */
    struct bell bell;     /* something was offered; awaited while the loop sleeps */
    struct ev_loop *loop; /* borrowed, like the next three */
    struct hub *hub;
    struct bell *room;    /* a worker rings it when it has taken from its inbox */
    struct state *state;
    ev_io offered;
    ev_prepare turn;
    ev_idle more;         /* on while a turn stopped at its own bound */
};

/* False: no descriptor, errno says why. */
bool offers_init(struct offers *offers, struct ev_loop *loop, struct hub *hub, struct bell *room, struct state *state) __attribute__((warn_unused_result));
/* After the last connection that could offer something or wait. Fine for one that is zeroed, or could not be initialized. */
void offers_finish(struct offers *offers);

/* Takes it over if it returns true. False: too many wait, or the server stops. any thread */
bool offers_put_take(struct offers *offers, struct offer *offer) __attribute__((warn_unused_result));

/*
 * Takes in what was offered so far, for at most `limit_ms`, and nothing from then on. `take_inbox` is called whenever an inbox is full, and returns when there
 * is room.
 */
void offers_drain(struct offers *offers, void (*take_inbox)(void *context), void *context, int64_t limit_ms);

#endif
