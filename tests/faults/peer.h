/* peer: the other side, as nginx and publishers are it: FastCGI requests, and ZeroMQ's wire protocol (ZMTP 3.0) by hand, since a process with libzmq's threads cannot be forked. */
#ifndef PEER_H
#define PEER_H

#include "text.h"

enum { PEER_WAIT_MS = 8000 }; /* how long what has to come is waited for: only a fault makes anybody wait */

enum heard { HEARD, HEARD_END /* the connection, or the response, is over without it */, HEARD_LATE };

struct peer {
    int fd;          /* -1: not connected */
    struct text raw; /* what came and is not decoded */
    struct text out; /* FastCGI: the response so far; ZeroMQ: the frames, a newline behind each */
    bool is_zmq;
    bool is_over;    /* the response is whole */
    bool is_closed;
};

#define PEER_NONE ((struct peer){.fd = -1})

/* A FastCGI request on a connection of its own. `params`: name, value, …, NULL; `body` may be NULL. False: nobody listens. */
bool peer_request(struct peer *peer, const char *path, const char *const *params, const char *body, int receive_bytes);
/* A publisher with its handshake done; `type`: PUSH or DEALER. False: it was not let in. */
bool peer_publisher(struct peer *peer, const char *path, const char *type);
/* `frames`: strings, NULL at the end. */
bool peer_send(struct peer *peer, const char *const *frames);
/* Until `text` is in `out`, from byte `from` on. */
enum heard peer_await(struct peer *peer, const char *text, size_t from);
/* Until the response or the connection is over. False: late. */
bool peer_await_end(struct peer *peer);
/* What is there already is read. */
void peer_look(struct peer *peer);
bool peer_has(const struct peer *peer, const char *text);
/* `out` stays, until peer_finish. */
void peer_close(struct peer *peer);
void peer_finish(struct peer *peer);

#endif
