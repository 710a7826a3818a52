/*
 * offer: a post on its way through the hub and back. A worker makes it and hands it over; the hub publishes it, notes what became of each item, and puts it
 * into that worker's inbox, behind its messages: so who is answered finds them everywhere.
 */
#ifndef OFFER_H
#define OFFER_H

#include "post.h"

#include <stdatomic.h>
#include <sys/queue.h>

struct connection;
struct hub;
struct inbox;

struct offer {
    STAILQ_ENTRY(offer) in_queue;
    struct post post;
    struct inbox *inbox;           /* borrowed: where it goes back to */
    struct connection *connection; /* that waits for it; NULL: nobody does (any more). The worker's alone */
    atomic_bool is_claimed;        /* by the hub, which publishes it, or by the worker, which then wants nobody to */
    /* What the hub found. */
    struct text ids;               /* JSON: "1-0",null, … */
    struct text errors;            /* JSON: {"item":…}, … */
    size_t item_count;
    size_t published;              /* items that have their ids */
    const char *code;              /* of the first that has none, or NULL */
    const char *reason;
};

/* Takes over what the post holds, also when it fails (NULL: no memory). */
struct offer *offer_create_take(struct post *post, struct inbox *inbox, struct connection *connection) __attribute__((warn_unused_result));
/* NULL is fine. */
void offer_destroy(struct offer *offer);

/* Its connection waits no more; it is published all the same. NULL is fine. Worker thread only. */
void offer_leave(struct offer *offer);
/* False: it was claimed before. True: the caller, worker or hub, now decides whether it is published. any thread */
bool offer_claim(struct offer *offer) __attribute__((warn_unused_result));
/*
 * Publishes it, flushes, and puts it into its inbox, where a place was reserved, after the hub was flushed. If the worker has claimed it, it is only freed.
 * Hub thread only.
 */
void offer_publish_take(struct offer *offer, struct hub *hub);

/* The JSON object that says what became of it, if at least one item has its ids. */
void offer_append_answer(struct text *json, const struct offer *offer);

#endif
