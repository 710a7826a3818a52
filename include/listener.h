/*
 * listener: listening sockets, FastCGI and ZeroMQ alike, made by us: libzmq's own bind takes over the path of a running hub without a word.
 */
#ifndef LISTENER_H
#define LISTENER_H

#include <stdbool.h>
#include <sys/types.h>

struct listener {
    int fd;         /* owned until listener_release; -1: none */
    char *path;     /* of a unix socket, owned; NULL: TCP */
    dev_t device;   /* of the socket file, so that we never remove somebody else's */
    ino_t inode;
    char address[128]; /* what it listens on, with the port that was chosen: `/path` or `host:port` */
    bool is_passed;    /* somebody else has the socket, too (activation.h): whoever waits to be accepted can be left to the next process */
};

struct listener_options {
    mode_t mode;       /* of a unix socket */
    const char *group; /* of a unix socket; empty: leave it */
    int backlog;
};

/*
 * Listens on `/path` or `host:port` (IPv6 in brackets). A socket file that nobody answers on is replaced, anything else at the path is left alone.
 * Non-blocking, close-on-exec. False: `error` says why.
 */
bool listener_open(struct listener *listener, const char *address, const struct listener_options *options, char *error, size_t size)
    __attribute__((warn_unused_result));

/* Takes over a socket that listens on `address` and was made by somebody else, with its file: that is never removed. */
void listener_adopt(struct listener *listener, int fd, const char *address);
/* `/path` or `host:port` of a socket. False: it is at neither. */
bool listener_name(int fd, char *address, size_t size);

/* Removes the socket file, if it is still ours. No new connection finds it then. */
void listener_unlink(struct listener *listener);
/* Gives the descriptor away; the file stays the listener's. */
int listener_release(struct listener *listener);
/* listener_unlink, and closes what is still owned. */
void listener_close(struct listener *listener);

#endif
