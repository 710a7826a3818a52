/* Joining and leaving, and what lack of memory costs: the n-th allocation of a scenario fails, for each n. */
#include "failing_replica.h"

/* --- join and leave --- */

static void whoever_leaves_leaves_nothing_behind(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        struct client clients[5];

        for (int i = 0; i < 5; i++) {
            client_init(&clients[i]);
            clients[i].budget = i == 1 ? 5 : i == 2 ? 400 : SIZE_MAX;
            join(&fixture, &clients[i],
                 (struct wish){
                     .channels = i % 2 ? "a" : "a,b,c",
                     .cursor = i == 3 ? CURSOR_ID : CURSOR_NONE,
                     .id = fixture.replica.newest,
                     .client = i == 4 ? "me" : NULL,
                     .poll = i == 3,
                 });
        }
        if (round > 0)
            publish_many(&fixture, "b", 0, 5, 100);
        if (round > 1)
            turn(&fixture);
        assert_int_equal(fixture.metrics.subscribers, 5);
        for (int i = 0; i < 5; i++) {
            subscriber_leave(&fixture.replica, &clients[i].subscriber, LEAVE_BROKEN);
            subscriber_leave(&fixture.replica, &clients[i].subscriber, LEAVE_BROKEN); /* fine for one that is out */
            assert_true(clients[i].has_left);
            client_finish(&clients[i]);
        }
        assert_int_equal(fixture.metrics.subscribers, 0);
        assert_int_equal(fixture.replica.timeouts.reserved, 2 * fixture.metrics.channels);
        pass_ms(&fixture, 4000000);
        assert_int_equal(fixture.metrics.channels, 0);
        assert_int_equal(fixture.replica.timeouts.reserved, 0);
        assert_int_equal(fixture.replica.timeouts.count, 0);
    }
}

static void those_who_leave_while_a_channel_is_walked_over_disturb_nobody(void **state)
{
    static struct client clients[60];

    (void)state;
    for (int i = 0; i < 60; i++) {
        client_init(&clients[i]);
        join(&fixture, &clients[i],
             (struct wish){
                 .channels = i % 3 ? "a" : "a,b",
                 .cursor = CURSOR_ID,
                 .id = FIXTURE_START,
                 .poll = i % 4 == 1,
             });
        clients[i].is_broken = i % 5 == 0;
    }
    publish(&fixture, "a", "one");
    turn(&fixture);
    for (int i = 0; i < 60; i++) {
        assert_int_equal(clients[i].has_left, i % 5 == 0 || i % 4 == 1);
        if (!clients[i].has_left)
            assert_string_equal(told(&clients[i]), "one");
        done(&clients[i]);
    }
}

static void sockets_are_watched_for_room_only_while_blocked(void **state)
{
    struct client client;

    (void)state;
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a"});
    assert_false(client.wants_write);
    subscriber_writable(&fixture.replica, &client.subscriber); /* unasked: nothing */
    assert_int_equal(client.writes, 1);
    client.budget = 3;
    publish(&fixture, "a", "one");
    turn(&fixture);
    assert_true(client.wants_write);
    publish(&fixture, "a", "two");
    turn(&fixture);
    assert_int_equal(client.writes, 2);
    client_takes(&fixture, &client, SIZE_MAX);
    turn(&fixture);
    assert_false(client.wants_write);
    assert_string_equal(told(&client), "open one two");
    done(&client);
}

/* --- lack of memory --- */

/* A client is refused or closed, or gets what it should. Whatever it got is right. */
static void check_outcome(struct client *client, bool joined, bool poll)
{
    if (!joined) {
        assert_int_equal(client->received.size, 0);
        assert_int_equal(client->subscriber.state, SUBSCRIBER_OUT);
    } else if (client->has_left && client->reason == LEAVE_NO_MEMORY) {
        assert_true(client->writes < 3);
    } else if (!poll) {
        assert_string_equal(told(client), "gap one two");
    } else {
        assert_true(client->has_left);
        assert_int_equal(client->reason, LEAVE_DONE);
    }
    done(client);
}

static void joining_without_memory_is_clean_whichever_allocation_fails(void **state)
{
    (void)state;
    for (int form = 0; form < 8; form++) {
        long n = 0;
        bool failed = true;

        for (; failed; n++) {
            struct client client;
            bool joined;

            publish(&fixture, "a", "one");
            publish(&fixture, "b", "two");
            client_with_room(&client);
            client.budget = form & 1 ? SIZE_MAX : 50;
            struct wish wish = {
                .channels = form & 4 ? "a,b,new" : "a,b",
                .client = "me",
                .poll = form & 2,
                .cursor = CURSOR_ID,
                .id = EVENT_ID_ZERO,
                .request_id = form & 4 ? 2 : 1,
            };
            /* The first few are the fixture's own: the names. */
            allocations_left = n + 1;
            joined = try_join(&fixture, &client, wish);
            failed = allocations_left < 0;
            allocations_left = -1;
            client_takes(&fixture, &client, SIZE_MAX);
            turn(&fixture);
            check_outcome(&client, joined, wish.poll);
            pass_ms(&fixture, 4000000); /* forgets the channels: each round begins anew */
            assert_int_equal(fixture.metrics.channels, 0);
            assert_int_equal(fixture.replica.timeouts.reserved, 0);
        }
        assert_true(n > 5);
    }
}

/* Starting anew costs its memory too. */
static void last_n_without_memory_is_clean(void **state)
{
    bool failed = true;

    (void)state;
    publish_many(&fixture, "a", 0, 20, 10);
    for (long n = 0; failed; n++) {
        struct client client;
        bool joined;

        client_with_room(&client);
        allocations_left = n + 1;
        joined = try_join(&fixture, &client, (struct wish){.channels = "a", .cursor = CURSOR_LAST, .last = 2});
        failed = allocations_left < 0;
        allocations_left = -1;
        assert_true(failed || joined);
        if (joined && !client.has_left)
            assert_string_equal(told(&client), "open 18 19");
        done(&client);
    }
}

/* A message and what becomes of it: some get it, some are told of a gap, some are closed; nobody misses it in silence. */
static long deliver_with_failure(long n)
{
    struct client clients[6];
    static const struct wish wishes[6] = {
        {.channels = "a"},
        {.channels = "a,b"},
        {.channels = "a", .envelope = true},
        {.channels = "a,b", .request_id = 5},
        {.channels = "a", .cursor = CURSOR_ID, .poll = true},
        {.channels = "a"},
    };
    struct message *message;
    long left;

    for (int i = 0; i < 6; i++) {
        struct wish wish = wishes[i];

        wish.id = fixture.replica.newest;
        client_with_room(&clients[i]);
        join(&fixture, &clients[i], wish);
        if (i == 5)
            clients[i].budget = 10;
    }
    /* Made before: that it could not be made is the hub's affair. */
    fixture.last = event_id_next(fixture.last, 0);
    message = sse_encode_message(fixture.last, &(struct message_names){.channel = span_of("a")}, span_of("one"));
    message->ingest_ms = fixture.replica.now_ms;
    allocations_left = n;
    replica_apply_take(&fixture.replica, message);
    turn(&fixture);
    left = allocations_left;
    allocations_left = -1;
    client_takes(&fixture, &clients[5], SIZE_MAX);
    turn(&fixture);
    for (int i = 0; i < 6; i++) {
        if (clients[i].has_left && clients[i].reason == LEAVE_NO_MEMORY) {
            ;
        } else if (i == 4) {
            struct stream stream = client_read(&clients[i]);

            assert_true(stream.is_whole);
            assert_true(memmem(stream.body.bytes, stream.body.size, "\"gap\":true", 10) ||
                        memmem(stream.body.bytes, stream.body.size, "\"data\":\"one\"", 12));
            stream_finish(&stream);
        } else {
            const char *text = told(&clients[i]);

            assert_true(strcmp(text, "open one") == 0 || strcmp(text, "open gap") == 0 || i == 2);
            assert_non_null(strstr(text, strstr(text, "gap") ? "gap" : "one"));
        }
        done(&clients[i]);
    }
    return left;
}

static void delivery_without_memory_is_told_or_ends_the_client_whichever_allocation_fails(void **state)
{
    long n = 0;

    (void)state;
    while (deliver_with_failure(n) < 0) {
        n++;
        pass_ms(&fixture, 4000000);
        assert_int_equal(fixture.metrics.channels, 0);
    }
    assert_true(n > 5);
    assert_true(fixture.metrics.dropped_no_memory > 0);
}

/* The mark of a message that could not be kept stays, also when older ones are evicted after it. */
static void lose_for_lack_of_memory(const char *channel)
{
    struct message *message;

    fixture.last = event_id_next(fixture.last, 0);
    message = sse_encode_message(fixture.last, &(struct message_names){.channel = span_of(channel)}, span_of("lost"));
    message->ingest_ms = fixture.replica.now_ms;
    allocations_left = 0;
    replica_apply_take(&fixture.replica, message);
    assert_true(allocations_left < 0);
}

static void loss_for_lack_of_memory_is_not_forgotten_when_older_messages_go(void **state)
{
    struct client client;
    struct event_id cursor;

    (void)state;
    fixture.settings.history_messages = 2;
    fixture.settings.history_keep = 0;
    publish(&fixture, "a", "one");
    cursor = publish(&fixture, "a", "two");
    lose_for_lack_of_memory("a");
    publish(&fixture, "a", "three"); /* evicts `one` */
    turn(&fixture);
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a", .cursor = CURSOR_ID, .id = cursor});
    assert_string_equal(told(&client), "gap three");
    done(&client);
}

/* Who was told of the later loss still lacks what goes now. */
static void older_messages_that_go_after_a_loss_was_told_are_a_gap_again(void **state)
{
    struct client client;
    struct event_id cursor = fixture.last;

    (void)state;
    fixture.settings.history_messages = 2;
    fixture.settings.history_keep = 0;
    publish(&fixture, "a", "one");
    publish(&fixture, "a", "two");
    lose_for_lack_of_memory("a");
    client_init(&client);
    client.budget = 10;
    join(&fixture, &client, (struct wish){.channels = "a", .cursor = CURSOR_ID, .id = cursor});
    publish(&fixture, "a", "three"); /* evicts `one` */
    turn(&fixture);
    client_takes(&fixture, &client, SIZE_MAX);
    assert_string_equal(told(&client), "gap gap two three");
    done(&client);
}

/* The half goes out alone then. That there is nothing else to write must not make it forget what it has to tell. */
static void gap_without_memory_to_tell_it_is_told_later(void **state)
{
    (void)state;
    fixture.settings.history_age = 1000;
    fixture.settings.history_keep = 0;
    for (int several = 0; several < 2; several++) {
        struct client client;

        client_with_room(&client);
        client.budget = 10;
        join(&fixture, &client, (struct wish){.channels = several ? "a,b" : "b"});
        publish(&fixture, "b", "lost");
        pass_ms(&fixture, 2000);
        allocations_left = 0;
        client_takes(&fixture, &client, SIZE_MAX);
        assert_true(allocations_left < 0);
        turn(&fixture);
        assert_string_equal(told(&client), "open gap");
        done(&client);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup_with_memory, teardown_with_memory)
    const struct CMUnitTest tests[] = {
        T(whoever_leaves_leaves_nothing_behind),
        T(those_who_leave_while_a_channel_is_walked_over_disturb_nobody),
        T(sockets_are_watched_for_room_only_while_blocked),
        T(joining_without_memory_is_clean_whichever_allocation_fails),
        T(last_n_without_memory_is_clean),
        T(delivery_without_memory_is_told_or_ends_the_client_whichever_allocation_fails),
        T(loss_for_lack_of_memory_is_not_forgotten_when_older_messages_go),
        T(gap_without_memory_to_tell_it_is_told_later),
        T(older_messages_that_go_after_a_loss_was_told_are_a_gap_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
