/* What not everybody gets, and in which form. */
#include "replica_fixture.h"

static void sender_is_left_out_and_resumes_behind_its_own(void **state)
{
    struct client sender, other, again;

    (void)state;
    client_init(&sender);
    client_init(&other);
    client_init(&again);
    join(&fixture, &sender, (struct wish){.channels = "a", .client = "me"});
    join(&fixture, &other, (struct wish){.channels = "a", .client = "m"});
    publish(&fixture, "a", "one");
    publish_with(&fixture, (struct publication){.channel = "a", .data = span_of("mine"), .except = "me"});
    turn(&fixture);
    assert_id(sender.subscriber.cursor, fixture.last);
    publish(&fixture, "a", "two");
    turn(&fixture);
    join(&fixture, &again, (struct wish){.channels = "a", .client = "me", .cursor = CURSOR_ZERO});
    assert_string_equal(told(&sender), "open one two");
    assert_string_equal(told(&other), "open one mine two");
    assert_string_equal(told(&again), "one two");
    done(&sender);
    done(&other);
    done(&again);
}

static void store_false_is_only_for_those_connected(void **state)
{
    struct client connected, blocked, later;

    (void)state;
    publish(&fixture, "a", "zero");
    struct event_id before = fixture.last;
    client_init(&connected);
    client_init(&blocked);
    client_init(&later);
    join(&fixture, &connected, (struct wish){.channels = "a"});
    join(&fixture, &blocked, (struct wish){.channels = "a"});
    blocked.budget = 15;
    publish(&fixture, "a", "one");
    turn(&fixture);
    publish_with(&fixture, (struct publication){.channel = "a", .data = span_of("passing"), .transient = true});
    join(&fixture, &later, (struct wish){.channels = "a", .cursor = CURSOR_ID, .id = before});
    turn(&fixture);
    pass_ms(&fixture, 1200);
    publish(&fixture, "a", "two");
    turn(&fixture);
    client_takes(&fixture, &blocked, SIZE_MAX);
    assert_string_equal(told(&connected), "open one passing two");
    assert_string_equal(told(&later), "one two");
    assert_string_equal(told(&blocked), "open one two");
    assert_int_equal(fixture.metrics.gaps, 0);
    assert_int_equal(fixture.metrics.history_messages, 3);
    done(&connected);
    done(&blocked);
    done(&later);
}

static void expired_messages_are_skipped_for_everybody_without_a_gap(void **state)
{
    struct client blocked, later;
    struct event_id before = publish(&fixture, "a", "zero");

    (void)state;
    client_init(&blocked);
    client_init(&later);
    join(&fixture, &blocked, (struct wish){.channels = "a"});
    blocked.budget = 0;
    publish(&fixture, "a", "one");
    publish_with(&fixture, (struct publication){.channel = "a", .data = span_of("short-lived"), .ttl_ms = 1000});
    publish_with(&fixture, (struct publication){.channel = "a", .data = span_of("longer-lived"), .ttl_ms = 2000});
    publish(&fixture, "a", "two");
    turn(&fixture);
    fixture.replica.now_ms += 1000; /* to the millisecond, and before anybody swept */
    join(&fixture, &later, (struct wish){.channels = "a", .cursor = CURSOR_ID, .id = before});
    assert_string_equal(told(&later), "one longer-lived two");
    pass_ms(&fixture, 1500);
    assert_int_equal(fixture.metrics.history_messages, 3);
    client_takes(&fixture, &blocked, SIZE_MAX);
    assert_string_equal(told(&blocked), "open one two");
    assert_int_equal(fixture.metrics.gaps, 0);
    done(&blocked);
    done(&later);
}

static void envelopes_are_made_once_and_name_channel_and_event(void **state)
{
    struct client first, second, plain;
    char data[200];

    (void)state;
    client_init(&first);
    client_init(&second);
    client_init(&plain);
    join(&fixture, &first, (struct wish){.channels = "a,b", .envelope = true});
    join(&fixture, &second, (struct wish){.channels = "a", .envelope = true});
    join(&fixture, &plain, (struct wish){.channels = "a"});
    publish_with(&fixture, (struct publication){.channel = "a", .data = span_of("say \"hi\"\nthere"), .event = "greeting"});
    size_t before = fixture.replica.bytes;
    turn(&fixture);
    assert_true(fixture.replica.bytes > before);
    assert_true(fixture.replica.bytes < before + 200);
    last_event(&first, "greeting", data, sizeof data);
    assert_string_equal(data, "{\"channel\":\"a\",\"event\":\"greeting\",\"data\":\"say \\\"hi\\\"\\nthere\"}");
    last_event(&second, "greeting", data, sizeof data);
    assert_string_equal(data, "{\"channel\":\"a\",\"event\":\"greeting\",\"data\":\"say \\\"hi\\\"\\nthere\"}");
    last_event(&plain, "greeting", data, sizeof data);
    assert_string_equal(data, "say \"hi\"\nthere");
    done(&first);
    done(&second);
    done(&plain);
}

static void other_request_ids_get_the_same_text(void **state)
{
    struct client one, other;

    (void)state;
    client_init(&one);
    client_init(&other);
    join(&fixture, &one, (struct wish){.channels = "a", .cursor = CURSOR_ID, .id = FIXTURE_START});
    join(&fixture, &other, (struct wish){.channels = "a", .cursor = CURSOR_ID, .id = FIXTURE_START, .request_id = 0xabcd});
    publish_many(&fixture, "a", 0, 2, 200000);
    publish(&fixture, "a", "small");
    turn(&fixture);
    subscriber_end(&fixture.replica, &one.subscriber);
    subscriber_end(&fixture.replica, &other.subscriber);

    struct stream first = client_read(&one), second = client_read(&other);
    const char *first_body = strstr(first.body.bytes + 2, "\n"), *second_body = strstr(second.body.bytes + 2, "\n");
    size_t size = first.body.size - (size_t)(first_body - first.body.bytes);
    assert_true(first.is_whole && second.is_whole);
    assert_int_equal(size, second.body.size - (size_t)(second_body - second.body.bytes)); /* behind `retry`, which is jittered */
    assert_memory_equal(first_body, second_body, size);
    stream_finish(&first);
    stream_finish(&second);
    done(&one);
    done(&other);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(sender_is_left_out_and_resumes_behind_its_own),
        T(store_false_is_only_for_those_connected),
        T(expired_messages_are_skipped_for_everybody_without_a_gap),
        T(envelopes_are_made_once_and_name_channel_and_event),
        T(other_request_ids_get_the_same_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
