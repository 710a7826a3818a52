/* History over a restart: what is collected, and what clients that come back are told. */
#include "restart_fixture.h"
#include "cpu_time.h"

/* --- collecting --- */

static void messages_are_collected_a_slice_at_a_time(void **state)
{
    struct snapshot *snapshot;

    (void)state;
    fixture.settings.history_messages = 10000;
    publish_many(&fixture, "a", 0, 2500, 20);
    snapshot = begin_collecting();
    assert_true(collect_messages(&fixture.replica, snapshot, COLLECT_SLICE));
    assert_int_equal(snapshot->message_count, 1024);
    assert_true(collect_messages(&fixture.replica, snapshot, COLLECT_SLICE));
    assert_false(collect_messages(&fixture.replica, snapshot, COLLECT_SLICE));
    assert_int_equal(snapshot->message_count, 2500);
    assert_int_equal(snapshot->message_capacity, 2500);
    for (size_t i = 1; i < 2500; i++)
        assert_true(event_id_less(snapshot->messages[i - 1]->id, snapshot->messages[i]->id));
    snapshot_destroy(snapshot);
}

static void what_comes_meanwhile_is_left_to_the_next(void **state)
{
    struct snapshot *snapshot;

    (void)state;
    publish_many(&fixture, "a", 0, 5, 20);
    snapshot = begin_collecting();
    assert_true(collect_messages(&fixture.replica, snapshot, 3));
    publish_many(&fixture, "a", 5, 5, 20);
    assert_false(collect_messages(&fixture.replica, snapshot, 100));
    assert_int_equal(snapshot->message_count, 5);
    assert_null(fixture.replica.bookmark);
    snapshot_destroy(snapshot);
}

/* Wherever the bookmark is when entries go, at the front or all of them. */
static void what_goes_meanwhile_is_passed_over(void **state)
{
    (void)state;
    fixture.settings.history_keep = 0;
    for (int taken = 0; taken <= 10; taken++)
        for (int left = 1; left <= 10; left++) {
            struct snapshot *snapshot;

            fixture.settings.history_messages = 10;
            replica_reload(&fixture.replica);
            publish_many(&fixture, "a", 0, 10, 20);
            snapshot = begin_collecting();
            if (taken > 0)
                collect_messages(&fixture.replica, snapshot, (size_t)taken);
            fixture.settings.history_messages = left;
            replica_reload(&fixture.replica);
            collect_messages(&fixture.replica, snapshot, 100);
            assert_int_equal(snapshot->message_count, taken + left > 10 ? 10 : taken + left);
            assert_null(fixture.replica.bookmark);
            snapshot_destroy(snapshot);
        }
}

static void collecting_ends_when_all_there_was_has_gone(void **state)
{
    struct snapshot *snapshot;

    (void)state;
    publish_many(&fixture, "a", 0, 5, 20);
    snapshot = begin_collecting();
    assert_true(collect_messages(&fixture.replica, snapshot, 2));
    pass_ms(&fixture, 2 * 3600000);
    publish_many(&fixture, "a", 5, 5, 20);
    assert_false(collect_messages(&fixture.replica, snapshot, 100));
    assert_int_equal(snapshot->message_count, 2);
    snapshot_destroy(snapshot);
}

static void what_is_for_now_and_what_is_over_are_left_out(void **state)
{
    struct client client;
    struct snapshot *snapshot;

    (void)state;
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a"});
    client.budget = 0;
    publish_with(&fixture, (struct publication){.channel = "a", .data = span_of("now"), .transient = true});
    publish_with(&fixture, (struct publication){.channel = "a", .data = span_of("short"), .ttl_ms = 1000});
    publish_with(&fixture, (struct publication){.channel = "a", .data = span_of("long"), .ttl_ms = 5000});
    fixture.replica.now_ms += 1000;
    assert_int_equal(fixture.metrics.history_messages, 3);
    snapshot = begin_collecting();
    assert_false(collect_messages(&fixture.replica, snapshot, 100));
    assert_int_equal(snapshot->message_count, 1);
    snapshot_destroy(snapshot);
    done(&client);
}

static void the_messages_outlive_the_history(void **state)
{
    struct snapshot *snapshot;

    (void)state;
    publish_many(&fixture, "a", 0, 5, 20);
    snapshot = begin_collecting();
    collect_messages(&fixture.replica, snapshot, 100);
    pass_ms(&fixture, 2 * 3600000);
    struct text bytes = take_bytes(snapshot);
    assert_true(bytes.size > 100);
    text_finish(&bytes);
}

/* 64 MiB: 0.3 ms in the program itself, a few times that here. */
static void no_turn_is_longer_than_5_ms_because_of_it(void **state)
{
    char channel[32];
    int64_t longest_us = 0, start_us;
    bool more = true;

    (void)state;
    fixture.settings.history_messages = 10000000;
    fixture.settings.history_bytes = 64 << 20;
    for (int i = 0; fixture.metrics.history_evicted == 0; i++) {
        (void)snprintf(channel, sizeof channel, "channel/%d", i * 7919 % 1000);
        publish_with(&fixture, (struct publication){.channel = channel, .data = span_of("a message of a length such as many have, a hundred bytes of text")});
    }
    assert_true(fixture.metrics.history_messages > 100000);
    start_us = cpu_us();
    struct snapshot *snapshot = begin_collecting();
    while (more) {
        more = collect_messages(&fixture.replica, snapshot, COLLECT_SLICE);
        longest_us = cpu_us() - start_us > longest_us ? cpu_us() - start_us : longest_us;
        start_us = cpu_us();
    }
    assert_int_equal(snapshot->message_count, fixture.metrics.history_messages);
    snapshot_destroy(snapshot);
    if (longest_us > 5000)
        fail_msg("the longest turn: %.1f ms", (double)longest_us / 1000);
}

/* --- clients that come back after an orderly end --- */

static void whoever_comes_back_gets_what_it_missed_and_no_gap(void **state)
{
    struct event_id cursors[3];

    (void)state;
    cursors[0] = publish(&fixture, "a", "one");
    cursors[1] = publish(&fixture, "b/1", "two");
    cursors[2] = publish(&fixture, "a", "three");
    restart(true);
    publish(&fixture, "a", "four");
    assert_string_equal(told_newcomer((struct wish){.channels = "a", .cursor = CURSOR_ID, .id = cursors[0]}), "three four");
    assert_string_equal(told_newcomer((struct wish){.channels = "a,b/1", .cursor = CURSOR_ID, .id = cursors[0]}), "two three four");
    assert_string_equal(told_newcomer((struct wish){.channels = "**", .cursor = CURSOR_ID, .id = cursors[1]}), "three four");
    assert_string_equal(told_newcomer((struct wish){.channels = "a", .cursor = CURSOR_ID, .id = cursors[2]}), "four");
    assert_string_equal(told_newcomer((struct wish){.channels = "never", .cursor = CURSOR_ID, .id = cursors[2]}), "");
    assert_string_equal(told_newcomer((struct wish){.channels = "a", .cursor = CURSOR_LAST, .last = 2}), "open three four");
    assert_string_equal(told_newcomer((struct wish){.channels = "a", .cursor = CURSOR_ZERO}), "one three four");
}

static void ids_and_names_and_ends_are_as_before(void **state)
{
    struct client client;
    struct event_id id;
    char data[100];

    (void)state;
    id = publish_with(&fixture, (struct publication){.channel = "a", .data = span_of("x\ny"), .event = "named", .ttl_ms = 5000});
    publish_with(&fixture, (struct publication){.channel = "a", .data = span_of("not for ann"), .except = "ann"});
    restart_with(save(true), 3000);
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a", .cursor = CURSOR_ZERO, .client = "ann"});
    turn(&fixture);
    assert_id(last_event(&client, "named", data, sizeof data), id);
    assert_string_equal(data, "x\ny");
    assert_null(strstr(told(&client), "not"));
    done(&client);
    pass_ms(&fixture, 2000);
    assert_string_equal(told_newcomer((struct wish){.channels = "a", .cursor = CURSOR_ZERO}), "not");
}

static void a_loss_from_before_is_told_after(void **state)
{
    struct event_id cursor, kept;

    (void)state;
    cursor = publish(&fixture, "a", "lost");
    kept = publish(&fixture, "calm", "kept");
    fixture.settings.history_messages = 1;
    fixture.settings.history_keep = 0;
    publish(&fixture, "a", "also lost");
    publish(&fixture, "a", "there");
    restart(true);
    assert_string_equal(told_newcomer((struct wish){.channels = "a", .cursor = CURSOR_ID, .id = cursor}), "gap there");
    assert_string_equal(told_newcomer((struct wish){.channels = "*", .cursor = CURSOR_ID, .id = cursor}), "gap kept there");
    assert_string_equal(told_newcomer((struct wish){.channels = "calm", .cursor = CURSOR_ID, .id = cursor}), "kept");
    assert_string_equal(told_newcomer((struct wish){.channels = "calm", .cursor = CURSOR_ID, .id = kept}), "");
}

static void a_loss_of_a_channel_that_has_gone_is_told_after(void **state)
{
    struct event_id cursor, later;

    (void)state;
    cursor = publish(&fixture, "orders/7", "one");
    publish(&fixture, "orders/7", "two");
    pass_ms(&fixture, 2 * 3600000);
    later = publish(&fixture, "calm", "later");
    assert_null(channel_find(&fixture.replica, span_of("orders/7")));
    restart(true);
    assert_string_equal(told_newcomer((struct wish){.channels = "orders/7", .cursor = CURSOR_ID, .id = cursor}), "gap");
    assert_string_equal(told_newcomer((struct wish){.channels = "orders/*", .cursor = CURSOR_ID, .id = cursor}), "gap");
    assert_string_equal(told_newcomer((struct wish){.channels = "others/*", .cursor = CURSOR_ID, .id = cursor}), "");
    assert_string_equal(told_newcomer((struct wish){.channels = "orders/7", .cursor = CURSOR_ID, .id = later}), "");
}

/* The record of a channel knows its own mark; only the table has one for many. */
static void a_channel_keeps_its_own_mark_among_others_of_the_same_hash(void **state)
{
    struct event_id cursor = publish(&fixture, "calm", "one"), high = publish(&fixture, "calm", "two");
    unsigned place = channel_find(&fixture.replica, span_of("calm"))->hh.hashv % REPLICA_MARKS;

    (void)state;
    fixture.replica.marks[place] = high;
    for (int i = 0; i < 2; i++) {
        restart(true);
        assert_string_equal(told_newcomer((struct wish){.channels = "calm", .cursor = CURSOR_ID, .id = cursor}), "two");
        assert_id(fixture.replica.marks[place], high);
    }
}

static void a_channel_with_nothing_left_gives_its_mark_to_the_table(void **state)
{
    struct client client;
    struct event_id cursor;
    struct text bytes;

    (void)state;
    cursor = publish(&fixture, "a", "one");
    publish(&fixture, "a", "two");
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a"});
    pass_ms(&fixture, 2 * 3600000);
    assert_non_null(channel_find(&fixture.replica, span_of("a")));
    bytes = save(true);
    done(&client);
    restart_with(bytes, 0);
    assert_null(fixture.replica.channels);
    assert_string_equal(told_newcomer((struct wish){.channels = "a", .cursor = CURSOR_ID, .id = cursor}), "gap");
}

static void messages_age_while_nobody_is_there(void **state)
{
    struct event_id cursor = publish(&fixture, "a", "zero");

    (void)state;
    publish(&fixture, "a", "one");
    pass_ms(&fixture, 1800000);
    publish(&fixture, "a", "two");
    restart_with(save(true), 1900000);
    assert_string_equal(told_newcomer((struct wish){.channels = "a", .cursor = CURSOR_ZERO}), "two");
    assert_string_equal(told_newcomer((struct wish){.channels = "a", .cursor = CURSOR_ID, .id = cursor}), "gap two");
}

static void what_is_above_the_budget_goes_with_a_mark(void **state)
{
    struct event_id cursor, last;

    (void)state;
    cursor = publish(&fixture, "a", "0 first");
    publish_many(&fixture, "a", 1, 50, 1000);
    last = fixture.last;
    struct text bytes = save(true);
    fixture.settings.history_bytes = 20000;
    restart_with(bytes, 0);
    assert_in_range(fixture.replica.bytes, 15000, 20000);
    assert_in_range(fixture.metrics.history_messages, 5, 25);
    assert_memory_equal(told_newcomer((struct wish){.channels = "a", .cursor = CURSOR_ID, .id = cursor}), "gap ", 4);
    assert_string_equal(told_newcomer((struct wish){.channels = "a", .cursor = CURSOR_ID, .id = last}), "");
}

static void numbers_go_on_from_what_was_loaded(void **state)
{
    struct client client;

    (void)state;
    publish_many(&fixture, "a", 0, 7, 20);
    restart(true);
    assert_int_equal(fixture.replica.number, 7);
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a"});
    publish_with(&fixture, (struct publication){.channel = "a", .data = span_of("now"), .transient = true});
    turn(&fixture);
    assert_string_equal(told(&client), "open now");
    done(&client);
}

/* --- after any other end --- */

static void without_marks_whoever_comes_back_is_told_of_a_gap_and_gets_what_there_is(void **state)
{
    struct event_id cursor, last;
    struct text bytes;

    (void)state;
    cursor = publish(&fixture, "a", "one");
    publish(&fixture, "a", "two");
    bytes = save(false);
    last = publish(&fixture, "a", "lost in the crash");
    restart_with(bytes, 0);
    assert_string_equal(told_newcomer((struct wish){.channels = "a", .cursor = CURSOR_ID, .id = cursor}), "gap two");
    assert_string_equal(told_newcomer((struct wish){.channels = "a", .cursor = CURSOR_ID, .id = last}), "gap");
    assert_string_equal(told_newcomer((struct wish){.channels = "*", .cursor = CURSOR_ID, .id = last}), "gap");
    assert_string_equal(told_newcomer((struct wish){.channels = "never", .cursor = CURSOR_ID, .id = last}), "gap");
    assert_string_equal(told_newcomer((struct wish){.channels = "a", .cursor = CURSOR_ZERO}), "one two");
    assert_string_equal(told_newcomer((struct wish){.channels = "a"}), "open");
}

/* What was loaded lies below the mark of the start, of which it was told, or need not be. */
static void without_marks_a_slow_client_is_told_of_what_it_still_loses(void **state)
{
    struct client zero, old, quick;
    struct event_id cursor = publish(&fixture, "a", "first");

    (void)state;
    publish_many(&fixture, "a", 1, 50, 1000);
    restart(false);
    client_init(&zero);
    client_init(&old);
    client_init(&quick);
    zero.budget = old.budget = 5000;
    join(&fixture, &zero, (struct wish){.channels = "a", .cursor = CURSOR_ZERO});
    join(&fixture, &old, (struct wish){.channels = "a,b", .cursor = CURSOR_ID, .id = cursor});
    join(&fixture, &quick, (struct wish){.channels = "a", .cursor = CURSOR_ZERO});
    turn(&fixture);
    fixture.settings.history_bytes = 20000;
    replica_reload(&fixture.replica);
    client_takes(&fixture, &zero, SIZE_MAX);
    client_takes(&fixture, &old, SIZE_MAX);
    turn(&fixture);
    assert_int_equal(fixture.metrics.gaps, 3);
    assert_non_null(strstr(told(&zero), " gap "));
    assert_memory_equal(told(&old), "gap ", 4);
    assert_non_null(strstr(told(&old) + 4, " gap "));
    assert_null(strstr(told(&quick), "gap"));
    done(&zero);
    done(&old);
    done(&quick);
}

/* An end after a crash knows of the loss in the crash. */
static void the_marks_of_a_crash_outlive_an_orderly_end(void **state)
{
    struct event_id cursor = publish(&fixture, "a", "one"), later;

    (void)state;
    restart(false);
    later = publish(&fixture, "a", "two");
    restart(true);
    publish(&fixture, "a", "three");
    assert_string_equal(told_newcomer((struct wish){.channels = "a", .cursor = CURSOR_ID, .id = cursor}), "gap two three");
    assert_string_equal(told_newcomer((struct wish){.channels = "b", .cursor = CURSOR_ID, .id = cursor}), "gap");
    assert_string_equal(told_newcomer((struct wish){.channels = "a", .cursor = CURSOR_ID, .id = later}), "three");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(messages_are_collected_a_slice_at_a_time),
        TEST(what_comes_meanwhile_is_left_to_the_next),
        TEST(what_goes_meanwhile_is_passed_over),
        TEST(collecting_ends_when_all_there_was_has_gone),
        TEST(what_is_for_now_and_what_is_over_are_left_out),
        TEST(the_messages_outlive_the_history),
        TEST(no_turn_is_longer_than_5_ms_because_of_it),
        TEST(whoever_comes_back_gets_what_it_missed_and_no_gap),
        TEST(ids_and_names_and_ends_are_as_before),
        TEST(a_loss_from_before_is_told_after),
        TEST(a_loss_of_a_channel_that_has_gone_is_told_after),
        TEST(a_channel_keeps_its_own_mark_among_others_of_the_same_hash),
        TEST(a_channel_with_nothing_left_gives_its_mark_to_the_table),
        TEST(messages_age_while_nobody_is_there),
        TEST(what_is_above_the_budget_goes_with_a_mark),
        TEST(numbers_go_on_from_what_was_loaded),
        TEST(without_marks_whoever_comes_back_is_told_of_a_gap_and_gets_what_there_is),
        TEST(without_marks_a_slow_client_is_told_of_what_it_still_loses),
        TEST(the_marks_of_a_crash_outlive_an_orderly_end),
    };

    return cmocka_run_group_tests_name("collect", tests, NULL, NULL);
}
