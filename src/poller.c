/*
 * The epoll set. How many events one turn takes is bounded; what the kernel told it puts last, so that everybody has a turn.
 */
#include "poller.h"

#include <assert.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Few: requests that came in one turn are decided at its end, and until then each holds a scanner and its records. */
enum { BATCH_EVENTS = 64 };

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct poller *poller = watcher->data;
    struct epoll_event batch[BATCH_EVENTS];
    int count = epoll_wait(watcher->fd, batch, BATCH_EVENTS, 0);

    (void)loop;
    (void)events;
    for (int i = 0; i < count; i++)
        poller->ready(batch[i].data.ptr, (batch[i].events & ~(uint32_t)EPOLLOUT) != 0, (batch[i].events & EPOLLOUT) != 0);
}

bool poller_init(struct poller *poller, struct ev_loop *loop, void (*ready)(void *item, bool readable, bool writable))
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    if (epoll < 0)
        return false;
    *poller = (struct poller){.loop = loop, .ready = ready};
    ev_io_init(&poller->watcher, on_readable, epoll, EV_READ);
    poller->watcher.data = poller;
    ev_io_start(loop, &poller->watcher);
    return true;
}

void poller_finish(struct poller *poller)
{
    if (!poller->loop)
        return;
    ev_io_stop(poller->loop, &poller->watcher);
    close(poller->watcher.fd);
    *poller = (struct poller){0};
}

static int control(struct poller *poller, int operation, int fd, void *item, bool writable)
{
    struct epoll_event event = {.events = writable ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = item};

    return epoll_ctl(poller->watcher.fd, operation, fd, &event);
}

bool poller_add(struct poller *poller, int fd, void *item)
{
    return control(poller, EPOLL_CTL_ADD, fd, item, false) == 0;
}

void poller_want_write(struct poller *poller, int fd, void *item, bool wanted)
{
    int result = control(poller, EPOLL_CTL_MOD, fd, item, wanted);

    /* A change needs no memory: it fails for a descriptor that is not in the set. */
    assert(result == 0);
}
