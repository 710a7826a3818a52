/* Heartbeats, ends, and clients that take nothing. */
#include "replica_fixture.h"

static void heartbeat_comes_only_after_silence(void **state)
{
    struct client client;

    (void)state;
    fixture.settings.sse_heartbeat = 15000;
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a", .cursor = CURSOR_ID, .id = FIXTURE_START});
    pass_ms(&fixture, 14999);
    assert_string_equal(told(&client), "");
    publish(&fixture, "a", "one");
    turn(&fixture);
    pass_ms(&fixture, 1);
    assert_string_equal(told(&client), "one");
    pass_ms(&fixture, 14998);
    assert_string_equal(told(&client), "one");
    pass_ms(&fixture, 1);
    assert_string_equal(told(&client), "one :");
    pass_ms(&fixture, 15000);
    assert_string_equal(told(&client), "one : :");
    done(&client);
}

static void slow_client_is_closed_after_the_time_in_which_it_took_nothing(void **state)
{
    struct client client;

    (void)state;
    fixture.settings.slow_close_after = 60000;
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a"});
    client.budget = 10;
    publish(&fixture, "a", "one");
    turn(&fixture);
    pass_ms(&fixture, 59000);
    client_takes(&fixture, &client, 1);
    pass_ms(&fixture, 59999);
    assert_false(client.has_left);
    pass_ms(&fixture, 1);
    assert_true(client.has_left);
    assert_int_equal(client.reason, LEAVE_SLOW);
    assert_int_equal(fixture.metrics.subscribers_slow_closed, 1);
    done(&client);
}

/* The time counts from when there was something it did not take, not from its last byte. */
static void client_that_was_idle_has_the_whole_time_to_take_its_bytes(void **state)
{
    struct client client;

    (void)state;
    fixture.settings.slow_close_after = 5000;
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a"});
    client.budget = 0;
    pass_ms(&fixture, 100000);
    publish(&fixture, "a", "one");
    turn(&fixture);
    pass_ms(&fixture, 4999);
    assert_false(client.has_left);
    subscriber_writable(&fixture.replica, &client.subscriber); /* it takes nothing all the same: the clock goes on */
    pass_ms(&fixture, 1);
    assert_true(client.has_left);
    assert_int_equal(client.reason, LEAVE_SLOW);
    done(&client);
}

static void stream_ends_cleanly_at_four_to_five_fifths_of_its_age(void **state)
{
    struct client clients[50];
    int ended = 0;

    (void)state;
    fixture.settings.sse_max_age = 3600000;
    fixture.settings.sse_heartbeat = 15000;
    for (int i = 0; i < 50; i++) {
        client_init(&clients[i]);
        join(&fixture, &clients[i], (struct wish){.channels = "a"});
    }
    for (int64_t ms = 0; ms < 2880000 - 1; ms += 14399)
        pass_ms(&fixture, 14399);
    for (int i = 0; i < 50; i++)
        ended += clients[i].has_left;
    assert_true(ended <= 2);
    pass_ms(&fixture, 360000);
    for (int i = ended = 0; i < 50; i++)
        ended += clients[i].has_left;
    assert_true(ended > 10 && ended < 40);
    pass_ms(&fixture, 360000);
    for (int i = 0; i < 50; i++) {
        assert_true(clients[i].has_left);
        assert_int_equal(clients[i].reason, LEAVE_DONE);
        assert_non_null(strstr(told(&clients[i]), "end"));
        done(&clients[i]);
    }
}

static void blocked_client_gets_its_end_once_it_takes_bytes(void **state)
{
    struct client client;

    (void)state;
    fixture.settings.sse_max_age = 10000;
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a"});
    client.budget = 20;
    publish(&fixture, "a", "one");
    turn(&fixture);
    pass_ms(&fixture, 20000);
    assert_false(client.has_left);
    publish(&fixture, "a", "two");
    client_takes(&fixture, &client, SIZE_MAX);
    turn(&fixture);
    assert_true(client.has_left);
    assert_string_equal(told(&client), "open one two end");
    done(&client);
}

static void whole_answer_needs_no_channels(void **state)
{
    struct client client;

    (void)state;
    client_init(&client);
    client.request_id = client.subscriber.request_id = 1;
    client.subscriber.framing = FRAMING_FASTCGI;
    client.budget = 5;
    assert_true(client_reserve(&client, &fixture.replica.timeouts));
    subscriber_answer_take(&fixture.replica, &client.subscriber,
                           framing_fastcgi.whole(1, span_of("Status: 200 OK\r\n"), span_of("ok\n")));
    assert_true(client.wants_write);
    client_takes(&fixture, &client, SIZE_MAX);
    assert_true(client.has_left);
    assert_int_equal(client.reason, LEAVE_DONE);
    struct stream stream = client_read(&client);
    assert_true(stream.is_whole && span_equal(stream.body, span_of("ok\n")));
    stream_finish(&stream);
    done(&client);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(heartbeat_comes_only_after_silence),
        T(slow_client_is_closed_after_the_time_in_which_it_took_nothing),
        T(client_that_was_idle_has_the_whole_time_to_take_its_bytes),
        T(stream_ends_cleanly_at_four_to_five_fifths_of_its_age),
        T(blocked_client_gets_its_end_once_it_takes_bytes),
        T(whole_answer_needs_no_channels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
