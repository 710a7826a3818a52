/* The end of the server, as subscribers meet it: each at a moment of its own. */
#include "replica_fixture.h"

enum { CLIENTS = 200, WINDOW_MS = 1000, SLICES = 10 };

static void join_all(struct client *clients, int count, struct wish wish)
{
    for (int i = 0; i < count; i++) {
        client_init(&clients[i]);
        join(&fixture, &clients[i], wish);
    }
}

static int count_left(const struct client *clients, int count)
{
    int left = 0;

    for (int i = 0; i < count; i++)
        left += clients[i].has_left;
    return left;
}

static bool has_event(const struct client *client, const char *name)
{
    return memmem(client->received.bytes, client->received.size, name, strlen(name)) != NULL;
}

/* 20 are expected in each slice; that there are less than 4 or more than 50 has a probability below 1e-5, and the seed is fixed. */
static void ends_are_spread_evenly_and_clean(void **state)
{
    static struct client clients[CLIENTS];
    int before = 0;

    (void)state;
    join_all(clients, CLIENTS, (struct wish){.channels = "a"});
    replica_spread_ends(&fixture.replica, WINDOW_MS);
    for (int i = 0; i < SLICES; i++) {
        int left;

        pass_ms(&fixture, WINDOW_MS / SLICES);
        left = count_left(clients, CLIENTS);
        assert_in_range(left - before, 4, 50);
        before = left;
    }
    assert_int_equal(before, CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(clients[i].reason, LEAVE_DONE);
        assert_string_equal(told(&clients[i]), "open end");
        done(&clients[i]);
    }
}

static void who_is_still_there_gets_what_comes(void **state)
{
    static struct client clients[CLIENTS];
    int left;

    (void)state;
    join_all(clients, CLIENTS, (struct wish){.channels = "a"});
    replica_spread_ends(&fixture.replica, WINDOW_MS);
    pass_ms(&fixture, WINDOW_MS / 2);
    left = count_left(clients, CLIENTS);
    assert_in_range(left, 50, 150);
    publish(&fixture, "a", "meanwhile");
    turn(&fixture);
    pass_ms(&fixture, WINDOW_MS / 2);
    for (int i = 0; i < CLIENTS; i++) {
        left -= !has_event(&clients[i], "meanwhile");
        done(&clients[i]);
    }
    assert_int_equal(left, 0);
}

static void a_window_of_nothing_ends_all_in_the_same_turn(void **state)
{
    struct client clients[3];

    (void)state;
    join_all(clients, 3, (struct wish){.channels = "a"});
    replica_spread_ends(&fixture.replica, 0);
    pass_ms(&fixture, 0);
    for (int i = 0; i < 3; i++) {
        assert_true(clients[i].has_left);
        done(&clients[i]);
    }
}

static void a_long_poll_is_answered_empty_with_its_cursor(void **state)
{
    struct client client;
    struct stream stream;

    (void)state;
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a", .cursor = CURSOR_ID, .id = FIXTURE_START, .poll = true});
    replica_spread_ends(&fixture.replica, WINDOW_MS);
    pass_ms(&fixture, WINDOW_MS);
    assert_true(client.has_left);
    stream = client_read(&client);
    assert_true(span_equal(stream.body, span_of("{\"cursor\":\"1763899200000-0\",\"gap\":false,\"messages\":[]}\n")));
    stream_finish(&stream);
    done(&client);
}

static void an_end_that_is_sooner_anyway_stays(void **state)
{
    struct client clients[20];

    (void)state;
    join_all(clients, 20, (struct wish){.channels = "a", .permitted_ms = 1});
    replica_spread_ends(&fixture.replica, INT64_C(86400000));
    pass_ms(&fixture, 1);
    for (int i = 0; i < 20; i++) {
        assert_true(has_event(&clients[i], "sidecast.expired"));
        done(&clients[i]);
    }
}

/* It is not told that its permission ended: it comes back with it. */
static void whose_permission_would_have_ended_later_is_not_told_of_that(void **state)
{
    struct client clients[20];

    (void)state;
    join_all(clients, 20, (struct wish){.channels = "a", .permitted_ms = 60000});
    replica_spread_ends(&fixture.replica, WINDOW_MS);
    pass_ms(&fixture, WINDOW_MS);
    for (int i = 0; i < 20; i++) {
        assert_true(clients[i].has_left);
        assert_int_equal(clients[i].reason, LEAVE_DONE);
        assert_false(has_event(&clients[i], "sidecast.expired"));
        done(&clients[i]);
    }
}

static void a_permission_that_ends_while_the_client_is_blocked_holds_all_the_same(void **state)
{
    struct client client;

    (void)state;
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a", .permitted_ms = 2000});
    client.budget = 20;
    publish(&fixture, "a", "begun");
    turn(&fixture);
    replica_spread_ends(&fixture.replica, WINDOW_MS);
    pass_ms(&fixture, 3000);
    publish(&fixture, "a", "too late");
    turn(&fixture);
    client_takes(&fixture, &client, SIZE_MAX);
    turn(&fixture);
    assert_true(client.has_left);
    assert_string_equal(told(&client), "open begun end");
    done(&client);
}

static void a_blocked_client_ends_once_it_takes_bytes(void **state)
{
    struct client client;

    (void)state;
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a"});
    client.budget = 20;
    publish(&fixture, "a", "one");
    turn(&fixture);
    replica_spread_ends(&fixture.replica, WINDOW_MS);
    pass_ms(&fixture, 2 * WINDOW_MS);
    assert_false(client.has_left);
    client_takes(&fixture, &client, SIZE_MAX);
    turn(&fixture);
    assert_true(client.has_left);
    assert_string_equal(told(&client), "open one end");
    done(&client);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(ends_are_spread_evenly_and_clean),
        T(who_is_still_there_gets_what_comes),
        T(a_window_of_nothing_ends_all_in_the_same_turn),
        T(a_long_poll_is_answered_empty_with_its_cursor),
        T(an_end_that_is_sooner_anyway_stays),
        T(whose_permission_would_have_ended_later_is_not_told_of_that),
        T(a_permission_that_ends_while_the_client_is_blocked_holds_all_the_same),
        T(a_blocked_client_ends_once_it_takes_bytes),
    };

    return cmocka_run_group_tests_name("drain", tests, NULL, NULL);
}
