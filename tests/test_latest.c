/* slow.policy = latest: what is skipped, for whom, and what is told of it. The channels p and p/… are so, the others are not. */
#include "replica_fixture.h"

static char *latest_patterns[] = {(char[]){"p"}, (char[]){"p/*"}};
static struct channel_rule rule;
static struct client clients[3];

/* The rule takes over what the test has set for all channels. */
static void apply_rule(void)
{
    const struct settings *settings = &fixture.settings;

    rule = (struct channel_rule){
        .match = {latest_patterns, 2},
        .policy = {settings->history_messages, settings->history_age, settings->history_keep, settings->hub_pace, SLOW_LATEST},
    };
    fixture.settings.rules = &rule;
    fixture.settings.rule_count = 1;
    replica_reload(&fixture.replica);
}

static int setup_latest(void **state)
{
    setup(state);
    apply_rule();
    return 0;
}

static void keep_only(int64_t messages)
{
    fixture.settings.history_messages = messages;
    fixture.settings.history_keep = 0;
    apply_rule();
}

static void all_done(int count)
{
    for (int i = 0; i < count; i++)
        done(&clients[i]);
}

/* It stops in the middle of "first". */
static void block(struct client *client, const char *channels, const char *name)
{
    client_init(client);
    join(&fixture, client, (struct wish){.channels = channels, .client = name});
    client->budget = 15;
    publish(&fixture, "p", "first");
    turn(&fixture);
    assert_true(client->wants_write);
}

static void wake(struct client *client)
{
    client_takes(&fixture, client, SIZE_MAX);
    turn(&fixture);
}

static const char *given(struct client *client, struct wish wish)
{
    const char *text;

    client_init(client);
    join(&fixture, client, wish);
    turn(&fixture);
    text = told(client);
    done(client);
    return text;
}

/* --- who wakes up, who comes --- */

static void client_that_wakes_up_gets_the_newest_and_no_gap(void **state)
{
    (void)state;
    block(clients, "p", NULL);
    for (int i = 0; i < 5; i++)
        publish(&fixture, "p", "skipped");
    publish(&fixture, "p", "newest");
    turn(&fixture);
    wake(clients);
    assert_string_equal(told(clients), "open first newest");
    assert_int_equal(fixture.metrics.messages_skipped, 5);
    assert_int_equal(fixture.metrics.gaps, 0);
    publish(&fixture, "p", "next");
    turn(&fixture);
    assert_string_equal(told(clients), "open first newest next");
    done(clients);
}

static void client_that_comes_is_given_the_newest(void **state)
{
    struct event_id cursor = publish(&fixture, "p", "1");
    struct client client;

    (void)state;
    publish(&fixture, "p", "2");
    publish(&fixture, "p", "3");
    assert_string_equal(given(&client, (struct wish){.channels = "p", .cursor = CURSOR_ID, .id = cursor}), "3");
    assert_int_equal(fixture.metrics.messages_skipped, 1);
    assert_string_equal(given(&client, (struct wish){.channels = "p", .cursor = CURSOR_ZERO}), "3");
    assert_string_equal(given(&client, (struct wish){.channels = "p", .cursor = CURSOR_LAST, .last = 3}), "open 3");
    assert_string_equal(given(&client, (struct wish){.channels = "p", .cursor = CURSOR_BAD}), "gap 3");
    assert_string_equal(given(&client, (struct wish){.channels = "p", .cursor = CURSOR_ID, .id = fixture.last}), "");
}

static void last_counts_what_is_given(void **state)
{
    static const char *const wanted[] = {"open 5", "open 4 5", "open 2 4 5", "open 2 4 5"};
    char data[100];

    (void)state;
    publish(&fixture, "p", "1");
    struct event_id second = publish(&fixture, "c", "2");
    publish(&fixture, "p", "3");
    publish(&fixture, "c", "4");
    publish(&fixture, "p", "5");
    for (uint32_t last = 1; last <= 4; last++)
        assert_string_equal(given(clients, (struct wish){.channels = "c,p", .cursor = CURSOR_LAST, .last = last}), wanted[last - 1]);
    client_init(clients);
    join(&fixture, clients, (struct wish){.channels = "c,p", .cursor = CURSOR_LAST, .last = 3});
    assert_id(last_event(clients, "sidecast.open", data, sizeof data), event_id_before(second));
    done(clients);
}

static void reload_takes_the_policy_over(void **state)
{
    (void)state;
    block(clients, "p", NULL);
    publish(&fixture, "p", "2");
    publish(&fixture, "p", "3");
    turn(&fixture);
    fixture.settings.rule_count = 0;
    replica_reload(&fixture.replica);
    wake(clients);
    assert_string_equal(told(clients), "open first 2 3");
    clients[0].budget = 15;
    publish(&fixture, "p", "half");
    turn(&fixture);
    publish(&fixture, "p", "4");
    publish(&fixture, "p", "5");
    apply_rule();
    wake(clients);
    assert_string_equal(told(clients), "open first 2 3 half 5");
    done(clients);
}

/* --- several channels --- */

static void only_messages_of_such_channels_are_skipped_and_the_order_is_that_of_the_ids(void **state)
{
    (void)state;
    block(clients, "a,p,p/2", NULL);
    publish(&fixture, "p", "1");
    publish(&fixture, "a", "2");
    publish(&fixture, "p/2", "3");
    publish(&fixture, "p", "4");
    publish(&fixture, "p/2", "5");
    publish(&fixture, "a", "6");
    turn(&fixture);
    wake(clients);
    assert_string_equal(told(clients), "open first 2 4 5 6");
    assert_int_equal(fixture.metrics.messages_skipped, 2);
    done(clients);
}

static void check_order(const struct client *client)
{
    struct stream stream = client_read(client);
    struct event_id before = EVENT_ID_ZERO;

    for (size_t i = 1; i < stream.count; i++) {
        assert_true(event_id_less(before, stream.events[i].id));
        before = stream.events[i].id;
    }
    stream_finish(&stream);
}

static void publish_in_turns(int first, int last)
{
    char number[12];

    for (int i = first; i <= last; i++) {
        snprintf(number, sizeof number, "%d", i);
        publish(&fixture, i % 2 ? "p" : "a", number);
    }
    turn(&fixture);
}

/* Wherever the socket stops, each message is written once or counted as skipped once, and those of the other channel are all there. */
static void stop_at_any_byte_counts_each_message_once(void **state)
{
    size_t size = 1;

    (void)state;
    for (size_t stop = 0; stop < size; stop++) {
        uint64_t before = fixture.metrics.deliveries + fixture.metrics.messages_skipped;

        client_init(clients);
        join(&fixture, clients, (struct wish){.channels = "a,p"});
        clients[0].budget = 15; /* behind what is half written each message is a piece of its own */
        publish_in_turns(0, 0);
        size = clients[0].received.size;
        publish_in_turns(1, 5);
        client_takes(&fixture, clients, stop);
        publish_in_turns(6, 9);
        wake(clients);
        size = clients[0].received.size - size;
        assert_int_equal(fixture.metrics.deliveries + fixture.metrics.messages_skipped - before, 10);
        for (int i = 2; i <= 8; i += 2) {
            char word[16];

            snprintf(word, sizeof word, " %d ", i);
            assert_non_null(strstr(told(clients), word));
        }
        assert_non_null(strstr(told(clients), " 9"));
        check_order(clients);
        done(clients);
    }
    assert_true(size > 100);
}

static void large_messages_between_are_not_skipped(void **state)
{
    (void)state;
    client_init(clients);
    join(&fixture, clients, (struct wish){.channels = "a,p"});
    for (int i = 0; i < 3; i++) {
        publish(&fixture, "p", "skipped");
        publish_many(&fixture, "a", i, 1, 300000); /* more than one write takes */
    }
    publish(&fixture, "p", "newest");
    turn(&fixture);
    assert_string_equal(told(clients), "open 0 1 2 newest");
    assert_int_equal(fixture.metrics.messages_skipped, 3);
    done(clients);
}

static void each_channel_of_a_pattern_has_its_newest(void **state)
{
    (void)state;
    client_init(clients);
    join(&fixture, clients, (struct wish){.channels = "p/*"});
    clients[0].budget = 0;
    for (int i = 0; i < 3; i++) {
        publish(&fixture, "p/1", i < 2 ? "skipped" : "one");
        publish(&fixture, "p/2", i < 2 ? "skipped" : "two");
        turn(&fixture);
    }
    wake(clients);
    assert_string_equal(told(clients), "open one two");
    assert_int_equal(fixture.metrics.messages_skipped, 4);
    done(clients);
}

/* --- the newest that is for it --- */

static void newest_message_that_is_not_for_it_skips_nothing(void **state)
{
    (void)state;
    block(&clients[0], "p", "me");
    block(&clients[1], "p", "other");
    publish(&fixture, "p", "2");
    publish(&fixture, "p", "3");
    publish_with(&fixture, (struct publication){.channel = "p", .data = span_of("mine"), .except = "me"});
    turn(&fixture);
    wake(&clients[0]);
    wake(&clients[1]);
    assert_string_equal(told(&clients[0]), "open first 3");
    assert_string_equal(told(&clients[1]), "open first mine");
    all_done(2);
}

static void newest_that_expires_before_it_is_written_gives_its_place_back(void **state)
{
    (void)state;
    block(clients, "p", NULL);
    publish(&fixture, "p", "2");
    publish_with(&fixture, (struct publication){.channel = "p", .data = span_of("short-lived"), .ttl_ms = 1000});
    pass_ms(&fixture, 1000);
    wake(clients);
    assert_string_equal(told(clients), "open first 2");
    assert_int_equal(fixture.metrics.messages_skipped, 0);
    done(clients);
}

static void store_false_is_the_newest_only_for_those_connected(void **state)
{
    (void)state;
    block(&clients[0], "p", NULL);
    publish(&fixture, "p", "stored");
    publish_with(&fixture, (struct publication){.channel = "p", .data = span_of("passing"), .transient = true});
    turn(&fixture);
    client_init(&clients[1]);
    join(&fixture, &clients[1], (struct wish){.channels = "p", .cursor = CURSOR_ID, .id = FIXTURE_START});
    turn(&fixture);
    wake(&clients[0]);
    assert_string_equal(told(&clients[1]), "stored");
    assert_string_equal(told(&clients[0]), "open first passing");
    all_done(2);
}

/* --- gaps --- */

static void eviction_is_no_gap_while_there_is_a_newer_message(void **state)
{
    struct event_id cursor = publish(&fixture, "p", "0");

    (void)state;
    keep_only(1);
    block(clients, "p", NULL);
    for (int i = 0; i < 5; i++)
        publish(&fixture, "p", "gone");
    publish(&fixture, "p", "newest");
    turn(&fixture);
    wake(clients);
    assert_string_equal(told(clients), "open first newest");
    assert_string_equal(given(&clients[1], (struct wish){.channels = "p", .cursor = CURSOR_ID, .id = cursor}), "newest");
    assert_int_equal(fixture.metrics.gaps, 0);
    assert_int_equal(fixture.metrics.history_evicted, 0);
    done(clients);
}

static void eviction_of_the_newest_is_a_gap(void **state)
{
    (void)state;
    block(clients, "p", NULL);
    publish(&fixture, "p", "gone");
    publish(&fixture, "p", "gone too");
    turn(&fixture);
    pass_ms(&fixture, fixture.settings.history_age);
    wake(clients);
    assert_string_equal(told(clients), "open first gap");
    done(clients);
}

/* Somebody may be left with nothing: one that the newer message is not for, or one that comes back when it has expired. */
static void newer_message_that_not_everybody_can_get_prevents_no_gap(void **state)
{
    static const struct publication newer[] = {
        {.channel = "p", .data = {"newer", 5}, .except = "me"},
        {.channel = "p", .data = {"newer", 5}, .ttl_ms = 1000},
    };

    (void)state;
    keep_only(1);
    for (int i = 0; i < 2; i++) {
        block(clients, "p", "me");
        publish(&fixture, "p", "gone");
        publish_with(&fixture, newer[i]);
        pass_ms(&fixture, 2000);
        wake(clients);
        assert_string_equal(told(clients), "open first gap");
        done(clients);
    }
}

static void newer_message_that_lives_as_long_prevents_the_gap(void **state)
{
    (void)state;
    keep_only(1);
    block(clients, "p", NULL);
    publish_with(&fixture, (struct publication){.channel = "p", .data = span_of("gone"), .ttl_ms = 1000});
    publish_with(&fixture, (struct publication){.channel = "p", .data = span_of("newest"), .ttl_ms = 1000});
    turn(&fixture);
    wake(clients);
    assert_string_equal(told(clients), "open first newest");
    done(clients);
}

/* --- pacing --- */

static void short_history_does_not_break_the_pace(void **state)
{
    (void)state;
    fixture.settings.hub_pace = 10;
    keep_only(1);
    client_init(clients);
    join(&fixture, clients, (struct wish){.channels = "p"});
    publish(&fixture, "p", "first");
    turn(&fixture);
    clients[0].writes = 0;
    for (int i = 0; i < 20; i++)
        publish(&fixture, "p", "skipped");
    publish(&fixture, "p", "newest");
    turn(&fixture);
    assert_int_equal(clients[0].writes, 0);
    pass_ms(&fixture, 10);
    assert_int_equal(clients[0].writes, 1);
    assert_string_equal(told(clients), "open first newest");
    done(clients);
}

/* --- what is shared --- */

static void fan_out_shares_though_messages_are_skipped(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        client_init(&clients[i]);
        join(&fixture, &clients[i], (struct wish){.channels = "p"});
    }
    clients[0].budget = 0;
    publish(&fixture, "p", "1");
    turn(&fixture);
    clients[0].budget = SIZE_MAX;
    subscriber_set_state(&fixture.replica, &clients[0].subscriber, SUBSCRIBER_IDLE); /* it lacks one more than the others */
    publish(&fixture, "p", "2");
    publish(&fixture, "p", "3");
    turn(&fixture);
    assert_string_equal(told(&clients[0]), "open 3");
    assert_string_equal(told(&clients[1]), "open 1 3");
    assert_string_equal(told(&clients[2]), "open 1 3");
    assert_int_equal(fixture.metrics.writes_shared, 2 + 2);
    assert_int_equal(fixture.metrics.messages_skipped, 2 + 1 + 1);
    all_done(3);
}

static void who_may_not_have_the_newest_shares_nothing(void **state)
{
    static const char *const names[] = {"me", "other", NULL};

    (void)state;
    for (int order = 0; order < 3; order++) {
        for (int i = 0; i < 3; i++) {
            client_init(&clients[i]);
            join(&fixture, &clients[i], (struct wish){.channels = "p", .client = names[(i + order) % 3]});
        }
        publish(&fixture, "p", "1");
        publish(&fixture, "p", "2");
        publish_with(&fixture, (struct publication){.channel = "p", .data = span_of("3"), .except = "me"});
        turn(&fixture);
        for (int i = 0; i < 3; i++)
            assert_string_equal(told(&clients[i]), (i + order) % 3 == 0 ? "open 2" : "open 3");
        all_done(3);
    }
}

/* --- long-polls --- */

/* What the answer holds, as `told` tells it of a stream. */
static const char *answered(const struct client *client)
{
    static char text[1000];
    struct stream stream = client_read(client);
    const char *at = stream.body.bytes;
    char *out = text;

    assert_true(client->has_left && stream.is_whole);
    *out = '\0';
    while ((at = memmem(at, stream.body.size - (size_t)(at - stream.body.bytes), "\"data\":\"", 8)) != NULL) {
        at += 8;
        out += sprintf(out, out == text ? "%.*s" : " %.*s", (int)strcspn(at, "\""), at);
    }
    stream_finish(&stream);
    return text;
}

static void begin_poll(struct client *client, const char *channels, const char *name, struct event_id cursor)
{
    client_init(client);
    join(&fixture, client, (struct wish){.channels = channels, .client = name, .poll = true, .cursor = CURSOR_ID, .id = cursor});
}

static void long_poll_gets_the_newest_alone(void **state)
{
    (void)state;
    publish(&fixture, "p", "1");
    publish(&fixture, "a", "2");
    publish(&fixture, "p", "3");
    begin_poll(&clients[0], "p", NULL, FIXTURE_START);
    begin_poll(&clients[1], "a,p", NULL, FIXTURE_START);
    begin_poll(&clients[2], "a,p", NULL, FIXTURE_START);
    assert_string_equal(answered(&clients[0]), "3");
    assert_string_equal(answered(&clients[1]), "2 3");
    assert_string_equal(answered(&clients[2]), "2 3");
    assert_int_equal(fixture.metrics.poll_answers_shared, 1);
    assert_int_equal(fixture.metrics.messages_skipped, 3);
    all_done(3);
}

static void waiting_long_poll_gets_the_newest_of_what_comes_together(void **state)
{
    (void)state;
    begin_poll(clients, "p", NULL, FIXTURE_START);
    publish(&fixture, "p", "1");
    publish(&fixture, "p", "2");
    turn(&fixture);
    assert_string_equal(answered(clients), "2");
    assert_int_equal(fixture.metrics.messages_skipped, 1);
    done(clients);
}

/* The answer is full before the message that makes the difference. */
static void cut_answer_is_not_shared_with_whom_the_rest_is_not_for(void **state)
{
    (void)state;
    fixture.settings.poll_max_messages = 1;
    for (int order = 0; order < 2; order++) {
        struct event_id cursor = fixture.replica.newest;

        publish(&fixture, "p", "1");
        publish(&fixture, "a", "2");
        publish_with(&fixture, (struct publication){.channel = "p", .data = span_of("3"), .except = "me"});
        begin_poll(&clients[0], "a,p", order ? "me" : "other", cursor);
        begin_poll(&clients[1], "a,p", order ? "other" : "me", cursor);
        assert_string_equal(answered(&clients[order]), "2");
        assert_string_equal(answered(&clients[!order]), "1");
        all_done(2);
        turn(&fixture);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup_latest, teardown)
    const struct CMUnitTest tests[] = {
        T(client_that_wakes_up_gets_the_newest_and_no_gap),
        T(client_that_comes_is_given_the_newest),
        T(last_counts_what_is_given),
        T(reload_takes_the_policy_over),
        T(only_messages_of_such_channels_are_skipped_and_the_order_is_that_of_the_ids),
        T(stop_at_any_byte_counts_each_message_once),
        T(large_messages_between_are_not_skipped),
        T(each_channel_of_a_pattern_has_its_newest),
        T(newest_message_that_is_not_for_it_skips_nothing),
        T(newest_that_expires_before_it_is_written_gives_its_place_back),
        T(store_false_is_the_newest_only_for_those_connected),
        T(eviction_is_no_gap_while_there_is_a_newer_message),
        T(eviction_of_the_newest_is_a_gap),
        T(newer_message_that_not_everybody_can_get_prevents_no_gap),
        T(newer_message_that_lives_as_long_prevents_the_gap),
        T(short_history_does_not_break_the_pace),
        T(fan_out_shares_though_messages_are_skipped),
        T(who_may_not_have_the_newest_shares_nothing),
        T(long_poll_gets_the_newest_alone),
        T(waiting_long_poll_gets_the_newest_of_what_comes_together),
        T(cut_answer_is_not_shared_with_whom_the_rest_is_not_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
