/* The end of a permission: what a stream and a long-poll are told then, and that they get nothing that comes after it. */
#include "replica_fixture.h"

/* The event is there once, and tells this cursor in its id and its data. */
static void assert_told_expired(const struct client *client, struct event_id cursor)
{
    struct stream stream = client_read(client);
    char expected[EVENT_ID_TEXT + 20], id[EVENT_ID_TEXT];
    int found = 0;

    event_id_format(cursor, id);
    snprintf(expected, sizeof expected, "{\"cursor\":\"%s\"}", id);
    for (size_t i = 0; i < stream.count; i++) {
        if (!span_equal(stream.events[i].name, span_of("sidecast.expired")))
            continue;
        found++;
        assert_int_equal(event_id_compare(stream.events[i].id, cursor), 0);
        assert_true(span_equal(text_span(&stream.events[i].data), span_of(expected)));
    }
    assert_int_equal(found, 1);
    assert_true(stream.is_whole);
    stream_finish(&stream);
}

static bool has_event(const struct client *client, const char *name)
{
    struct stream stream = client_read(client);
    bool found = false;

    for (size_t i = 0; i < stream.count; i++)
        found |= span_equal(stream.events[i].name, span_of(name)) || span_equal(text_span(&stream.events[i].data), span_of(name));
    stream_finish(&stream);
    return found;
}

static void a_stream_is_told_when_its_permission_ends_and_is_over(void **state)
{
    struct client client;
    struct event_id last;

    (void)state;
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a,b", .permitted_ms = 60000});
    pass_ms(&fixture, 59998);
    last = publish(&fixture, "a", "in time");
    turn(&fixture);
    pass_ms(&fixture, 1);
    assert_false(client.has_left);
    assert_true(has_event(&client, "in time"));
    pass_ms(&fixture, 1);
    assert_true(client.has_left);
    assert_int_equal(client.reason, LEAVE_DONE);
    assert_told_expired(&client, last);
    done(&client);
}

static void who_got_nothing_is_told_where_it_stands(void **state)
{
    struct client client;

    (void)state;
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a", .cursor = CURSOR_ID, .id = FIXTURE_START, .permitted_ms = 1});
    pass_ms(&fixture, 1);
    assert_told_expired(&client, FIXTURE_START);
    done(&client);
}

/* Not at 0-0: to come back with that would be a gap. */
static void who_wanted_all_there_is_and_got_nothing_is_told_where_it_stands(void **state)
{
    struct client client;

    (void)state;
    publish(&fixture, "c", "elsewhere");
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a,b", .cursor = CURSOR_ZERO, .permitted_ms = 1});
    pass_ms(&fixture, 1);
    assert_told_expired(&client, fixture.last);
    done(&client);
}

static void nothing_that_comes_in_the_same_turn_is_for_it_any_more(void **state)
{
    struct client client, other;
    struct event_id last;

    (void)state;
    client_init(&client);
    client_init(&other);
    join(&fixture, &client, (struct wish){.channels = "a", .permitted_ms = 60000});
    join(&fixture, &other, (struct wish){.channels = "a"});
    last = publish(&fixture, "a", "in time");
    turn(&fixture);
    fixture.replica.now_ms += 60000;
    publish(&fixture, "a", "too late");
    turn(&fixture);
    assert_told_expired(&client, last);
    assert_false(has_event(&client, "too late"));
    assert_true(has_event(&other, "too late"));
    assert_false(other.has_left);
    done(&client);
    done(&other);
}

/* It takes a byte at a time, from the middle of a message on: the rest of that, the event once, the end. */
static void who_is_blocked_gets_the_rest_of_what_it_began_and_the_end(void **state)
{
    struct client client;
    struct event_id first;
    int rounds = 0;

    (void)state;
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a", .permitted_ms = 60000});
    client.budget = 20;
    first = publish(&fixture, "a", "begun");
    turn(&fixture);
    publish(&fixture, "a", "not begun");
    turn(&fixture);
    pass_ms(&fixture, 70000);
    publish(&fixture, "a", "too late");
    turn(&fixture);
    while (!client.has_left) {
        assert_true(++rounds < 1000);
        client_takes(&fixture, &client, 1);
    }
    assert_true(has_event(&client, "begun"));
    assert_false(has_event(&client, "not begun"));
    assert_false(has_event(&client, "too late"));
    assert_told_expired(&client, first);
    done(&client);
}

/* Whoever of them takes bytes first gathers what the others could share. */
static void the_end_of_one_is_not_shared_and_it_shares_nothing(void **state)
{
    (void)state;
    for (int first = 0; first < 3; first++) {
        struct client clients[3]; /* the permission of the second ends */
        struct event_id start = fixture.last;

        for (int i = 0; i < 3; i++) {
            client_init(&clients[i]);
            join(&fixture, &clients[i], (struct wish){.channels = "a", .permitted_ms = i == 1 ? 60000 : 0});
            clients[i].budget = 0;
        }
        publish(&fixture, "a", "one");
        turn(&fixture);
        pass_ms(&fixture, 60000);
        publish(&fixture, "a", "too late");
        turn(&fixture);
        for (int i = 0; i < 3; i++)
            client_takes(&fixture, &clients[(first + i) % 3], SIZE_MAX);
        assert_told_expired(&clients[1], start);
        assert_false(has_event(&clients[1], "too late"));
        for (int i = 0; i < 3; i++) {
            assert_int_equal(clients[i].has_left, i == 1);
            assert_true(i == 1 || has_event(&clients[i], "too late"));
            assert_int_equal(has_event(&clients[i], "sidecast.expired"), i == 1);
            done(&clients[i]);
        }
    }
}

static void an_end_that_comes_before_is_an_ordinary_one(void **state)
{
    struct client old, drained;

    (void)state;
    fixture.settings.sse_max_age = 10000;
    client_init(&old);
    client_init(&drained);
    join(&fixture, &old, (struct wish){.channels = "a", .permitted_ms = 10001});
    pass_ms(&fixture, 10000);
    assert_true(old.has_left);
    assert_false(has_event(&old, "sidecast.expired"));
    join(&fixture, &drained, (struct wish){.channels = "a", .permitted_ms = 5000});
    subscriber_end(&fixture.replica, &drained.subscriber);
    assert_true(drained.has_left);
    assert_false(has_event(&drained, "sidecast.expired"));
    done(&old);
    done(&drained);
}

static void a_long_poll_is_answered_by_then_with_its_cursor(void **state)
{
    struct client client;
    struct stream stream;

    (void)state;
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a", .cursor = CURSOR_ID, .id = FIXTURE_START, .poll = true, .permitted_ms = 7000});
    pass_ms(&fixture, 6999);
    assert_false(client.has_left);
    pass_ms(&fixture, 1);
    assert_true(client.has_left);
    stream = client_read(&client);
    assert_true(span_equal(stream.body, span_of("{\"cursor\":\"1763899200000-0\",\"gap\":false,\"messages\":[]}\n")));
    stream_finish(&stream);
    done(&client);
}

static void a_long_poll_gets_nothing_that_comes_in_the_same_turn(void **state)
{
    struct client client, other;
    struct stream stream;

    (void)state;
    client_init(&client);
    client_init(&other);
    join(&fixture, &client, (struct wish){.channels = "a", .cursor = CURSOR_ID, .id = FIXTURE_START, .poll = true, .permitted_ms = 7000});
    join(&fixture, &other, (struct wish){.channels = "a", .cursor = CURSOR_ID, .id = FIXTURE_START, .poll = true});
    fixture.replica.now_ms += 7000;
    publish(&fixture, "a", "too late");
    turn(&fixture);
    assert_true(client.has_left && other.has_left);
    stream = client_read(&client);
    assert_true(span_equal(stream.body, span_of("{\"cursor\":\"1763899200000-0\",\"gap\":false,\"messages\":[]}\n")));
    stream_finish(&stream);
    stream = client_read(&other);
    assert_non_null(memmem(stream.body.bytes, stream.body.size, "too late", 8));
    stream_finish(&stream);
    done(&client);
    done(&other);
}

static void a_permission_that_ends_in_far_future_ends_nothing(void **state)
{
    struct client client;

    (void)state;
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a", .permitted_ms = INT64_C(253402300799000) - (int64_t)FIXTURE_START.ms});
    pass_ms(&fixture, 86400000);
    assert_false(client.has_left);
    done(&client);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_stream_is_told_when_its_permission_ends_and_is_over),
        T(who_got_nothing_is_told_where_it_stands),
        T(who_wanted_all_there_is_and_got_nothing_is_told_where_it_stands),
        T(nothing_that_comes_in_the_same_turn_is_for_it_any_more),
        T(who_is_blocked_gets_the_rest_of_what_it_began_and_the_end),
        T(the_end_of_one_is_not_shared_and_it_shares_nothing),
        T(an_end_that_comes_before_is_an_ordinary_one),
        T(a_long_poll_is_answered_by_then_with_its_cursor),
        T(a_long_poll_gets_nothing_that_comes_in_the_same_turn),
        T(a_permission_that_ends_in_far_future_ends_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
