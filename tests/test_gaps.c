/* What a stream is told of losses. */
#include "replica_fixture.h"

static void gap_event_says_after_oldest_and_channels(void **state)
{
    struct client client;
    struct event_id left;
    char data[300], wanted[300];

    (void)state;
    fixture.settings.history_messages = 1;
    fixture.settings.history_keep = 0;
    struct event_id cursor = publish(&fixture, "lossy", "0");
    publish(&fixture, "lossy", "1");
    left = publish(&fixture, "lossy", "2");
    publish(&fixture, "quiet", "3");
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "quiet,lossy", .cursor = CURSOR_ID, .id = cursor});
    turn(&fixture);
    assert_string_equal(told(&client), "gap 2 3");
    assert_id(last_event(&client, "sidecast.gap", data, sizeof data), event_id_before(left));
    snprintf(wanted, sizeof wanted, "{\"after\":\"%s\",\"oldest\":\"%s\",\"channels\":[\"lossy\"]}", text_of(cursor),
             text_of(left));
    /* The quiet one has a mark too: that of the start, which the cursor is above. */
    assert_string_equal(data, wanted);
    assert_int_equal(fixture.metrics.gaps, 1);
    done(&client);
}

static void gap_with_nothing_behind_it_has_the_newest_id(void **state)
{
    struct client client;
    struct event_id cursor, newest;
    char data[300], wanted[300];

    (void)state;
    cursor = publish(&fixture, "a", "lost");
    publish(&fixture, "a", "lost too");
    pass_ms(&fixture, 3700000);
    newest = publish(&fixture, "b", "elsewhere");
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a", .cursor = CURSOR_ID, .id = cursor});
    assert_id(last_event(&client, "sidecast.gap", data, sizeof data), newest);
    snprintf(wanted, sizeof wanted, "{\"after\":\"%s\",\"oldest\":null,\"channels\":[\"a\"]}", text_of(cursor));
    assert_string_equal(data, wanted);
    done(&client);
}

static void cursor_from_a_lost_life_and_one_that_cannot_be_read_get_a_gap_and_all_of_history(void **state)
{
    struct client above, bad;
    struct event_id future = {FIXTURE_START.ms + 1000000, 5};
    char data[300];

    (void)state;
    publish(&fixture, "a", "one");
    publish(&fixture, "a", "two");
    client_init(&above);
    client_init(&bad);
    join(&fixture, &above, (struct wish){.channels = "a", .cursor = CURSOR_ID, .id = future});
    join(&fixture, &bad, (struct wish){.channels = "a", .cursor = CURSOR_BAD});
    assert_string_equal(told(&above), "gap one two");
    assert_string_equal(told(&bad), "gap one two");
    last_event(&bad, "sidecast.gap", data, sizeof data);
    assert_memory_equal(data, "{\"after\":null,", 14);
    last_event(&above, "sidecast.gap", data, sizeof data);
    assert_non_null(strstr(data, text_of(future)));
    done(&above);
    done(&bad);
}

static void cursors_from_before_the_start_get_a_gap_and_zero_does_not(void **state)
{
    struct client old, zero, last, future;

    (void)state;
    publish(&fixture, "a", "one");
    client_init(&old);
    client_init(&zero);
    client_init(&last);
    client_init(&future);
    join(&fixture, &old, (struct wish){.channels = "a", .cursor = CURSOR_ID, .id = event_id_before(FIXTURE_START)});
    join(&fixture, &zero, (struct wish){.channels = "a", .cursor = CURSOR_ZERO});
    join(&fixture, &last, (struct wish){.channels = "a", .cursor = CURSOR_LAST, .last = 5});
    join(&fixture, &future, (struct wish){.channels = "a", .cursor = CURSOR_TIME, .id = {FIXTURE_START.ms + 99999, 0}});
    assert_string_equal(told(&old), "gap one");
    assert_string_equal(told(&zero), "one");
    assert_string_equal(told(&last), "open one");
    assert_string_equal(told(&future), "");
    publish(&fixture, "a", "two");
    turn(&fixture);
    assert_string_equal(told(&future), "two");
    done(&old);
    done(&zero);
    done(&last);
    done(&future);
}

/* A gap in one channel was told; another channel's later loss must be told too, though its mark is the lower one. */
static void gap_in_one_channel_does_not_hide_one_in_another(void **state)
{
    struct client client;
    char data[300];

    (void)state;
    fixture.settings.history_messages = 1;
    fixture.settings.history_keep = 0;
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a,b"});
    client.budget = 15;
    publish(&fixture, "a", "half");
    turn(&fixture);
    publish(&fixture, "a", "lost");    /* by the next */
    publish(&fixture, "b", "b-first"); /* lost later, with an id above a's mark when the gap in a is told */
    publish(&fixture, "a", "a-second");
    /* The rest of `half`, and the gap in a, begun. */
    client_takes(&fixture, &client, client.subscriber.half->size - client.subscriber.half_offset + 30);
    assert_int_equal(fixture.metrics.gaps, 1);
    publish(&fixture, "b", "b-second");
    publish(&fixture, "a", "a-third");
    turn(&fixture);
    client_takes(&fixture, &client, SIZE_MAX);
    turn(&fixture);
    assert_string_equal(told(&client), "open half gap gap b-second a-third");
    last_event(&client, "sidecast.gap", data, sizeof data);
    assert_non_null(strstr(data, "\"channels\":["));
    assert_non_null(strstr(data, "\"b\""));
    done(&client);
}

static void loss_below_the_cursor_is_no_gap(void **state)
{
    struct client client;

    (void)state;
    fixture.settings.history_messages = 1;
    fixture.settings.history_keep = 0;
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a,b"});
    for (int i = 0; i < 50; i++) {
        publish(&fixture, i % 3 ? "a" : "b", "x");
        if (i % 4 == 0)
            turn(&fixture);
    }
    turn(&fixture);
    assert_null(strstr(told(&client), "gap"));
    assert_int_equal(fixture.metrics.gaps, 0);
    assert_true(fixture.metrics.history_evicted > 40);
    done(&client);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(gap_event_says_after_oldest_and_channels),
        T(gap_with_nothing_behind_it_has_the_newest_id),
        T(cursor_from_a_lost_life_and_one_that_cannot_be_read_get_a_gap_and_all_of_history),
        T(cursors_from_before_the_start_get_a_gap_and_zero_does_not),
        T(gap_in_one_channel_does_not_hide_one_in_another),
        T(loss_below_the_cursor_is_no_gap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
