/*
 * inbox: what the hub hands to a worker, messages, accepted connections and offers that come back in one bounded order: a request accepted after a message
 * was published never meets a worker without it, and an offer comes back behind its messages. The hub asks for room before it takes a message in, and stops reading when there is none; what one multipart message
 * holds is put in whole. Both sides move many items under one lock.
 */
#ifndef INBOX_H
#define INBOX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct message;
struct offer;

/* A message (one reference), an offer that comes back, or the descriptor of an accepted connection. */
struct inbox_item {
    union {
        struct message *message; /* NULL: a connection */
        struct offer *offer;     /* with is_offer; the item's */
    };
    int descriptor;
    bool is_offer;
};

/* So much may wait for a worker; one multipart message more is always let in. */
enum {
    INBOX_ITEMS = 65536,             /* messages and connections */
    INBOX_BYTES = 8 * 1024 * 1024,   /* of the messages */
};

struct inbox {
    pthread_mutex_t lock;
    struct inbox_item *items; /* ring; owned */
    size_t head;
    size_t count;
    size_t capacity;
    size_t limit;
    size_t room;              /* hub thread only: so many may come before the limit, or more, as the worker takes meanwhile */
    size_t reserved;          /* hub thread only: there is memory for so many, or more */
    atomic_size_t bytes;      /* of the messages in it: raised by the hub, lowered by the worker */
    atomic_size_t open;       /* connections dealt out to the worker and not closed: raised by the hub, lowered by the worker */
    void (*notify)(void *context); /* there is something, called by the putting thread without the lock */
    void *context;
};

void inbox_init(struct inbox *inbox, size_t limit, void (*notify)(void *context), void *context);
/* Lets go of what is in it. */
void inbox_finish(struct inbox *inbox);

/* Whether `count` items more stay within the limit, and what is there is below INBOX_BYTES. Hub thread only. */
bool inbox_has_room(struct inbox *inbox, size_t count);
/* Memory for `count` items more, beyond the limit too. False: there is none. Hub thread only. */
bool inbox_reserve(struct inbox *inbox, size_t count) __attribute__((warn_unused_result));
/* Takes over what the items hold; memory for them was reserved. Hub thread only. */
void inbox_put_take(struct inbox *inbox, const struct inbox_item *items, size_t count);
/* Moves the oldest items, at most `most`, to `items`; how many. Worker thread only. */
size_t inbox_take(struct inbox *inbox, struct inbox_item *items, size_t most);
/* any thread */
bool inbox_is_empty(struct inbox *inbox);

#endif
