/* What one write takes: records of several messages, and bytes that many subscribers share. */
#include "replica_fixture.h"

static struct client clients[3];

/* Each listens to its channels from now on, and has been told all there was. */
static void listen_to(struct client *client, struct wish wish)
{
    client_init(client);
    if (wish.cursor == CURSOR_NONE) {
        wish.cursor = CURSOR_ID;
        wish.id = fixture.replica.newest;
    }
    join(&fixture, client, wish);
    turn(&fixture);
    client->writes = 0;
}

static void all_done(int count)
{
    for (int i = 0; i < count; i++)
        done(&clients[i]);
}

static size_t records_since(const struct client *client, size_t before)
{
    struct stream stream = client_read(client);
    size_t count = stream.record_count;

    stream_finish(&stream);
    return count - before;
}

/* --- records --- */

static void messages_of_a_write_leave_in_one_record(void **state)
{
    (void)state;
    for (int form = 0; form < 3; form++) {
        listen_to(clients, (struct wish){.channels = form == 1 ? "a,b" : "a", .envelope = form == 2, .request_id = form == 1 ? 7 : 1});
        uint64_t deliveries = fixture.metrics.deliveries;
        size_t records = records_since(clients, 0);

        for (int i = 0; i < 5; i++)
            publish(&fixture, "a", "text");
        turn(&fixture);
        assert_int_equal(clients[0].writes, 1);
        assert_int_equal(clients[0].pieces, 1);
        assert_int_equal(records_since(clients, records), 1);
        assert_int_equal(fixture.metrics.deliveries - deliveries, 5);
        done(clients);
        pass_ms(&fixture, 20);
    }
}

static void one_message_is_sent_as_it_was_encoded(void **state)
{
    (void)state;
    listen_to(clients, (struct wish){.channels = "a"});
    publish(&fixture, "a", "text");
    turn(&fixture);
    assert_ptr_equal(clients[0].bytes, TAILQ_FIRST(&fixture.replica.order)->message->encoded->bytes);
    assert_string_equal(told(clients), "text");
    done(clients);
}

/* A large message is not copied; around it the small ones are put together. */
static void large_messages_keep_their_records(void **state)
{
    (void)state;
    listen_to(clients, (struct wish){.channels = "a"});
    publish_many(&fixture, "a", 0, 3, 100);
    publish_many(&fixture, "a", 3, 1, 20000);
    publish_many(&fixture, "a", 4, 1, 70000);
    publish_many(&fixture, "a", 5, 4, 7000);
    turn(&fixture);
    assert_int_equal(clients[0].writes, 1);
    assert_int_equal(clients[0].pieces, 1 + 1 + 1 + 2);
    assert_string_equal(told(clients), "0 1 2 3 4 5 6 7 8");
    done(clients);
}

static void nothing_is_copied_behind_what_is_half_written(void **state)
{
    (void)state;
    listen_to(clients, (struct wish){.channels = "a"});
    clients[0].budget = 20;
    publish(&fixture, "a", "first");
    turn(&fixture);
    for (int i = 0; i < 5; i++)
        publish(&fixture, "a", "later");
    turn(&fixture);
    client_takes(&fixture, clients, SIZE_MAX);
    assert_int_equal(clients[0].pieces, 6);
    assert_string_equal(told(clients), "first later later later later later");
    done(clients);
}

/* --- sharing --- */

static void publish_two(void)
{
    publish(&fixture, "a", "one");
    publish(&fixture, "a", "two");
    turn(&fixture);
}

static void fan_out_writes_the_same_bytes(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        listen_to(&clients[i], (struct wish){.channels = i == 1 ? "a,b" : "a"});
    /* Who has had news of another channel meanwhile has another cursor, and lacks the same. */
    publish(&fixture, "b", "zero");
    turn(&fixture);
    publish_two();
    assert_int_equal(fixture.metrics.writes_shared, 2);
    assert_ptr_equal(clients[0].bytes, clients[1].bytes);
    assert_ptr_equal(clients[0].bytes, clients[2].bytes);
    assert_string_equal(told(&clients[0]), "one two");
    assert_string_equal(told(&clients[1]), "zero one two");
    assert_id(clients[1].subscriber.cursor, fixture.last);
    all_done(3);
}

#define ENVELOPE(data) "{\"channel\":\"a\",\"event\":null,\"data\":\"" data "\"}"

/* A row: two who listen; the second must not get what was gathered for the first, or the first what was for the second. */
static void what_differs_is_not_shared(void **state)
{
    static const struct row {
        struct wish wishes[2];
        struct publication second; /* of three; the others are plain, of "a" */
        const char *told[2];
    } rows[] = {
        {{{.channels = "a", .client = "ann"}, {.channels = "a", .client = "bob"}},
         {.except = "ann"}, {"zero two", "zero one two"}},
        {{{.channels = "a", .client = "bob"}, {.channels = "a", .client = "ann"}},
         {.except = "ann"}, {"zero one two", "zero two"}},
        {{{.channels = "a"}, {.channels = "a", .envelope = true}},
         {0}, {"zero one two", ENVELOPE("zero") " " ENVELOPE("one") " " ENVELOPE("two")}},
        {{{.channels = "a"}, {.channels = "a", .request_id = 7}}, {0}, {"zero one two", "zero one two"}},
        {{{.channels = "a"}, {.channels = "a,b"}}, {.channel = "b"}, {"zero two", "zero one two"}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct publication second = rows[i].second;
        uint64_t before = fixture.metrics.writes_shared;

        for (int n = 0; n < 2; n++)
            listen_to(&clients[n], rows[i].wishes[n]);
        second.channel = second.channel ? second.channel : "a";
        second.data = span_of("one");
        publish(&fixture, "a", "zero");
        publish_with(&fixture, second);
        publish(&fixture, "a", "two");
        turn(&fixture);
        for (int n = 0; n < 2; n++)
            assert_string_equal(told(&clients[n]), rows[i].told[n]);
        assert_int_equal(fixture.metrics.writes_shared, before);
        all_done(2);
        pass_ms(&fixture, 20);
    }
}

static void names_that_are_not_excepted_share(void **state)
{
    static const char *const names[] = {"an", "anna", "bob"};

    (void)state;
    for (int i = 0; i < 3; i++)
        listen_to(&clients[i], (struct wish){.channels = "a", .client = names[i]});
    publish_with(&fixture, (struct publication){.channel = "a", .data = span_of("one"), .except = "ann"});
    turn(&fixture);
    assert_int_equal(fixture.metrics.writes_shared, 2);
    all_done(3);
}

/* It joins, takes the start of its response and no byte of a message: its next write can be a shared one. */
static void join_without_news(struct client *client, struct wish wish)
{
    client_init(client);
    client->budget = 0;
    join(&fixture, client, wish);
    client_takes(&fixture, client, client->subscriber.half->size);
    assert_null(client->subscriber.half);
    assert_int_equal(client->subscriber.state, SUBSCRIBER_BLOCKED);
}

/* They stand at one place; one came after a store:false message. */
static void newcomer_does_not_get_what_was_only_for_those_before(void **state)
{
    (void)state;
    listen_to(&clients[0], (struct wish){.channels = "a"});
    clients[0].budget = 0;
    publish(&fixture, "a", "zero");
    turn(&fixture);
    publish_with(&fixture, (struct publication){.channel = "a", .data = span_of("passing"), .transient = true});
    publish(&fixture, "a", "one");
    join_without_news(&clients[1], (struct wish){.channels = "a", .cursor = CURSOR_ID, .id = FIXTURE_START});
    for (int i = 0; i < 2; i++)
        client_takes(&fixture, &clients[i], SIZE_MAX);
    assert_string_equal(told(&clients[0]), "zero passing one");
    assert_string_equal(told(&clients[1]), "zero one");
    all_done(2);
}

/* One write takes all that a newcomer gets of "b"; then it stands before what the policy of "a" does not give it, but others lack. */
static void newcomer_does_not_get_what_history_does_not_give_it(void **state)
{
    char pattern[] = "a", *patterns[] = {pattern};
    struct channel_rule rule = {.match = {patterns, 1}, .policy = {.messages = 1, .age_ms = 10000, .keep_ms = 10000}};

    (void)state;
    fixture.settings.rules = &rule;
    fixture.settings.rule_count = 1;
    fixture.settings.history_messages = 1000;
    listen_to(&clients[0], (struct wish){.channels = "a"});
    clients[0].budget = 0;
    publish_many(&fixture, "b", 0, 255, 1);
    publish(&fixture, "a", "hidden");
    publish(&fixture, "a", "shown");
    turn(&fixture);
    join_without_news(&clients[1], (struct wish){.channels = "a,b", .cursor = CURSOR_ZERO});
    client_takes(&fixture, &clients[1], SIZE_MAX);
    assert_int_equal(clients[1].subscriber.state, SUBSCRIBER_READY);
    client_takes(&fixture, &clients[0], SIZE_MAX);
    turn(&fixture);
    assert_string_equal(told(&clients[0]), "hidden shown");
    assert_string_equal(strstr(told(&clients[1]), " 254"), " 254 shown");
    all_done(2);
}

static void what_expires_between_two_is_not_shared(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        listen_to(&clients[i], (struct wish){.channels = "a"});
        clients[i].budget = 0;
    }
    publish_with(&fixture, (struct publication){.channel = "a", .data = span_of("brief"), .ttl_ms = 1000});
    publish(&fixture, "a", "two");
    turn(&fixture);
    client_takes(&fixture, &clients[0], SIZE_MAX);
    fixture.replica.now_ms += 1000;
    client_takes(&fixture, &clients[1], SIZE_MAX);
    assert_string_equal(told(&clients[0]), "brief two");
    assert_string_equal(told(&clients[1]), "two");
    all_done(2);
}

/* Both lack the same and stand at the same place; only one of them was told that it lost something before. */
static void who_is_to_be_told_of_a_gap_is_told(void **state)
{
    (void)state;
    fixture.settings.history_keep = 0;
    fixture.settings.history_messages = 2;
    for (int i = 0; i < 2; i++) {
        listen_to(&clients[i], (struct wish){.channels = "a"});
        clients[i].budget = 0;
    }
    publish(&fixture, "a", "lost");
    turn(&fixture);
    publish(&fixture, "a", "one");
    publish(&fixture, "a", "two");
    turn(&fixture);
    join_without_news(&clients[2], (struct wish){.channels = "a", .cursor = CURSOR_ZERO});
    client_takes(&fixture, &clients[2], SIZE_MAX);
    for (int i = 0; i < 2; i++)
        client_takes(&fixture, &clients[i], SIZE_MAX);
    assert_string_equal(told(&clients[0]), "gap one two");
    assert_string_equal(told(&clients[1]), "gap one two");
    assert_string_equal(told(&clients[2]), "one two");
    all_done(3);
}

/* Both wait; the news reaches the stream first. */
static void long_poll_gets_its_answer_beside_a_stream(void **state)
{
    (void)state;
    client_init(&clients[0]);
    join(&fixture, &clients[0], (struct wish){.channels = "a", .cursor = CURSOR_ID, .id = FIXTURE_START, .poll = true});
    listen_to(&clients[1], (struct wish){.channels = "a"});
    publish_two();
    assert_true(clients[0].has_left);
    assert_non_null(memmem(clients[0].received.bytes, clients[0].received.size, "\"messages\":[{", 13));
    assert_string_equal(told(&clients[1]), "one two");
    all_done(2);
}

static void who_is_to_end_gets_its_end_and_the_others_go_on(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        listen_to(&clients[i], (struct wish){.channels = "a"});
        clients[i].budget = 0;
    }
    publish_two();
    subscriber_end(&fixture.replica, &clients[1].subscriber);
    for (int i = 0; i < 3; i++)
        client_takes(&fixture, &clients[i], SIZE_MAX);
    assert_string_equal(told(&clients[0]), "one two");
    assert_string_equal(told(&clients[1]), "one two end");
    assert_string_equal(told(&clients[2]), "one two");
    assert_int_equal(clients[1].reason, LEAVE_DONE);
    all_done(3);
}

/* --- sockets that stop in the middle of a record of several messages --- */

/*
 * Three share a record of three messages, among them one that expires, one that a fourth must not get, and one that is not kept; the second stops at
 * `stop`, and more comes meanwhile. With `losing`, history moves on over it. What the second was told.
 */
static const char *cut_at(size_t stop, bool losing, size_t *size)
{
    struct publication between[] = {
        {.channel = "a", .data = span_of("1"), .ttl_ms = 5000},
        {.channel = "a", .data = span_of("2"), .except = "eve"},
        {.channel = "a", .data = span_of("3"), .transient = true},
    };

    fixture.settings.history_keep = losing ? 0 : 10000;
    fixture.settings.history_messages = losing ? 2 : 100;
    replica_reload(&fixture.replica);
    for (int i = 0; i < 3; i++)
        listen_to(&clients[i], (struct wish){.channels = "a"});
    *size = clients[0].received.size;
    clients[1].budget = stop;
    for (int i = 0; i < 3; i++)
        publish_with(&fixture, between[i]);
    turn(&fixture);
    *size = clients[0].received.size - *size;
    assert_int_equal(clients[1].wants_write, stop < *size);
    for (int i = 4; i <= 7; i++)
        publish_many(&fixture, "a", i, 1, 1);
    pass_ms(&fixture, 2000);
    for (int n = 0; clients[1].wants_write && n < 10000; n++)
        client_takes(&fixture, &clients[1], losing ? 50 : 3);
    clients[1].budget = SIZE_MAX;
    turn(&fixture);
    assert_int_equal(clients[1].subscriber.state, SUBSCRIBER_IDLE);
    assert_int_equal(fixture.replica.pins.bytes, 0);
    assert_string_equal(told(&clients[0]), "1 2 3 4 5 6 7");
    assert_string_equal(told(&clients[2]), "1 2 3 4 5 6 7");
    return told(&clients[1]);
}

static void shared_record_may_be_cut_at_any_byte(void **state)
{
    size_t size = 1;

    (void)state;
    for (int losing = 0; losing < 2; losing++)
        for (size_t stop = 0; stop < size; stop++) {
            uint64_t shared = fixture.metrics.writes_shared;
            const char *got = cut_at(stop, losing, &size);

            /* What is begun is finished; what is not begun is read from history as it then is. */
            if (stop == 0)
                assert_string_equal(got, losing ? "gap 6 7" : "1 2 4 5 6 7");
            else
                assert_string_equal(got, losing ? "1 2 3 gap 6 7" : "1 2 3 4 5 6 7");
            assert_true(fixture.metrics.writes_shared >= shared + 2);
            all_done(3);
            pass_ms(&fixture, 20000);
        }
}

static void shared_record_counts_once_however_many_hold_it(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        listen_to(&clients[i], (struct wish){.channels = "a"});
        clients[i].budget = 30;
    }
    publish_two();
    assert_int_equal(fixture.metrics.writes_shared, 2);
    size_t bytes = fixture.replica.pins.bytes;

    assert_in_range(bytes, 30, 200);
    done(&clients[0]);
    assert_int_equal(fixture.replica.pins.bytes, bytes);
    for (int i = 1; i < 3; i++) {
        client_takes(&fixture, &clients[i], SIZE_MAX);
        assert_string_equal(told(&clients[i]), "one two");
        done(&clients[i]);
    }
    assert_int_equal(fixture.replica.pins.bytes, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(messages_of_a_write_leave_in_one_record),
        T(one_message_is_sent_as_it_was_encoded),
        T(large_messages_keep_their_records),
        T(nothing_is_copied_behind_what_is_half_written),
        T(fan_out_writes_the_same_bytes),
        T(what_differs_is_not_shared),
        T(names_that_are_not_excepted_share),
        T(newcomer_does_not_get_what_was_only_for_those_before),
        T(newcomer_does_not_get_what_history_does_not_give_it),
        T(what_expires_between_two_is_not_shared),
        T(who_is_to_be_told_of_a_gap_is_told),
        T(long_poll_gets_its_answer_beside_a_stream),
        T(who_is_to_end_gets_its_end_and_the_others_go_on),
        T(shared_record_may_be_cut_at_any_byte),
        T(shared_record_counts_once_however_many_hold_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
