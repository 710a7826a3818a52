/* Publish requests: what they are answered, and who may. */
#include "publishing_fixture.h"

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
    };

    return prepare() ? cmocka_run_group_tests_name("publishing", tests, NULL, NULL) : 1;
}
