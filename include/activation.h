/*
 * activation: listening sockets that the process was started with, as systemd passes them (sd_listen_fds(3)): descriptors from 3 on, and in the environment
 * what they are. Whoever passed them has them still, so a connect waits in the kernel while one process goes and the next comes.
 */
#ifndef ACTIVATION_H
#define ACTIVATION_H

#include "settings.h"

enum {
    ACTIVATION_FIRST = 3, /* SD_LISTEN_FDS_START */
    ACTIVATION_MAX = 64,  /* that many gate.h knows, too */
};

/* What a socket is for: its name in LISTEN_FDNAMES. There may be several of one name. */
enum activation_name { ACTIVATION_FASTCGI, ACTIVATION_PUBLISH, ACTIVATION_CONFIRM, ACTIVATION_NAMES };

/* The variables; NULL: not there. */
struct activation_environment {
    const char *listen_pid;
    const char *listen_fds;
    const char *listen_fdnames;
};

struct activation_socket {
    enum activation_name name;
    int fd;
    char endpoint[160]; /* `ipc:///path` or `tcp://host:port` */
};

struct activation {
    struct activation_socket sockets[ACTIVATION_MAX];
    size_t count;
};

/* A place to listen at. */
struct activation_place {
    const char *name; /* as in fastcgi.listen, or in publish.listen */
    int fd;           /* of the socket that was passed in; -1: it is to be made */
};

/*
 * Finds the sockets for the process `self`, from the descriptor `first` on; none if the environment is somebody else's. They do not block from now on.
 * False: `error` says what was expected.
 */
bool activation_read(struct activation *activation, const struct activation_environment *environment, pid_t self, int first, char *error,
                     size_t size) __attribute__((warn_unused_result));
/* Whether all are where `settings` allow to listen: TCP beyond loopback has to be allowed as if it were configured. False: `error` says which is not. */
bool activation_is_allowed(const struct activation *activation, const struct settings *settings, char *error, size_t size)
    __attribute__((warn_unused_result));

/* How many places there are for `name`: sockets that were passed in take the place of all that is `configured`. `activation` may be NULL: none was. */
size_t activation_count(const struct activation *activation, enum activation_name name, const struct string_list *configured);
/* The one with this index, below activation_count. What it points to is the activation's or the list's. */
struct activation_place activation_place(const struct activation *activation, enum activation_name name, const struct string_list *configured,
                                         size_t index);

#endif
