/*
 * The floor for any FastCGI server: takes messages in by ZeroMQ (two frames: channel, data) and writes each to every client of
 * its channel, one `write` each, with the bytes that sidecast would write. No history, no cursors, no timeouts, no checks.
 *
 *     responder LISTEN ENDPOINT [--pace MS]
 *
 * With --pace what comes within MS milliseconds goes out together, one `write` per client. Polls (Accept: application/json) are
 * served for as long as no message comes between two of them.
 */
#include "audience.h"
#include "listener.h"
#include "record.h"

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <zmq.h>

enum { LIMIT_SECONDS = 600, EVENTS = 256 };

static void add_client(int epoll, int listener)
{
    int fd = listener_accept(listener);
    struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = audience_add(fd)};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &wanted) < 0)
        err(1, "epoll_ctl");
}

static void take_messages(void *pull)
{
    static char data[RECORD_DATA_MAX];
    char name[256];
    int size;

    while ((size = zmq_recv(pull, name, sizeof name - 1, ZMQ_DONTWAIT)) >= 0) {
        name[size < (int)sizeof name ? size : 0] = 0;
        size = zmq_recv(pull, data, sizeof data, 0);
        if (size < 0 || size > (int)sizeof data)
            errx(1, "a message has no data, or too much");
        audience_tell(name, data, (size_t)size);
        audience_write_due();
    }
    if (errno != EAGAIN)
        errx(1, "zmq_recv: %s", zmq_strerror(errno));
}

static void *open_pull(const char *endpoint)
{
    void *context = zmq_ctx_new(), *pull = zmq_socket(context, ZMQ_PULL);

    if (!pull || zmq_bind(pull, endpoint) < 0)
        errx(1, "%s: %s", endpoint, zmq_strerror(errno));
    return pull;
}

/* The two that are no clients are told apart by the address of their own descriptor. */
static void watch(int epoll, int *fd)
{
    struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = fd};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, *fd, &wanted) < 0)
        err(1, "epoll_ctl");
}

static int wait_for(int epoll, struct epoll_event *events)
{
    struct timespec wait;
    int count = epoll_pwait2(epoll, events, EVENTS, audience_wait(&wait) ? &wait : NULL, NULL);

    if (count < 0 && errno != EINTR)
        err(1, "epoll_wait");
    return count;
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    size_t fd_size = sizeof(int);
    int epoll = epoll_create1(EPOLL_CLOEXEC), listener, messages;
    void *pull;

    if (argc != 3 && !(argc == 5 && strcmp(argv[3], "--pace") == 0))
        errx(2, "usage: responder LISTEN ENDPOINT [--pace MS]");
    audience_pace(argc == 5 ? (unsigned)atoi(argv[4]) : 0);
    alarm(LIMIT_SECONDS);
    signal(SIGPIPE, SIG_IGN);
    pull = open_pull(argv[2]);
    if (zmq_getsockopt(pull, ZMQ_FD, &messages, &fd_size) < 0)
        errx(1, "ZMQ_FD: %s", zmq_strerror(errno));
    listener = listener_open(argv[1]);
    watch(epoll, &listener);
    watch(epoll, &messages);
    for (;;) {
        int count = wait_for(epoll, events);

        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == &listener)
                add_client(epoll, listener);
            else if (events[i].data.ptr != &messages)
                audience_read(events[i].data.ptr);
        }
        /* Its descriptor tells only of what is new since the last look: so a look at every turn. */
        take_messages(pull);
        audience_write_due();
    }
}
