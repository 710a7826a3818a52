#include "listener.h"

#include "log.h"

#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static bool fail(struct listener *listener, char *error, size_t size, const char *what, const char *address)
{
    snprintf(error, size, "%s %s: %s", what, address, strerror(errno));
    if (listener->fd >= 0)
        close(listener->fd);
    free(listener->path);
    listener->fd = -1;
    listener->path = NULL;
    return false;
}

static int open_socket(int family)
{
    return socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

enum probe { PROBE_FREE, PROBE_TAKEN, PROBE_ERROR };

/* Whether somebody answers at the path; a socket file that a dead process left is removed. */
static enum probe probe(const struct sockaddr_un *name)
{
    struct stat status;
    int fd, result, reason;

    if (lstat(name->sun_path, &status) < 0)
        return errno == ENOENT ? PROBE_FREE : PROBE_ERROR;
    if (!S_ISSOCK(status.st_mode)) {
        errno = ENOTSOCK;
        return PROBE_ERROR;
    }
    fd = open_socket(AF_UNIX);
    if (fd < 0)
        return PROBE_ERROR;
    result = connect(fd, (const struct sockaddr *)name, sizeof *name);
    reason = errno;
    close(fd);
    if (result == 0 || reason == EAGAIN)
        return PROBE_TAKEN;
    errno = reason;
    if (reason != ECONNREFUSED)
        return PROBE_ERROR;
    return unlink(name->sun_path) == 0 ? PROBE_FREE : PROBE_ERROR;
}

static bool set_group(const char *path, const char *name)
{
    struct group *group;

    if (name[0] == '\0')
        return true;
    errno = 0;
    group = getgrnam(name);
    if (!group) {
        if (errno != EMFILE && errno != ENFILE && errno != ENOMEM)
            errno = EINVAL; /* there is none: the system's own words for it differ */
        return false;
    }
    return chown(path, (uid_t)-1, group->gr_gid) == 0;
}

/* The file is there for nobody before it has its mode and group, and nobody is answered before that. */
static bool bind_unix(struct listener *listener, const struct sockaddr_un *name, const struct listener_options *options)
{
    struct stat status;
    mode_t before = umask(0777);
    int result = bind(listener->fd, (const struct sockaddr *)name, sizeof *name);

    umask(before);
    if (result < 0)
        return false;
    listener->path = strdup(name->sun_path);
    if (!listener->path || !set_group(name->sun_path, options->group) || chmod(name->sun_path, options->mode) < 0 ||
        lstat(name->sun_path, &status) < 0 || listen(listener->fd, options->backlog) < 0) {
        int reason = errno;

        unlink(name->sun_path);
        errno = reason;
        return false;
    }
    listener->device = status.st_dev;
    listener->inode = status.st_ino;
    return true;
}

static bool open_unix(struct listener *listener, const char *path, const struct listener_options *options, char *error, size_t size)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof name.sun_path) {
        errno = ENAMETOOLONG;
        return fail(listener, error, size, "cannot listen on", path);
    }
    strcpy(name.sun_path, path);
    switch (probe(&name)) {
    case PROBE_FREE:
        break;
    case PROBE_TAKEN:
        snprintf(error, size, "another sidecast is running: somebody answers on %s", path);
        return false;
    case PROBE_ERROR:
        return fail(listener, error, size, "cannot take over", path);
    }
    listener->fd = open_socket(AF_UNIX);
    if (listener->fd < 0 || !bind_unix(listener, &name, options))
        return fail(listener, error, size, "cannot listen on", path);
    snprintf(listener->address, sizeof listener->address, "%s", path);
    return true;
}

/* `host:port`, the host without the brackets of IPv6; `*` is every address. */
static bool split(const char *address, char host[64], const char **port)
{
    const char *colon = strrchr(address, ':');
    size_t length = colon ? (size_t)(colon - address) : 0;

    if (!colon)
        return false;
    *port = colon + 1;
    if (length >= 2 && address[0] == '[' && address[length - 1] == ']') {
        address++;
        length -= 2;
    }
    if (length >= 64)
        return false;
    memcpy(host, address, length);
    host[length] = '\0';
    return true;
}

bool listener_name(int fd, char *address, size_t size)
{
    union {
        struct sockaddr any;
        struct sockaddr_un local;
        struct sockaddr_storage largest;
    } name = {0};
    socklen_t length = sizeof name.largest;
    char host[64], port[16];

    if (getsockname(fd, &name.any, &length) < 0)
        return false;
    if (name.any.sa_family == AF_UNIX) {
        snprintf(address, size, "%.*s", (int)sizeof name.local.sun_path, name.local.sun_path);
        return name.local.sun_path[0] == '/';
    }
    errno = ENOMEM; /* what else can keep a number from being written out */
    if ((name.any.sa_family != AF_INET && name.any.sa_family != AF_INET6) ||
        getnameinfo(&name.any, length, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return false;
    snprintf(address, size, name.any.sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    return true;
}

static bool open_tcp(struct listener *listener, const char *address, const struct listener_options *options, char *error, size_t size)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char host[64];
    const char *port;
    int on = 1, result;

    if (!split(address, host, &port)) {
        snprintf(error, size, "cannot listen on %s: expected host:port", address);
        return false;
    }
    result = getaddrinfo(host[0] == '\0' || strcmp(host, "*") == 0 ? NULL : host, port, &hints, &found);
    if (result != 0) {
        snprintf(error, size, "cannot listen on %s: %s", address, result == EAI_SYSTEM ? strerror(errno) : gai_strerror(result));
        return false;
    }
    listener->fd = open_socket(found->ai_family);
    if (listener->fd >= 0)
        setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    result = listener->fd < 0 ? -1 : bind(listener->fd, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    if (result < 0 || listen(listener->fd, options->backlog) < 0 || !listener_name(listener->fd, listener->address, sizeof listener->address))
        return fail(listener, error, size, errno == EADDRINUSE ? "another sidecast is running, or another server listens on" : "cannot listen on",
                    address);
    return true;
}

bool listener_open(struct listener *listener, const char *address, const struct listener_options *options, char *error, size_t size)
{
    *listener = (struct listener){.fd = -1};
    if (address[0] == '/')
        return open_unix(listener, address, options, error, size);
    return open_tcp(listener, address, options, error, size);
}

void listener_adopt(struct listener *listener, int fd, const char *address)
{
    *listener = (struct listener){.fd = fd, .is_passed = true};
    snprintf(listener->address, sizeof listener->address, "%s", address);
}

void listener_unlink(struct listener *listener)
{
    struct stat status;

    if (!listener->path)
        return;
    if (lstat(listener->path, &status) < 0) {
        if (errno != ENOENT)
            log_write(LOG_WARNING, "cannot look at %s: %s; the file stays", listener->path, strerror(errno));
    } else if (status.st_dev == listener->device && status.st_ino == listener->inode) {
        unlink(listener->path);
    }
    free(listener->path);
    listener->path = NULL;
}

int listener_release(struct listener *listener)
{
    int fd = listener->fd;

    listener->fd = -1;
    return fd;
}

void listener_close(struct listener *listener)
{
    listener_unlink(listener);
    if (listener->fd >= 0)
        close(listener->fd);
    listener->fd = -1;
}
