/*
 * inbox: what the hub hands to a worker, messages and accepted connections in one bounded order: a request accepted after a message was published never
 * meets a worker without it. The hub asks for room before it takes a message in, and stops reading when there is none; what one multipart message
 * holds is put in whole.
 */
#ifndef INBOX_H
#define INBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct message;

/* Either a message (one reference) or the descriptor of an accepted connection. */
struct inbox_item {
    struct message *message; /* NULL: a connection */
    int descriptor;
};

struct inbox {
    pthread_mutex_t lock;
    struct inbox_item *items; /* ring; owned */
    size_t head;
    size_t count;
    size_t capacity;
    size_t limit;
    void (*notify)(void *context); /* there is something, called by the putting thread without the lock */
    void *context;
};

void inbox_init(struct inbox *inbox, size_t limit, void (*notify)(void *context), void *context);
/* Lets go of what is in it. */
void inbox_finish(struct inbox *inbox);

/* Whether another multipart message may be read. Hub thread only. */
bool inbox_has_room(struct inbox *inbox);
/* Memory for one more item, beyond the limit too. False: there is none. Hub thread only. */
bool inbox_reserve(struct inbox *inbox) __attribute__((warn_unused_result));
/* Takes the item over; room for it was reserved. Hub thread only. */
void inbox_put_take(struct inbox *inbox, struct inbox_item item);
/* Moves the oldest item to `item`; false when there is none. Worker thread only. */
bool inbox_take(struct inbox *inbox, struct inbox_item *item);

#endif
