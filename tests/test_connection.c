/*
 * Connections over a socket pair, with a real worker, hub and loop: what a front end writes, and what it reads. A turn of the loop never sleeps, except where
 * a deadline is what the test waits for.
 */
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

static void count_closed(void *context)
{
    struct fixture *fixture = context;

    fixture->closed++;
    if (fixture->is_awaiting)
        ev_break(fixture->loop, EVBREAK_ALL);
}

static int make(void **state)
{
    static char *const overrides[] = {"--access.public=**", "--hub.pace=0", "--fastcgi.max_body=1KiB", "--fastcgi.request_timeout=1h", NULL};
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct event_id start = {clock_wall_ms(), 0};
    struct config_error error;

    *state = fixture;
    fixture->loop = ev_loop_new(EVFLAG_AUTO);
    fixture->inbox = &fixture->worker.inbox;
    if (!config_read(&fixture->settings, NULL, "defaults", overrides, &error))
        return -1;
    hub_init(&fixture->hub, &fixture->settings, start, &fixture->inbox, 1);
    if (!worker_init(&fixture->worker, fixture->loop, &fixture->settings, &fixture->hub, start, MAX_CLIENTS))
        return -1;
    fixture->worker.closed_one = count_closed;
    fixture->worker.context = fixture;
    return 0;
}

static int finish(void **state)
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
static void turn(struct fixture *fixture)
{
    for (int i = 0; i < TURNS; i++)
        ev_run(fixture->loop, EVRUN_NOWAIT);
}

static void publish(struct fixture *fixture, const char *channel, struct span data)
{
    struct publication publication = {.channel = span_of(channel), .data = data, .store = true};
    struct event_id id;

    fixture->hub.now_ms = clock_monotonic_ms();
    fixture->hub.wall_ms = clock_wall_ms();
    assert_int_equal(hub_publish(&fixture->hub, &publication, &id), HUB_PUBLISHED);
}

/* --- the peer --- */

static struct peer connect_peer(struct fixture *fixture)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    assert_true(inbox_reserve(fixture->inbox));
    inbox_put_take(fixture->inbox, (struct inbox_item){.descriptor = fds[0]});
    turn(fixture);
    return (struct peer){.fixture = fixture, .fd = fds[1], .id = 1};
}

static void leave(struct peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
    text_finish(&peer->bytes);
    text_finish(&peer->out);
    text_finish(&peer->others);
    turn(peer->fixture);
}

static void take_record(struct peer *peer, const unsigned char *record, size_t size)
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

static void take_records(struct peer *peer)
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
static void receive(struct peer *peer)
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

static void send_bytes(struct peer *peer, struct span bytes)
{
    while (bytes.size > 0) {
        ssize_t sent = send(peer->fd, bytes.bytes, bytes.size, MSG_NOSIGNAL);

        assert_true(sent > 0 || errno == EAGAIN);
        if (sent > 0)
            bytes = (struct span){bytes.bytes + sent, bytes.size - (size_t)sent};
        turn(peer->fixture);
    }
}

static void send_text(struct peer *peer, struct text *bytes)
{
    send_bytes(peer, text_span(bytes));
    text_finish(bytes);
}

static void clear(struct peer *peer)
{
    text_clear(&peer->out);
    text_clear(&peer->others);
    peer->ends = 0;
}

static void assert_part(struct text *text, const char *part)
{
    text_append(text, (struct span){"", 1});
    if (!strstr(text->bytes, part))
        assert_string_equal(text->bytes, part);
    text->size--;
}

#define assert_starts(text, start) assert_true((text).size >= strlen(start) && memcmp((text).bytes, start, strlen(start)) == 0)

/* --- requests --- */

static void put_record(struct text *text, unsigned type, uint16_t id, struct span content)
{
    char header[FCGI_HEADER_BYTES];

    fcgi_put_header(header, type, id, content.size);
    text_append(text, (struct span){header, sizeof header});
    text_append(text, content);
}

static void put_begin(struct text *text, uint16_t id, bool keep)
{
    const char body[8] = {0, FCGI_RESPONDER, keep ? FCGI_KEEP_CONN : 0};

    put_record(text, FCGI_BEGIN_REQUEST, id, (struct span){body, sizeof body});
}

static void put_param(struct text *params, const char *name, struct span value)
{
    const unsigned char sizes[] = {(unsigned char)strlen(name), (unsigned char)(value.size >> 24 | 0x80), (unsigned char)(value.size >> 16),
                                   (unsigned char)(value.size >> 8), (unsigned char)value.size};

    text_append(params, (struct span){(const char *)sizes, sizeof sizes});
    text_append_string(params, name);
    text_append(params, value);
}

static void put_stream(struct text *text, unsigned type, uint16_t id, struct span content)
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
};

static struct text request_of(const struct call *call)
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
    put_stream(&text, FCGI_PARAMS, id, text_span(&params));
    put_stream(&text, FCGI_STDIN, id, call->body);
    text_finish(&params);
    return text;
}

/* Sends the request and reads what is answered at once. */
static void ask(struct peer *peer, const struct call *call)
{
    struct text bytes = request_of(call);

    peer->id = call->id ? call->id : 1;
    send_text(peer, &bytes);
    receive(peer);
}

static const struct call STREAM = {.query = "channel=news", .accept = "text/event-stream"};
static const struct call POLL = {.query = "channel=news&transport=poll", .keep = true};

/* --- responses --- */

static void a_stream_starts_at_once_and_gets_messages(void **state)
{
    struct peer peer = connect_peer(*state);

    ask(&peer, &STREAM);
    assert_starts(peer.out, "Status: 200 OK\r\n");
    assert_part(&peer.out, "Content-Type: text/event-stream\r\n");
    assert_part(&peer.out, "\r\n\r\n:\nretry: ");
    clear(&peer);
    publish(*state, "news", span_of("hello"));
    receive(&peer);
    assert_starts(peer.out, "id: ");
    assert_part(&peer.out, "\ndata: hello\n\n");
    assert_false(peer.is_over);
    assert_int_equal(peer.ends, 0);
    leave(&peer);
}

static void an_answer_ends_the_connection_unless_it_is_kept(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);
    struct call call = POLL;

    call.keep = false;
    ask(&peer, &call);
    assert_starts(peer.out, "Status: 200 OK\r\n");
    assert_int_equal(peer.ends, 1);
    assert_true(peer.is_over);
    assert_int_equal(fixture->closed, 1);
    leave(&peer);
}

static void a_kept_connection_takes_one_request_after_the_other(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);

    for (int i = 0; i < 5; i++) {
        ask(&peer, &POLL);
        assert_starts(peer.out, "Status: 200 OK\r\n");
        assert_part(&peer.out, "\"messages\":[]}");
        assert_int_equal(peer.ends, 1);
        assert_false(peer.is_over);
        clear(&peer);
    }
    assert_int_equal(fixture->worker.metrics.requests, 5);
    assert_int_equal(fixture->worker.metrics.subscribers, 0);
    assert_int_equal(fixture->worker.connection_count, 1);
    leave(&peer);
}

static void a_kept_connection_can_end_with_a_request_that_is_not_kept(void **state)
{
    struct peer peer = connect_peer(*state);
    struct call last = POLL;

    ask(&peer, &POLL);
    last.keep = false;
    ask(&peer, &last);
    assert_int_equal(peer.ends, 2);
    assert_true(peer.is_over);
    leave(&peer);
}

static void a_waiting_poll_is_answered_by_the_message_and_its_connection_goes_on(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);
    struct call call = POLL;
    char query[128];

    snprintf(query, sizeof query, "channel=news&transport=poll&cursor=%llu-0", (unsigned long long)fixture->hub.newest.ms);
    call.query = query;
    for (int i = 0; i < 2; i++) {
        ask(&peer, &call);
        if (i == 0) {
            assert_int_equal(peer.out.size, 0);
            publish(fixture, "news", span_of("hello"));
            receive(&peer);
        }
        assert_part(&peer.out, "\"data\":\"hello\"}]}");
        assert_int_equal(peer.ends, 1);
        assert_false(peer.is_over);
        clear(&peer);
    }
    leave(&peer);
}

static void the_response_has_the_id_of_its_request(void **state)
{
    static const uint16_t IDS[] = {2, 256, 65535};

    for (size_t i = 0; i < sizeof IDS / sizeof *IDS; i++) {
        struct peer peer = connect_peer(*state);
        struct call call = STREAM;

        call.id = IDS[i];
        ask(&peer, &call);
        publish(*state, "news", span_of("hello"));
        receive(&peer);
        assert_part(&peer.out, "\r\n\r\n:\n");
        assert_part(&peer.out, "\ndata: hello\n\n");
        leave(&peer);
    }
}

static void a_request_may_come_byte_by_byte(void **state)
{
    struct peer peer = connect_peer(*state);
    struct text bytes = request_of(&(struct call){.endpoint = "health"});

    for (size_t i = 0; i < bytes.size; i++) {
        assert_int_equal(peer.out.size, 0);
        send_bytes(&peer, (struct span){bytes.bytes + i, 1});
    }
    receive(&peer);
    assert_part(&peer.out, "\r\n\r\nok\n");
    text_finish(&bytes);
    leave(&peer);
}

static void what_was_published_before_the_request_is_in_the_answer(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);
    struct text bytes = request_of(&(struct call){.query = "channel=news&transport=poll&cursor=0", .keep = true});

    for (size_t split = 0; split < 3; split++) {
        size_t half = bytes.size / 3 * split;

        send_bytes(&peer, (struct span){bytes.bytes, half});
        publish(fixture, "news", span_of("now"));
        assert_int_equal(send(peer.fd, bytes.bytes + half, bytes.size - half, 0), bytes.size - half);
        receive(&peer);
        assert_int_equal(peer.ends, 1);
        assert_part(&peer.out, "\"data\":\"now\"");
        for (size_t i = 0, at = 0; i <= split; i++) {
            const char *found = memmem(peer.out.bytes + at, peer.out.size - at, "\"now\"", 5);

            assert_non_null(found);
            at = (size_t)(found - peer.out.bytes) + 5;
        }
        clear(&peer);
    }
    text_finish(&bytes);
    leave(&peer);
}

/* What is answered to each; the connection is kept and the next request on it is served. */
static const struct {
    struct call call;
    const char *start, *part;
} ANSWERS[] = {
    {{.endpoint = "health"}, "Status: 200 OK\r\n", "\r\n\r\nok\n"},
    {{.method = "HEAD", .query = "channel=news"}, "Status: 200 OK\r\nContent-Type: text/event-stream\r\n", "\r\n\r\n"},
    {{.method = "HEAD", .query = "channel=news&transport=poll"}, "Status: 200 OK\r\nContent-Type: application/json\r\n", "\r\n\r\n"},
    {{.method = "OPTIONS"}, "Status: 204 No Content\r\n", "Allow: GET, HEAD, OPTIONS\r\n"},
    {{.method = "POST", .query = "channel=news"}, "Status: 405 Method Not Allowed\r\n", "\"method_not_allowed\""},
    {{.query = "channel=*"}, "Status: 400 Bad Request\r\n", "\"bad_channel\""},
    {{.endpoint = "nowhere"}, "Status: 404 Not Found\r\n", "\"unknown_endpoint\""},
};

static void whole_answers_keep_the_connection(void **state)
{
    struct peer peer = connect_peer(*state);

    for (size_t i = 0; i < sizeof ANSWERS / sizeof *ANSWERS; i++) {
        struct call call = ANSWERS[i].call;

        call.keep = true;
        ask(&peer, &call);
        assert_starts(peer.out, ANSWERS[i].start);
        assert_part(&peer.out, ANSWERS[i].part);
        assert_int_equal(peer.ends, 1);
        assert_false(peer.is_over);
        clear(&peer);
    }
    leave(&peer);
}

static void a_head_answer_has_no_body(void **state)
{
    struct peer peer = connect_peer(*state);

    ask(&peer, &(struct call){.method = "HEAD", .query = "channel=news"});
    assert_memory_equal(peer.out.bytes + peer.out.size - 4, "\r\n\r\n", 4);
    assert_int_equal(peer.ends, 1);
    assert_true(peer.is_over);
    leave(&peer);
}

static void who_may_not_listen_gets_403(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);
    struct string_list all = fixture->settings.access_public;

    fixture->settings.access_public = (struct string_list){0};
    ask(&peer, &STREAM);
    assert_starts(peer.out, "Status: 403 Forbidden\r\n");
    assert_int_equal(fixture->worker.metrics.requests_bad, 1);
    fixture->settings.access_public = all;
    leave(&peer);
}

static void too_many_params_are_431_and_the_connection_goes_on(void **state)
{
    struct peer peer = connect_peer(*state);
    struct text query = TEXT_EMPTY;

    while (query.size <= FCGI_PARAMS_LIMIT)
        text_append_string(&query, "channel=news&");
    text_append(&query, (struct span){"", 1});
    ask(&peer, &(struct call){.query = query.bytes, .keep = true});
    assert_starts(peer.out, "Status: 431 Request Header Fields Too Large\r\n");
    assert_int_equal(peer.ends, 1);
    clear(&peer);
    ask(&peer, &POLL);
    assert_starts(peer.out, "Status: 200 OK\r\n");
    text_finish(&query);
    leave(&peer);
}

static void too_large_a_body_is_413_and_the_connection_goes_on(void **state)
{
    struct peer peer = connect_peer(*state);
    static char body[1025];
    struct call call = POLL;

    call.body = (struct span){body, sizeof body};
    ask(&peer, &call);
    assert_starts(peer.out, "Status: 413 Content Too Large\r\n");
    assert_int_equal(peer.ends, 1);
    clear(&peer);
    call.body.size = 1024;
    ask(&peer, &call);
    assert_starts(peer.out, "Status: 200 OK\r\n");
    leave(&peer);
}

/* --- deadlines --- */

/* Sleeps until the worker has closed another connection. */
static void await_close(struct fixture *fixture)
{
    int64_t patience_ms = clock_monotonic_ms() + 10000;
    int closed = fixture->closed;

    fixture->is_awaiting = true;
    while (fixture->closed == closed && clock_monotonic_ms() < patience_ms)
        ev_run(fixture->loop, EVRUN_ONCE);
    assert_int_equal(fixture->closed, closed + 1);
}

static void half_a_request_is_closed_after_the_timeout(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer;
    struct text bytes = request_of(&STREAM);

    fixture->settings.fastcgi_request_timeout = 20;
    peer = connect_peer(fixture);
    bytes.size /= 2;
    send_text(&peer, &bytes);
    await_close(fixture);
    receive(&peer);
    assert_true(peer.is_over);
    assert_int_equal(fixture->worker.metrics.requests_timed_out, 1);
    leave(&peer);
}

/* Bytes that trickle in do not move the deadline. */
static void a_trickle_does_not_extend_the_timeout(void **state)
{
    struct fixture *fixture = *state;
    int64_t patience_ms = clock_monotonic_ms() + 10000;
    struct peer peer;

    fixture->settings.fastcgi_request_timeout = 20;
    peer = connect_peer(fixture);
    fixture->is_awaiting = true;
    /* A management record without an end. */
    send_bytes(&peer, (struct span){"\1\11\0\0\377\377\0\0", 8});
    while (fixture->closed == 0 && clock_monotonic_ms() < patience_ms) {
        (void)send(peer.fd, "x", 1, MSG_NOSIGNAL);
        ev_run(fixture->loop, EVRUN_ONCE);
    }
    assert_int_equal(fixture->closed, 1);
    leave(&peer);
}

static void a_connection_that_never_sends_is_closed_but_not_counted(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer;

    fixture->settings.fastcgi_request_timeout = 20;
    peer = connect_peer(fixture);
    await_close(fixture);
    assert_int_equal(fixture->worker.metrics.requests_timed_out, 0);
    leave(&peer);
}

static void an_idle_kept_connection_is_closed_after_its_own_timeout(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);

    fixture->settings.fastcgi_keep_timeout = 20;
    ask(&peer, &POLL);
    assert_int_equal(peer.ends, 1);
    await_close(fixture);
    assert_int_equal(fixture->worker.metrics.requests_timed_out, 0);
    leave(&peer);
}

static void a_second_half_request_is_closed_after_the_timeout(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);
    struct text bytes = request_of(&STREAM);

    fixture->settings.fastcgi_request_timeout = 20;
    ask(&peer, &POLL);
    bytes.size /= 2;
    send_text(&peer, &bytes);
    await_close(fixture);
    assert_int_equal(fixture->worker.metrics.requests_timed_out, 1);
    leave(&peer);
}

/* --- what is not a plain request --- */

static void send_record(struct peer *peer, unsigned type, uint16_t id, struct span content)
{
    struct text text = TEXT_EMPTY;

    put_record(&text, type, id, content);
    send_text(peer, &text);
    receive(peer);
}

static void values_are_told_at_any_time(void **state)
{
    const struct span question = {"\17\0FCGI_MPXS_CONNS\16\0FCGI_MAX_CONNS", 33};
    static const char ANSWER[] = "10 0 \16\1FCGI_MAX_CONNS3\17\1FCGI_MPXS_CONNS0\n";
    struct peer peer = connect_peer(*state);

    send_record(&peer, FCGI_GET_VALUES, 0, question);
    assert_part(&peer.others, ANSWER);
    clear(&peer);
    ask(&peer, &STREAM);
    send_record(&peer, FCGI_GET_VALUES, 0, question);
    assert_part(&peer.others, ANSWER);
    publish(*state, "news", span_of("after"));
    receive(&peer);
    assert_part(&peer.out, "\ndata: after\n\n");
    leave(&peer);
}

static void an_unknown_management_record_is_named_so(void **state)
{
    struct peer peer = connect_peer(*state);

    send_record(&peer, 99, 0, (struct span){"??", 2});
    assert_part(&peer.others, "11 0 c");
    assert_false(peer.is_over);
    leave(&peer);
}

static void a_second_request_id_is_refused_and_the_first_goes_on(void **state)
{
    struct peer peer = connect_peer(*state);
    struct text begin = TEXT_EMPTY;

    ask(&peer, &STREAM);
    put_begin(&begin, 3, true);
    send_text(&peer, &begin);
    receive(&peer);
    assert_int_equal(peer.ends, 1);
    assert_int_equal(peer.end_status, FCGI_CANT_MPX_CONN);
    publish(*state, "news", span_of("after"));
    receive(&peer);
    assert_part(&peer.out, "\ndata: after\n\n");
    leave(&peer);
}

static void an_aborted_stream_ends_and_its_kept_connection_goes_on(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);
    struct call call = STREAM;

    call.keep = true;
    ask(&peer, &call);
    assert_int_equal(fixture->worker.metrics.subscribers, 1);
    send_record(&peer, FCGI_ABORT_REQUEST, 1, (struct span){0});
    assert_int_equal(peer.ends, 1);
    assert_false(peer.is_over);
    assert_int_equal(fixture->worker.metrics.subscribers, 0);
    clear(&peer);
    ask(&peer, &POLL);
    assert_starts(peer.out, "Status: 200 OK\r\n");
    leave(&peer);
}

static void an_aborted_half_request_ends_and_its_kept_connection_goes_on(void **state)
{
    struct peer peer = connect_peer(*state);
    struct text begin = TEXT_EMPTY;

    put_begin(&begin, 1, true);
    send_text(&peer, &begin);
    send_record(&peer, FCGI_ABORT_REQUEST, 1, (struct span){0});
    assert_int_equal(peer.ends, 1);
    clear(&peer);
    ask(&peer, &POLL);
    assert_starts(peer.out, "Status: 200 OK\r\n");
    leave(&peer);
}

static void an_abort_ends_the_request_and_then_a_connection_that_is_not_kept(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);

    ask(&peer, &STREAM);
    send_record(&peer, FCGI_ABORT_REQUEST, 1, (struct span){0});
    assert_int_equal(peer.ends, 1);
    assert_true(peer.is_over);
    assert_int_equal(fixture->worker.metrics.subscribers, 0);
    leave(&peer);
}

/* The abort comes in the same bytes as the end of the request, which nobody has decided yet. */
static void a_request_can_be_aborted_before_it_is_decided(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);
    struct text bytes = request_of(&(struct call){.query = "channel=news", .keep = true});

    put_record(&bytes, FCGI_ABORT_REQUEST, 1, (struct span){0});
    send_text(&peer, &bytes);
    receive(&peer);
    assert_int_equal(peer.out.size, 0);
    assert_int_equal(peer.ends, 1);
    assert_int_equal(fixture->worker.metrics.subscribers, 0);
    clear(&peer);
    ask(&peer, &POLL);
    assert_starts(peer.out, "Status: 200 OK\r\n");
    leave(&peer);
}

static void what_is_not_fastcgi_closes_the_connection(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);

    (void)send(peer.fd, "GET / HTTP/1.1\r\n\r\n", 18, 0);
    receive(&peer);
    assert_true(peer.is_over);
    assert_int_equal(peer.bytes.size, 0);
    assert_int_equal(fixture->worker.metrics.protocol_errors, 1);
    leave(&peer);
}

/* --- leaving --- */

static void the_end_of_the_connection_frees_it_in_every_state(void **state)
{
    struct fixture *fixture = *state;
    struct text half = request_of(&STREAM), whole = request_of(&STREAM);
    const struct span inputs[] = {{"", 0}, {half.bytes, half.size / 2}, text_span(&whole)};

    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        struct peer peer = connect_peer(fixture);

        send_bytes(&peer, inputs[i]);
        assert_int_equal(fixture->worker.connection_count, 1);
        leave(&peer);
        assert_int_equal(fixture->worker.connection_count, 0);
        assert_int_equal(fixture->worker.metrics.subscribers, 0);
        assert_int_equal(fixture->closed, (int)i + 1);
        assert_true(LIST_EMPTY(&fixture->worker.closed));
    }
    text_finish(&half);
    text_finish(&whole);
}

/* The whole request and the end of the connection are read in one turn, or the end before the decision. */
static void a_peer_may_leave_right_after_its_request(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);
    struct text bytes = request_of(&STREAM);

    assert_int_equal(send(peer.fd, bytes.bytes, bytes.size, 0), bytes.size);
    shutdown(peer.fd, SHUT_WR);
    turn(fixture);
    assert_int_equal(fixture->worker.connection_count, 0);
    text_finish(&bytes);
    leave(&peer);
}

static void a_peer_that_stops_reading_gets_everything_later_and_nobody_waits(void **state)
{
    enum { MESSAGES = 200, SIZE = 20000 };
    struct fixture *fixture = *state;
    struct peer slow = connect_peer(fixture), quick = connect_peer(fixture);
    char *data = malloc(SIZE);
    size_t at = 0;

    ask(&slow, &STREAM);
    ask(&quick, &STREAM);
    for (int i = 0; i < MESSAGES; i++) {
        memset(data, 'x', SIZE);
        snprintf(data, 16, "%06d", i);
        data[6] = ' ';
        publish(fixture, "news", (struct span){data, SIZE});
        receive(&quick);
        assert_memory_equal(quick.out.bytes + quick.out.size - 2, "\n\n", 2);
    }
    assert_int_equal(fixture->worker.metrics.subscribers, 2);
    receive(&slow);
    assert_int_equal(slow.bytes.size, 0);
    for (int i = 0; i < MESSAGES; i++) {
        char wanted[32];
        const char *found;

        snprintf(wanted, sizeof wanted, "\ndata: %06d ", i);
        found = memmem(slow.out.bytes + at, slow.out.size - at, wanted, strlen(wanted));
        assert_non_null(found);
        at = (size_t)(found - slow.out.bytes);
    }
    assert_null(memmem(slow.out.bytes, slow.out.size, "sidecast.gap", 12));
    free(data);
    leave(&slow);
    leave(&quick);
}

/* --- limits and stopping --- */

static void assert_stream_refused(struct peer *peer)
{
    assert_starts(peer->out, "Status: 200 OK\r\nContent-Type: text/event-stream\r\n");
    assert_part(&peer->out, ":\nretry: ");
    assert_null(memmem(peer->out.bytes, peer->out.size, "sidecast.open", 13));
    assert_int_equal(peer->ends, 1);
}

static void above_max_clients_requests_are_refused_until_one_leaves(void **state)
{
    struct fixture *fixture = *state;
    struct peer peers[MAX_CLIENTS], stream, poll;

    for (int i = 0; i < MAX_CLIENTS; i++) {
        peers[i] = connect_peer(fixture);
        ask(&peers[i], &STREAM);
        assert_int_equal(peers[i].ends, 0);
    }
    stream = connect_peer(fixture);
    ask(&stream, &STREAM);
    assert_stream_refused(&stream);
    poll = connect_peer(fixture);
    ask(&poll, &POLL);
    assert_starts(poll.out, "Status: 503 Service Unavailable\r\n");
    assert_part(&poll.out, "\r\nRetry-After: ");
    assert_int_equal(fixture->worker.metrics.requests_refused, 2);
    clear(&poll);
    leave(&peers[0]);
    ask(&poll, &POLL);
    assert_starts(poll.out, "Status: 200 OK\r\n");
    for (int i = 1; i < MAX_CLIENTS; i++)
        leave(&peers[i]);
    leave(&stream);
    leave(&poll);
}

static void draining_ends_streams_after_the_last_message(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);

    ask(&peer, &STREAM);
    publish(fixture, "news", span_of("last"));
    worker_drain(&fixture->worker);
    receive(&peer);
    assert_part(&peer.out, "\ndata: last\n\n");
    assert_int_equal(peer.ends, 1);
    assert_true(peer.is_over);
    leave(&peer);
}

static void draining_closes_idle_connections(void **state)
{
    struct fixture *fixture = *state;
    struct peer fresh = connect_peer(fixture), kept = connect_peer(fixture);

    ask(&kept, &POLL);
    worker_drain(&fixture->worker);
    receive(&fresh);
    receive(&kept);
    assert_true(fresh.is_over);
    assert_true(kept.is_over);
    assert_int_equal(fixture->worker.connection_count, 0);
    leave(&fresh);
    leave(&kept);
}

static void a_request_on_a_kept_connection_while_draining_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct text request = request_of(&(struct call){.query = "channel=news", .keep = true});
    size_t half = request.size / 2;
    struct peer peer = connect_peer(fixture);

    ask(&peer, &POLL);
    clear(&peer);
    send_bytes(&peer, (struct span){request.bytes, half});
    worker_drain(&fixture->worker);
    turn(fixture);
    assert_int_equal(fixture->worker.connection_count, 1);
    send_bytes(&peer, (struct span){request.bytes + half, request.size - half});
    receive(&peer);
    assert_stream_refused(&peer);
    assert_true(peer.is_over);
    text_finish(&request);
    leave(&peer);
}

/* It lies in the socket when the draining begins. */
static void a_request_that_was_not_read_yet_while_draining_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct text request = request_of(&POLL);
    struct peer peer = connect_peer(fixture);

    ask(&peer, &POLL);
    clear(&peer);
    assert_int_equal(send(peer.fd, request.bytes, request.size, 0), request.size);
    worker_drain(&fixture->worker);
    receive(&peer);
    assert_starts(peer.out, "Status: 503 Service Unavailable\r\n");
    assert_int_equal(peer.ends, 1);
    assert_true(peer.is_over);
    text_finish(&request);
    leave(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, finish)
        TEST(a_stream_starts_at_once_and_gets_messages),
        TEST(an_answer_ends_the_connection_unless_it_is_kept),
        TEST(a_kept_connection_takes_one_request_after_the_other),
        TEST(a_kept_connection_can_end_with_a_request_that_is_not_kept),
        TEST(a_waiting_poll_is_answered_by_the_message_and_its_connection_goes_on),
        TEST(the_response_has_the_id_of_its_request),
        TEST(a_request_may_come_byte_by_byte),
        TEST(what_was_published_before_the_request_is_in_the_answer),
        TEST(whole_answers_keep_the_connection),
        TEST(a_head_answer_has_no_body),
        TEST(who_may_not_listen_gets_403),
        TEST(too_many_params_are_431_and_the_connection_goes_on),
        TEST(too_large_a_body_is_413_and_the_connection_goes_on),
        TEST(half_a_request_is_closed_after_the_timeout),
        TEST(a_trickle_does_not_extend_the_timeout),
        TEST(a_connection_that_never_sends_is_closed_but_not_counted),
        TEST(an_idle_kept_connection_is_closed_after_its_own_timeout),
        TEST(a_second_half_request_is_closed_after_the_timeout),
        TEST(values_are_told_at_any_time),
        TEST(an_unknown_management_record_is_named_so),
        TEST(a_second_request_id_is_refused_and_the_first_goes_on),
        TEST(an_aborted_stream_ends_and_its_kept_connection_goes_on),
        TEST(an_aborted_half_request_ends_and_its_kept_connection_goes_on),
        TEST(an_abort_ends_the_request_and_then_a_connection_that_is_not_kept),
        TEST(a_request_can_be_aborted_before_it_is_decided),
        TEST(what_is_not_fastcgi_closes_the_connection),
        TEST(the_end_of_the_connection_frees_it_in_every_state),
        TEST(a_peer_may_leave_right_after_its_request),
        TEST(a_peer_that_stops_reading_gets_everything_later_and_nobody_waits),
        TEST(above_max_clients_requests_are_refused_until_one_leaves),
        TEST(draining_ends_streams_after_the_last_message),
        TEST(draining_closes_idle_connections),
        TEST(a_request_on_a_kept_connection_while_draining_is_refused),
        TEST(a_request_that_was_not_read_yet_while_draining_is_refused),
    };

    log_set_level(LOG_ERROR);
    if (!table_init() || !decoder_library_init())
        return 1;
    return cmocka_run_group_tests_name("connection", tests, NULL, NULL);
}
