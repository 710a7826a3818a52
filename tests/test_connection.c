/* Requests and what they are answered, and what is not a plain request. */
#include "connection_fixture.h"

#include "message.h"
#include "sse.h"

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

/* The hub's thread has raised the number and not yet put the message into the inbox. */
static void a_request_waits_for_what_was_published_before_it_and_does_not_spin(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);
    struct message_names names = {.channel = span_of("news")};
    struct event_id id = {clock_wall_ms() + 1, 0};
    struct message *message = sse_encode_message(id, &names, span_of("late"));

    message->ingest_ms = clock_monotonic_ms();
    atomic_fetch_add(&fixture->hub.published, 1);
    ask(&peer, &(struct call){.query = "channel=news&transport=poll&cursor=0", .keep = true});
    assert_int_equal(peer.out.size, 0);
    assert_false(ev_is_active(&fixture->worker.more));
    assert_true(inbox_reserve(fixture->inbox, 1));
    inbox_put_take(fixture->inbox, &(struct inbox_item){.message = message}, 1);
    receive(&peer);
    assert_int_equal(peer.ends, 1);
    assert_part(&peer.out, "\"data\":\"late\"");
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
    {{.query = "channel=a,*"}, "Status: 400 Bad Request\r\n", "\"bad_channel\""},
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

/* Its front end closes it: what is left of the body is read, and then nothing of it is there any more. */
static void too_large_a_body_on_a_connection_that_is_not_kept_is_413_and_ends_it(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);
    static char body[1025];
    struct call call = {.query = "channel=news", .body = {body, sizeof body}};
    struct text bytes = request_of(&call);
    size_t end = bytes.size - FCGI_HEADER_BYTES;

    send_bytes(&peer, (struct span){bytes.bytes, end});
    receive(&peer);
    assert_starts(peer.out, "Status: 413 Content Too Large\r\n");
    assert_false(peer.is_over);
    send_bytes(&peer, (struct span){bytes.bytes + end, FCGI_HEADER_BYTES});
    receive(&peer);
    assert_true(peer.is_over);
    assert_int_equal(fixture->worker.connection_count, 0);
    text_finish(&bytes);
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

/* Bytes that follow an abort are those of the next request, whole or not. */
static void what_follows_an_abort_in_the_same_bytes_is_the_next_request(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);
    struct text given_up = TEXT_EMPTY, next = request_of(&POLL);

    for (int i = 0; i < 2; i++) {
        put_begin(&given_up, 1, true);
        put_record(&given_up, FCGI_ABORT_REQUEST, 1, (struct span){0});
        text_append(&given_up, (struct span){next.bytes, i == 0 ? next.size : next.size / 2});
        send_text(&peer, &given_up);
        receive(&peer);
        assert_int_equal(peer.ends, 2 - i);
        clear(&peer);
    }
    /* Half of it is not idle, and has to be whole in time. */
    assert_true(TAILQ_EMPTY(&fixture->worker.idle));
    send_bytes(&peer, (struct span){next.bytes + next.size / 2, next.size - next.size / 2});
    receive(&peer);
    assert_starts(peer.out, "Status: 200 OK\r\n");
    assert_int_equal(peer.ends, 1);
    text_finish(&next);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_stream_starts_at_once_and_gets_messages),
        TEST(an_answer_ends_the_connection_unless_it_is_kept),
        TEST(a_kept_connection_takes_one_request_after_the_other),
        TEST(a_kept_connection_can_end_with_a_request_that_is_not_kept),
        TEST(a_waiting_poll_is_answered_by_the_message_and_its_connection_goes_on),
        TEST(the_response_has_the_id_of_its_request),
        TEST(a_request_may_come_byte_by_byte),
        TEST(what_was_published_before_the_request_is_in_the_answer),
        TEST(a_request_waits_for_what_was_published_before_it_and_does_not_spin),
        TEST(whole_answers_keep_the_connection),
        TEST(a_head_answer_has_no_body),
        TEST(who_may_not_listen_gets_403),
        TEST(too_many_params_are_431_and_the_connection_goes_on),
        TEST(too_large_a_body_is_413_and_the_connection_goes_on),
        TEST(too_large_a_body_on_a_connection_that_is_not_kept_is_413_and_ends_it),
        TEST(values_are_told_at_any_time),
        TEST(an_unknown_management_record_is_named_so),
        TEST(a_second_request_id_is_refused_and_the_first_goes_on),
        TEST(an_aborted_stream_ends_and_its_kept_connection_goes_on),
        TEST(an_aborted_half_request_ends_and_its_kept_connection_goes_on),
        TEST(an_abort_ends_the_request_and_then_a_connection_that_is_not_kept),
        TEST(a_request_can_be_aborted_before_it_is_decided),
        TEST(what_follows_an_abort_in_the_same_bytes_is_the_next_request),
        TEST(what_is_not_fastcgi_closes_the_connection),
    };

    return prepare() ? cmocka_run_group_tests_name("connection", tests, NULL, NULL) : 1;
}
