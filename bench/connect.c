#include "connect.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_SECONDS = 10 };

union address {
    struct sockaddr any;
    struct sockaddr_un local;
    struct sockaddr_in inet;
};

uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

static socklen_t parse(union address *address, const char *text)
{
    const char *colon = strrchr(text, ':');
    char host[64] = "";

    memset(address, 0, sizeof *address);
    if (text[0] == '/' || !colon) {
        address->local.sun_family = AF_UNIX;
        if (strlen(text) >= sizeof address->local.sun_path)
            errx(1, "%s: too long for a socket", text);
        strcpy(address->local.sun_path, text);
        return sizeof address->local;
    }
    address->inet.sin_family = AF_INET;
    address->inet.sin_port = htons((uint16_t)atoi(colon + 1));
    if ((size_t)(colon - text) < sizeof host)
        memcpy(host, text, (size_t)(colon - text));
    if (inet_pton(AF_INET, host, &address->inet.sin_addr) != 1)
        errx(1, "%s: not an address", text);
    return sizeof address->inet;
}

int connect_to(const char *text, int type)
{
    uint64_t end_ns = now_ns() + PATIENCE_SECONDS * SECOND_NS;
    union address address;
    socklen_t size = parse(&address, text);
    int on = 1;

    for (;;) {
        int fd = socket(address.any.sa_family, type | SOCK_CLOEXEC, 0);

        if (fd < 0)
            err(1, "socket");
        if (connect(fd, &address.any, size) == 0) {
            if (address.any.sa_family == AF_INET)
                (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            return fd;
        }
        /* The server is starting. */
        if ((errno != ENOENT && errno != ECONNREFUSED) || now_ns() > end_ns)
            err(1, "%s", text);
        close(fd);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}
