#include "health.h"

#include "fcgi.h"

#include <errno.h>
#include <fcgios.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
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

static bool ask(int fd, int timeout_ms, struct text *answer)
{
    struct timeval timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
    ssize_t got;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
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

bool health_check(const struct settings *settings, int timeout_ms, char *error, size_t size)
{
    const char *address = settings->fastcgi_listen.items[0];
    struct text answer = TEXT_EMPTY;
    char *path = strdup(address);
    int fd = path ? OS_FcgiConnect(path) : -1;
    bool healthy;

    free(path);
    if (fd < 0)
        return fail(error, size, address);
    healthy = ask(fd, timeout_ms, &answer);
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
