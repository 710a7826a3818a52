#include "listener.h"

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { BACKLOG = 4096 };

static int bound(int family, int type, const void *address, socklen_t size, const char *where)
{
    static const int yes = 1;
    int fd = socket(family, type | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 || bind(fd, address, size) < 0)
        err(1, "%s", where);
    return fd;
}

static int open_unix(const char *path, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof address.sun_path)
        errx(1, "%s: too long for a socket", path);
    strcpy(address.sun_path, path);
    return bound(AF_UNIX, type, &address, sizeof address, path);
}

static int open_tcp(const char *where)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    const char *colon = strchr(where, ':');
    char *host = colon ? strndup(where, (size_t)(colon - where)) : NULL;

    if (!host || inet_pton(AF_INET, host, &address.sin_addr) != 1)
        errx(1, "%s: neither a path nor ADDRESS:PORT", where);
    free(host);
    address.sin_port = htons((uint16_t)atoi(colon + 1));
    return bound(AF_INET, SOCK_STREAM, &address, sizeof address, where);
}

int listener_open(const char *where)
{
    int fd = *where == '/' ? open_unix(where, SOCK_STREAM) : open_tcp(where);

    if (listen(fd, BACKLOG) < 0)
        err(1, "%s", where);
    return fd;
}

int listener_accept(int listener)
{
    static const int yes = 1;
    int fd = accept(listener, NULL, NULL);

    if (fd < 0)
        err(1, "accept");
    /* Refused by a unix socket, which has no such delay. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
}

int listener_open_datagrams(const char *path)
{
    return open_unix(path, SOCK_DGRAM);
}

int listener_open_packets(const char *path)
{
    int fd = open_unix(path, SOCK_SEQPACKET);

    if (listen(fd, BACKLOG) < 0)
        err(1, "%s", path);
    return fd;
}
