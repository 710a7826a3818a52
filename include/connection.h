/*
 * connection: a FastCGI connection of the front end: one request at a time.
 *
 *     READING ──(request whole)──► UNDECIDED ──► RESPONDING ──(kept: FCGI_KEEP_CONN)──► READING
 *        └───────────────┬───────────────┴───────────┘
 *                        ▼
 *                     CLOSED (freed at the end of the worker's turn)
 */
#ifndef CONNECTION_H
#define CONNECTION_H

#include "subscriber.h"

#include <ev.h>
#include <sys/types.h>
#include <sys/uio.h>

struct fcgi_scanner;
struct worker;

enum connection_state { CONNECTION_READING, CONNECTION_UNDECIDED, CONNECTION_RESPONDING, CONNECTION_CLOSED };

struct connection {
    struct subscriber subscriber;     /* the running response. Its timeout serves the connection while there is none */
    ev_io watcher;
    struct worker *worker;
    struct fcgi_scanner *scanner;     /* owned; NULL while a response runs and its peer is silent */
    LIST_ENTRY(connection) all;       /* worker->connections or worker->closed */
    TAILQ_ENTRY(connection) waiting;  /* worker->idle while READING and no byte came, worker->undecided */
    uint8_t state;                    /* enum connection_state */
    bool keep;
    bool in_request;                  /* bytes of a request came: it has to be whole in time */
};

/* Takes `descriptor` over, also when it fails. False: no memory. */
bool connection_open_take(struct worker *worker, int descriptor) __attribute__((warn_unused_result));
void connection_close(struct connection *connection);
/* No byte of a request was read, whether it is the first one or not. */
static inline bool connection_is_idle(const struct connection *connection)
{
    return connection->state == CONNECTION_READING && !connection->in_request;
}
/* Idle, and no byte waits to be read either. */
bool connection_is_silent(const struct connection *connection);
/* Decides a request that is whole: answers it, or makes it a subscriber. */
void connection_decide(struct connection *connection);
/* The server stops: an idle connection is closed, unless a request is coming in. */
void connection_drain(struct connection *connection);

/* For struct replica_io. */
ssize_t connection_write(struct subscriber *subscriber, const struct iovec *parts, int count);
void connection_want_write(struct subscriber *subscriber, bool wanted);
void connection_left(struct subscriber *subscriber, enum leave_reason reason);
void connection_timeout(struct timeout *timeout);

#endif
