/*
 * connection: a FastCGI connection of the front end: one request at a time.
 *
 *                                                               OFFERED (to the hub; publishing.h)
 *                                                                 ▲ ▼
 *     IDLE ──(first byte)──► READING ──(request whole)──► UNDECIDED ──► RESPONDING ──(kept: FCGI_KEEP_CONN)──► IDLE
 *       │                       │          (too large)        │              │ (body still comes) ▲
 *       │                       │                             │              └──► DISCARDING ─────┤
 *       └───────────────────────┴──────────┬──────────────────┴───────────────────────────────────┘
 *                                          ▼
 *                                       CLOSED (freed at the end of the worker's turn; from every state)
 *
 * Its state is the list it is on: one of the worker's, or while RESPONDING the one of its subscriber's state.
 */
#ifndef CONNECTION_H
#define CONNECTION_H

#include "subscriber.h"

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct buffer;
struct fcgi_scanner;
struct problem;
struct worker;

enum connection_state {
    CONNECTION_IDLE,
    CONNECTION_READING,
    CONNECTION_UNDECIDED,
    CONNECTION_OFFERED,    /* waits for the hub; subscriber.offer is its offer */
    CONNECTION_RESPONDING,
    CONNECTION_DISCARDING, /* answered; what still comes of the body is read, or a front end that is writing it would not see the answer */
    CONNECTION_CLOSED,
};

struct connection {
    struct subscriber subscriber;     /* the running response. Its timeout, ends_ms and of_state serve the connection while there is none */
    int fd;                           /* owned */
    uint8_t state;                    /* enum connection_state */
    bool keep;
    bool wants_write;
    bool polls_write;                 /* what the poller was told of it */
    struct worker *worker;
    struct fcgi_scanner *scanner;     /* owned; NULL while a response runs and its peer is silent */
};

/* An idle client costs this and little else (docs/decisions.md): with malloc's own 8 bytes it fills three cache lines. */
_Static_assert(sizeof(void *) != 8 || sizeof(struct connection) <= 184, "a connection has become larger");

static inline struct connection *connection_of(struct subscriber *subscriber)
{
    return (struct connection *)((char *)subscriber - offsetof(struct connection, subscriber));
}

/* Takes `descriptor` over, also when it fails. False: no memory, here or in the kernel. */
bool connection_open_take(struct worker *worker, int descriptor) __attribute__((warn_unused_result));
void connection_close(struct connection *connection);
/* No byte of a request was read, whether it is the first one or not. */
static inline bool connection_is_idle(const struct connection *connection)
{
    return connection->state == CONNECTION_IDLE;
}
/* Idle, and no byte waits to be read either. */
bool connection_is_silent(const struct connection *connection);
/* Decides a request that is whole: answers it, or makes it a subscriber. */
void connection_decide(struct connection *connection);
/* One state changes into another here and nowhere else, but where a subscriber leaves. Who is no longer OFFERED has left its offer. */
void connection_set_state(struct connection *connection, enum connection_state state);
/* What happens then depends on the state. For a connection without a response. */
void connection_set_deadline(struct connection *connection, int64_t after_ms);
/* RESPONDING: writes a whole answer, whose reference it takes over. NULL: no memory, and it is closed. */
void connection_answer_take(struct connection *connection, struct buffer *answer);
/* The same with what is wrong with its request. */
void connection_answer_problem(struct connection *connection, const struct problem *problem);

/* For struct poller. */
void connection_ready(void *item, bool readable, bool writable);

/* For struct replica_io. */
ssize_t connection_write(struct subscriber *subscriber, const struct iovec *parts, int count);
void connection_want_write(struct subscriber *subscriber, bool wanted);
void connection_left(struct subscriber *subscriber, enum leave_reason reason);
void connection_timeout(struct timeout *timeout);

#endif
