/*
 * Accepting in batches, and never spinning: at the limit, or when descriptors lack, the watchers rest until a connection is closed (or, as somebody
 * else may have taken the descriptors, until a second is over).
 */
#include "acceptor.h"

#include "activation.h"
#include "clock.h"
#include "settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPT_BATCH = 256 };

static int open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void await_place(struct acceptor *acceptor)
{
    if (acceptor->owner.await_place)
        acceptor->owner.await_place(acceptor->owner.context);
}

static size_t open_count(const struct acceptor *acceptor)
{
    size_t count = 0;

    for (size_t i = 0; i < acceptor->inbox_count; i++)
        count += atomic_load(&acceptor->inboxes[i]->open);
    return count;
}

static void pause_accepting(struct acceptor *acceptor)
{
    if (acceptor->is_paused)
        return;
    acceptor->is_paused = true;
    await_place(acceptor);
    for (size_t i = 0; i < acceptor->socket_count; i++)
        ev_io_stop(acceptor->loop, &acceptor->sockets[i].watcher);
}

static void watch_all(struct acceptor *acceptor)
{
    for (size_t i = 0; i < acceptor->socket_count; i++)
        if (!acceptor->leaves_passed || !acceptor->sockets[i].listener.is_passed)
            ev_io_start(acceptor->loop, &acceptor->sockets[i].watcher);
}

void acceptor_go_on(struct acceptor *acceptor)
{
    if (!acceptor->sockets || acceptor->is_stopped)
        return;
    if (acceptor->reserve < 0)
        acceptor->reserve = open_reserve();
    if (!acceptor->is_paused)
        return;
    if (acceptor->reserve < 0) {
        await_place(acceptor); /* or until a second is over, since somebody else may have given up a descriptor before */
        return;
    }
    acceptor->is_paused = false;
    ev_timer_stop(acceptor->loop, &acceptor->retry);
    watch_all(acceptor);
}

/* That of the worker with the fewest connections. Equals take turns. */
static struct inbox *choose_inbox(struct acceptor *acceptor)
{
    struct inbox *chosen = NULL;
    size_t fewest = SIZE_MAX;

    for (size_t i = 0; i < acceptor->inbox_count; i++) {
        struct inbox *inbox = acceptor->inboxes[(acceptor->next + i) % acceptor->inbox_count];
        size_t open = atomic_load(&inbox->open);

        if (open < fewest) {
            fewest = open;
            chosen = inbox;
        }
    }
    acceptor->next = (acceptor->next + 1) % acceptor->inbox_count;
    return chosen;
}

static void deal(struct acceptor *acceptor, int descriptor)
{
    struct inbox *inbox = choose_inbox(acceptor);

    if (!inbox_reserve(inbox, 1)) {
        log_limited(&acceptor->log_limit, clock_monotonic_ms(), LOG_ERROR, "no memory for a connection: it is closed");
        acceptor->refused++;
        close(descriptor);
        return;
    }
    atomic_fetch_add(&inbox->open, 1);
    inbox_put_take(inbox, &(struct inbox_item){.descriptor = descriptor}, 1);
}

/* The reserve lets one more client in, who is served like any other; then accepting rests. */
static void use_reserve(struct acceptor *acceptor, int listening_fd)
{
    int descriptor;

    log_limited(&acceptor->log_limit, clock_monotonic_ms(), LOG_ERROR, "cannot accept: %s; raise the descriptor limit", strerror(errno));
    if (acceptor->reserve >= 0) {
        close(acceptor->reserve);
        acceptor->reserve = -1;
        descriptor = accept4(listening_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (descriptor >= 0)
            deal(acceptor, descriptor);
    }
    pause_accepting(acceptor);
    ev_timer_again(acceptor->loop, &acceptor->retry);
}

static bool accept_one(struct acceptor *acceptor, int listening_fd)
{
    int descriptor = accept4(listening_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (descriptor >= 0) {
        deal(acceptor, descriptor);
        return true;
    }
    if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO)
        return true;
    if (errno != EAGAIN && errno != EWOULDBLOCK)
        use_reserve(acceptor, listening_fd);
    return false;
}

static bool is_full(const struct acceptor *acceptor)
{
    return open_count(acceptor) >= acceptor->limit;
}

/* Somebody waits, and every place is taken. Whether there is one now; else one that becomes free from now on is told. */
static bool make_place(struct acceptor *acceptor)
{
    await_place(acceptor);
    if (acceptor->owner.make_place)
        acceptor->owner.make_place(acceptor->owner.context);
    return !is_full(acceptor);
}

static void on_connect(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct acceptor *acceptor = watcher->data;

    (void)loop;
    (void)events;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        if (is_full(acceptor) && i > 0)
            return; /* whether somebody else waits is told by the next event */
        if (is_full(acceptor) && !make_place(acceptor)) {
            pause_accepting(acceptor);
            return;
        }
        if (!accept_one(acceptor, watcher->fd))
            return;
    }
}

void acceptor_leave_passed(struct acceptor *acceptor)
{
    acceptor->leaves_passed = true;
    for (size_t i = 0; i < acceptor->socket_count; i++)
        if (acceptor->sockets[i].listener.is_passed)
            ev_io_stop(acceptor->loop, &acceptor->sockets[i].watcher);
}

void acceptor_stop(struct acceptor *acceptor)
{
    acceptor_leave_passed(acceptor);
    for (size_t i = 0; i < acceptor->socket_count; i++) {
        struct acceptor_socket *socket = &acceptor->sockets[i];

        if (socket->listener.is_passed)
            continue;
        while (!is_full(acceptor) && accept_one(acceptor, socket->listener.fd))
            ;
        ev_io_stop(acceptor->loop, &socket->watcher);
        listener_close(&socket->listener);
    }
    ev_timer_stop(acceptor->loop, &acceptor->retry);
    acceptor->is_stopped = true;
}

static void on_retry(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    acceptor_go_on(watcher->data);
}

static bool open_socket(struct acceptor_socket *socket, const struct settings *settings, const struct activation_place *place, char *error,
                        size_t size)
{
    struct listener_options options = {settings->fastcgi_mode, settings->fastcgi_group, (int)settings->fastcgi_backlog};

    if (place->fd < 0)
        return listener_open(&socket->listener, place->name, &options, error, size);
    listener_adopt(&socket->listener, place->fd, place->name);
    return true;
}

bool acceptor_init(struct acceptor *acceptor, struct ev_loop *loop, const struct settings *settings, const struct activation *passed,
                   struct inbox **inboxes, size_t inbox_count, size_t limit, char *error, size_t size)
{
    size_t count = activation_count(passed, ACTIVATION_FASTCGI, &settings->fastcgi_listen);

    *acceptor = (struct acceptor){.loop = loop, .inboxes = inboxes, .inbox_count = inbox_count, .limit = limit};
    acceptor->reserve = open_reserve();
    ev_timer_init(&acceptor->retry, on_retry, 0., 1.);
    acceptor->retry.data = acceptor;
    acceptor->sockets = calloc(count, sizeof *acceptor->sockets);
    if (!acceptor->sockets || acceptor->reserve < 0) {
        snprintf(error, size, "%s", strerror(errno));
        acceptor_finish(acceptor);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct acceptor_socket *socket = &acceptor->sockets[i];
        struct activation_place place = activation_place(passed, ACTIVATION_FASTCGI, &settings->fastcgi_listen, i);

        if (!open_socket(socket, settings, &place, error, size)) {
            acceptor_finish(acceptor);
            return false;
        }
        acceptor->socket_count++;
        ev_io_init(&socket->watcher, on_connect, socket->listener.fd, EV_READ);
        socket->watcher.data = acceptor;
        ev_io_start(loop, &socket->watcher);
        log_write(LOG_NOTICE, "fastcgi listens on %s%s", socket->listener.address, socket->listener.is_passed ? ", which was passed in" : "");
    }
    return true;
}

void acceptor_finish(struct acceptor *acceptor)
{
    ev_timer_stop(acceptor->loop, &acceptor->retry);
    for (size_t i = 0; i < acceptor->socket_count; i++) {
        ev_io_stop(acceptor->loop, &acceptor->sockets[i].watcher);
        listener_close(&acceptor->sockets[i].listener);
    }
    acceptor->socket_count = 0;
    free(acceptor->sockets);
    acceptor->sockets = NULL;
    if (acceptor->reserve >= 0)
        close(acceptor->reserve);
    acceptor->reserve = -1;
}
