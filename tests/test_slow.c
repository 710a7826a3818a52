/* Clients that fall behind: slow.policy = close, and what stuck ones cost. The channel "x" is closed to them, the others are not. */
#include "replica_fixture.h"

/* AddressSanitizer's; not every compiler brings the header. */
size_t __sanitizer_get_current_allocated_bytes(void);

static char *close_patterns[] = {(char[]){"x"}};
static struct channel_rule rule;
static struct client slow, reader;

static int setup_close(void **state)
{
    const struct settings *settings = &fixture.settings;

    setup(state);
    fixture.settings.history_messages = 3;
    rule = (struct channel_rule){
        .match = {close_patterns, 1},
        .policy = {settings->history_messages, settings->history_age, settings->history_keep, settings->hub_pace, SLOW_CLOSE},
    };
    fixture.settings.rules = &rule;
    fixture.settings.rule_count = 1;
    return 0;
}

/* `slow` stops in the middle of the first message, `reader` takes all. */
static void block(const char *channels)
{
    client_init(&slow);
    client_init(&reader);
    join(&fixture, &slow, (struct wish){.channels = channels});
    join(&fixture, &reader, (struct wish){.channels = channels});
    slow.budget = 15;
    publish(&fixture, "x", "0");
    turn(&fixture);
    assert_true(slow.wants_write);
}

static void publish_one_by_one(const char *channel, int first, int count)
{
    for (int i = first; i < first + count; i++) {
        publish_many(&fixture, channel, i, 1, 10);
        turn(&fixture);
    }
}

static void all_done(void)
{
    done(&slow);
    done(&reader);
}

static void client_that_lacks_more_than_newcomers_get_is_closed(void **state)
{
    (void)state;
    block("x");
    publish_one_by_one("x", 1, 3);
    assert_false(slow.has_left);
    publish_one_by_one("x", 4, 1);
    assert_true(slow.has_left);
    assert_int_equal(slow.reason, LEAVE_SLOW);
    assert_int_equal(fixture.metrics.subscribers_slow_closed, 1);
    publish_one_by_one("x", 5, 1);
    assert_string_equal(told(&reader), "open 0 1 2 3 4 5");
    all_done();
}

static void client_that_was_closed_resumes_without_a_gap(void **state)
{
    struct client again;

    (void)state;
    block("x");
    struct event_id cursor = fixture.last;
    publish_one_by_one("x", 1, 4);
    assert_true(slow.has_left);
    pass_ms(&fixture, 3000);
    client_init(&again);
    join(&fixture, &again, (struct wish){.channels = "x", .cursor = CURSOR_ID, .id = cursor});
    turn(&fixture);
    assert_string_equal(told(&again), "1 2 3 4");
    done(&again);
    all_done();
}

/* More than a socket takes at once is no fault of who reads it. */
static void burst_does_not_close_who_takes_bytes_again_before_the_next(void **state)
{
    (void)state;
    client_init(&slow);
    client_init(&reader);
    join(&fixture, &slow, (struct wish){.channels = "x"});
    join(&fixture, &reader, (struct wish){.channels = "x"});
    slow.budget = 1000;
    publish_many(&fixture, "x", 1, 600, 10);
    turn(&fixture);
    assert_true(slow.wants_write);
    for (int i = 0; i < 1000 && slow.wants_write; i++)
        client_takes(&fixture, &slow, 1000);
    slow.budget = SIZE_MAX;
    publish_one_by_one("x", 601, 1);
    assert_false(slow.has_left || reader.has_left);
    assert_string_equal(strrchr(told(&slow), ' '), " 601");
    assert_null(strstr(told(&slow), "gap"));
    all_done();
}

static void client_that_takes_all_it_is_sent_is_not_closed_however_much_it_lacks(void **state)
{
    (void)state;
    client_init(&reader);
    join(&fixture, &reader, (struct wish){.channels = "x"});
    publish_many(&fixture, "x", 1, 2000, 10);
    assert_true(replica_flush(&fixture.replica));
    publish_many(&fixture, "x", 2001, 1, 10);
    assert_true(replica_flush(&fixture.replica));
    assert_false(reader.has_left);
    turn(&fixture);
    assert_string_equal(strrchr(told(&reader), ' '), " 2001");
    done(&reader);
}

static void client_overtaken_by_history_is_closed_too(void **state)
{
    (void)state;
    rule.policy.messages = fixture.settings.history_messages = 1000;
    fixture.settings.history_bytes = 10000;
    block("x");
    publish_many(&fixture, "x", 1, 30, 1000);
    turn(&fixture);
    assert_true(slow.has_left);
    assert_int_equal(slow.reason, LEAVE_SLOW);
    assert_false(reader.has_left);
    all_done();
}

static void messages_of_other_channels_do_not_count(void **state)
{
    (void)state;
    block("a,x");
    publish_one_by_one("x", 1, 3);
    publish_one_by_one("a", 4, 20);
    assert_false(slow.has_left);
    publish_one_by_one("x", 24, 1);
    assert_true(slow.has_left);
    all_done();
}

static void subscriber_by_a_pattern_is_closed_as_well(void **state)
{
    (void)state;
    block("*");
    publish_one_by_one("x", 1, 4);
    assert_true(slow.has_left);
    assert_false(reader.has_left);
    all_done();
}

static void long_poll_in_the_middle_of_its_answer_gets_the_rest(void **state)
{
    (void)state;
    publish(&fixture, "x", "0");
    client_init(&slow);
    slow.budget = 100;
    join(&fixture, &slow, (struct wish){.channels = "x", .poll = true, .cursor = CURSOR_ZERO});
    assert_true(slow.wants_write);
    publish_one_by_one("x", 1, 20);
    assert_false(slow.has_left);
    client_takes(&fixture, &slow, SIZE_MAX);
    assert_int_equal(slow.reason, LEAVE_DONE);
    done(&slow);
}

/* --- what stuck ones cost --- */

enum { CROWD = 200, STUCK = CROWD / 100, BODY = 1000 };

static void discard(struct client *client, size_t accepted)
{
    (void)accepted;
    text_finish(&client->received);
}

/* The memory in use once `stuck` of many clients took no bytes for a while. */
static size_t memory_with(int stuck)
{
    struct client *crowd = calloc(CROWD, sizeof *crowd);
    size_t bytes;

    fixture_start(&fixture);
    fixture.settings.history_keep = 0;
    for (int i = 0; i < CROWD; i++) {
        client_init(&crowd[i]);
        crowd[i].on_write = discard;
        join(&fixture, &crowd[i], (struct wish){.channels = "a"});
        if (i < stuck)
            crowd[i].budget = 15;
    }
    for (int i = 0; i < 5000; i++) {
        publish_many(&fixture, "a", i, 1, BODY);
        if (i % 3 == 0)
            pass_ms(&fixture, 10);
    }
    bytes = __sanitizer_get_current_allocated_bytes();
    assert_int_equal(fixture.metrics.subscribers, CROWD);
    for (int i = 0; i < CROWD; i++)
        done(&crowd[i]);
    fixture_finish(&fixture);
    free(crowd);
    return bytes;
}

/* Each holds the message in whose middle it stopped, and nothing else. */
static void one_in_a_hundred_that_is_stuck_does_not_change_memory(void **state)
{
    (void)state;
    (void)memory_with(0); /* what is allocated once */
    size_t none = memory_with(0), some = memory_with(STUCK);

    assert_true(some < none + STUCK * (BODY + 500));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup_close, teardown)
    const struct CMUnitTest tests[] = {
        T(client_that_lacks_more_than_newcomers_get_is_closed),
        T(client_that_was_closed_resumes_without_a_gap),
        T(burst_does_not_close_who_takes_bytes_again_before_the_next),
        T(client_that_takes_all_it_is_sent_is_not_closed_however_much_it_lacks),
        T(client_overtaken_by_history_is_closed_too),
        T(messages_of_other_channels_do_not_count),
        T(subscriber_by_a_pattern_is_closed_as_well),
        T(long_poll_in_the_middle_of_its_answer_gets_the_rest),
        cmocka_unit_test(one_in_a_hundred_that_is_stuck_does_not_change_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
