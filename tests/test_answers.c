#include "replica_fixture.h"

#include "answers.h"

#include <jansson.h>

struct reply {
    char data[2000]; /* of the messages, blanks between; `gap: ` before, if there was one */
    struct event_id cursor;
};

/* The whole answer; a client that was not answered fails the test. */
static struct reply read_reply(const struct client *client)
{
    struct stream stream = client_read(client);
    struct reply reply = {0};
    json_t *answer, *messages, *message;
    size_t i;
    char *out = reply.data;

    assert_true(stream.is_whole);
    assert_int_equal(client->reason, LEAVE_DONE);
    assert_memory_equal(stream.headers.bytes, "Status: 200 OK\r\n", 16);
    assert_non_null(memmem(stream.headers.bytes, stream.headers.size, "Content-Type: application/json\r\n", 32));
    assert_non_null(memmem(stream.headers.bytes, stream.headers.size, "Cache-Control: no-store\r\n", 25));
    answer = json_loadb(stream.body.bytes, stream.body.size, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(answer);
    assert_int_equal(json_object_size(answer), 3);
    assert_int_equal(event_id_parse(span_of(json_string_value(json_object_get(answer, "cursor"))), &reply.cursor), EVENT_ID_FULL);
    assert_true(json_is_boolean(json_object_get(answer, "gap")));
    if (json_is_true(json_object_get(answer, "gap")))
        out += sprintf(out, "gap:");
    messages = json_object_get(answer, "messages");
    json_array_foreach(messages, i, message) out +=
        sprintf(out, "%s%s", out == reply.data ? "" : " ", json_string_value(json_object_get(message, "data")));
    json_decref(answer);
    stream_finish(&stream);
    return reply;
}

static void assert_reply(const struct client *client, const char *data, struct event_id cursor)
{
    struct reply reply = read_reply(client);

    assert_string_equal(reply.data, data);
    assert_int_equal(event_id_compare(reply.cursor, cursor), 0);
}

static void poll(struct client *client, const char *channels, struct event_id cursor)
{
    client_init(client);
    join(&fixture, client, (struct wish){.channels = channels, .cursor = CURSOR_ID, .id = cursor, .poll = true});
}

/* --- when, and with what cursor --- */

static void what_is_after_the_cursor_is_answered_at_once(void **state)
{
    struct client client;

    (void)state;
    publish(&fixture, "a", "one");
    publish(&fixture, "b", "two");
    publish(&fixture, "a", "three");
    poll(&client, "a,b", FIXTURE_START);
    assert_reply(&client, "one two three", fixture.last);
    done(&client);
}

static void poll_without_a_cursor_is_told_where_now_is(void **state)
{
    struct client client;

    (void)state;
    publish(&fixture, "a", "one");
    publish(&fixture, "elsewhere", "two");
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a", .poll = true});
    assert_reply(&client, "", fixture.last);
    done(&client);
}

static void waiting_poll_is_answered_by_the_next_message(void **state)
{
    struct client client;

    (void)state;
    publish(&fixture, "a", "one");
    poll(&client, "a,b", fixture.last);
    turn(&fixture);
    publish(&fixture, "elsewhere", "x");
    turn(&fixture);
    assert_false(client.has_left);
    assert_int_equal(client.received.size, 0);
    publish(&fixture, "b", "two");
    turn(&fixture);
    assert_reply(&client, "two", fixture.last);
    done(&client);
}

static void poll_that_waited_in_vain_gets_a_cursor_that_loses_nothing(void **state)
{
    struct client first, second;
    struct reply reply;

    (void)state;
    publish(&fixture, "a", "one");
    poll(&first, "a", fixture.last);
    pass_ms(&fixture, 24999);
    assert_false(first.has_left);
    publish(&fixture, "elsewhere", "x");
    pass_ms(&fixture, 1);
    reply = read_reply(&first);
    assert_string_equal(reply.data, "");
    publish(&fixture, "a", "two");
    poll(&second, "a", reply.cursor);
    assert_reply(&second, "two", fixture.last);
    done(&first);
    done(&second);
}

static void message_of_the_last_moment_is_in_the_answer(void **state)
{
    struct client client;

    (void)state;
    fixture.settings.hub_pace = 50;
    client_init(&client);
    publish(&fixture, "a", "one");
    poll(&client, "a", fixture.last);
    fixture.replica.now_ms += 25000;
    publish(&fixture, "a", "two");
    turn(&fixture); /* deadlines come first */
    assert_reply(&client, "two", fixture.last);
    done(&client);
}

static void last_gives_the_newest_from_the_oldest_on(void **state)
{
    struct client client;
    struct event_id third;

    (void)state;
    fixture.settings.poll_max_messages = 2;
    publish(&fixture, "a", "one");
    publish(&fixture, "a", "two");
    third = publish(&fixture, "b", "three");
    publish(&fixture, "a", "four");
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a,b", .cursor = CURSOR_LAST, .last = 3, .poll = true});
    assert_reply(&client, "two three", third);
    done(&client);
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "c", .cursor = CURSOR_LAST, .last = 3, .poll = true});
    assert_reply(&client, "", fixture.last);
    done(&client);
}

static void zero_gives_all_that_history_has_and_waits_when_that_is_nothing(void **state)
{
    struct client client;

    (void)state;
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a", .cursor = CURSOR_ZERO, .poll = true});
    assert_false(client.has_left);
    publish(&fixture, "a", "one");
    turn(&fixture);
    assert_reply(&client, "one", fixture.last);
    done(&client);
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a", .cursor = CURSOR_ZERO, .poll = true});
    assert_reply(&client, "one", fixture.last);
    done(&client);
}

/* --- gaps --- */

static void gap_is_answered_at_once_with_or_without_messages(void **state)
{
    struct client lost, bad, future;
    struct event_id newest;

    (void)state;
    fixture.settings.history_messages = 1;
    fixture.settings.history_keep = 0;
    poll(&lost, "a", event_id_before(FIXTURE_START));
    assert_reply(&lost, "gap:", FIXTURE_START);
    done(&lost);
    publish(&fixture, "a", "one");
    newest = publish(&fixture, "a", "two");
    poll(&lost, "a", FIXTURE_START);
    assert_reply(&lost, "gap: two", newest);
    poll(&future, "a", (struct event_id){newest.ms + 5, 0});
    assert_reply(&future, "gap: two", newest);
    client_init(&bad);
    join(&fixture, &bad, (struct wish){.channels = "a", .cursor = CURSOR_BAD, .poll = true});
    assert_reply(&bad, "gap: two", newest);
    done(&lost);
    done(&future);
    done(&bad);
}

/* --- pages --- */

static void answers_are_paged_by_messages_and_every_page_goes_on_where_the_last_one_ended(void **state)
{
    struct event_id cursor = FIXTURE_START;
    int next = 0;

    (void)state;
    fixture.settings.poll_max_messages = 7;
    for (int i = 0; i < 30; i++)
        publish_many(&fixture, i % 3 ? "a" : "b", i, 1, 1);
    while (next < 30) {
        struct client client;
        struct reply reply;
        int in_page = 0;

        poll(&client, "a,b", cursor);
        reply = read_reply(&client);
        for (char *at = reply.data, *end; *at; at = end + (*end == ' '), in_page++)
            assert_int_equal(strtol(at, &end, 10), next++);
        assert_int_equal(in_page, next == 30 ? 2 : 7);
        cursor = reply.cursor;
        done(&client);
    }
}

static void answers_are_paged_by_bytes_but_hold_at_least_one_message(void **state)
{
    struct client client;
    struct event_id first, second;

    (void)state;
    fixture.settings.poll_max_bytes = 200;
    first = publish(&fixture, "a", "small");
    second = publish(&fixture, "a", "small");
    publish_many(&fixture, "a", 3, 1, 1500);
    poll(&client, "a", FIXTURE_START);
    assert_reply(&client, "small small", second);
    done(&client);
    poll(&client, "a", first);
    assert_reply(&client, "small", second);
    done(&client);
    poll(&client, "a", second);
    assert_int_equal(event_id_compare(read_reply(&client).cursor, fixture.last), 0);
    done(&client);
}

/* --- sharing --- */

/* How many of the answers were built for another client, with `clients` waiting for the same. */
static uint64_t shared_with(struct wish wish, struct wish other, struct publication publication, const char *data,
                            const char *other_data)
{
    struct client first, second;
    uint64_t before = fixture.metrics.poll_answers_shared, shared;

    client_init(&first);
    client_init(&second);
    wish.poll = other.poll = true;
    join(&fixture, &first, wish);
    join(&fixture, &second, other);
    publish_with(&fixture, publication);
    turn(&fixture);
    assert_int_equal(first.has_left, data != NULL);
    assert_int_equal(second.has_left, other_data != NULL);
    if (data)
        assert_string_equal(read_reply(&first).data, data);
    if (other_data)
        assert_string_equal(read_reply(&second).data, other_data);
    shared = fixture.metrics.poll_answers_shared - before;
    done(&first);
    done(&second);
    return shared;
}

static void clients_that_get_the_same_share_one_answer(void **state)
{
    struct publication plain = {.channel = "a", .data = span_of("x")};
    struct publication private = {.channel = "a", .data = span_of("x"), .except = "me"};
    struct publication passing = {.channel = "a", .data = span_of("x"), .transient = true};
    struct wish wish = {.channels = "a,b", .cursor = CURSOR_ID}, other = wish;

    (void)state;
#define SHARED(publication, data, other_data) \
    (wish.id = other.id = fixture.last, shared_with(wish, other, publication, data, other_data))
    assert_int_equal(SHARED(plain, "x", "x"), 1);
    other.channels = "b,a";
    assert_int_equal(SHARED(plain, "x", "x"), 1);
    other.channels = "a";
    assert_int_equal(SHARED(plain, "x", "x"), 0);
    other.channels = "a,b";
    other.request_id = 3;
    assert_int_equal(SHARED(plain, "x", "x"), 0);
    other.request_id = 0;

    /* What is hidden from nobody who gets it can be shared; what is hidden from one of them cannot. */
    other.client = "me";
    assert_int_equal(SHARED(plain, "x", "x"), 1);
    assert_int_equal(SHARED(private, "x", NULL), 0);
    other.client = "m";
    assert_int_equal(SHARED(private, "x", "x"), 1);
    wish.client = "me";
    assert_int_equal(SHARED(private, NULL, "x"), 0);
    wish.client = "mee";
    assert_int_equal(SHARED(private, "x", "x"), 1);
    assert_int_equal(SHARED(passing, "x", "x"), 1);
#undef SHARED
}

/* Nothing was after either cursor: they wait at one place. */
static void who_waits_from_an_older_cursor_shares(void **state)
{
    static const char *const channels[] = {"a", "a,b"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        uint64_t shared = fixture.metrics.poll_answers_shared;
        struct event_id cursor = publish(&fixture, "a", "old");
        struct client older, newer;

        publish(&fixture, "elsewhere", "x");
        poll(&older, channels[i], cursor);
        poll(&newer, channels[i], fixture.last);
        publish(&fixture, "a", "new");
        turn(&fixture);
        assert_reply(&older, "new", fixture.last);
        assert_reply(&newer, "new", fixture.last);
        assert_int_equal(fixture.metrics.poll_answers_shared, shared + 1);
        done(&older);
        done(&newer);
    }
}

static void shared_answers_are_one_buffer(void **state)
{
    struct client clients[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        poll(&clients[i], "a", FIXTURE_START);
        clients[i].budget = 10;
    }
    publish(&fixture, "a", "x");
    turn(&fixture);
    assert_non_null(clients[0].subscriber.half);
    for (int i = 1; i < 3; i++)
        assert_ptr_equal(clients[i].subscriber.half, clients[0].subscriber.half);
    assert_int_equal(fixture.replica.pins.bytes, clients[0].subscriber.half->size); /* counted once */
    for (int i = 0; i < 3; i++) {
        client_takes(&fixture, &clients[i], SIZE_MAX);
        assert_reply(&clients[i], "x", fixture.last);
        done(&clients[i]);
    }
}

/* A hundred polls of one large message that differ in a channel beside it. */
static void answers_that_are_kept_for_others_have_a_bound(void **state)
{
    static struct client clients[100];

    (void)state;
    for (int i = 0; i < 100; i++) {
        char channels[24];

        snprintf(channels, sizeof channels, "news,user-%d", i);
        poll(&clients[i], channels, FIXTURE_START);
    }
    publish_many(&fixture, "news", 0, 1, 200000);
    while (!TAILQ_EMPTY(&fixture.replica.dirty))
        channel_flush(&fixture.replica, TAILQ_FIRST(&fixture.replica.dirty));
    assert_in_range(fixture.replica.answer_bytes, 200000, 4 * 1024 * 1024 + 250000);
    turn(&fixture);
    assert_int_equal(fixture.replica.answer_bytes, 0);
    for (int i = 0; i < 100; i++) {
        assert_true(clients[i].received.size > 200000);
        done(&clients[i]);
    }
}

/* Who came later is not given what was only for those who were there, in whatever order the two are answered. */
static void store_false_is_not_shared_with_who_came_after_it(void **state)
{
    struct client before, after, after_too;
    struct event_id cursor = FIXTURE_START;

    (void)state;
    poll(&before, "a", cursor);
    publish_with(&fixture, (struct publication){.channel = "a", .data = span_of("passing"), .transient = true});
    publish(&fixture, "a", "stays");
    poll(&after, "a", cursor);
    turn(&fixture);
    poll(&after_too, "a", cursor);
    assert_string_equal(read_reply(&before).data, "passing stays");
    assert_string_equal(read_reply(&after).data, "stays");
    assert_string_equal(read_reply(&after_too).data, "stays");
    done(&before);
    done(&after);
    done(&after_too);
}

/* The one who was there is answered before its message goes; the other comes in the same turn, with the same cursor. */
static void answer_made_before_an_eviction_is_not_given_to_who_came_after(void **state)
{
    static char large[45000]; /* with the other, and the answers to both, more than the budget; the other alone is not */
    struct client before, after;

    (void)state;
    memset(large, 'p', sizeof large);
    fixture.settings.history_bytes = 65536;
    poll(&before, "a", FIXTURE_START);
    publish_with(&fixture, (struct publication){.channel = "a", .data = {large, sizeof large}, .transient = true});
    publish_many(&fixture, "a", 1, 1, 25000);
    assert_true(before.has_left);
    assert_int_equal(channel_find(&fixture.replica, span_of("a"))->history.count, 1);
    poll(&after, "a", FIXTURE_START);
    assert_true(before.received.size > after.received.size);
    assert_int_equal(fixture.metrics.poll_answers_shared, 0);
    done(&before);
    done(&after);
}

/* Its channel goes in the same turn, and the next may come to lie where it lay. */
static void answers_of_a_channel_that_is_gone_are_not_kept(void **state)
{
    static char large[100000];
    struct client client;

    (void)state;
    memset(large, 'p', sizeof large);
    fixture.settings.history_bytes = 65536;
    poll(&client, "a", FIXTURE_START);
    publish_with(&fixture, (struct publication){.channel = "a", .data = {large, sizeof large}});
    assert_true(client.received.size > sizeof large);
    assert_null(channel_find(&fixture.replica, span_of("a")));
    assert_null(fixture.replica.answers);
    done(&client);
}

static void the_same_poll_later_in_a_turn_sees_what_came_meanwhile(void **state)
{
    struct client first, second;

    (void)state;
    publish(&fixture, "a", "one");
    poll(&first, "a", FIXTURE_START);
    publish(&fixture, "a", "two");
    poll(&second, "a", FIXTURE_START);
    assert_string_equal(read_reply(&first).data, "one");
    assert_string_equal(read_reply(&second).data, "one two");
    done(&first);
    done(&second);
}

static void newcomers_and_resumers_at_zero_do_not_share(void **state)
{
    struct client newcomer, resumer;

    (void)state;
    fixture.settings.history_messages = 1;
    publish(&fixture, "a", "one");
    publish(&fixture, "a", "two");
    client_init(&newcomer);
    join(&fixture, &newcomer, (struct wish){.channels = "a", .cursor = CURSOR_ZERO, .poll = true});
    poll(&resumer, "a", EVENT_ID_ZERO);
    assert_string_equal(read_reply(&newcomer).data, "two");
    assert_string_equal(read_reply(&resumer).data, "gap: one two");
    done(&newcomer);
    done(&resumer);
}

/* The same cursor, but to the newcomer policy grants less than history holds for who was there. */
static void newcomers_and_resumers_with_the_same_cursor_do_not_share(void **state)
{
    struct event_id cursor;

    (void)state;
    fixture.settings.history_messages = 1;
    cursor = event_id_before(publish(&fixture, "b", "one"));
    publish(&fixture, "a", "two");
    publish(&fixture, "a", "three");
    for (int order = 0; order < 2; order++) {
        struct client newcomer, resumer;

        if (order == 0)
            poll(&resumer, "a,b", cursor);
        client_init(&newcomer);
        join(&fixture, &newcomer, (struct wish){.channels = "a,b", .cursor = CURSOR_LAST, .last = 9, .poll = true});
        if (order == 1)
            poll(&resumer, "a,b", cursor);
        assert_string_equal(read_reply(&newcomer).data, "one three");
        assert_string_equal(read_reply(&resumer).data, "one two three");
        done(&newcomer);
        done(&resumer);
        turn(&fixture);
    }
}

/* --- except --- */

static void own_message_does_not_end_the_senders_poll(void **state)
{
    struct client sender, again;

    (void)state;
    client_init(&sender);
    join(&fixture, &sender,
         (struct wish){.channels = "a", .cursor = CURSOR_ID, .id = FIXTURE_START, .client = "me", .poll = true});
    publish_with(&fixture, (struct publication){.channel = "a", .data = span_of("mine"), .except = "me"});
    turn(&fixture);
    assert_false(sender.has_left);
    assert_int_equal(event_id_compare(sender.subscriber.cursor, fixture.last), 0);
    publish(&fixture, "a", "theirs");
    turn(&fixture);
    assert_reply(&sender, "theirs", fixture.last);
    publish_with(&fixture, (struct publication){.channel = "a", .data = span_of("mine"), .except = "me"});
    client_init(&again);
    join(&fixture, &again, (struct wish){.channels = "a", .cursor = CURSOR_ID, .id = fixture.last, .client = "me", .poll = true});
    pass_ms(&fixture, 25000);
    assert_reply(&again, "", fixture.last);
    done(&sender);
    done(&again);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(what_is_after_the_cursor_is_answered_at_once),
        T(poll_without_a_cursor_is_told_where_now_is),
        T(waiting_poll_is_answered_by_the_next_message),
        T(poll_that_waited_in_vain_gets_a_cursor_that_loses_nothing),
        T(message_of_the_last_moment_is_in_the_answer),
        T(last_gives_the_newest_from_the_oldest_on),
        T(zero_gives_all_that_history_has_and_waits_when_that_is_nothing),
        T(gap_is_answered_at_once_with_or_without_messages),
        T(answers_are_paged_by_messages_and_every_page_goes_on_where_the_last_one_ended),
        T(answers_are_paged_by_bytes_but_hold_at_least_one_message),
        T(clients_that_get_the_same_share_one_answer),
        T(who_waits_from_an_older_cursor_shares),
        T(shared_answers_are_one_buffer),
        T(answers_that_are_kept_for_others_have_a_bound),
        T(store_false_is_not_shared_with_who_came_after_it),
        T(answer_made_before_an_eviction_is_not_given_to_who_came_after),
        T(answers_of_a_channel_that_is_gone_are_not_kept),
        T(the_same_poll_later_in_a_turn_sees_what_came_meanwhile),
        T(newcomers_and_resumers_at_zero_do_not_share),
        T(newcomers_and_resumers_with_the_same_cursor_do_not_share),
        T(own_message_does_not_end_the_senders_poll),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
