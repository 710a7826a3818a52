/* ingest_fixture: ingest on a loop of its own with one inbox, in a private directory, and a ZeroMQ context of publishers. */
#ifndef INGEST_FIXTURE_H
#define INGEST_FIXTURE_H

#include "clock.h"
#include "config.h"
#include "ingest.h"
#include "message.h"
#include "state.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

enum { FIXTURE_INBOX_LIMIT = 1000, FIXTURE_OPTIONS = 6, FIXTURE_SOCKETS = 8 };

struct fixture {
    char directory[32], publish[80], confirm[80];
    char options[FIXTURE_OPTIONS][160];
    struct settings settings;
    struct ev_loop *loop;
    struct inbox inbox;
    struct inbox *inboxes[1];
    struct bell room;
    struct state state;
    struct hub hub;
    struct ingest ingest;
    void *zmq;
    void *sockets[FIXTURE_SOCKETS]; /* of publishers */
    int socket_count;
};

static inline void fixture_ignore(void *context)
{
    (void)context;
}

/* With the endpoints `publish` and `confirm`. */
static inline struct fixture *fixture_prepare(void)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    strcpy(fixture->directory, "/tmp/ingest.XXXXXX");
    if (!mkdtemp(fixture->directory))
        abort();
    snprintf(fixture->publish, sizeof fixture->publish, "ipc://%s/publish", fixture->directory);
    snprintf(fixture->confirm, sizeof fixture->confirm, "ipc://%s/confirm", fixture->directory);
    snprintf(fixture->options[0], sizeof fixture->options[0], "--publish.listen=%s", fixture->publish);
    snprintf(fixture->options[1], sizeof fixture->options[1], "--publish.confirm_listen=%s", fixture->confirm);
    fixture->zmq = zmq_ctx_new();
    return fixture;
}

/* With the options that are set; `error` is empty when it runs. */
static inline void fixture_start(struct fixture *fixture, char *error, size_t size)
{
    struct event_id start = {clock_wall_ms(), 0};
    char *overrides[FIXTURE_OPTIONS + 1] = {NULL};
    struct config_error wrong;

    for (int i = 0, count = 0; i < FIXTURE_OPTIONS; i++)
        if (fixture->options[i][0])
            overrides[count++] = fixture->options[i];
    error[0] = '\0';
    fixture->loop = ev_loop_new(EVFLAG_AUTO);
    inbox_init(&fixture->inbox, FIXTURE_INBOX_LIMIT, fixture_ignore, NULL);
    fixture->inboxes[0] = &fixture->inbox;
    if (!config_read(&fixture->settings, NULL, "defaults", overrides, &wrong) || !bell_init(&fixture->room) ||
        !state_init(&fixture->state, "", start.ms, &start, error, size))
        abort();
    hub_init(&fixture->hub, &fixture->settings, start, fixture->inboxes, 1);
    (void)(ingest_init(&fixture->ingest, fixture->loop, &fixture->settings, NULL, &fixture->hub, &fixture->room, &fixture->state, error, size) ||
           (error[0] || (abort(), true)));
}

static inline int fixture_make(void **state)
{
    struct fixture *fixture = fixture_prepare();
    char error[256];

    *state = fixture;
    fixture_start(fixture, error, sizeof error);
    return error[0] ? -1 : 0;
}

static inline int fixture_finish(void **state)
{
    struct fixture *fixture = *state;

    for (int i = 0; i < fixture->socket_count; i++)
        zmq_close(fixture->sockets[i]);
    zmq_ctx_term(fixture->zmq);
    ingest_finish(&fixture->ingest);
    hub_finish(&fixture->hub);
    inbox_finish(&fixture->inbox);
    bell_finish(&fixture->room);
    config_finish(&fixture->settings);
    ev_loop_destroy(fixture->loop);
    rmdir(fixture->directory);
    free(fixture);
    return 0;
}

/* A publisher's socket, closed at the end. */
static inline void *fixture_socket(struct fixture *fixture, int type)
{
    void *socket = zmq_socket(fixture->zmq, type);
    int none = 0;

    if (!socket || fixture->socket_count == FIXTURE_SOCKETS)
        abort();
    fixture->sockets[fixture->socket_count++] = socket;
    zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(socket, ZMQ_SNDHWM, &none, sizeof none);
    zmq_setsockopt(socket, ZMQ_RCVHWM, &none, sizeof none);
    return socket;
}

static inline void *fixture_connect(struct fixture *fixture, int type, const char *endpoint)
{
    void *socket = fixture_socket(fixture, type);

    if (zmq_connect(socket, endpoint) < 0)
        abort();
    return socket;
}

/* Empties the inbox, as a worker does. */
static inline void fixture_take_inbox(void *context)
{
    struct fixture *fixture = context;
    struct inbox_item item;

    while (inbox_take(&fixture->inbox, &item, 1) > 0)
        message_unref(item.message);
    bell_ring(&fixture->room);
}

static inline void fixture_send(void *socket, const struct span *frames, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (zmq_send(socket, frames[i].bytes, frames[i].size, i + 1 < count ? ZMQ_SNDMORE : 0) < 0)
            abort();
}

/* The next message of `socket` while the loop runs, its frames with a `|` behind each. */
static inline void fixture_await(struct fixture *fixture, void *socket, char *text, size_t size)
{
    size_t length = 0;
    int more = 1;
    size_t more_size = sizeof more;

    while (more) {
        int got;

        while ((got = zmq_recv(socket, text + length, size - length - 2, ZMQ_DONTWAIT)) < 0)
            ev_run(fixture->loop, EVRUN_NOWAIT);
        length += (size_t)got;
        text[length++] = '|';
        zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &more_size);
    }
    text[length] = '\0';
}

#endif
