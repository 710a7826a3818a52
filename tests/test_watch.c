/* Subscribers by pattern: what they get, and what they are told of. */
#include "watch_fixture.h"

/* --- what it gets --- */

static void messages_of_channels_that_come_to_be_are_got_in_order(void **state)
{
    struct client client;

    (void)state;
    watch(&client, "orders/*");
    publish(&fixture, "orders/7", "one");
    publish(&fixture, "users/7", "other");
    publish(&fixture, "orders/8", "two");
    turn(&fixture);
    publish(&fixture, "orders/7/lines", "deeper");
    publish(&fixture, "orders/7", "three");
    turn(&fixture);
    assert_string_equal(told(&client), "open one two three");
    assert_int_equal(fixture.metrics.patterns, 1);
    assert_int_equal(fixture.metrics.pattern_links, 2);
    done(&client);
    assert_int_equal(fixture.metrics.patterns, 0);
    assert_int_equal(fixture.metrics.pattern_links, 0);
}

static void channels_that_are_there_are_found_by_every_kind_of_cursor(void **state)
{
    static const struct {
        enum request_cursor cursor;
        const char *told;
    } rows[] = {
        {CURSOR_NONE, "open four"},  {CURSOR_ZERO, "one two three four"}, {CURSOR_LAST, "open two three four"},
        {CURSOR_ID, "two three four"}, {CURSOR_TIME, "three four"},         {CURSOR_BAD, "gap one two three four"},
    };
    struct client clients[6];
    struct event_id first, third;

    (void)state;
    first = publish(&fixture, "a/1", "one");
    publish(&fixture, "b", "elsewhere");
    publish(&fixture, "a/2", "two");
    pass_ms(&fixture, 1000);
    third = publish(&fixture, "a/1", "three");
    for (int i = 0; i < 6; i++) {
        struct wish wish = {.channels = "a/*", .cursor = rows[i].cursor, .id = first, .last = 2};

        if (wish.cursor == CURSOR_TIME)
            wish.id = event_id_before((struct event_id){third.ms, 0});
        client_init(&clients[i]);
        join(&fixture, &clients[i], wish);
    }
    publish(&fixture, "a/3", "four");
    turn(&fixture);
    for (int i = 0; i < 6; i++) {
        assert_string_equal(told(&clients[i]), rows[i].told);
        done(&clients[i]);
    }
}

static void one_link_serves_a_channel_that_is_named_and_matched_twice(void **state)
{
    struct client named, twice;

    (void)state;
    publish(&fixture, "orders/1", "before");
    watch(&named, "orders/1,orders/7,orders/*,**");
    watch(&twice, "orders/*,**");
    assert_int_equal(named.subscriber.link_count, 2);
    assert_int_equal(fixture.metrics.pattern_links, 2);
    publish(&fixture, "orders/7", "one");
    publish(&fixture, "orders/1", "two");
    publish(&fixture, "orders/8", "three");
    turn(&fixture);
    assert_string_equal(told(&named), "open one two three");
    assert_string_equal(told(&twice), "open one two three");
    assert_int_equal(named.subscriber.link_count, 3);
    assert_int_equal(fixture.metrics.pattern_links, 4);
    done(&named);
    done(&twice);
}

static void names_and_patterns_go_together_and_the_envelope_tells_them_apart(void **state)
{
    static const char *const wanted[] = {
        "{\"channel\":\"orders/7\",\"event\":null,\"data\":\"paid\"}",
        "{\"channel\":\"news\",\"event\":null,\"data\":\"rain\"}",
    };
    struct client client;
    struct stream stream;

    (void)state;
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "news,orders/*", .cursor = CURSOR_ZERO, .envelope = true});
    publish(&fixture, "orders/7", "paid");
    publish(&fixture, "news", "rain");
    turn(&fixture);
    stream = client_read(&client);
    assert_int_equal(stream.count, 3);
    for (int i = 0; i < 2; i++) /* behind the comment */
        assert_true(span_equal(text_span(&stream.events[i + 1].data), span_of(wanted[i])));
    stream_finish(&stream);
    done(&client);
}

static void except_ttl_and_store_false_hold_in_a_channel_that_comes_to_be(void **state)
{
    struct client me, other, late;

    (void)state;
    client_init(&me);
    join(&fixture, &me, (struct wish){.channels = "a/*", .client = "me"});
    watch(&other, "a/*");
    publish_with(&fixture, (struct publication){.channel = "a/1", .data = span_of("mine"), .except = "me"});
    publish_with(&fixture, (struct publication){.channel = "a/2", .data = span_of("now"), .transient = true});
    publish_with(&fixture, (struct publication){.channel = "a/3", .data = span_of("soon"), .ttl_ms = 1000});
    publish_with(&fixture, (struct publication){.channel = "b", .data = span_of("nobody"), .transient = true});
    assert_null(channel_find(&fixture.replica, span_of("b")));
    turn(&fixture);
    pass_ms(&fixture, 2000);
    client_init(&late);
    join(&fixture, &late, (struct wish){.channels = "a/*", .cursor = CURSOR_ZERO});
    assert_string_equal(told(&me), "open now soon");
    assert_string_equal(told(&other), "open mine now soon");
    assert_string_equal(told(&late), "mine");
    assert_null(channel_find(&fixture.replica, span_of("a/2")));
    done(&me);
    done(&other);
    done(&late);
}

static void links_come_and_go_by_the_hundred(void **state)
{
    struct client client, blocked;
    char channel[32], data[32], *wanted = calloc(1, 1 << 16), *out = wanted;

    (void)state;
    fixture.settings.history_age = 1000;
    fixture.settings.history_keep = 1000;
    watch(&client, "a/*");
    watch(&blocked, "**");
    blocked.budget = 100;
    out += sprintf(out, "open");
    for (int i = 0; i < 600; i++) {
        snprintf(channel, sizeof channel, "a/%d", i);
        snprintf(data, sizeof data, "%d", i);
        publish(&fixture, channel, data);
        out += sprintf(out, " %s", data);
        if (i % 7 == 0)
            pass_ms(&fixture, 40);
    }
    assert_true(fixture.metrics.channels < 400); /* many have gone */
    turn(&fixture);
    assert_string_equal(told(&client), wanted);
    client_takes(&fixture, &blocked, SIZE_MAX);
    turn(&fixture);
    assert_non_null(strstr(told(&blocked), "gap"));
    assert_non_null(strstr(told(&blocked), " 598 599"));
    free(wanted);
    done(&client);
    done(&blocked);
}

/* --- long-polls --- */

static void long_poll_of_a_pattern_that_matches_nothing_waits_for_the_first_message(void **state)
{
    struct client client;
    char wanted[256];
    struct event_id id;

    (void)state;
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a/*", .cursor = CURSOR_ID, .id = fixture.last, .poll = true});
    publish(&fixture, "b", "elsewhere");
    turn(&fixture);
    assert_false(client.has_left);
    id = publish(&fixture, "a/1", "one");
    turn(&fixture);
    assert_true(client.has_left);
    snprintf(wanted, sizeof wanted,
             "{\"cursor\":\"%s\",\"gap\":false,\"messages\":[{\"id\":\"%s\",\"channel\":\"a/1\",\"event\":null,\"data\":\"one\"}]}\n",
             text_of(id), text_of(id));
    assert_string_equal(body_of(&client), wanted);
    done(&client);
}

static void answers_are_shared_by_those_of_the_same_patterns_and_no_others(void **state)
{
    static const char *const channels[6] = {"a/*", "a/*", "a/1", "**", "x,a/*", "a/**"};
    struct client clients[6], late;

    (void)state;
    for (int i = 0; i < 6; i++) {
        client_init(&clients[i]);
        join(&fixture, &clients[i], (struct wish){.channels = channels[i], .cursor = CURSOR_ID, .id = fixture.last, .poll = true});
    }
    publish(&fixture, "b", "two");
    publish(&fixture, "a/1", "one");
    turn(&fixture);
    for (int i = 0; i < 6; i++) {
        assert_true(clients[i].has_left);
        assert_int_equal(strstr(body_of(&clients[i]), "\"two\"") != NULL, i == 3);
        assert_non_null(strstr(body_of(&clients[i]), "\"one\""));
        done(&clients[i]);
    }
    assert_int_equal(fixture.metrics.poll_answers_shared, 1);
    /* Within one turn: the record of a pattern that nobody has any more may lend its memory to another's. */
    for (int i = 0; i < 2; i++) {
        client_init(&late);
        join(&fixture, &late, (struct wish){.channels = i ? "b*" : "a/*", .cursor = CURSOR_ID, .id = FIXTURE_START, .poll = true});
        assert_int_equal(strstr(body_of(&late), "\"two\"") != NULL, i == 1);
        done(&late);
    }
}

/* --- gaps --- */

/* Any channel that has gone may have been one of its, if it lay where the pattern begins. */
static void resuming_takes_the_marks_of_channels_that_have_gone(void **state)
{
    static const struct {
        const char *channels;
        bool from_lost; /* the cursor is the lost message, not the one before */
        const char *told;
        const char *gap; /* the channels of the gap, or NULL */
    } rows[] = {
        {"a/b/*", false, "gap", "[\"a/b/*\"]"},
        {"a/b/*", true, "", NULL},
        {"a/*,kept/1", false, "gap three", "[\"a/*\"]"}, /* not needed, but it may have been a/c */
        {"*/c", false, "gap", "[\"*/c\"]"},
        {"kept/1,**", false, "gap three", "[\"**\"]"},
        {"kept/*,x/*", false, "three", NULL},
        {"a/b/c/*", false, "", NULL},
        {"a/b/x*", false, "gap", "[\"a/b/x*\"]"},
        {"kept/1", false, "three", NULL},
    };
    struct client client;
    struct event_id cursor, lost;

    (void)state;
    cursor = publish(&fixture, "kept/1", "one");
    pass_ms(&fixture, 1000);
    lost = publish(&fixture, "a/b/c", "two");
    pass_ms(&fixture, 3600000 - 500);
    publish(&fixture, "kept/1", "three");
    pass_ms(&fixture, 1000);
    assert_null(channel_find(&fixture.replica, span_of("a/b/c")));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char data[300] = "", wanted[300] = "";

        client_init(&client);
        join(&fixture, &client, (struct wish){.channels = rows[i].channels, .cursor = CURSOR_ID, .id = rows[i].from_lost ? lost : cursor});
        assert_string_equal(told(&client), rows[i].told);
        last_event(&client, "sidecast.gap", data, sizeof data);
        if (rows[i].gap)
            snprintf(wanted, sizeof wanted, ",\"channels\":%s}", rows[i].gap);
        assert_true(rows[i].gap ? strstr(data, wanted) != NULL : data[0] == '\0');
        done(&client);
    }
}

static void a_loss_is_told_once_to_who_resumes(void **state)
{
    struct client client;
    struct event_id cursor;

    (void)state;
    cursor = publish(&fixture, "b", "one");
    publish(&fixture, "a/1", "two");
    pass_ms(&fixture, 3700000);
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a/*", .cursor = CURSOR_ID, .id = cursor});
    publish(&fixture, "a/1", "three");
    turn(&fixture);
    assert_string_equal(told(&client), "gap three");
    assert_int_equal(fixture.metrics.gaps, 1);
    done(&client);
}

static void loss_in_a_channel_that_is_there_is_told_at_resume(void **state)
{
    struct client client;
    struct event_id cursor;
    char data[300];

    (void)state;
    fixture.settings.history_messages = 1;
    fixture.settings.history_keep = 0;
    cursor = publish(&fixture, "a/1", "one");
    publish(&fixture, "a/1", "two");
    publish(&fixture, "a/1", "three");
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a/*", .cursor = CURSOR_ID, .id = cursor});
    assert_string_equal(told(&client), "gap three");
    last_event(&client, "sidecast.gap", data, sizeof data);
    assert_non_null(strstr(data, "\"channels\":[\"a/*\"]"));
    done(&client);
}

/* Whatever the mark stands for was there before, and would have been linked. */
static void a_new_channel_tells_no_gap_for_the_mark_that_it_takes(void **state)
{
    struct client idle, blocked;

    (void)state;
    watch(&idle, "a/*");
    watch(&blocked, "a/*");
    blocked.budget = 0;
    publish(&fixture, "a/1", "one");
    turn(&fixture);
    for (int i = 0; i < REPLICA_MARKS; i++)
        fixture.replica.marks[i] = publish(&fixture, "b", "elsewhere");
    publish(&fixture, "a/2", "two");
    turn(&fixture);
    client_takes(&fixture, &blocked, SIZE_MAX);
    turn(&fixture);
    assert_string_equal(told(&idle), "open one two");
    assert_string_equal(told(&blocked), "open one two");
    assert_int_equal(fixture.metrics.gaps, 0);
    done(&idle);
    done(&blocked);
}

static void loss_of_a_channel_that_has_gone_is_told_to_who_was_blocked(void **state)
{
    struct client blocked, idle;
    char data[300];

    (void)state;
    fixture.settings.history_age = 1000;
    fixture.settings.history_keep = 0;
    watch(&blocked, "a/*,kept");
    watch(&idle, "a/*");
    blocked.budget = 3;
    publish(&fixture, "a/1", "half");
    turn(&fixture);
    publish(&fixture, "a/2", "lost");
    pass_ms(&fixture, 3000);
    assert_null(channel_find(&fixture.replica, span_of("a/2")));
    publish(&fixture, "kept", "after");
    turn(&fixture);
    client_takes(&fixture, &blocked, SIZE_MAX);
    turn(&fixture);
    assert_string_equal(told(&blocked), "open half gap after");
    last_event(&blocked, "sidecast.gap", data, sizeof data);
    assert_non_null(strstr(data, "\"channels\":[\"a/*\"]"));
    assert_string_equal(told(&idle), "open half lost");
    /* The same channel again: nothing more is told. */
    publish(&fixture, "a/2", "again");
    turn(&fixture);
    assert_string_equal(told(&blocked), "open half gap after again");
    done(&blocked);
    done(&idle);
}

/* The first has it gathered; the second may not have it as it is. It is made idle by hand, as if it lacked nothing: the flush then comes to it. */
static void a_shared_write_does_not_hide_a_loss_without_a_link(void **state)
{
    struct client idle, slow;

    (void)state;
    fixture.settings.history_age = 1000;
    fixture.settings.history_keep = 0;
    watch(&idle, "a/*");
    watch(&slow, "a/*");
    publish(&fixture, "a/1", "one");
    turn(&fixture);
    slow.budget = 0;
    publish(&fixture, "a/2", "two");
    turn(&fixture);
    pass_ms(&fixture, 3000);
    publish(&fixture, "a/3", "three");
    slow.budget = SIZE_MAX;
    subscriber_set_state(&fixture.replica, &slow.subscriber, SUBSCRIBER_IDLE);
    turn(&fixture);
    assert_string_equal(told(&idle), "open one two three");
    assert_string_equal(told(&slow), "open one gap three");
    done(&idle);
    done(&slow);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(messages_of_channels_that_come_to_be_are_got_in_order),
        T(channels_that_are_there_are_found_by_every_kind_of_cursor),
        T(one_link_serves_a_channel_that_is_named_and_matched_twice),
        T(names_and_patterns_go_together_and_the_envelope_tells_them_apart),
        T(except_ttl_and_store_false_hold_in_a_channel_that_comes_to_be),
        T(links_come_and_go_by_the_hundred),
        T(long_poll_of_a_pattern_that_matches_nothing_waits_for_the_first_message),
        T(answers_are_shared_by_those_of_the_same_patterns_and_no_others),
        T(resuming_takes_the_marks_of_channels_that_have_gone),
        T(a_loss_is_told_once_to_who_resumes),
        T(loss_in_a_channel_that_is_there_is_told_at_resume),
        T(a_new_channel_tells_no_gap_for_the_mark_that_it_takes),
        T(loss_of_a_channel_that_has_gone_is_told_to_who_was_blocked),
        T(a_shared_write_does_not_hide_a_loss_without_a_link),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
