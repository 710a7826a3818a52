/* Subscribers by pattern: what their links cost, too many channels, and lack of memory. */
#include "watch_fixture.h"

#include "failing_replica.h"

static struct link_list *matched_of(const char *channel)
{
    struct channel *found = channel_find(&fixture.replica, span_of(channel));

    assert_non_null(found);
    return &found->matched;
}

/* --- what links by patterns keep --- */

static void links_by_patterns_keep_no_channel(void **state)
{
    struct client client, named;
    char channel[32];

    (void)state;
    watch(&client, "**");
    watch(&named, "a/7,**");
    for (int i = 0; i < 1000; i++) {
        snprintf(channel, sizeof channel, "a/%d", i);
        publish(&fixture, channel, "x");
    }
    turn(&fixture);
    assert_int_equal(fixture.metrics.channels, 1000);
    assert_int_equal(fixture.metrics.pattern_links, 1999);
    pass_ms(&fixture, 3700000);
    assert_int_equal(fixture.metrics.channels, 1);
    assert_int_equal(fixture.metrics.pattern_links, 1); /* the first one's to the channel that the second one named */
    assert_int_equal(client.subscriber.link_count, 1);
    assert_true(client.subscriber.watcher->capacity < 100);
    publish(&fixture, "a/8", "last");
    publish(&fixture, "a/7", "of all");
    turn(&fixture);
    assert_non_null(strstr(told(&client), "x last of"));
    assert_int_equal(fixture.metrics.gaps, 0);
    done(&named);
    done(&client);
}

/* --- too many --- */

static void idlest_channel_is_left_and_its_next_message_is_got_all_the_same(void **state)
{
    struct client client, other;

    (void)state;
    fixture.settings.subscribe_max_matched = 2;
    watch(&client, "a/*");
    watch(&other, "a/1"); /* keeps its channel */
    for (int round = 0; round < 3; round++) {
        publish(&fixture, "a/1", "one");
        turn(&fixture);
        publish(&fixture, "a/2", "two");
        turn(&fixture);
        publish(&fixture, "a/3", "three");
        turn(&fixture);
        assert_int_equal(client.subscriber.link_count, 2);
        assert_true(LIST_EMPTY(matched_of("a/1")));
        assert_false(LIST_EMPTY(matched_of("a/2")) || LIST_EMPTY(matched_of("a/3")));
    }
    assert_string_equal(told(&client), "open one two three one two three one two three");
    assert_int_equal(fixture.metrics.pattern_links_left, 7);
    assert_int_equal(fixture.metrics.gaps, 0);
    done(&client);
    done(&other);
}

static void what_pacing_holds_back_is_written_before_a_channel_is_left(void **state)
{
    struct client client;

    (void)state;
    fixture.settings.hub_pace = 10000;
    fixture.settings.subscribe_max_matched = 1;
    watch(&client, "a/*");
    publish(&fixture, "a/1", "one");
    turn(&fixture);
    publish(&fixture, "a/2", "two");
    turn(&fixture);
    assert_true(LIST_EMPTY(matched_of("a/1")));
    publish(&fixture, "a/1", "three");
    publish(&fixture, "a/2", "four");
    turn(&fixture);
    assert_string_equal(told(&client), "open one two three four");
    assert_int_equal(client.subscriber.link_count, 1);
    assert_false(LIST_EMPTY(matched_of("a/2")));
    assert_int_equal(fixture.metrics.gaps, 0);
    done(&client);
}

static void blocked_client_with_too_many_channels_is_told_of_a_gap(void **state)
{
    struct client client;

    (void)state;
    fixture.settings.subscribe_max_matched = 2;
    watch(&client, "a/*");
    client.budget = 5;
    publish(&fixture, "a/1", "half");
    turn(&fixture);
    publish(&fixture, "a/3", "early"); /* below what is left: told once all the same, however often it is written to */
    publish(&fixture, "a/2", "left");
    publish(&fixture, "a/3", "three");
    publish(&fixture, "a/4", "four");
    turn(&fixture);
    assert_int_equal(client.subscriber.link_count, 2);
    client.per_call = 40;
    for (int i = 0; i < 40; i++)
        client_takes(&fixture, &client, 40);
    client.per_call = SIZE_MAX;
    client_takes(&fixture, &client, SIZE_MAX);
    turn(&fixture);
    assert_string_equal(told(&client), "open half gap early three four");
    publish(&fixture, "a/2", "again"); /* `left` is before the cursor */
    turn(&fixture);
    assert_string_equal(told(&client), "open half gap early three four again");
    assert_int_equal(fixture.metrics.gaps, 1);
    done(&client);
}

static void who_joins_more_than_it_may_have_gets_those_with_the_newest_messages(void **state)
{
    static const struct {
        enum request_cursor cursor;
        int after; /* the message that the cursor is */
        const char *told;
    } rows[] = {
        {CURSOR_NONE, 0, "open next"},
        {CURSOR_ZERO, 0, "gap zero three four next"},     /* all that history has, and more than it may have */
        {CURSOR_LAST, 0, "open zero three four next"},    /* of the channels that it has */
        {CURSOR_ID, 0, "gap three four next"},
        {CURSOR_ID, 1, "three four next"},           /* it lacks nothing of those that are left */
        {CURSOR_ID, 2, "four next"},
    };
    enum { ROWS = sizeof rows / sizeof *rows };
    struct client clients[ROWS], poll;
    char data[300];
    struct event_id ids[4];

    (void)state;
    fixture.settings.subscribe_max_matched = 2;
    publish(&fixture, "a/3", "zero");
    ids[0] = publish(&fixture, "a/1", "one");
    ids[1] = publish(&fixture, "a/2", "two");
    ids[2] = publish(&fixture, "a/3", "three");
    ids[3] = publish(&fixture, "a/4", "four");
    for (int i = 0; i < ROWS; i++) {
        client_init(&clients[i]);
        join(&fixture, &clients[i], (struct wish){.channels = "a/*", .cursor = rows[i].cursor, .id = ids[rows[i].after], .last = 3});
        assert_int_equal(clients[i].subscriber.link_count, 2);
    }
    client_init(&poll);
    join(&fixture, &poll, (struct wish){.channels = "a/*", .cursor = CURSOR_ZERO, .poll = true});
    assert_non_null(strstr(body_of(&poll), "\"gap\":true"));
    done(&poll);
    publish(&fixture, "a/1", "next");
    turn(&fixture);
    last_event(&clients[1], "sidecast.gap", data, sizeof data);
    assert_memory_equal(data, "{\"after\":\"0-0\",", 15);
    for (int i = 0; i < ROWS; i++) {
        assert_string_equal(told(&clients[i]), rows[i].told);
        done(&clients[i]);
    }
}

/* Its next message brings the channel back to a client that has more to come than one write takes, and lets go of what is not for it. */
static void who_has_more_to_come_is_not_told_again_of_a_channel_that_was_left(void **state)
{
    struct client client, live;
    struct event_id cursor = fixture.last;
    char pattern[] = "a/2", *patterns[] = {pattern};
    struct channel_rule rule = {.match = {patterns, 1}, .policy = {.messages = 10, .age_ms = 1000}};

    (void)state;
    fixture.settings.rules = &rule;
    fixture.settings.rule_count = 1;
    fixture.settings.history_messages = 1000;
    fixture.settings.subscribe_max_matched = 1;
    watch(&live, "a/2");
    publish_many(&fixture, "a/1", 0, 300, 1);
    publish_many(&fixture, "a/2", 300, 10, 1);
    publish_many(&fixture, "a/1", 310, 300, 1);
    turn(&fixture);
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a/*", .cursor = CURSOR_ID, .id = cursor});
    assert_int_equal(client.subscriber.state, SUBSCRIBER_READY);
    publish(&fixture, "a/2", "last"); /* evicts one */
    turn(&fixture);
    assert_int_equal(fixture.metrics.gaps, 1);
    assert_string_equal(strrchr(told(&client), ' '), " last");
    done(&client);
    done(&live);
}

static void leaving_goes_by_eighths_so_that_it_is_seldom(void **state)
{
    struct client client;
    char channel[32];

    (void)state;
    fixture.settings.subscribe_max_matched = 80;
    watch(&client, "a/*");
    for (int i = 0; i < 81; i++) {
        snprintf(channel, sizeof channel, "a/%d", i);
        publish(&fixture, channel, "x");
        turn(&fixture);
    }
    assert_int_equal(client.subscriber.link_count, 70);
    assert_int_equal(fixture.metrics.pattern_links_left, 11);
    assert_true(LIST_EMPTY(matched_of("a/10")));
    assert_false(LIST_EMPTY(matched_of("a/11")));
    done(&client);
}

/* --- lack of memory --- */

static void joining_without_memory_is_clean_whichever_allocation_fails(void **state)
{
    (void)state;
    for (int form = 0; form < 4; form++) {
        bool failed = true;
        long n = 0;

        for (; failed; n++) {
            struct client client;
            bool joined;

            for (int i = 0; i < 6; i++)
                publish(&fixture, (const char *[]){"a/1", "a/2", "a/3", "a/4", "a/5", "b"}[i], "x");
            client_with_room(&client);
            allocations_left = n + 1; /* the first is the fixture's own */
            joined = try_join(&fixture, &client,
                              (struct wish){
                                  .channels = form & 1 ? "a/*,b*,**,none/*" : "b,new,a/*",
                                  .client = "me",
                                  .poll = form & 2,
                                  .cursor = CURSOR_ID,
                                  .id = EVENT_ID_ZERO,
                              });
            failed = allocations_left < 0;
            allocations_left = -1;
            turn(&fixture);
            assert_true(joined || client.received.size == 0);
            assert_true(failed || joined);
            if (joined && !client.has_left)
                assert_string_equal(told(&client), "gap x x x x x x");
            done(&client);
            assert_int_equal(fixture.metrics.patterns, 0);
            assert_int_equal(fixture.metrics.pattern_links, 0);
            pass_ms(&fixture, 4000000);
            assert_int_equal(fixture.metrics.channels, 0);
            assert_int_equal(fixture.replica.timeouts.reserved, 0);
        }
        assert_true(n > 8);
    }
}

/* The first message of a channel, and what becomes of it. */
static bool create_with_failure(long n, bool transient)
{
    static const char *const wanted[4] = {"a/*", "a/*,**", "none/1,none/2,none/3,none/4,a/*", "a/*"};
    struct client clients[5];
    struct message *message;
    bool failed;

    for (int i = 0; i < 5; i++) {
        client_with_room(&clients[i]);
        join(&fixture, &clients[i], (struct wish){.channels = wanted[i % 4], .cursor = CURSOR_ID, .id = fixture.last, .poll = i == 4});
        if (i == 3)
            clients[i].budget = 10;
    }
    fixture.last = event_id_next(fixture.last, 0);
    message = sse_encode_message(fixture.last, &(struct message_names){.channel = span_of("a/1")}, span_of("one"));
    message->ingest_ms = fixture.replica.now_ms;
    message->store = !transient;
    allocations_left = n;
    replica_apply_take(&fixture.replica, message);
    turn(&fixture);
    failed = allocations_left < 0;
    allocations_left = -1;
    publish(&fixture, "a/1", "two"); /* whoever lacked memory for the link gets it now */
    turn(&fixture);
    client_takes(&fixture, &clients[3], SIZE_MAX);
    turn(&fixture);
    for (int i = 0; i < 5; i++) {
        const char *text = i == 4 || clients[i].has_left ? NULL : told(&clients[i]);

        if (clients[i].has_left && clients[i].reason == LEAVE_NO_MEMORY)
            assert_true(failed);
        else if (text)
            assert_true(strcmp(text, "one two") == 0 || (failed && (strcmp(text, "gap two") == 0 || strcmp(text, "gap one two") == 0)) ||
                        (failed && transient && strcmp(text, "two") == 0));
        else
            assert_true(strstr(body_of(&clients[i]), "\"one\"") || (failed && strstr(body_of(&clients[i]), "\"gap\":true")) ||
                        (failed && transient));
        done(&clients[i]);
    }
    return failed;
}

static void new_channel_without_memory_is_told_or_ends_the_client_whichever_allocation_fails(void **state)
{
    (void)state;
    for (int transient = 0; transient < 2; transient++) {
        long n = 0;

        while (create_with_failure(n, transient)) {
            n++;
            pass_ms(&fixture, 4000000);
            assert_int_equal(fixture.metrics.channels, 0);
        }
        assert_true(n > 8);
        pass_ms(&fixture, 4000000);
    }
    assert_true(fixture.metrics.dropped_no_memory > 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup_with_memory, teardown_with_memory)
    const struct CMUnitTest tests[] = {
        T(links_by_patterns_keep_no_channel),
        T(idlest_channel_is_left_and_its_next_message_is_got_all_the_same),
        T(what_pacing_holds_back_is_written_before_a_channel_is_left),
        T(blocked_client_with_too_many_channels_is_told_of_a_gap),
        T(who_joins_more_than_it_may_have_gets_those_with_the_newest_messages),
        T(who_has_more_to_come_is_not_told_again_of_a_channel_that_was_left),
        T(leaving_goes_by_eighths_so_that_it_is_seldom),
        T(joining_without_memory_is_clean_whichever_allocation_fails),
        T(new_channel_without_memory_is_told_or_ends_the_client_whichever_allocation_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
