#include "subscribers.h"
#include "answer.h"
#include "connect.h"
#include "framing.h"
#include "request.h"
#include "stream.h"
#include "watcher.h"

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, READ_BYTES = 65536, FAULTS_SHOWN = 5 };

struct client {
    struct watcher watcher; /* first */
    struct subscribers *owner;
    int fd;
    bool is_stuck, is_open;
    struct framing framing;
    struct sequence sequence;
    struct stream stream;
    struct answer answer; /* of a long-poll, instead of the stream */
};

/* --- what the clients get --- */

static void on_message(void *context, uint64_t sent_ns)
{
    struct subscribers *all = context;

    if (all->awaited > 0)
        all->awaited--;
    all->last_ns = all->now_ns;
    if (!all->is_measured)
        return;
    all->received++;
    histogram_add(&all->latencies, all->now_ns - sent_ns);
}

static void on_fault(void *context, const struct sequence *sequence, const char *what)
{
    struct subscribers *all = context;

    if (all->faults++ < FAULTS_SHOWN && !all->is_quiet)
        warnx("client %td: %s (awaited number %" PRIu64 ")", all->current - all->clients, what, sequence->expected);
}

void subscribers_fault(void *context, const char *what)
{
    struct subscribers *all = context;

    if (all->faults++ < FAULTS_SHOWN && !all->is_quiet)
        warnx("%s", what);
}

static void set_open(struct client *client)
{
    client->owner->opened += !client->is_open;
    client->is_open = true;
}

static void send_request(struct client *client);

static void on_header(void *context, const char *line)
{
    struct client *client = context;
    bool is_status = strncmp(line, "HTTP/1.", 7) == 0 || strncmp(line, "Status:", 7) == 0;

    if (is_status && !strstr(line, " 200")) {
        if (client->owner->faults < FAULTS_SHOWN && !client->owner->is_quiet)
            warnx("%s", line);
        on_fault(client->owner, &client->sequence, "the request was refused");
    }
    if (client->owner->options->poll != POLL_NOT)
        answer_take_header(&client->answer, line);
}

static void on_body(void *context, const char *bytes, size_t size)
{
    struct client *client = context;

    if (client->owner->options->poll != POLL_NOT)
        answer_take_body(&client->answer, bytes, size);
    else
        stream_feed(&client->stream, &client->sequence, &client->owner->check, bytes, size);
}

static void on_head_end(void *context)
{
    struct client *client = context;

    if (client->owner->options->poll == POLL_NOT)
        set_open(client);
}

static void on_end(void *context)
{
    struct client *client = context;

    if (client->owner->options->poll == POLL_NOT) {
        on_fault(client->owner, &client->sequence, "a stream ended");
        return;
    }
    answer_finish(&client->answer, &client->sequence, &client->owner->check);
    client->owner->answers++;
    set_open(client);
    send_request(client);
}

static void on_bad(void *context, const char *what)
{
    struct client *client = context;

    on_fault(client->owner, &client->sequence, what);
}

static void read_client(struct watcher *watcher)
{
    static const struct framing_sink sink = {on_header, on_body, on_head_end, on_end, on_bad};
    static char bytes[READ_BYTES];
    struct client *client = (struct client *)watcher;
    struct subscribers *all = client->owner;
    ssize_t size = recv(client->fd, bytes, sizeof bytes, MSG_DONTWAIT);

    if (size < 0 && errno == EAGAIN)
        return;
    all->current = client;
    all->now_ns = now_ns();
    if (size <= 0) {
        on_fault(all, &client->sequence, "the server closed");
        (void)epoll_ctl(all->epoll, EPOLL_CTL_DEL, client->fd, NULL);
        return;
    }
    if (all->is_measured)
        all->bytes += (uint64_t)size;
    framing_feed(&client->framing, &sink, client, bytes, (size_t)size);
}

/* --- what they ask for --- */

/* The busy channels of the client's group, then its own that stay idle, with commas between. */
static void write_channels(char out[REQUEST_MAX], const struct subscribers *all, uint64_t number)
{
    const struct options *options = all->options;
    size_t at = 0;

    for (uint64_t i = 0; i < options->per_client + options->idle && at < REQUEST_MAX - 64; i++) {
        const char *comma = i > 0 ? "," : "";

        if (i < options->per_client)
            at += (size_t)sprintf(out + at, "%sbench/%" PRIu64, comma, number % all->groups * options->per_client + i);
        else
            at += (size_t)sprintf(out + at, "%sbench/idle-%" PRIu64 "-%" PRIu64, comma, number, i - options->per_client);
    }
}

static size_t write_poll(char out[REQUEST_MAX], const struct client *client, const char *channel)
{
    const struct answer *answer = &client->answer;
    const struct options *options = client->owner->options;
    char query[128] = "", headers[256] = "Accept: application/json\r\n";

    if (answer->cursor[0])
        snprintf(query, sizeof query, "&cursor=%s", answer->cursor);
    if (options->poll == POLL_HEADERS)
        headers[0] = 0;
    if (answer->modified[0])
        snprintf(headers, sizeof headers, "If-Modified-Since: %s\r\nIf-None-Match: %s\r\n", answer->modified, answer->etag);
    return request_get(out, options->path, channel, query, headers);
}

static void send_request(struct client *client)
{
    static char channels[REQUEST_MAX], request[REQUEST_MAX];
    const struct subscribers *all = client->owner;
    size_t size;

    write_channels(channels, all, (uint64_t)(client - all->clients));
    if (all->options->framing == FRAMING_FASTCGI)
        size = request_fastcgi(request, channels);
    else if (all->options->poll != POLL_NOT)
        size = write_poll(request, client, channels);
    else
        size = request_get(request, all->options->path, channels, "", "Accept: text/event-stream\r\n");
    if (send(client->fd, request, size, 0) != (ssize_t)size)
        err(1, "cannot send a request");
}

static bool is_stuck(const struct options *options, uint64_t number)
{
    return options->stuck > 0 && number % (options->clients / options->stuck) == 0 &&
           number / (options->clients / options->stuck) < options->stuck;
}

static void open_client(struct subscribers *all, uint64_t number)
{
    struct client *client = &all->clients[number];
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};

    client->watcher.on_readable = read_client;
    client->owner = all;
    client->is_stuck = is_stuck(all->options, number);
    framing_init(&client->framing, all->options->framing);
    client->fd = connect_to(all->options->listen, SOCK_STREAM);
    send_request(client);
    all->readers[number % all->groups] += !client->is_stuck;
    /* One that answers no first poll before there is a message is open as soon as it was asked. */
    if (client->is_stuck || all->options->poll == POLL_HEADERS)
        set_open(client);
    if (!client->is_stuck && epoll_ctl(all->epoll, EPOLL_CTL_ADD, client->fd, &event) < 0)
        err(1, "epoll_ctl");
}

static void await_open(struct subscribers *all, uint64_t count)
{
    while (all->opened < count)
        if (!subscribers_read(all, now_ns() + SILENCE_SECONDS * SECOND_NS) || all->faults > 0)
            errx(1, "only %" PRIu64 " of %" PRIu64 " clients were answered", all->opened, count);
}

void subscribers_open(struct subscribers *all)
{
    uint64_t clients = all->options->clients, unanswered = all->options->unanswered;

    for (uint64_t i = 0; i < clients; i++) {
        await_open(all, i < unanswered ? 0 : i - unanswered + 1);
        open_client(all, i);
    }
    await_open(all, clients);
}

/* --- the rest --- */

void subscribers_init(struct subscribers *all, const struct options *options)
{
    all->options = options;
    all->groups = options->channels / options->per_client;
    all->check = (struct check){options->size, options->ids_rise, on_message, on_fault, all};
    all->epoll = epoll_create1(EPOLL_CLOEXEC);
    all->clients = calloc(options->clients + 1, sizeof *all->clients);
    all->readers = calloc(all->groups, sizeof *all->readers);
    if (all->epoll < 0 || !all->clients || !all->readers)
        err(1, "cannot start");
}

uint64_t subscribers_group(const struct subscribers *all, uint64_t number)
{
    return number % all->groups;
}

void subscribers_channel(const struct subscribers *all, uint64_t number, char name[32])
{
    uint64_t per_client = all->options->per_client;

    snprintf(name, 32, "bench/%" PRIu64, number % all->groups * per_client + number / all->groups % per_client);
}

bool subscribers_read(struct subscribers *all, uint64_t until_ns)
{
    struct epoll_event events[EVENTS];
    uint64_t now = until_ns > 0 ? now_ns() : 0;
    uint64_t wait_ns = until_ns > now ? until_ns - now : 0;
    struct timespec wait = {.tv_sec = (time_t)(wait_ns / SECOND_NS), .tv_nsec = (long)(wait_ns % SECOND_NS)};
    int count = epoll_pwait2(all->epoll, events, EVENTS, &wait, NULL);

    if (count < 0 && errno != EINTR)
        err(1, "epoll_wait");
    for (int i = 0; i < count; i++) {
        struct watcher *watcher = events[i].data.ptr;

        watcher->on_readable(watcher);
    }
    return count > 0;
}

void subscribers_read_rest(struct subscribers *all, uint64_t patience_ns)
{
    uint64_t end_ns = now_ns() + patience_ns;

    while (all->awaited > 0 && all->faults == 0) {
        if (subscribers_read(all, 0)) {
            end_ns = now_ns() + patience_ns;
        } else if (now_ns() > end_ns) {
            if (!all->is_quiet)
                warnx("%" PRIu64 " deliveries never came", all->awaited);
            all->faults += all->awaited;
        }
        sched_yield();
    }
    /* What came once too often comes now. */
    while (all->faults == 0 && subscribers_read(all, 0))
        ;
}

int subscribers_unread(const struct subscribers *all, uint64_t number)
{
    int bytes = 0;

    if (ioctl(all->clients[number].fd, FIONREAD, &bytes) < 0)
        err(1, "FIONREAD");
    return bytes;
}

void subscribers_reset(struct subscribers *all)
{
    all->received = all->bytes = all->answers = 0;
    memset(&all->latencies, 0, sizeof all->latencies);
}
