#include "health.h"

#include "text.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* BEGIN_REQUEST (responder, not kept), PARAMS, their end, the end of STDIN: FastCGI 1.0, sections 3.3 to 5. */
static const char REQUEST[] = "\1\1\0\1\0\10\0\0" "\0\1\0\0\0\0\0\0"
                              "\1\4\0\1\0\54\0\0" "\21\6SIDECAST_ENDPOINThealth" "\16\3REQUEST_METHODGET"
                              "\1\4\0\1\0\0\0\0"
                              "\1\5\0\1\0\0\0\0";

static bool fail(char *error, size_t size, const char *address)
{
    snprintf(error, size, "%s: %s", address, strerror(errno));
    return false;
}

/* Connecting waits as long as sending. */
static int open_socket(int family, int timeout_ms)
{
    struct timeval timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    return fd;
}

static bool ask(int fd, struct text *answer)
{
    ssize_t got;

    if (send(fd, REQUEST, sizeof REQUEST - 1, MSG_NOSIGNAL) != sizeof REQUEST - 1)
        return false;
    for (;;) {
        char *end = text_reserve(answer, 4096);

        got = end ? recv(fd, end, 4096, 0) : -1;
        if (got <= 0)
            return got == 0;
        answer->size += (size_t)got;
    }
}

static int connect_unix(const char *path, int timeout_ms)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = open_socket(AF_UNIX, timeout_ms);

    snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&name, sizeof name) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* `host:port`; every address (`*`, 0.0.0.0, [::]) is asked on loopback. */
static int connect_tcp(const char *address, int timeout_ms)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found = NULL;
    const char *colon = strrchr(address, ':');
    char host[128];
    int fd = -1;

    snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    if (host[0] == '[') {
        host[strlen(host) - 1] = '\0';
        memmove(host, host + 1, strlen(host));
    }
    if (strcmp(host, "*") == 0 || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0)
        strcpy(host, host[0] == ':' ? "::1" : "localhost");
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    for (struct addrinfo *at = found; at && fd < 0; at = at->ai_next) {
        fd = open_socket(at->ai_family, timeout_ms);
        if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) < 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    return fd;
}

static void give_up(int signal_number)
{
    (void)signal_number;
    _exit(1);
}

bool health_check(const struct settings *settings, int timeout_ms, char *error, size_t size)
{
    const char *address = settings->fastcgi_listen.items[0];
    struct text answer = TEXT_EMPTY;
    int fd;
    bool healthy;

    signal(SIGALRM, give_up);
    alarm((unsigned)(timeout_ms + 999) / 1000 + 1); /* resolving a name has no timeout of its own */
    fd = address[0] == '/' ? connect_unix(address, timeout_ms) : connect_tcp(address, timeout_ms);
    if (fd < 0)
        return fail(error, size, address);
    healthy = ask(fd, &answer);
    close(fd);
    if (!healthy)
        (void)fail(error, size, address);
    else if (!memmem(answer.bytes, answer.size, "\r\n\r\nok\n", 7)) {
        snprintf(error, size, "%s: the answer is not that of a healthy sidecast", address);
        healthy = false;
    }
    text_finish(&answer);
    return healthy;
}
