#include "replica_fixture.h"

static const char *told_from(const char *channels, enum request_cursor cursor, uint32_t last)
{
    return told_newcomer((struct wish){.channels = channels, .cursor = cursor, .last = last});
}

static struct history *history_of(const char *name)
{
    return &channel_find(&fixture.replica, span_of(name))->history;
}

static void assert_got_numbers(const struct client *client, int count)
{
    struct stream stream = client_read(client);
    int next = 0;

    for (size_t i = 0; i < stream.count; i++) {
        assert_false(span_equal(stream.events[i].name, span_of("sidecast.gap")));
        if (stream.events[i].name.size == 0)
            assert_int_equal(atoi(stream.events[i].data.bytes), next++);
    }
    assert_int_equal(next, count);
    stream_finish(&stream);
}

/* --- the ring --- */

static void history_after_finds_the_first_behind_any_id(void **state)
{
    struct history history = {.capacity = 64};
    static struct entry entries[64];
    static struct message messages[64];

    (void)state;
    history.ring = calloc(64, sizeof *history.ring);
    for (uint32_t count = 0; count <= 64; count++)
        for (uint32_t head = 0; head < 64; head += 13) {
            history.head = head;
            history.count = count;
            for (uint32_t i = 0; i < count; i++) {
                messages[i].id = (struct event_id){10 + i / 3, i % 3 * 2 + 1};
                entries[i].message = &messages[i];
                history.ring[(head + i) & 63] = &entries[i];
            }
            for (uint32_t i = 0; i < count; i++) {
                assert_int_equal(history_after(&history, messages[i].id), i + 1);
                assert_int_equal(history_after(&history, event_id_before(messages[i].id)), i);
            }
            assert_int_equal(history_after(&history, EVENT_ID_ZERO), 0);
            assert_int_equal(history_after(&history, (struct event_id){UINT64_MAX, 0}), count);
        }
    free(history.ring);
}

static void ring_shrinks_after_a_burst(void **state)
{
    (void)state;
    publish_many(&fixture, "a", 0, 20000, 100);
    turn(&fixture);
    assert_true(history_of("a")->capacity >= 20000);
    pass_ms(&fixture, 10000);
    assert_int_equal(history_of("a")->count, 100);
    assert_true(history_of("a")->capacity <= 1024);
}

/* --- who listens loses nothing --- */

static void burst_reaches_every_reader_whole(void **state)
{
    static struct client clients[6];
    static const int64_t keeps[] = {10000, 0};

    (void)state;
    for (int k = 0; k < 2; k++) {
        fixture.settings.history_keep = keeps[k];
        for (int i = 0; i < 6; i++) {
            client_init(&clients[i]);
            join(&fixture, &clients[i], (struct wish){.channels = i % 2 ? "burst,other" : "burst", .request_id = i == 4 ? 9 : 1});
        }
        publish_many(&fixture, "burst", 0, 20000, 200);
        turn(&fixture);
        for (int i = 0; i < 6; i++) {
            assert_got_numbers(&clients[i], 20000);
            done(&clients[i]);
        }
        assert_int_equal(fixture.metrics.gaps, 0);
        pass_ms(&fixture, 20000);
        assert_int_equal(history_of("burst")->count, 100);
        pass_ms(&fixture, 4000000);
    }
}

static void burst_reaches_a_reader_that_pauses_within_the_time_of_keep(void **state)
{
    struct client client;

    (void)state;
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "burst"});
    client.budget = 1000;
    publish_many(&fixture, "burst", 0, 20000, 200);
    turn(&fixture);
    pass_ms(&fixture, 9000);
    client_takes(&fixture, &client, 100000);
    pass_ms(&fixture, 900);
    client_takes(&fixture, &client, SIZE_MAX);
    turn(&fixture);
    assert_got_numbers(&client, 20000);
    done(&client);
}

/* The budget is over all channels and hard: but those who take bytes are written to before. */
static void byte_budget_takes_the_oldest_of_all_channels_and_no_reader_loses(void **state)
{
    struct client client, blocked;

    (void)state;
    fixture.settings.history_bytes = 100000;
    client_init(&client);
    client_init(&blocked);
    join(&fixture, &client, (struct wish){.channels = "a,b"});
    join(&fixture, &blocked, (struct wish){.channels = "b"});
    blocked.budget = 0;
    for (int i = 0; i < 1000; i++) {
        publish_many(&fixture, i % 2 ? "a" : "b", i, 1, 500);
        assert_true(fixture.replica.bytes <= 100000);
    }
    turn(&fixture);
    assert_got_numbers(&client, 1000);
    assert_true(history_of("a")->count > 30);
    assert_true(abs((int)history_of("a")->count - (int)history_of("b")->count) <= 1);
    client_takes(&fixture, &blocked, SIZE_MAX);
    turn(&fixture);
    assert_memory_equal(told(&blocked), "open gap ", 9);
    assert_string_equal(strrchr(told(&blocked), ' '), " 998");
    done(&client);
    done(&blocked);
}

static void publish_to(int number)
{
    char name[24];

    snprintf(name, sizeof name, "user/%d", number);
    publish(&fixture, name, "hello");
}

/* A channel costs more than a small message: names without end must not. */
static void byte_budget_holds_for_channels_too(void **state)
{
    (void)state;
    fixture.settings.history_bytes = 1000000;
    for (int i = 0; i < 10000; i++) {
        publish_to(i);
        assert_true(fixture.replica.bytes <= 1000000);
        assert_int_equal(fixture.metrics.channels, fixture.metrics.history_messages);
    }
    assert_in_range(fixture.metrics.channels, 1000, 1000000 / (sizeof(struct channel) + sizeof(struct entry) + sizeof(struct message)));
    assert_string_equal(told_from("user/1", CURSOR_ID, 0), "gap");
    assert_string_equal(told_from("user/9999", CURSOR_ZERO, 0), "hello");
}

static void what_a_channel_costs_is_counted_while_it_has_messages(void **state)
{
    struct client client;

    (void)state;
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a"});
    assert_int_equal(fixture.replica.bytes, 0);
    publish(&fixture, "a", "one");
    publish(&fixture, "b", "two");
    assert_true(fixture.replica.bytes > 2 * (sizeof(struct channel) + sizeof(struct entry) + sizeof(struct message)));
    turn(&fixture);
    pass_ms(&fixture, fixture.settings.history_age + 1);
    assert_int_equal(fixture.metrics.channels, 1);
    assert_int_equal(fixture.replica.bytes, 0);
    assert_string_equal(told(&client), "open one");
    done(&client);
}

/* After a burst it is larger than what is in it. */
static void the_ring_is_counted(void **state)
{
    (void)state;
    publish_many(&fixture, "a", 0, 1, 10);
    size_t one = fixture.replica.bytes;
    publish_many(&fixture, "a", 1, 1023, 10);
    assert_true(history_of("a")->capacity >= 1024);
    fixture.settings.history_messages = 1;
    pass_ms(&fixture, 10000);
    replica_reload(&fixture.replica);
    assert_int_equal(history_of("a")->count, 1);
    assert_true(history_of("a")->capacity > 4);
    assert_in_range(fixture.replica.bytes - one, (history_of("a")->capacity - 4) * sizeof(void *), (history_of("a")->capacity - 3) * sizeof(void *));
}

static void further_encodings_are_counted_whole(void **state)
{
    struct client clients[2];
    const struct entry *entry;
    size_t before;

    (void)state;
    publish(&fixture, "a", "x");
    before = fixture.replica.bytes;
    for (int i = 0; i < 2; i++) {
        client_init(&clients[i]);
        join(&fixture, &clients[i], (struct wish){.channels = "a", .cursor = CURSOR_ZERO, .poll = i == 0, .envelope = i == 1});
    }
    turn(&fixture);
    entry = history_at(history_of("a"), 0);
    assert_int_equal(fixture.replica.bytes - before, buffer_memory(entry->answer) + buffer_memory(entry->envelope));
    for (int i = 0; i < 2; i++)
        done(&clients[i]);
}

/* The oldest of a channel go while others have news: its ring, which is counted, would push those out. */
static void a_ring_shrinks_when_the_budget_empties_it(void **state)
{
    (void)state;
    fixture.settings.history_bytes = 1000000;
    publish_many(&fixture, "a", 0, 2000, 10);
    assert_true(history_of("a")->capacity >= 2000);
    while (history_of("a")->count > 10)
        publish_many(&fixture, "b", 0, 1, 1000);
    assert_true(history_of("a")->capacity <= 128);
    assert_true(fixture.replica.bytes <= 1000000);
}

static void message_above_the_whole_budget_still_reaches_who_listens(void **state)
{
    struct client client, later;

    (void)state;
    fixture.settings.history_bytes = 65536;
    client_init(&client);
    client_init(&later);
    join(&fixture, &client, (struct wish){.channels = "a"});
    publish_many(&fixture, "a", 7, 1, 200000);
    turn(&fixture);
    assert_string_equal(told(&client), "open 7");
    assert_int_equal(fixture.replica.bytes, 0);
    join(&fixture, &later, (struct wish){.channels = "a", .cursor = CURSOR_ID, .id = FIXTURE_START});
    assert_string_equal(told(&later), "gap");
    done(&client);
    done(&later);
}

/* --- what a newcomer is given --- */

static void newcomer_is_given_what_count_and_age_say(void **state)
{
    (void)state;
    fixture.settings.history_messages = 3;
    fixture.settings.history_age = 60000;
    publish(&fixture, "a", "1");
    publish(&fixture, "b", "2");
    pass_ms(&fixture, 30000);
    for (int i = 3; i < 8; i++)
        publish_many(&fixture, "a", i, 1, 1);
    publish(&fixture, "b", "8");
    turn(&fixture);
    /* They are kept for who is connected, not for newcomers. */
    assert_int_equal(history_of("a")->count, 5);
    assert_string_equal(told_from("a", CURSOR_ZERO, 0), "5 6 7");
    assert_string_equal(told_from("a,b", CURSOR_ZERO, 0), "2 5 6 7 8");
    assert_string_equal(told_from("a,b", CURSOR_LAST, 1), "open 8");
    assert_string_equal(told_from("a,b", CURSOR_LAST, 2), "open 7 8");
    assert_string_equal(told_from("a,b", CURSOR_LAST, 4), "open 5 6 7 8");
    assert_string_equal(told_from("b,a", CURSOR_LAST, UINT32_MAX), "open 2 5 6 7 8");
    assert_string_equal(told_from("a,b", CURSOR_NONE, 0), "open");
    pass_ms(&fixture, 30001);
    assert_string_equal(told_from("a,b", CURSOR_ZERO, 0), "5 6 7 8");
    assert_string_equal(told_from("b", CURSOR_LAST, 9), "open 8");
    assert_int_equal(fixture.metrics.gaps, 0);
}

static void last_counts_only_what_the_client_would_get(void **state)
{
    (void)state;
    publish(&fixture, "a", "1");
    publish(&fixture, "a", "2");
    publish_with(&fixture, (struct publication){.channel = "a", .data = span_of("3"), .except = "me"});
    publish_with(&fixture, (struct publication){.channel = "a", .data = span_of("4"), .ttl_ms = 1000});
    publish_with(&fixture, (struct publication){.channel = "a", .data = span_of("5"), .transient = true});
    fixture.replica.now_ms += 1000;
    struct wish wish = {.channels = "a", .cursor = CURSOR_LAST, .last = 2};
    assert_string_equal(told_newcomer(wish), "open 2 3");
    wish.client = "me";
    assert_string_equal(told_newcomer(wish), "open 1 2");
}

static void client_cut_before_its_first_message_resumes_from_open_without_loss(void **state)
{
    struct client client;
    struct stream stream;

    (void)state;
    for (int i = 0; i < 9; i++)
        publish_many(&fixture, i % 2 ? "a" : "b", i, 1, 1);
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a,b", .cursor = CURSOR_LAST, .last = 3});
    stream = client_read(&client);
    assert_true(span_equal(stream.events[1].name, span_of("sidecast.open")));
    assert_string_equal(told_newcomer((struct wish){.channels = "a,b", .cursor = CURSOR_ID, .id = stream.events[1].id}), "6 7 8");
    stream_finish(&stream);
    done(&client);
}

static void ttl_and_store_false_messages_do_not_push_stored_ones_out(void **state)
{
    struct client client;

    (void)state;
    fixture.settings.history_messages = 2;
    fixture.settings.history_keep = 0;
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a"});
    publish(&fixture, "a", "1");
    publish(&fixture, "a", "2");
    for (int i = 0; i < 20; i++)
        publish_with(&fixture, (struct publication){.channel = "a", .data = span_of("x"), .transient = true});
    turn(&fixture);
    assert_string_equal(told_from("a", CURSOR_ZERO, 0), "1 2");
    pass_ms(&fixture, 1100);
    assert_int_equal(history_of("a")->count, 2);
    done(&client);
}

static void reload_changes_what_is_kept(void **state)
{
    struct client listener;

    (void)state;
    fixture.settings.history_keep = 0;
    client_init(&listener);
    join(&fixture, &listener, (struct wish){.channels = "a"});
    publish_many(&fixture, "a", 0, 50, 10);
    fixture.settings.history_messages = 5;
    replica_reload(&fixture.replica);
    assert_int_equal(history_of("a")->count, 5);
    turn(&fixture);
    assert_got_numbers(&listener, 50); /* also what the reload threw out before the turn's end */
    done(&listener);
}

/* --- channels that go --- */

static void channel_without_subscribers_and_history_is_gone_but_its_mark_is_not(void **state)
{
    struct client client;
    struct event_id first;

    (void)state;
    fixture.settings.history_age = 1000;
    fixture.settings.history_keep = 500;
    first = publish(&fixture, "a", "1");
    publish(&fixture, "a", "2");
    pass_ms(&fixture, 999);
    assert_non_null(channel_find(&fixture.replica, span_of("a")));
    pass_ms(&fixture, 1);
    assert_null(channel_find(&fixture.replica, span_of("a")));
    assert_int_equal(fixture.metrics.channels, 0);
    publish(&fixture, "b", "3");
    assert_string_equal(told_newcomer((struct wish){.channels = "a", .cursor = CURSOR_ID, .id = first}), "gap");
    assert_string_equal(told_from("a", CURSOR_ZERO, 0), "");
    publish(&fixture, "a", "4");
    assert_string_equal(told_newcomer((struct wish){.channels = "a", .cursor = CURSOR_ID, .id = first}), "gap 4");

    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "b,c", .cursor = CURSOR_ID, .id = first});
    assert_string_equal(told(&client), "3"); /* no mark of theirs is above it */
    pass_ms(&fixture, 5000);
    assert_int_equal(fixture.metrics.channels, 2); /* they have a subscriber */
    done(&client);
    turn(&fixture);
    assert_int_equal(fixture.metrics.channels, 0);
}

static void store_false_without_subscribers_makes_no_channel(void **state)
{
    (void)state;
    publish_with(&fixture, (struct publication){.channel = "a", .data = span_of("x"), .transient = true});
    assert_int_equal(fixture.metrics.channels, 0);
    assert_int_equal(event_id_compare(fixture.replica.newest, fixture.last), 0);
    assert_int_equal(fixture.replica.number, 1);
}

static void expired_messages_are_taken_out_between_others(void **state)
{
    (void)state;
    publish(&fixture, "a", "1");
    for (int i = 0; i < 10; i++)
        publish_with(&fixture, (struct publication){.channel = "a", .data = span_of("x"), .ttl_ms = 1000 + i * 10});
    publish(&fixture, "a", "2");
    pass_ms(&fixture, 1300);
    assert_int_equal(history_of("a")->count, 2);
    assert_int_equal(history_of("a")->transient, 0);
    assert_string_equal(told_newcomer((struct wish){.channels = "a", .cursor = CURSOR_ID, .id = FIXTURE_START}), "1 2");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(history_after_finds_the_first_behind_any_id),
        T(ring_shrinks_after_a_burst),
        T(burst_reaches_every_reader_whole),
        T(burst_reaches_a_reader_that_pauses_within_the_time_of_keep),
        T(byte_budget_takes_the_oldest_of_all_channels_and_no_reader_loses),
        T(byte_budget_holds_for_channels_too),
        T(what_a_channel_costs_is_counted_while_it_has_messages),
        T(the_ring_is_counted),
        T(further_encodings_are_counted_whole),
        T(a_ring_shrinks_when_the_budget_empties_it),
        T(message_above_the_whole_budget_still_reaches_who_listens),
        T(newcomer_is_given_what_count_and_age_say),
        T(last_counts_only_what_the_client_would_get),
        T(client_cut_before_its_first_message_resumes_from_open_without_loss),
        T(ttl_and_store_false_messages_do_not_push_stored_ones_out),
        T(reload_changes_what_is_kept),
        T(channel_without_subscribers_and_history_is_gone_but_its_mark_is_not),
        T(store_false_without_subscribers_makes_no_channel),
        T(expired_messages_are_taken_out_between_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
