/*
 * zap: says who may come with CURVE, when libzmq asks (ZAP, RFC 27): those whose public key is in a list, or, without one, all who know the server's
 * key. It is asked once a handshake. Hub thread only; never waits.
 */
#ifndef ZAP_H
#define ZAP_H

#include "curve.h"
#include "log.h"

#include <ev.h>

struct zap {
    struct ev_loop *loop;      /* borrowed */
    void *socket;              /* REP; NULL: nothing is asked */
    bool is_open_to_all;
    struct curve_list clients; /* owned */
    struct log_limit refused;
    bool has_more;             /* not read empty since its descriptor told of something (intake.c) */
    ev_io readable;
};

/*
 * Before the sockets that will ask, in their context. `path`: of the list; empty: none. False: `error` says why; zap_close is to be called all the same.
 */
bool zap_open(struct zap *zap, struct ev_loop *loop, void *zmq, const char *path, char *error, size_t size) __attribute__((warn_unused_result));
/* Reads the list anew. False: `error` says why, and the old one holds. Fine for one that is not open. */
bool zap_reload(struct zap *zap, const char *path, char *error, size_t size) __attribute__((warn_unused_result));
/* Answers all that is asked; to be called before every sleep. Fine for one that is not open. */
void zap_take(struct zap *zap);
/* After the sockets that ask. Fine for one that is not open. */
void zap_close(struct zap *zap);

#endif
