/*
 * intake: one ZeroMQ socket that publishers connect to, with its listening sockets and what it tells of publishers that come and go: PULL, or ROUTER
 * for those who want an answer. Listening sockets are made by listener.h and bounded by gate.h; libzmq gets their descriptors. Hub thread only.
 */
#ifndef INTAKE_H
#define INTAKE_H

#include "activation.h"
#include "listener.h"
#include "metrics.h"
#include "settings.h"
#include "span.h"

#include <ev.h>
#include <zmq.h>

struct intake_endpoint {
    struct listener listener;
    int guarded_fd;     /* libzmq's */
    char endpoint[160]; /* as libzmq knows it */
};

struct intake_kind {
    bool answers;             /* ROUTER; false: PULL */
    const char *curve_secret; /* Z85; NULL: without CURVE */
};

struct intake {
    struct ev_loop *loop;              /* borrowed */
    void *socket;
    void *monitor;                     /* PAIR that tells of publishers */
    struct intake_endpoint *endpoints; /* owned */
    size_t endpoint_count;
    bool answers;
    bool has_more;                     /* not read empty since its descriptor told of something; the owner clears it when it is */
    bool has_events;                   /* the same of the monitor */
    ev_io readable;                    /* ZMQ_FD: edge-triggered */
    ev_io monitored;
};

/* What a routing id, a delimiter and a publication have. */
enum { INTAKE_FRAMES = 5 };

/* For one message after the other: libzmq lets go of a frame when the next is received into its place. The last place is for surplus ones. */
struct intake_message {
    zmq_msg_t frames[INTAKE_FRAMES + 1];
    struct span spans[INTAKE_FRAMES]; /* the same */
    size_t count; /* with surplus frames, of which only the number is kept */
    size_t bytes; /* of those that are kept, and one for the message: never 0 */
};

/* Without endpoints; wakes the loop from now on. False: errno says why; intake_close is to be called all the same. */
bool intake_open(struct intake *intake, struct ev_loop *loop, void *zmq, const struct settings *settings, const struct intake_kind *kind)
    __attribute__((warn_unused_result));
/* Listens on `place`, `ipc://…` or `tcp://…`, too. False: `error` says why. */
bool intake_listen(struct intake *intake, const struct settings *settings, const struct activation_place *place, char *error, size_t size)
    __attribute__((warn_unused_result));

void intake_message_init(struct intake_message *message);
void intake_message_finish(struct intake_message *message);

/* False: there is none, and the descriptor will tell of the next. */
bool intake_receive(struct intake *intake, struct intake_message *message) __attribute__((warn_unused_result));

/* Counts publishers that left or failed since; whether there were any events. To be called before every sleep. */
bool intake_take_events(struct intake *intake, struct metrics *metrics);

/* The socket files go: no new connection finds them. Those of sockets that were passed in stay. */
void intake_unlink(struct intake *intake);
/* Ends all connections. What was received can still be read, what was not yet sent is lost. */
void intake_unbind(struct intake *intake);
/* Ends all of it; what is to be sent is sent within the linger time, for which the end of the context waits. Fine for one that is closed, or zeroed. */
void intake_close(struct intake *intake);

#endif
