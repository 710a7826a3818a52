/*
 * Connections over a socket pair, with a real worker, hub and loop: what a front end writes, and what it reads. A turn of the loop never sleeps, except where
 * a deadline is what the test waits for. Include it first: it brings cmocka along.
 */
#ifndef CONNECTION_FIXTURE_H
#define CONNECTION_FIXTURE_H

#include "connection.h"

#include "clock.h"
#include "config.h"
#include "decoder.h"
#include "fcgi.h"
#include "hub.h"
#include "table.h"
#include "text.h"
#include "worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_CLIENTS = 3, TURNS = 4 };

struct fixture {
    struct settings settings;
    struct ev_loop *loop;
    struct hub hub;
    struct inbox *inbox;
    struct places places;
    struct worker worker;
    int closed;       /* connections that the worker closed */
    bool is_awaiting; /* the next that is closed ends the run of the loop, which would sleep on */
};

/* A front end's end of a connection, and what it has read of its answers. */
struct peer {
    struct fixture *fixture;
    int fd;
    uint16_t id;       /* of the records that it expects */
    bool is_over;      /* the other end closed */
    struct text bytes; /* records that are not whole yet */
    struct text out;   /* content of STDOUT */
    struct text others; /* a line per record that is neither STDOUT nor the end: type, id, content */
    int ends;          /* FCGI_END_REQUEST records */
    int end_status;    /* protocolStatus of the last */
};

static inline void count_closed(void *context)
{
    struct fixture *fixture = context;

    fixture->closed++;
    if (fixture->is_awaiting)
        ev_break(fixture->loop, EVBREAK_ALL);
}

static inline int make(void **state)
{
    static char *const overrides[] = {"--access.public=**", "--hub.pace=0", "--fastcgi.max_body=1KiB", "--fastcgi.request_timeout=1h", NULL};
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct event_id start = {clock_wall_ms(), 0};
    struct config_error error;

    *state = fixture;
    fixture->loop = ev_loop_new(EVFLAG_AUTO);
    fixture->inbox = &fixture->worker.inbox;
    fixture->places.limit = MAX_CLIENTS;
    if (!config_read(&fixture->settings, NULL, "defaults", overrides, &error))
        return -1;
    hub_init(&fixture->hub, &fixture->settings, start, &fixture->inbox, 1);
    if (!worker_init(&fixture->worker, fixture->loop, &fixture->settings, &fixture->hub, start, &fixture->places))
        return -1;
    fixture->worker.owner = (struct worker_owner){.closed_one = count_closed, .context = fixture};
    return 0;
}

static inline int finish(void **state)
{
    struct fixture *fixture = *state;

    worker_finish(&fixture->worker);
    hub_finish(&fixture->hub);
    config_finish(&fixture->settings);
    ev_loop_destroy(fixture->loop);
    free(fixture);
    return 0;
}

/* All that can be done without waiting. */
static inline void turn(struct fixture *fixture)
{
    for (int i = 0; i < TURNS; i++)
        ev_run(fixture->loop, EVRUN_NOWAIT);
}

static inline void publish(struct fixture *fixture, const char *channel, struct span data)
{
    struct publication publication = {.channel = span_of(channel), .data = data, .store = true};
    struct event_id id;

    fixture->hub.now_ms = clock_monotonic_ms();
    fixture->hub.wall_ms = clock_wall_ms();
    assert_int_equal(hub_publish(&fixture->hub, &publication, &id), HUB_PUBLISHED);
}

/* --- the peer --- */

static inline struct peer connect_peer(struct fixture *fixture)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    assert_true(inbox_reserve(fixture->inbox, 1));
    inbox_put_take(fixture->inbox, &(struct inbox_item){.descriptor = fds[0]}, 1);
    turn(fixture);
    return (struct peer){.fixture = fixture, .fd = fds[1], .id = 1};
}

static inline void leave(struct peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
    text_finish(&peer->bytes);
    text_finish(&peer->out);
    text_finish(&peer->others);
    turn(peer->fixture);
}

static inline void take_record(struct peer *peer, const unsigned char *record, size_t size)
{
    uint16_t id = (uint16_t)(record[2] << 8 | record[3]);

    assert_int_equal(record[0], 1);
    if (record[1] == FCGI_STDOUT) {
        assert_int_equal(id, peer->id);
        text_append(&peer->out, (struct span){(const char *)record + FCGI_HEADER_BYTES, size});
    } else if (record[1] == FCGI_END_REQUEST) {
        peer->ends++;
        peer->end_status = record[FCGI_HEADER_BYTES + 4];
        if (peer->end_status == FCGI_REQUEST_COMPLETE)
            assert_int_equal(id, peer->id);
    } else {
        text_append_format(&peer->others, "%d %d %.*s\n", record[1], id, (int)size, record + FCGI_HEADER_BYTES);
    }
}

static inline void take_records(struct peer *peer)
{
    size_t at = 0;

    while (peer->bytes.size - at >= FCGI_HEADER_BYTES) {
        const unsigned char *record = (const unsigned char *)peer->bytes.bytes + at;
        size_t size = (size_t)(record[4] << 8 | record[5]);

        if (peer->bytes.size - at < FCGI_HEADER_BYTES + size)
            break;
        take_record(peer, record, size);
        at += FCGI_HEADER_BYTES + size;
    }
    if (at > 0)
        memmove(peer->bytes.bytes, peer->bytes.bytes + at, peer->bytes.size - at);
    peer->bytes.size -= at;
}

/* Everything that there is to be read now. */
static inline void receive(struct peer *peer)
{
    ssize_t got;

    do {
        char *end = text_reserve(&peer->bytes, 65536);

        turn(peer->fixture);
        got = recv(peer->fd, end, 65536, 0);
        if (got > 0)
            peer->bytes.size += (size_t)got;
    } while (got > 0);
    peer->is_over = got == 0 || errno == ECONNRESET;
    take_records(peer);
}

static inline void send_bytes(struct peer *peer, struct span bytes)
{
    while (bytes.size > 0) {
        ssize_t sent = send(peer->fd, bytes.bytes, bytes.size, MSG_NOSIGNAL);

        assert_true(sent > 0 || errno == EAGAIN);
        if (sent > 0)
            bytes = (struct span){bytes.bytes + sent, bytes.size - (size_t)sent};
        turn(peer->fixture);
    }
}

static inline void send_text(struct peer *peer, struct text *bytes)
{
    send_bytes(peer, text_span(bytes));
    text_finish(bytes);
}

static inline void clear(struct peer *peer)
{
    text_clear(&peer->out);
    text_clear(&peer->others);
    peer->ends = 0;
}

static inline void assert_part(struct text *text, const char *part)
{
    text_append(text, (struct span){"", 1});
    if (!strstr(text->bytes, part))
        assert_string_equal(text->bytes, part);
    text->size--;
}

#define assert_starts(text, start) assert_true((text).size >= strlen(start) && memcmp((text).bytes, start, strlen(start)) == 0)

/* --- requests --- */

static inline void put_record(struct text *text, unsigned type, uint16_t id, struct span content)
{
    char header[FCGI_HEADER_BYTES];

    fcgi_put_header(header, type, id, content.size);
    text_append(text, (struct span){header, sizeof header});
    text_append(text, content);
}

static inline void put_begin(struct text *text, uint16_t id, bool keep)
{
    const char body[8] = {0, FCGI_RESPONDER, keep ? FCGI_KEEP_CONN : 0};

    put_record(text, FCGI_BEGIN_REQUEST, id, (struct span){body, sizeof body});
}

static inline void put_param(struct text *params, const char *name, struct span value)
{
    const unsigned char sizes[] = {(unsigned char)strlen(name), (unsigned char)(value.size >> 24 | 0x80), (unsigned char)(value.size >> 16),
                                   (unsigned char)(value.size >> 8), (unsigned char)value.size};

    text_append(params, (struct span){(const char *)sizes, sizeof sizes});
    text_append_string(params, name);
    text_append(params, value);
}

static inline void put_stream(struct text *text, unsigned type, uint16_t id, struct span content)
{
    while (content.size > 0) {
        size_t part = content.size < FCGI_CONTENT_MAX ? content.size : FCGI_CONTENT_MAX;

        put_record(text, type, id, (struct span){content.bytes, part});
        content = (struct span){content.bytes + part, content.size - part};
    }
    put_record(text, type, id, (struct span){0});
}

struct call {
    const char *method;   /* NULL: GET */
    const char *query;    /* NULL: none */
    const char *accept;   /* NULL: none */
    const char *endpoint; /* NULL: none */
    uint16_t id;          /* 0: 1 */
    bool keep;
    struct span body;
    const char *more[6];  /* further parameters: name, value, and so on */
};

static inline struct text request_of(const struct call *call)
{
    uint16_t id = call->id ? call->id : 1;
    struct text text = TEXT_EMPTY, params = TEXT_EMPTY;

    put_begin(&text, id, call->keep);
    put_param(&params, "REQUEST_METHOD", span_of(call->method ? call->method : "GET"));
    if (call->query)
        put_param(&params, "QUERY_STRING", span_of(call->query));
    if (call->accept)
        put_param(&params, "HTTP_ACCEPT", span_of(call->accept));
    if (call->endpoint)
        put_param(&params, "SIDECAST_ENDPOINT", span_of(call->endpoint));
    for (size_t i = 0; i < sizeof call->more / sizeof *call->more && call->more[i]; i += 2)
        put_param(&params, call->more[i], span_of(call->more[i + 1]));
    put_stream(&text, FCGI_PARAMS, id, text_span(&params));
    put_stream(&text, FCGI_STDIN, id, call->body);
    text_finish(&params);
    return text;
}

/* Sends the request and reads what is answered at once. */
static inline void ask(struct peer *peer, const struct call *call)
{
    struct text bytes = request_of(call);

    peer->id = call->id ? call->id : 1;
    send_text(peer, &bytes);
    receive(peer);
}

static const struct call STREAM = {.query = "channel=news", .accept = "text/event-stream"};
static const struct call POLL = {.query = "channel=news&transport=poll", .keep = true};

/* The `main` of a test program: these need more than cmocka's. */
static inline bool prepare(void)
{
    log_set_level(LOG_ERROR);
    return table_init() && decoder_library_init();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, finish)

#endif
