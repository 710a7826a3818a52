/* Publish requests on one loop: what they are answered, who may, and what becomes of those whose client or hub is not there. */
#include "connection_fixture.h"

#include "offers.h"
#include "publishing.h"
#include "state.h"

#include <dirent.h>

static struct offers offers;
static struct bell room;
static struct state ids;

static void ring_room(void *context)
{
    (void)context;
    bell_ring(&room);
}

static int make_with_offers(void **state)
{
    char error[64];
    struct event_id start;
    struct fixture *fixture;

    if (make(state) < 0)
        return -1;
    fixture = *state;
    if (!bell_init(&room) || !state_init(&ids, "", clock_wall_ms(), &start, error, sizeof error))
        return -1;
    if (!offers_init(&offers, fixture->loop, &fixture->hub, &room, &ids))
        return -1;
    fixture->worker.offers = &offers;
    fixture->worker.owner.took = ring_room;
    return 0;
}

static int finish_with_offers(void **state)
{
    struct fixture *fixture = *state;

    worker_finish(&fixture->worker);
    offers_finish(&offers);
    bell_finish(&room);
    hub_finish(&fixture->hub);
    config_finish(&fixture->settings);
    ev_loop_destroy(fixture->loop);
    free(fixture);
    return 0;
}

#define ALL "SIDECAST_PUBLISH", "**"

static struct call post_of(const char *query, const char *body)
{
    return (struct call){.method = "POST", .query = query, .endpoint = "publish", .keep = true, .body = span_of(body), .more = {ALL}};
}

static struct call document_of(const char *json)
{
    return (struct call){.method = "POST", .endpoint = "publish", .keep = true, .body = span_of(json),
                         .more = {ALL, "CONTENT_TYPE", "application/json"}};
}

static void ask_anew(struct peer *peer, struct call call)
{
    clear(peer);
    ask(peer, &call);
}

static void assert_answer(struct peer *peer, struct call call, const char *status, const char *part)
{
    ask_anew(peer, call);
    assert_starts(peer->out, status);
    assert_part(&peer->out, part);
    assert_int_equal(peer->ends, 1);
    assert_false(peer->is_over);
}

/* What is in history, as a poll shows it. */
static void assert_history(struct peer *peer, const char *query, const char *part)
{
    assert_answer(peer, (struct call){.query = query, .keep = true}, "Status: 200 OK\r\n", part);
}

/* No inbox has room: what is offered waits. */
static void fill_inbox(struct fixture *fixture)
{
    fixture->inbox->limit = 0;
}

static void empty_inbox(struct fixture *fixture)
{
    fixture->inbox->limit = 100;
    bell_ring(&room);
    turn(fixture);
}

/* As if its deadline had come. */
static void time_out(struct subscriber *waiting)
{
    waiting->ends_ms = 0;
    connection_timeout(&waiting->timeout);
}

/* --- what is published --- */

static void a_message_has_its_id_and_is_in_history_when_it_is_answered(void **state)
{
    struct fixture *fixture = *state;
    struct peer listener = connect_peer(fixture), peer = connect_peer(fixture);
    char answer[128], id[EVENT_ID_TEXT];

    ask(&listener, &STREAM);
    clear(&listener);
    ask_anew(&peer, post_of("channel=news&event=greeting", "Hello"));
    event_id_format(fixture->hub.newest, id);
    snprintf(answer, sizeof answer, "\r\n\r\n{\"ids\":[\"%s\"]}\n", id);
    assert_starts(peer.out, "Status: 202 Accepted\r\nContent-Type: application/json\r\n");
    assert_part(&peer.out, answer);
    receive(&listener);
    assert_part(&listener.out, "\nevent: greeting\ndata: Hello\n\n");
    assert_history(&peer, "channel=news&transport=poll&cursor=0", "\"data\":\"Hello\"");
    assert_int_equal(fixture->worker.metrics.subscribers, 1);
    leave(&listener);
    leave(&peer);
}

static void several_channels_get_one_message_each_in_order(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);

    assert_answer(&peer, post_of("channel=b&channel=a", "x"), "Status: 202 Accepted\r\n", "\",\"");
    assert_int_equal(fixture->hub.metrics.messages_published, 2);
    assert_history(&peer, "channel=a&channel=b&transport=poll&cursor=0",
                   "\"channel\":\"b\",\"event\":null,\"data\":\"x\"},");
    leave(&peer);
}

static void a_batch_tells_what_became_of_each_item(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);

    assert_answer(&peer, document_of("[{\"channel\":\"a\",\"data\":1},{\"channel\":\"a b\",\"data\":2},{\"channel\":\"c\",\"data\":3}]"),
                  "Status: 202 Accepted\r\n", "\",null,\"");
    assert_part(&peer.out, "\"],\"errors\":[{\"item\":1,\"error\":\"bad_channel\",\"message\":\"the channel must be");
    assert_int_equal(fixture->hub.metrics.messages_published, 2);
    assert_int_equal(fixture->hub.metrics.dropped_bad_channel, 1);
    assert_history(&peer, "channel=c&transport=poll&cursor=0", "\"data\":\"3\"");
    leave(&peer);
}

/* As many messages as the inbox has memory for, or about that: the answer behind them has its place. */
static void an_answer_has_its_place_however_many_messages_come_before_it(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);
    struct text query = TEXT_EMPTY;

    for (int count = 1; count <= 300; count++) {
        text_append_string(&query, count == 1 ? "channel=a" : "&channel=a");
        text_append(&query, (struct span){"", 1});
        ask_anew(&peer, post_of(query.bytes, "x"));
        assert_starts(peer.out, "Status: 202 Accepted\r\n");
        query.size--;
    }
    text_finish(&query);
    leave(&peer);
}

static void a_key_that_came_before_is_answered_with_its_id(void **state)
{
    struct peer peer = connect_peer(*state);
    struct text first = TEXT_EMPTY;

    ask_anew(&peer, post_of("channel=a&key=k", "x"));
    text_append(&first, text_span(&peer.out));
    ask_anew(&peer, post_of("channel=a&key=k", "y"));
    assert_true(span_equal(text_span(&first), text_span(&peer.out)));
    assert_int_equal(((struct fixture *)*state)->hub.metrics.messages_duplicate, 1);
    text_finish(&first);
    leave(&peer);
}

static void what_breaks_a_rule_is_told_and_counted(void **state)
{
    struct fixture *fixture = *state;
    struct metrics *hub = &fixture->hub.metrics, *worker = &fixture->worker.metrics;
    const struct {
        struct call call;
        const char *status, *part;
        const uint64_t *counter;
    } rows[] = {
        {document_of("{"), "Status: 400", "{\"error\":\"bad_json\",\"message\":\"not a JSON object or array (RFC 8259, UTF-8)\"}", &worker->dropped_bad_json},
        {post_of("channel=a&ttl=soon", "x"), "Status: 400", "\"ttl must be a number of seconds, at least 1\"", &hub->dropped_bad_option},
        {document_of("{\"channel\":\"*\",\"data\":1}"), "Status: 400", "\"bad_channel\"", &worker->dropped_bad_channel},
        {post_of("channel=a", "\xff"), "Status: 400", "\"bad_data\"", &hub->dropped_bad_data},
        {post_of("channel=a", "12345678901"), "Status: 413 Content Too Large", "\"too_large\"", &hub->dropped_too_large},
        {post_of("channel=*", "x"), "Status: 400", "\"bad_channel\"", &worker->dropped_bad_channel},
        {post_of("channel=a&evnt=x", "x"), "Status: 400", "\"bad_option\"", &worker->dropped_bad_option},
        {post_of("", "x"), "Status: 400", "\"no_channel\"", &worker->dropped_bad_channel},
        {document_of("[]"), "Status: 400", "\"a batch must have at least one item\"", NULL},
    };
    struct peer peer = connect_peer(fixture);

    fixture->settings.publish_max_bytes = 10;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t before = rows[i].counter ? *rows[i].counter : 0;

        assert_answer(&peer, rows[i].call, rows[i].status, rows[i].part);
        if (rows[i].counter)
            assert_int_equal(*rows[i].counter, before + 1);
        assert_int_equal(worker->requests_bad, i + 1);
    }
    assert_int_equal(hub->messages_published, 0);
    leave(&peer);
}

static void half_a_body_is_not_published(void **state)
{
    struct peer peer = connect_peer(*state);
    struct call call = post_of("channel=a", "half");

    call.more[2] = "CONTENT_LENGTH";
    call.more[3] = "8";
    assert_answer(&peer, call, "Status: 400 Bad Request\r\n", "\"bad_data\"");
    assert_int_equal(((struct fixture *)*state)->worker.metrics.dropped_bad_data, 1);
    leave(&peer);
}

/* --- who may --- */

static void only_what_the_front_end_lets_may_be_published(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *patterns;
        const char *query;
        bool wanted;
    } rows[] = {
        {NULL, "channel=a", false},
        {"", "channel=a", false},
        {" , ", "channel=a", false},
        {"a", "channel=a", true},
        {"b", "channel=a", false},
        {"b, a", "channel=a", true},
        {"a", "channel=a&channel=b", false},
        {"orders/*,news", "channel=orders%2F7&channel=news", true},
        {"orders/*", "channel=orders%2F7%2Flines", false},
    };
    struct peer peer = connect_peer(fixture);

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct call call = post_of(rows[i].query, "x");

        call.more[0] = rows[i].patterns ? "SIDECAST_PUBLISH" : NULL;
        call.more[1] = rows[i].patterns;
        ask_anew(&peer, call);
        if (rows[i].wanted)
            assert_starts(peer.out, "Status: 202 Accepted\r\n");
        else
            assert_starts(peer.out, "Status: 403 Forbidden\r\n");
    }
    assert_int_equal(fixture->hub.metrics.messages_published, 4);
    leave(&peer);
}

static void one_channel_that_is_not_allowed_refuses_the_whole_batch(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);
    struct call call = document_of("[{\"channel\":\"a\",\"data\":1},{\"channels\":[\"a\",\"b\"],\"data\":2}]");

    call.more[1] = "a";
    assert_answer(&peer, call, "Status: 403 Forbidden\r\n", "\"not_allowed\"");
    assert_int_equal(fixture->hub.metrics.messages_published, 0);
    call.body = span_of("[{\"channel\":\"a\",\"data\":1},{\"channel\":\"a\",\"data\":2}]");
    assert_answer(&peer, call, "Status: 202 Accepted\r\n", "-");
    leave(&peer);
}

/* Read as `channel` when it was allowed, and as `category` when the hub gets to see it. */
static void a_permission_ends_with_the_channel_key_that_it_was_given_for(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);
    struct call call = document_of("{\"channel\":\"a\",\"category\":\"secret\"}");
    char *before = fixture->settings.publish_channel_key, category[] = "category";

    fill_inbox(fixture);
    call.more[1] = "a";
    ask_anew(&peer, call);
    fixture->settings.publish_channel_key = category;
    empty_inbox(fixture);
    receive(&peer);
    assert_starts(peer.out, "Status: 503 Service Unavailable\r\n");
    assert_int_equal(fixture->hub.metrics.messages_published, 0);
    fixture->settings.publish_channel_key = before;
    leave(&peer);
}

/* --- what waits --- */

static void an_offer_waits_while_an_inbox_is_full(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);

    fill_inbox(fixture);
    ask_anew(&peer, post_of("channel=a", "x"));
    assert_int_equal(peer.out.size, 0);
    assert_int_equal(offers.count, 1);
    assert_false(ev_is_active(&offers.more));
    empty_inbox(fixture);
    receive(&peer);
    assert_starts(peer.out, "Status: 202 Accepted\r\n");
    assert_int_equal(offers.count, 0);
    assert_int_equal(offers.bytes, 0);
    leave(&peer);
}

static void who_waits_too_long_is_told_so_and_nothing_is_published(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);

    fill_inbox(fixture);
    ask_anew(&peer, post_of("channel=a", "x"));
    time_out(TAILQ_FIRST(&fixture->worker.offered));
    receive(&peer);
    assert_starts(peer.out, "Status: 503 Service Unavailable\r\n");
    assert_part(&peer.out, "\r\nRetry-After: 1\r\n");
    assert_int_equal(fixture->worker.metrics.requests_refused, 1);
    empty_inbox(fixture);
    assert_int_equal(fixture->hub.metrics.messages_published, 0);
    assert_int_equal(offers.count, 0);
    assert_answer(&peer, post_of("channel=a", "x"), "Status: 202 Accepted\r\n", "-");
    leave(&peer);
}

/* The hub has claimed it: then 503 would be a lie. */
static void who_waits_too_long_is_answered_by_the_hub_if_that_was_faster(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);
    struct offer *offer;

    fill_inbox(fixture);
    ask_anew(&peer, post_of("channel=a", "x"));
    offer = STAILQ_FIRST(&offers.queue);
    assert_true(offer_claim(offer));
    time_out(TAILQ_FIRST(&fixture->worker.offered));
    receive(&peer);
    assert_int_equal(peer.out.size, 0);
    atomic_store(&offer->is_claimed, false); /* as it is before the hub claims it */
    empty_inbox(fixture);
    receive(&peer);
    assert_starts(peer.out, "Status: 202 Accepted\r\n");
    leave(&peer);
}

static void a_full_queue_is_503(void **state)
{
    struct fixture *fixture = *state;
    struct peer first = connect_peer(fixture), peer = connect_peer(fixture);

    fill_inbox(fixture);
    ask_anew(&first, post_of("channel=a", "x"));
    offers.bytes += 1 << 30;
    assert_answer(&peer, post_of("channel=a", "x"), "Status: 503 Service Unavailable\r\n", "\"unavailable\"");
    offers.bytes -= 1 << 30;
    empty_inbox(fixture);
    leave(&first);
    leave(&peer);
}

static void who_left_is_published_all_the_same(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);

    fill_inbox(fixture);
    ask_anew(&peer, post_of("channel=a", "x"));
    leave(&peer);
    assert_int_equal(fixture->worker.connection_count, 0);
    empty_inbox(fixture);
    assert_int_equal(fixture->hub.metrics.messages_published, 1);
}

static void an_abort_leaves_the_offer_and_the_kept_connection_goes_on(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);
    struct text abort = TEXT_EMPTY;

    fill_inbox(fixture);
    ask_anew(&peer, post_of("channel=a", "x"));
    put_record(&abort, FCGI_ABORT_REQUEST, 1, (struct span){0});
    send_text(&peer, &abort);
    receive(&peer);
    assert_int_equal(peer.ends, 1);
    empty_inbox(fixture);
    receive(&peer);
    assert_int_equal(peer.out.size, 0);
    assert_answer(&peer, post_of("channel=a", "x"), "Status: 202 Accepted\r\n", "-");
    leave(&peer);
}

static void what_is_offered_and_waits_at_the_end_is_let_go(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);

    fill_inbox(fixture);
    ask_anew(&peer, post_of("channel=a", "x"));
    assert_int_equal(offers.count, 1);
    close(peer.fd);
    text_finish(&peer.bytes);
}

/* --- the end of the server --- */

static void take_inbox(void *context)
{
    struct fixture *fixture = context;

    fixture->inbox->limit = 100;
    worker_take_inbox(&fixture->worker);
}

static void at_the_end_what_was_offered_is_answered_and_new_requests_are_503(void **state)
{
    struct fixture *fixture = *state;
    struct peer early = connect_peer(fixture), late = connect_peer(fixture);

    fill_inbox(fixture);
    ask_anew(&early, post_of("channel=a", "x"));
    offers_drain(&offers, take_inbox, fixture, 10000);
    assert_int_equal(fixture->hub.metrics.messages_published, 1);
    assert_answer(&late, post_of("channel=a", "x"), "Status: 503 Service Unavailable\r\n", "Retry-After: 1\r\n");
    worker_order(&fixture->worker, WORKER_DRAIN);
    receive(&early);
    assert_starts(early.out, "Status: 202 Accepted\r\n");
    assert_true(fixture->worker.is_draining);
    leave(&early);
    leave(&late);
}

static void without_a_queue_nothing_can_be_published(void **state)
{
    struct peer peer = connect_peer(*state);

    ((struct fixture *)*state)->worker.offers = NULL;
    assert_answer(&peer, post_of("channel=a", "x"), "Status: 503 Service Unavailable\r\n", "\"unavailable\"");
    leave(&peer);
}

/* --- bodies that are too large, or not whole --- */

static char large[3000];

static void too_large_a_body_is_answered_at_once_and_read_to_its_end(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);
    struct call call = post_of("channel=a", "");

    call.body = (struct span){large, sizeof large};
    struct text bytes = request_of(&call);
    send_bytes(&peer, (struct span){bytes.bytes, bytes.size - 1000});
    receive(&peer);
    assert_starts(peer.out, "Status: 413 Content Too Large\r\n");
    assert_int_equal(peer.ends, 1);
    assert_false(peer.is_over);
    send_bytes(&peer, (struct span){bytes.bytes + bytes.size - 1000, 1000});
    assert_false(TAILQ_EMPTY(&fixture->worker.idle));
    assert_answer(&peer, post_of("channel=a", "x"), "Status: 202 Accepted\r\n", "-");
    text_finish(&bytes);
    leave(&peer);
}

static void a_body_that_is_announced_too_large_is_not_waited_for(void **state)
{
    struct peer peer = connect_peer(*state);
    struct call call = post_of("channel=a", "");

    call.more[2] = "CONTENT_LENGTH";
    call.more[3] = "1025";
    struct text bytes = request_of(&call);
    send_bytes(&peer, (struct span){bytes.bytes, bytes.size - FCGI_HEADER_BYTES});
    receive(&peer);
    assert_starts(peer.out, "Status: 413 Content Too Large\r\n");
    assert_int_equal(peer.ends, 1);
    text_finish(&bytes);
    leave(&peer);
}

static void the_rest_of_too_large_a_body_has_five_seconds(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);
    struct call call = post_of("channel=a", "");
    struct subscriber *waiting;

    call.keep = false;
    call.body = (struct span){large, sizeof large};
    struct text bytes = request_of(&call);
    send_bytes(&peer, (struct span){bytes.bytes, bytes.size - 1000});
    receive(&peer);
    assert_int_equal(peer.ends, 1);
    assert_false(peer.is_over);
    waiting = TAILQ_FIRST(&fixture->worker.reading);
    assert_in_range(waiting->timeout.due_ms, fixture->worker.replica.now_ms + 4000, fixture->worker.replica.now_ms + 5000);
    time_out(waiting);
    receive(&peer);
    assert_true(peer.is_over);
    assert_int_equal(fixture->worker.metrics.requests_timed_out, 0);
    text_finish(&bytes);
    leave(&peer);
}

static void an_abort_within_too_large_a_body_ends_the_connection(void **state)
{
    struct peer peer = connect_peer(*state);
    struct call call = post_of("channel=a", "");

    call.body = (struct span){large, sizeof large};
    struct text bytes = request_of(&call);
    bytes.size -= FCGI_HEADER_BYTES;
    send_bytes(&peer, text_span(&bytes));
    receive(&peer);
    assert_int_equal(peer.ends, 1);
    text_clear(&bytes);
    put_record(&bytes, FCGI_ABORT_REQUEST, 1, (struct span){0});
    send_text(&peer, &bytes);
    receive(&peer);
    assert_int_equal(peer.ends, 1);
    assert_true(peer.is_over);
    leave(&peer);
}

static size_t count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    size_t count = 0;

    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

/* At every byte of the request. */
static void who_dies_in_mid_request_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct call call = post_of("channel=a", "data");
    struct text bytes = request_of(&call);
    size_t before;

    turn(fixture);
    before = count_descriptors();
    for (size_t size = 0; size < bytes.size; size++) {
        struct peer peer = connect_peer(fixture);

        send_bytes(&peer, (struct span){bytes.bytes, size});
        leave(&peer);
        assert_int_equal(count_descriptors(), before);
    }
    assert_int_equal(fixture->worker.connection_count, 0);
    assert_int_equal(fixture->hub.metrics.messages_published, 0);
    text_finish(&bytes);
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_with_offers, finish_with_offers)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_message_has_its_id_and_is_in_history_when_it_is_answered),
        TEST(several_channels_get_one_message_each_in_order),
        TEST(a_batch_tells_what_became_of_each_item),
        TEST(an_answer_has_its_place_however_many_messages_come_before_it),
        TEST(a_key_that_came_before_is_answered_with_its_id),
        TEST(what_breaks_a_rule_is_told_and_counted),
        TEST(half_a_body_is_not_published),
        TEST(only_what_the_front_end_lets_may_be_published),
        TEST(one_channel_that_is_not_allowed_refuses_the_whole_batch),
        TEST(a_permission_ends_with_the_channel_key_that_it_was_given_for),
        TEST(an_offer_waits_while_an_inbox_is_full),
        TEST(who_waits_too_long_is_told_so_and_nothing_is_published),
        TEST(who_waits_too_long_is_answered_by_the_hub_if_that_was_faster),
        TEST(a_full_queue_is_503),
        TEST(who_left_is_published_all_the_same),
        TEST(an_abort_leaves_the_offer_and_the_kept_connection_goes_on),
        TEST(what_is_offered_and_waits_at_the_end_is_let_go),
        TEST(at_the_end_what_was_offered_is_answered_and_new_requests_are_503),
        TEST(without_a_queue_nothing_can_be_published),
        TEST(too_large_a_body_is_answered_at_once_and_read_to_its_end),
        TEST(a_body_that_is_announced_too_large_is_not_waited_for),
        TEST(the_rest_of_too_large_a_body_has_five_seconds),
        TEST(an_abort_within_too_large_a_body_ends_the_connection),
        TEST(who_dies_in_mid_request_leaves_nothing),
    };

    return prepare() ? cmocka_run_group_tests_name("publishing", tests, NULL, NULL) : 1;
}
