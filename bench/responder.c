/*
 * The floor for any FastCGI server: takes messages in by ZeroMQ (two frames: channel, data) and writes each to every client of
 * its channel, one `write` each, with the bytes that sidecast would write. No history, no cursors, no timeouts, no checks.
 *
 *     responder LISTEN ENDPOINT [--pace MS]
 *
 * With --pace what comes within MS milliseconds goes out together, one `write` per client. A poll (Accept: application/json) is
 * answered by the next message, whatever its cursor. Writes block; requests are taken for whole, as nginx sends them.
 */
#include "fcgi_request.h"
#include "listener.h"
#include "record.h"

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>
#include <zmq.h>

enum { LIMIT_SECONDS = 600, EVENTS = 256 };

struct client {
    int fd;
    bool is_poll, is_kept;
    struct channel *channel; /* NULL: no request */
    LIST_ENTRY(client) others;
};

LIST_HEAD(client_list, client);

struct channel {
    char *name;
    struct client_list streams, polls;
    char *gathered; /* records to be written */
    size_t size, capacity;
    SLIST_ENTRY(channel) waiting; /* while something is gathered */
    UT_hash_handle hh;
};

static struct channel *channels;
static SLIST_HEAD(, channel) waiting = SLIST_HEAD_INITIALIZER(waiting);
static struct record start, event;
static int pace_ms;
static uint64_t due_ns; /* 0: nothing is gathered */

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* --- clients --- */

static struct channel *channel_of(const char *name)
{
    struct channel *channel;

    HASH_FIND_STR(channels, name, channel);
    if (channel)
        return channel;
    channel = calloc(1, sizeof *channel);
    if (!channel || !(channel->name = strdup(name)))
        err(1, "a channel");
    HASH_ADD_KEYPTR(hh, channels, channel->name, strlen(channel->name), channel);
    return channel;
}

static void leave(struct client *client)
{
    if (client->channel)
        LIST_REMOVE(client, others);
    client->channel = NULL;
}

static void drop(struct client *client)
{
    leave(client);
    close(client->fd);
    free(client);
}

static bool write_whole(const struct client *client, const char *bytes, size_t size)
{
    return write(client->fd, bytes, size) == (ssize_t)size;
}

static void join(struct client *client, const struct fcgi_request *request)
{
    client->is_poll = request->is_poll;
    client->is_kept = request->is_kept;
    client->channel = channel_of(request->channel);
    LIST_INSERT_HEAD(client->is_poll ? &client->channel->polls : &client->channel->streams, client, others);
    if (!client->is_poll && !write_whole(client, start.bytes, start.size))
        drop(client);
}

static void read_client(struct client *client)
{
    static unsigned char bytes[FCGI_REQUEST_MAX];
    struct fcgi_request request = {0};
    ssize_t size = recv(client->fd, bytes, sizeof bytes, 0);

    if (size <= 0 || client->channel) {
        drop(client);
        return;
    }
    fcgi_request_take(&request, bytes, (size_t)size);
    join(client, &request);
}

static void add_client(int epoll, int listener)
{
    struct client *client = calloc(1, sizeof *client);
    struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = client};

    if (!client)
        err(1, "a client");
    client->fd = listener_accept(listener);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, client->fd, &wanted) < 0)
        err(1, "epoll_ctl");
}

/* --- messages --- */

static void write_streams(struct channel *channel)
{
    struct client *next;

    for (struct client *client = LIST_FIRST(&channel->streams); client; client = next) {
        next = LIST_NEXT(client, others);
        if (!write_whole(client, channel->gathered, channel->size))
            drop(client);
    }
    channel->size = 0;
}

static void answer_polls(struct channel *channel, const char *id, const char *data, size_t size)
{
    static struct record answer;
    struct client *client;

    if (LIST_EMPTY(&channel->polls))
        return;
    record_make_poll_answer(&answer, id, channel->name, data, size);
    while ((client = LIST_FIRST(&channel->polls)) != NULL) {
        leave(client);
        if (!write_whole(client, answer.bytes, answer.size) || !client->is_kept)
            drop(client);
    }
}

static void gather(struct channel *channel)
{
    if (channel->size == 0 && pace_ms > 0)
        SLIST_INSERT_HEAD(&waiting, channel, waiting);
    if (channel->size + event.size > channel->capacity) {
        channel->capacity = 2 * (channel->size + event.size);
        channel->gathered = realloc(channel->gathered, channel->capacity);
        if (!channel->gathered)
            err(1, "records");
    }
    memcpy(channel->gathered + channel->size, event.bytes, event.size);
    channel->size += event.size;
    if (due_ns == 0 && pace_ms > 0)
        due_ns = now_ns() + (uint64_t)pace_ms * 1000000;
}

static void take_message(const char *name, const char *data, size_t size)
{
    struct channel *channel;
    char id[RECORD_ID_TEXT];

    HASH_FIND_STR(channels, name, channel);
    if (!channel)
        return;
    record_next_id(id);
    record_make_event(&event, id, data, size);
    gather(channel);
    if (pace_ms == 0)
        write_streams(channel);
    answer_polls(channel, id, data, size);
}

static void write_waiting(void)
{
    while (!SLIST_EMPTY(&waiting)) {
        write_streams(SLIST_FIRST(&waiting));
        SLIST_REMOVE_HEAD(&waiting, waiting);
    }
    due_ns = 0;
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
        take_message(name, data, (size_t)size);
        if (due_ns != 0 && now_ns() >= due_ns)
            write_waiting();
    }
    if (errno != EAGAIN)
        errx(1, "zmq_recv: %s", zmq_strerror(errno));
}

/* --- main --- */

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
    uint64_t now = due_ns ? now_ns() : 0;
    struct timespec wait = {.tv_nsec = due_ns > now ? (long)(due_ns - now) : 0};
    int count = epoll_pwait2(epoll, events, EVENTS, due_ns ? &wait : NULL, NULL);

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
    pace_ms = argc == 5 ? atoi(argv[4]) : 0;
    alarm(LIMIT_SECONDS);
    signal(SIGPIPE, SIG_IGN);
    record_make_start(&start);
    pull = open_pull(argv[2]);
    if (zmq_getsockopt(pull, ZMQ_FD, &messages, &fd_size) < 0)
        errx(1, "ZMQ_FD: %s", zmq_strerror(errno));
    listener = listener_open(argv[1]);
    watch(epoll, &listener);
    watch(epoll, &messages);
    for (;;) {
        int count = wait_for(epoll, events);

        if (due_ns != 0 && now_ns() >= due_ns)
            write_waiting();
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == &listener)
                add_client(epoll, listener);
            else if (events[i].data.ptr != &messages)
                read_client(events[i].data.ptr);
        }
        /* Its descriptor tells only of what is new since the last look: so a look at every turn. */
        take_messages(pull);
    }
}
