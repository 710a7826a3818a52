#include "replica_fixture.h"

#include <limits.h>

/* --- how it begins --- */

static void stream_begins_in_one_record_with_its_headers(void **state)
{
    struct client client;
    char data[100];

    (void)state;
    client_init(&client);
    publish(&fixture, "a", "before");
    join(&fixture, &client, (struct wish){.channels = "a"});
    assert_int_equal(client.writes, 1);

    struct stream stream = client_read(&client);
    assert_int_equal(stream.record_count, 1);
    assert_non_null(memmem(stream.headers.bytes, stream.headers.size, "X-Accel-Buffering: no\r\n", 23));
    assert_memory_equal(stream.body.bytes, ":\nretry: ", 9);
    stream_finish(&stream);
    assert_id(last_event(&client, "sidecast.open", data, sizeof data), fixture.last);
    snprintf(data + 50, 50, "{\"cursor\":\"%s\"}", text_of(fixture.last));
    assert_string_equal(data, data + 50);
    done(&client);
}

/* So that a restart is not followed by a stampede. */
static void each_client_is_told_its_own_time_to_come_back(void **state)
{
    long least = LONG_MAX, most = 0;

    (void)state;
    for (int i = 0; i < 200; i++) {
        struct client client;

        client_init(&client);
        join(&fixture, &client, (struct wish){.channels = "a"});
        struct stream stream = client_read(&client);
        long retry_ms = strtol(stream.body.bytes + strlen(":\nretry: "), NULL, 10);

        least = retry_ms < least ? retry_ms : least;
        most = retry_ms > most ? retry_ms : most;
        stream_finish(&stream);
        done(&client);
    }
    assert_true(least >= 1500 && least < 1700);
    assert_true(most <= 4500 && most > 4300);
}

static void client_with_a_cursor_is_not_told_where_it_is(void **state)
{
    struct client client;

    (void)state;
    client_init(&client);
    publish(&fixture, "a", "before");
    join(&fixture, &client, (struct wish){.channels = "a", .cursor = CURSOR_ID, .id = fixture.last});
    publish(&fixture, "a", "after");
    turn(&fixture);
    assert_string_equal(told(&client), "after");
    done(&client);
}

/* --- sockets that stop anywhere --- */

static void one_byte_per_call_delivers_everything_once(void **state)
{
    struct client client;

    (void)state;
    client_init(&client);
    client.per_call = 1;
    join(&fixture, &client, (struct wish){.channels = "a,b"});
    publish(&fixture, "a", "one");
    publish(&fixture, "b", "two");
    publish(&fixture, "a", "three");
    turn(&fixture);
    for (int i = 0; i < 2000 && client.wants_write; i++)
        client_takes(&fixture, &client, SIZE_MAX);
    assert_false(client.wants_write);
    assert_string_equal(told(&client), "open one two three");
    done(&client);
}

static void scenario_for_any_stop(struct client *client, size_t stop, uint16_t request_id, bool envelope)
{
    client_init(client);
    client->budget = stop;
    join(&fixture, client, (struct wish){.channels = "a,b", .request_id = request_id, .envelope = envelope});
    publish(&fixture, "a", "one");
    publish(&fixture, "b", "two");
    turn(&fixture);
    publish(&fixture, "b", "three");
    turn(&fixture);
    subscriber_end(&fixture.replica, &client->subscriber);
    turn(&fixture);
}

static void would_block_at_any_byte_changes_nothing(void **state)
{
    static const char envelopes[] = "open {\"channel\":\"a\",\"event\":null,\"data\":\"one\"} "
                                    "{\"channel\":\"b\",\"event\":null,\"data\":\"two\"} "
                                    "{\"channel\":\"b\",\"event\":null,\"data\":\"three\"} end";
    struct client whole, cut;

    (void)state;
    for (int form = 0; form < 3; form++) {
        uint16_t id = form == 1 ? 515 : 1;
        size_t size;

        scenario_for_any_stop(&whole, SIZE_MAX, id, form == 2);
        assert_true(whole.has_left);
        size = whole.received.size;
        for (size_t stop = 0; stop < size; stop++) {
            scenario_for_any_stop(&cut, stop, id, form == 2);
            assert_true(cut.wants_write);
            assert_int_equal(cut.received.size, stop);
            client_takes(&fixture, &cut, SIZE_MAX);
            turn(&fixture);
            assert_int_equal(cut.reason, LEAVE_DONE);
            assert_string_equal(told(&cut), form == 2 ? envelopes : "open one two three end");
            client_finish(&cut);
        }
        client_finish(&whole);
    }
}

static void broken_connection_leaves_at_its_next_write(void **state)
{
    struct client client;

    (void)state;
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a"});
    client.is_broken = true;
    publish(&fixture, "a", "one");
    assert_false(client.has_left);
    turn(&fixture);
    assert_int_equal(client.reason, LEAVE_BROKEN);
    done(&client);
}

/* --- large messages, many messages --- */

static void check_large(const struct client *client, size_t size, int count)
{
    struct stream stream = client_read(client);

    assert_int_equal(stream.count, count + 2);
    for (int i = 0; i < count; i++) {
        const struct text *data = &stream.events[i + 2].data;

        assert_int_equal(data->size, size);
        assert_int_equal(atoi(data->bytes), i);
        assert_int_equal(data->bytes[size - 1], '.');
    }
    stream_finish(&stream);
}

static void large_messages_arrive_whole_in_pieces_of_any_size(void **state)
{
    static const size_t sizes[] = {1, 7, 65535, 65536, 70000, 1 << 20};
    struct client client;

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t piece = sizes[i] < 1000 ? 100003 : sizes[i];

        client_init(&client);
        join(&fixture, &client, (struct wish){.channels = "a", .request_id = i % 2 ? 2 : 1});
        client.budget = sizes[i];
        publish_many(&fixture, "a", 0, 3, 1 << 20);
        turn(&fixture);
        while (client.wants_write)
            client_takes(&fixture, &client, piece);
        check_large(&client, 1 << 20, 3);
        done(&client);
    }
}

static void many_messages_take_several_writes_and_others_come_between(void **state)
{
    struct client first, second;

    (void)state;
    client_init(&first);
    client_init(&second);
    join(&fixture, &first, (struct wish){.channels = "a"});
    publish_many(&fixture, "a", 0, 2000, 10);
    join(&fixture, &second, (struct wish){.channels = "a", .cursor = CURSOR_ID, .id = FIXTURE_START});
    assert_true(replica_flush(&fixture.replica));
    assert_true(first.writes >= 2 && second.writes >= 1);
    assert_int_equal(first.subscriber.state, SUBSCRIBER_READY);
    turn(&fixture);
    assert_int_equal(first.subscriber.state, SUBSCRIBER_IDLE);
    assert_string_equal(strrchr(told(&first), ' '), " 1999");
    assert_string_equal(strrchr(told(&second), ' '), " 1999");
    done(&first);
    done(&second);
}

/* However many messages are left when the end is asked for, it comes in the same turn, behind them. */
static void end_comes_behind_any_number_of_messages(void **state)
{
    (void)state;
    fixture.settings.hub_pace = 10;
    for (int count = 0; count < 520; count += count < 250 || (count > 258 && count < 505) ? 7 : 1) {
        struct client client;
        char last[16];

        client_init(&client);
        join(&fixture, &client, (struct wish){.channels = "a"});
        publish(&fixture, "a", "first");
        turn(&fixture);
        publish_many(&fixture, "a", 0, count, 10);
        subscriber_end(&fixture.replica, &client.subscriber);
        turn(&fixture);
        assert_true(client.has_left);
        assert_int_equal(client.reason, LEAVE_DONE);
        snprintf(last, sizeof last, count ? "%d end" : "first end", count - 1);
        assert_non_null(strstr(told(&client), last));
        done(&client);
        pass_ms(&fixture, 20);
    }
}

/* --- several channels --- */

static void several_channels_come_in_one_order(void **state)
{
    static const char *const names[] = {"a", "b", "c"};
    struct client live, resumed;
    char wanted[8000] = "", *out = wanted;

    (void)state;
    client_init(&live);
    client_init(&resumed);
    join(&fixture, &live, (struct wish){.channels = "c,a,b", .cursor = CURSOR_ID, .id = FIXTURE_START});
    for (int i = 0; i < 900; i++) {
        char number[12];

        snprintf(number, sizeof number, "%d", i);
        publish(&fixture, names[i * i % 7 % 3], number);
        out += sprintf(out, i ? " %d" : "%d", i);
        if (i % 5 == 0)
            turn(&fixture);
    }
    join(&fixture, &resumed, (struct wish){.channels = "a,b,c", .cursor = CURSOR_ID, .id = FIXTURE_START});
    turn(&fixture);
    assert_string_equal(told(&live), wanted);
    assert_string_equal(told(&resumed), wanted);
    done(&live);
    done(&resumed);
}

/* --- eviction in the middle of a write --- */

static void half_written_message_is_finished_though_history_has_let_it_go(void **state)
{
    struct client client;
    char data[200], wanted[200];
    struct event_id first, last;

    (void)state;
    fixture.settings.history_keep = 0;
    fixture.settings.history_messages = 2;
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a"});
    client.budget = 20;
    first = publish(&fixture, "a", "half-written");
    turn(&fixture);
    for (int i = 0; i < 5; i++)
        last = publish(&fixture, "a", "later");
    turn(&fixture);
    assert_true(fixture.replica.pins.bytes > 0);
    assert_string_equal(told(&client), "open");
    client_takes(&fixture, &client, SIZE_MAX);
    turn(&fixture);
    assert_string_equal(told(&client), "open half-written gap later later");
    assert_int_equal(fixture.replica.pins.bytes, 0);
    last.seq--; /* the first of the two that are left */
    last_event(&client, "sidecast.gap", data, sizeof data);
    snprintf(wanted, sizeof wanted, "{\"after\":\"%s\",\"oldest\":\"%s\",\"channels\":[\"a\"]}", text_of(first), text_of(last));
    assert_string_equal(data, wanted);
    done(&client);
}

static void nothing_enters_a_half_written_record(void **state)
{
    struct client client;

    (void)state;
    fixture.settings.history_keep = 0;
    fixture.settings.history_messages = 1;
    fixture.settings.sse_heartbeat = 100;
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a"});
    client.budget = 15;
    publish(&fixture, "a", "half");
    turn(&fixture);
    publish(&fixture, "a", "lost");
    publish(&fixture, "a", "next");
    pass_ms(&fixture, 1000);
    subscriber_end(&fixture.replica, &client.subscriber);
    pass_ms(&fixture, 1000);
    while (client.wants_write && !client.has_left)
        client_takes(&fixture, &client, 3);
    assert_string_equal(told(&client), "open half gap next end");
    done(&client);
}

/* The oldest are closed at the end of a turn; what many get within one of their own, as the answers of long-polls, must not wait for that. */
static void within_a_turn_twice_the_pinned_bytes_are_the_limit(void **state)
{
    static struct client clients[20];
    int left = 0;

    (void)state;
    fixture.settings.history_pinned_bytes = 2500;
    publish_many(&fixture, "a", 0, 1, 1000);
    for (int i = 0; i < 20; i++) {
        client_init(&clients[i]);
        clients[i].budget = 15;
        join(&fixture, &clients[i], (struct wish){.channels = "a", .cursor = CURSOR_ZERO, .poll = true, .request_id = 2 + i});
        assert_true(fixture.replica.pins.bytes < 2 * 2500 + 2000);
        assert_true(!clients[i].has_left || clients[i].reason == LEAVE_SLOW);
        left += clients[i].has_left;
    }
    assert_in_range(left, 14, 16);
    assert_int_equal(fixture.metrics.subscribers_slow_closed, left);
    turn(&fixture);
    for (int i = 0; i < 20; i++)
        done(&clients[i]);
}

static void pinned_bytes_above_the_limit_close_who_holds_the_oldest(void **state)
{
    struct client clients[4];

    (void)state;
    fixture.settings.history_keep = 0;
    fixture.settings.history_messages = 1;
    fixture.settings.history_pinned_bytes = 2500;
    for (int i = 0; i < 4; i++) {
        client_init(&clients[i]);
        join(&fixture, &clients[i], (struct wish){.channels = "a"});
    }
    /* Each stops in the middle of a message of its own; 0 and 1 in the same. */
    for (int i = 1; i < 4; i++) {
        clients[i].budget = 15;
        if (i == 1)
            clients[0].budget = 15;
        publish_many(&fixture, "a", i, 1, 1000);
        turn(&fixture);
    }
    assert_int_equal(fixture.metrics.subscribers, 4);
    publish(&fixture, "a", "evicts the third");
    turn(&fixture);
    assert_true(clients[0].has_left && clients[1].has_left);
    assert_int_equal(clients[0].reason, LEAVE_SLOW);
    assert_false(clients[2].has_left || clients[3].has_left);
    assert_int_equal(fixture.metrics.subscribers_slow_closed, 2);
    assert_true(fixture.replica.pins.bytes <= 2500);
    client_takes(&fixture, &clients[2], SIZE_MAX);
    turn(&fixture);
    assert_string_equal(told(&clients[2]), "open 1 2 gap evicts");
    for (int i = 0; i < 4; i++)
        done(&clients[i]);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(stream_begins_in_one_record_with_its_headers),
        T(each_client_is_told_its_own_time_to_come_back),
        T(client_with_a_cursor_is_not_told_where_it_is),
        T(one_byte_per_call_delivers_everything_once),
        T(would_block_at_any_byte_changes_nothing),
        T(broken_connection_leaves_at_its_next_write),
        T(large_messages_arrive_whole_in_pieces_of_any_size),
        T(many_messages_take_several_writes_and_others_come_between),
        T(end_comes_behind_any_number_of_messages),
        T(several_channels_come_in_one_order),
        T(half_written_message_is_finished_though_history_has_let_it_go),
        T(nothing_enters_a_half_written_record),
        T(within_a_turn_twice_the_pinned_bytes_are_the_limit),
        T(pinned_bytes_above_the_limit_close_who_holds_the_oldest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
