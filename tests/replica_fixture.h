/*
 * A replica without a worker: settings filled by hand, time moved by the test, and clients whose sockets follow a script.
 * A client collects what it accepted; client_read decodes that as a front end and an EventSource would.
 * Include it first: it brings cmocka along.
 */
#ifndef REPLICA_FIXTURE_H
#define REPLICA_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "advance.h"
#include "buffer.h"
#include "fcgi.h"
#include "framing.h"
#include "join.h"
#include "message.h"
#include "replica.h"
#include "request.h"
#include "sse.h"
#include "text.h"

/* --- clients --- */

struct client {
    struct subscriber subscriber; /* first: the replica knows nothing else of us */
    struct timeouts *timeouts;    /* with room for its deadline, while it may have one */
    struct text received;
    size_t budget;   /* bytes the socket takes until it would block */
    size_t per_call; /* bytes it takes of one write */
    bool is_broken;
    bool wants_write;
    bool has_left;
    enum leave_reason reason;
    unsigned writes;
    int pieces;        /* of the last write */
    const void *bytes; /* of its first piece */
    uint16_t request_id;
    void (*on_write)(struct client *client, size_t accepted); /* after each write, or NULL */
    void *context;
};

static inline ssize_t client_write(struct subscriber *subscriber, const struct iovec *parts, int count)
{
    struct client *client = (struct client *)subscriber;
    size_t left = client->budget < client->per_call ? client->budget : client->per_call, accepted = 0;

    assert_false(client->has_left);
    assert_true(count > 0);
    client->writes++;
    client->pieces = count;
    client->bytes = parts->iov_base;
    if (client->is_broken)
        return -1;
    for (int i = 0; i < count && left > 0; i++) {
        size_t size = parts[i].iov_len < left ? parts[i].iov_len : left;

        assert_true(parts[i].iov_len > 0);
        text_append(&client->received, (struct span){parts[i].iov_base, size});
        left -= size;
        accepted += size;
    }
    if (client->budget != SIZE_MAX)
        client->budget -= accepted;
    if (client->on_write)
        client->on_write(client, accepted);
    return (ssize_t)accepted;
}

static inline void client_want_write(struct subscriber *subscriber, bool wanted)
{
    struct client *client = (struct client *)subscriber;

    assert_true(client->wants_write != wanted);
    client->wants_write = wanted;
}

/* Room for its deadline. False: no memory. */
static inline bool client_reserve(struct client *client, struct timeouts *timeouts)
{
    if (!timeouts_reserve(timeouts, 1))
        return false;
    client->timeouts = timeouts;
    return true;
}

static inline void client_release(struct client *client)
{
    timeouts_clear(client->timeouts, &client->subscriber.timeout);
    timeouts_release(client->timeouts, 1);
}

static inline void client_left(struct subscriber *subscriber, enum leave_reason reason)
{
    struct client *client = (struct client *)subscriber;

    assert_false(client->has_left);
    assert_int_equal(subscriber->state, SUBSCRIBER_OUT);
    client->has_left = true;
    client->reason = reason;
    client_release(client);
}

static inline void no_timeout(struct timeout *timeout)
{
    (void)timeout;
    fail_msg("a deadline of the worker's came, and there is no worker");
}

static const struct replica_io fixture_io = {client_write, client_want_write, client_left, no_timeout};

static inline void client_init(struct client *client)
{
    *client = (struct client){.budget = SIZE_MAX, .per_call = SIZE_MAX};
}

/* Its subscriber is out. */
static inline void client_finish(struct client *client)
{
    assert_int_equal(client->subscriber.state, SUBSCRIBER_OUT);
    text_finish(&client->received);
}

/* --- the replica --- */

enum { FIXTURE_START_MS = 100000 };
static const struct event_id FIXTURE_START = {1763899200000, 0};

struct fixture {
    struct replica replica;
    struct settings settings;
    struct metrics metrics;
    struct event_id last; /* published */
};

/* The defaults, but without pacing, and heartbeats and ends far away. */
static inline void fixture_start(struct fixture *fixture)
{
    static char heartbeat[] = ":";

    *fixture = (struct fixture){.last = FIXTURE_START};
    fixture->settings.history_messages = 100;
    fixture->settings.history_age = 3600000;
    fixture->settings.history_keep = 10000;
    fixture->settings.history_bytes = 64 << 20;
    fixture->settings.history_pinned_bytes = 64 << 20;
    fixture->settings.subscribe_max_matched = 10000;
    fixture->settings.sse_heartbeat = 86400000;
    fixture->settings.sse_heartbeat_text = heartbeat;
    fixture->settings.sse_retry = 3000;
    fixture->settings.sse_max_age = INT64_C(31536000000);
    fixture->settings.sse_open_event = true;
    fixture->settings.poll_timeout = 25000;
    fixture->settings.poll_max_messages = 100;
    fixture->settings.poll_max_bytes = 1 << 20;
    fixture->settings.slow_close_after = 86400000;
    replica_init(&fixture->replica, &fixture->settings, &fixture_io, &fixture->metrics, FIXTURE_START, 1);
    fixture->replica.now_ms = FIXTURE_START_MS;
}

/* One turn, until nobody who takes bytes has more to come. */
static inline void turn(struct fixture *fixture)
{
    int rounds = 0;

    replica_run_timeouts(&fixture->replica);
    while (replica_flush(&fixture->replica))
        assert_true(++rounds < 100000);
}

/* Time passes, and what comes due meanwhile is done in its time, as a worker does that sleeps until the next deadline. */
static inline void pass_ms(struct fixture *fixture, int64_t ms)
{
    int64_t until_ms = fixture->replica.now_ms + ms, due_ms;

    while ((due_ms = timeouts_due_ms(&fixture->replica.timeouts)) <= until_ms) {
        if (due_ms > fixture->replica.now_ms)
            fixture->replica.now_ms = due_ms;
        turn(fixture);
    }
    fixture->replica.now_ms = until_ms;
    turn(fixture);
}

/* Everybody has left. Nothing must be left over. */
static inline void fixture_finish(struct fixture *fixture)
{
    /* After a test that failed they are on its stack, which is gone. */
    assert_int_equal(fixture->metrics.subscribers, 0);
    turn(fixture);
    assert_int_equal(fixture->replica.pins.bytes, 0);
    replica_finish(&fixture->replica);
    assert_null(fixture->replica.channels);
    assert_int_equal(fixture->replica.bytes, 0);
    assert_int_equal(fixture->metrics.channels, 0);
    assert_int_equal(fixture->metrics.history_messages, 0);
}

struct publication {
    const char *channel;
    struct span data;
    const char *event;
    const char *except;
    int64_t ttl_ms; /* 0: none */
    bool transient; /* store:false */
};

static inline struct event_id publish_with(struct fixture *fixture, struct publication wanted)
{
    struct message_names names = {span_of(wanted.channel), span_of(wanted.event), span_of(wanted.except)};
    uint64_t wall_ms = FIXTURE_START.ms + (uint64_t)(fixture->replica.now_ms - FIXTURE_START_MS);
    struct message *message;

    fixture->last = event_id_next(fixture->last, wall_ms);
    message = sse_encode_message(fixture->last, &names, wanted.data);
    assert_non_null(message);
    message->store = !wanted.transient;
    message->ingest_ms = fixture->replica.now_ms;
    if (wanted.ttl_ms > 0)
        message->expires_ms = fixture->replica.now_ms + wanted.ttl_ms;
    replica_apply_take(&fixture->replica, message);
    return fixture->last;
}

static inline struct event_id publish(struct fixture *fixture, const char *channel, const char *data)
{
    return publish_with(fixture, (struct publication){.channel = channel, .data = span_of(data)});
}

/* Messages of `size` bytes each; their text begins with their number and a blank. */
static inline void publish_many(struct fixture *fixture, const char *channel, int first, int count, size_t size)
{
    char *data = malloc(size + 16);

    for (int i = first; i < first + count; i++) {
        memset(data, '.', size);
        size_t head = (size_t)snprintf(data, 16, "%d", i);

        data[head] = ' ';
        publish_with(fixture, (struct publication){.channel = channel, .data = {data, size > head ? size : head}});
    }
    free(data);
}

/* --- joining --- */

struct wish {
    const char *channels; /* names and patterns, with commas between */
    enum request_cursor cursor;
    struct event_id id;
    uint32_t last;
    const char *client;
    bool poll;
    bool envelope;
    uint16_t request_id; /* 0: 1 */
    int64_t permitted_ms; /* its permission ends after this; 0: never */
};

/* Whether there was memory. `client` is new. */
static inline bool try_join(struct fixture *fixture, struct client *client, struct wish wish)
{
    struct request request = {
        .transport = wish.poll ? TRANSPORT_POLL : TRANSPORT_SSE,
        .cursor_kind = wish.cursor,
        .cursor = wish.id,
        .last = wish.last,
        .envelope = wish.envelope,
        .client = (char *)(uintptr_t)wish.client,
        .expires_ms = wish.permitted_ms ? FIXTURE_START.ms + (uint64_t)wish.permitted_ms : 0,
    };
    char *names = strdup(wish.channels), *rest = names, *items[1024], *patterns[1024], *name;
    bool done;

    while ((name = strsep(&rest, ",")) != NULL) {
        assert_true(request.channels.count < 1024 && request.patterns.count < 1024);
        if (strchr(name, '*'))
            patterns[request.patterns.count++] = name;
        else
            items[request.channels.count++] = name;
    }
    request.channels.items = items;
    fixture->replica.wall_ms = FIXTURE_START.ms;
    request.patterns.items = patterns;
    client->request_id = wish.request_id ? wish.request_id : 1;
    done = client_reserve(client, &fixture->replica.timeouts);
    if (done) {
        done = join_subscriber(&fixture->replica, &client->subscriber, &request, FRAMING_FASTCGI, client->request_id);
        if (!done)
            client_release(client);
    }
    free(names);
    return done;
}

static inline void join(struct fixture *fixture, struct client *client, struct wish wish)
{
    assert_true(try_join(fixture, client, wish));
}

static inline void leave(struct fixture *fixture, struct client *client)
{
    subscriber_leave(&fixture->replica, &client->subscriber, LEAVE_BROKEN);
    assert_true(client->has_left);
}

/* The socket takes `budget` bytes from now on, then would block again. */
static inline void client_takes(struct fixture *fixture, struct client *client, size_t budget)
{
    client->budget = budget;
    if (budget > 0 && client->wants_write)
        subscriber_writable(&fixture->replica, &client->subscriber);
}

/* --- one for each test --- */

static struct fixture fixture;

static inline int setup(void **state)
{
    (void)state;
    fixture_start(&fixture);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    fixture_finish(&fixture);
    return 0;
}

/* It leaves, if it has not left. */
static inline void done(struct client *client)
{
    if (client->subscriber.state != SUBSCRIBER_OUT)
        leave(&fixture, client);
    client_finish(client);
}

#include "replica_stream.h"

#endif
