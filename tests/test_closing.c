/* How connections end: deadlines, who leaves, limits, the end of the server. */
#include "connection_fixture.h"

#include <fcntl.h>

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

    fixture->settings.fastcgi_request_timeout = 500; /* its half is there before, on a busy machine too */
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

/* The one of its first request comes while it is idle. */
static void a_deadline_of_before_does_not_end_an_idle_connection(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer;
    int64_t asked_ms;

    fixture->settings.fastcgi_request_timeout = 20;
    fixture->settings.fastcgi_keep_timeout = 100;
    peer = connect_peer(fixture);
    asked_ms = clock_monotonic_ms();
    ask(&peer, &POLL);
    await_close(fixture);
    assert_true(clock_monotonic_ms() - asked_ms >= 100);
    leave(&peer);
}

/* Both deadlines are over when the second answer comes, and neither was its own. */
static void deadlines_of_before_do_not_end_a_request_that_waits(void **state)
{
    static const struct call waiting = {.query = "channel=news&transport=poll&cursor=99999999999999", .keep = true};
    struct fixture *fixture = *state;
    struct peer peer;

    fixture->settings.fastcgi_request_timeout = 300;
    fixture->settings.fastcgi_keep_timeout = 300;
    fixture->settings.poll_timeout = 900;
    peer = connect_peer(fixture);
    ask(&peer, &POLL);
    assert_int_equal(peer.ends, 1);
    ask(&peer, &waiting);
    assert_int_equal(peer.ends, 1);
    for (int64_t patience_ms = clock_monotonic_ms() + 10000; peer.ends == 1 && clock_monotonic_ms() < patience_ms; receive(&peer))
        ev_run(fixture->loop, EVRUN_ONCE);
    assert_int_equal(peer.ends, 2);
    assert_int_equal(fixture->closed, 0);
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
        assert_true(TAILQ_EMPTY(&fixture->worker.closed));
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

/* epoll has no room for a descriptor, or cannot watch it. */
static void a_connection_that_cannot_be_watched_is_refused(void **state)
{
    struct fixture *fixture = *state;
    size_t reserved = fixture->worker.replica.timeouts.reserved;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_true(inbox_reserve(fixture->inbox, 1));
    inbox_put_take(fixture->inbox, &(struct inbox_item){.descriptor = fd}, 1);
    turn(fixture);
    assert_int_equal(fixture->worker.metrics.connections_refused, 1);
    assert_int_equal(fixture->worker.connection_count, 0);
    assert_int_equal(fixture->closed, 1);
    assert_int_equal(fixture->worker.replica.timeouts.reserved, reserved);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void draining_ends_streams_after_the_last_message(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);

    ask(&peer, &STREAM);
    publish(fixture, "news", span_of("last"));
    worker_order(&fixture->worker, WORKER_DRAIN);
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
    worker_order(&fixture->worker, WORKER_DRAIN);
    receive(&kept);
    assert_true(kept.is_over);
    assert_int_equal(fixture->worker.connection_count, 1);
    await_close(fixture); /* it had a moment for its request */
    receive(&fresh);
    assert_true(fresh.is_over);
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
    worker_order(&fixture->worker, WORKER_DRAIN);
    turn(fixture);
    assert_int_equal(fixture->worker.connection_count, 1);
    send_bytes(&peer, (struct span){request.bytes + half, request.size - half});
    receive(&peer);
    assert_stream_refused(&peer);
    assert_true(peer.is_over);
    text_finish(&request);
    leave(&peer);
}

/* It was accepted just before, and does not know better. */
static void the_first_request_of_a_connection_while_draining_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);

    worker_order(&fixture->worker, WORKER_DRAIN);
    turn(fixture);
    ask(&peer, &STREAM);
    assert_stream_refused(&peer);
    assert_true(peer.is_over);
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
    worker_order(&fixture->worker, WORKER_DRAIN);
    receive(&peer);
    assert_starts(peer.out, "Status: 503 Service Unavailable\r\n");
    assert_int_equal(peer.ends, 1);
    assert_true(peer.is_over);
    text_finish(&request);
    leave(&peer);
}

/* Or the draining would wait for its next request. */
static void a_request_that_is_given_up_while_draining_ends_its_connection(void **state)
{
    struct fixture *fixture = *state;
    struct text request = request_of(&POLL);
    struct peer peer = connect_peer(fixture);

    send_bytes(&peer, (struct span){request.bytes, request.size / 2});
    worker_order(&fixture->worker, WORKER_DRAIN);
    turn(fixture);
    send_bytes(&peer, (struct span){request.bytes + request.size / 2, request.size - request.size / 2 - 2 * FCGI_HEADER_BYTES});
    text_clear(&request);
    put_record(&request, FCGI_ABORT_REQUEST, 1, (struct span){0});
    send_text(&peer, &request);
    receive(&peer);
    assert_int_equal(peer.ends, 1);
    assert_true(peer.is_over);
    leave(&peer);
}

/* --- the time in which streams are ended one by one --- */

static void streams_end_one_by_one_and_get_what_comes_until_then(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);

    fixture->settings.hub_drain = 60000;
    ask(&peer, &STREAM);
    worker_order(&fixture->worker, WORKER_SPREAD);
    turn(fixture);
    publish(fixture, "news", span_of("meanwhile"));
    receive(&peer);
    assert_part(&peer.out, "\ndata: meanwhile\n\n");
    assert_false(peer.is_over);
    assert_true(timeouts_due_ms(&fixture->worker.replica.timeouts) <= clock_monotonic_ms() + 60000);
    worker_order(&fixture->worker, WORKER_DRAIN); /* the time is over */
    receive(&peer);
    assert_int_equal(peer.ends, 1);
    assert_true(peer.is_over);
    leave(&peer);
}

static void meanwhile_requests_are_refused_and_idle_connections_closed(void **state)
{
    struct fixture *fixture = *state;
    struct peer fresh = connect_peer(fixture), kept = connect_peer(fixture), late;

    fixture->settings.hub_drain = 60000;
    ask(&kept, &POLL);
    worker_order(&fixture->worker, WORKER_SPREAD);
    receive(&kept);
    assert_true(kept.is_over);
    ask(&fresh, &STREAM);
    assert_stream_refused(&fresh);
    late = connect_peer(fixture);
    ask(&late, &STREAM);
    assert_stream_refused(&late);
    assert_true(late.is_over);
    leave(&fresh);
    leave(&kept);
    leave(&late);
}

static void each_stream_has_a_moment_of_its_own(void **state)
{
    struct fixture *fixture = *state;
    struct peer first = connect_peer(fixture), second = connect_peer(fixture);

    fixture->settings.hub_drain = 20;
    ask(&first, &STREAM);
    ask(&second, &STREAM);
    worker_order(&fixture->worker, WORKER_SPREAD);
    fixture->is_awaiting = true;
    while (fixture->closed < 2) /* in one turn, if that comes late */
        ev_run(fixture->loop, EVRUN_ONCE);
    receive(&first);
    receive(&second);
    assert_int_equal(first.ends + second.ends, 2);
    leave(&first);
    leave(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(half_a_request_is_closed_after_the_timeout),
        TEST(a_trickle_does_not_extend_the_timeout),
        TEST(a_connection_that_never_sends_is_closed_but_not_counted),
        TEST(an_idle_kept_connection_is_closed_after_its_own_timeout),
        TEST(a_deadline_of_before_does_not_end_an_idle_connection),
        TEST(deadlines_of_before_do_not_end_a_request_that_waits),
        TEST(a_second_half_request_is_closed_after_the_timeout),
        TEST(the_end_of_the_connection_frees_it_in_every_state),
        TEST(a_peer_may_leave_right_after_its_request),
        TEST(a_peer_that_stops_reading_gets_everything_later_and_nobody_waits),
        TEST(above_max_clients_requests_are_refused_until_one_leaves),
        TEST(a_connection_that_cannot_be_watched_is_refused),
        TEST(draining_ends_streams_after_the_last_message),
        TEST(draining_closes_idle_connections),
        TEST(a_request_on_a_kept_connection_while_draining_is_refused),
        TEST(the_first_request_of_a_connection_while_draining_is_refused),
        TEST(a_request_that_was_not_read_yet_while_draining_is_refused),
        TEST(a_request_that_is_given_up_while_draining_ends_its_connection),
        TEST(streams_end_one_by_one_and_get_what_comes_until_then),
        TEST(meanwhile_requests_are_refused_and_idle_connections_closed),
        TEST(each_stream_has_a_moment_of_its_own),
    };

    return prepare() ? cmocka_run_group_tests_name("closing", tests, NULL, NULL) : 1;
}
