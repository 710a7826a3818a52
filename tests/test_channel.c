/*
 * Channels: when subscribers are told. Linked with --wrap=history_after, which is called once for each link that an advance
 * looks at.
 */
#include "replica_fixture.h"

static unsigned links_looked_at;

uint32_t __real_history_after(const struct history *history, struct event_id id);
uint32_t __wrap_history_after(const struct history *history, struct event_id id);

uint32_t __wrap_history_after(const struct history *history, struct event_id id)
{
    links_looked_at++;
    return __real_history_after(history, id);
}

static int setup_paced(void **state)
{
    int failed = setup(state);

    fixture.settings.hub_pace = 10;
    return failed;
}

/* One who came when there was nothing. */
static void listen_to(struct client *client, const char *channels)
{
    client_init(client);
    join(&fixture, client, (struct wish){.channels = channels, .cursor = CURSOR_ID, .id = fixture.replica.newest});
    client->writes = 0;
}

/* --- pacing --- */

static void quiet_channel_is_written_at_the_end_of_the_turn(void **state)
{
    struct client client;

    (void)state;
    listen_to(&client, "a");
    publish(&fixture, "a", "one");
    publish(&fixture, "a", "two");
    assert_int_equal(client.writes, 0);
    turn(&fixture);
    assert_int_equal(client.writes, 1);
    assert_string_equal(told(&client), "one two");
    done(&client);
}

static void what_follows_goes_out_together_at_the_end_of_the_interval(void **state)
{
    struct client client;

    (void)state;
    listen_to(&client, "a");
    publish(&fixture, "a", "one");
    turn(&fixture);
    for (int i = 0; i < 9; i++) {
        pass_ms(&fixture, 1);
        publish_many(&fixture, "a", i, 1, 1);
        turn(&fixture);
    }
    assert_int_equal(client.writes, 1);
    pass_ms(&fixture, 1);
    assert_int_equal(client.writes, 2);
    assert_string_equal(told(&client), "one 0 1 2 3 4 5 6 7 8");
    /* The interval begins anew with that write. */
    pass_ms(&fixture, 9);
    publish(&fixture, "a", "late");
    turn(&fixture);
    assert_int_equal(client.writes, 2);
    pass_ms(&fixture, 1);
    assert_int_equal(client.writes, 3);
    /* Quiet for the interval: at once. */
    pass_ms(&fixture, 10);
    publish(&fixture, "a", "at-once");
    turn(&fixture);
    assert_int_equal(client.writes, 4);
    done(&client);
}

static void pace_of_zero_writes_in_every_turn(void **state)
{
    struct client client;

    (void)state;
    fixture.settings.hub_pace = 0;
    listen_to(&client, "a");
    for (unsigned i = 0; i < 5; i++) {
        publish(&fixture, "a", "x");
        turn(&fixture);
        assert_int_equal(client.writes, i + 1);
    }
    done(&client);
}

static void pace_goes_by_the_pattern_of_the_channel(void **state)
{
    struct client slow, fast;
    char pattern[] = "slow/*", *patterns[] = {pattern};
    struct channel_policy policy = {.messages = 100, .age_ms = 1000, .keep_ms = 1000, .pace_ms = 500};
    struct channel_rule rule = {.match = {patterns, 1}, .policy = policy};

    (void)state;
    fixture.settings.rules = &rule;
    fixture.settings.rule_count = 1;
    fixture.settings.hub_pace = 0;
    listen_to(&slow, "slow/one");
    listen_to(&fast, "fast");
    for (int i = 0; i < 3; i++) {
        publish(&fixture, "slow/one", "s");
        publish(&fixture, "fast", "f");
        turn(&fixture);
    }
    assert_string_equal(told(&slow), "s");
    assert_string_equal(told(&fast), "f f f");
    pass_ms(&fixture, 500);
    assert_string_equal(told(&slow), "s s s");
    done(&slow);
    done(&fast);
}

/* One of its channels is in its interval, the other is quiet: its messages must not overtake those of the paced one. */
static void several_channels_keep_their_order_while_one_is_paced(void **state)
{
    struct client both, only_paced;

    (void)state;
    listen_to(&both, "paced,quiet");
    listen_to(&only_paced, "paced");
    publish(&fixture, "paced", "1");
    turn(&fixture);
    publish(&fixture, "paced", "2");
    publish(&fixture, "quiet", "3");
    publish(&fixture, "paced", "4");
    turn(&fixture);
    assert_string_equal(told(&both), "1 2 3 4");
    assert_string_equal(told(&only_paced), "1");
    publish(&fixture, "paced", "5");
    publish(&fixture, "quiet", "6");
    turn(&fixture);
    assert_string_equal(told(&both), "1 2 3 4");
    pass_ms(&fixture, 10);
    assert_string_equal(told(&both), "1 2 3 4 5 6");
    assert_string_equal(told(&only_paced), "1 2 4 5");
    done(&both);
    done(&only_paced);
}

static void who_joins_in_the_interval_is_told_at_its_end_like_all(void **state)
{
    struct client first, second;

    (void)state;
    listen_to(&first, "a,b");
    publish(&fixture, "a", "1");
    turn(&fixture);
    publish(&fixture, "a", "2");
    turn(&fixture);
    listen_to(&second, "a,b");
    publish(&fixture, "a", "3");
    turn(&fixture);
    assert_string_equal(told(&second), "");
    pass_ms(&fixture, 10);
    assert_string_equal(told(&first), "1 2 3");
    assert_string_equal(told(&second), "3");
    done(&first);
    done(&second);
}

/* --- those who take bytes are written to before history moves on --- */

static void paced_subscribers_are_written_to_before_eviction(void **state)
{
    struct client clients[3];

    (void)state;
    fixture.settings.history_messages = 5;
    fixture.settings.history_keep = 0;
    listen_to(&clients[0], "a");
    listen_to(&clients[1], "a,b");
    listen_to(&clients[2], "a");
    clients[2].budget = 0;
    for (int i = 0; i < 1000; i++) {
        publish_many(&fixture, "a", i, 1, 1);
        if (i == 0)
            turn(&fixture);
    }
    turn(&fixture);
    pass_ms(&fixture, 10);
    for (int i = 0; i < 2; i++) {
        assert_memory_equal(told(&clients[i]), "0 1 2 3 4 5 6 7 8 9 10 ", 23);
        assert_string_equal(strrchr(told(&clients[i]), ' '), " 999");
        assert_null(strstr(told(&clients[i]), "gap"));
    }
    client_takes(&fixture, &clients[2], SIZE_MAX);
    assert_string_equal(told(&clients[2]), "gap 995 996 997 998 999");
    for (int i = 0; i < 3; i++)
        done(&clients[i]);
}

/* One catch-up gives a subscriber all there is: not a write for each message that goes. */
static void catching_up_before_eviction_is_not_a_write_for_each_message(void **state)
{
    struct client client;

    (void)state;
    fixture.settings.history_messages = 100;
    fixture.settings.history_keep = 0;
    listen_to(&client, "a");
    publish_many(&fixture, "a", 0, 10000, 1);
    assert_true(client.writes > 50 && client.writes < 250);
    done(&client);
}

/* They have more to come than one write takes, and what they lack is old enough to go. */
static void assert_caught_up(struct client *client)
{
    assert_int_equal(client->subscriber.state, SUBSCRIBER_READY);
    publish_many(&fixture, "a", 1500, 3000, 1);
    turn(&fixture);
    assert_null(strstr(told(client), "gap"));
    assert_string_equal(strrchr(told(client), ' '), " 4499");
    done(client);
}

static void who_takes_bytes_again_is_caught_up_too(void **state)
{
    struct client client;

    (void)state;
    fixture.settings.history_messages = 1500;
    fixture.settings.history_keep = 0;
    listen_to(&client, "a");
    client.budget = 0;
    publish_many(&fixture, "a", 0, 1500, 1);
    turn(&fixture);
    client_takes(&fixture, &client, SIZE_MAX);
    assert_caught_up(&client);
}

static void who_resumes_from_behind_is_caught_up_too(void **state)
{
    struct client live, client;
    struct event_id before = fixture.replica.newest;

    (void)state;
    fixture.settings.history_messages = 1500;
    fixture.settings.history_keep = 0;
    listen_to(&live, "a");
    publish_many(&fixture, "a", 0, 1499, 1);
    turn(&fixture);
    pass_ms(&fixture, 20);
    publish_many(&fixture, "a", 1499, 1, 1); /* flushed in one write: nobody lacks anything */
    turn(&fixture);
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a", .cursor = CURSOR_ID, .id = before});
    assert_caught_up(&client);
    done(&live);
}

static void who_has_more_to_come_after_a_flush_is_caught_up_too(void **state)
{
    struct client client;

    (void)state;
    fixture.settings.history_messages = 1500;
    fixture.settings.history_keep = 0;
    listen_to(&client, "a");
    publish_many(&fixture, "a", 0, 1500, 1);
    assert_true(replica_flush(&fixture.replica));
    assert_caught_up(&client);
}

/* What is to be evicted lies behind more messages of another channel than one write takes. */
static void catching_up_takes_as_many_writes_as_it_needs(void **state)
{
    struct client client;
    char pattern[] = "short", *patterns[] = {pattern};
    struct channel_rule rule = {.match = {patterns, 1}, .policy = {.messages = 1, .age_ms = 1000}};

    (void)state;
    fixture.settings.rules = &rule;
    fixture.settings.rule_count = 1;
    fixture.settings.history_messages = 5000;
    listen_to(&client, "long,short");
    publish_many(&fixture, "long", 0, 1000, 1);
    publish(&fixture, "short", "first");
    publish(&fixture, "short", "second");
    turn(&fixture);
    assert_null(strstr(told(&client), "gap"));
    assert_non_null(strstr(told(&client), " 999 first second"));
    done(&client);
}

/* --- news that no link is marked with yet --- */

static void message_held_back_by_its_pace_comes_before_a_later_one_of_another_channel(void **state)
{
    struct client client;

    (void)state;
    listen_to(&client, "paced,quiet");
    publish(&fixture, "paced", "one");
    turn(&fixture);
    publish(&fixture, "paced", "two");
    turn(&fixture);
    publish(&fixture, "quiet", "three");
    turn(&fixture);
    assert_string_equal(told(&client), "one two three");
    done(&client);
}

static void message_held_back_by_its_pace_is_in_what_a_slow_client_takes(void **state)
{
    struct client client;

    (void)state;
    listen_to(&client, "paced,quiet");
    client.budget = 5;
    publish(&fixture, "paced", "one");
    turn(&fixture);
    publish(&fixture, "paced", "two");
    turn(&fixture);
    client_takes(&fixture, &client, SIZE_MAX);
    assert_string_equal(told(&client), "one two");
    done(&client);
}

static void channel_that_ends_with_news_is_not_looked_at_again(void **state)
{
    struct client gone, client;

    (void)state;
    fixture.settings.history_age = fixture.settings.history_keep = 5;
    listen_to(&gone, "paced,other");
    publish(&fixture, "paced", "one");
    turn(&fixture);
    publish(&fixture, "paced", "two");
    turn(&fixture);
    leave(&fixture, &gone);
    pass_ms(&fixture, 6);
    assert_null(channel_find(&fixture.replica, span_of("paced")));
    listen_to(&client, "a,b");
    publish(&fixture, "a", "three");
    turn(&fixture);
    assert_string_equal(told(&client), "three");
    done(&client);
    client_finish(&gone);
}

/* --- what a delivery costs --- */

static void delivery_touches_only_the_channels_that_have_news(void **state)
{
    static char names[20000];
    struct client client;
    char *out = names;

    (void)state;
    fixture.settings.hub_pace = 0;
    for (int i = 0; i < 1000; i++)
        out += sprintf(out, i ? ",channel-%d" : "channel-%d", i);
    listen_to(&client, names);
    publish(&fixture, "channel-7", "warm-up");
    turn(&fixture);
    links_looked_at = 0;
    publish(&fixture, "channel-500", "one");
    turn(&fixture);
    assert_string_equal(told(&client), "warm-up one");
    assert_int_equal(links_looked_at, 1);
    publish(&fixture, "channel-1", "two");
    publish(&fixture, "channel-2", "three");
    links_looked_at = 0;
    turn(&fixture);
    assert_string_equal(told(&client), "warm-up one two three");
    assert_true(links_looked_at <= 3); /* the second channel's flush finds nothing more */
    /* Also when the socket takes a while. */
    client.budget = 5;
    publish(&fixture, "channel-3", "four");
    turn(&fixture);
    links_looked_at = 0;
    client_takes(&fixture, &client, SIZE_MAX);
    assert_true(links_looked_at <= 2); /* a link whose news came with another's may be left from the turn before */
    assert_string_equal(told(&client), "warm-up one two three four");
    done(&client);
}

static void news_of_all_channels_at_once_costs_each_of_them_the_same(void **state)
{
    static char names[20000];
    unsigned cost[2];

    (void)state;
    for (int round = 0; round < 2; round++) {
        struct client client;
        char *out = names, name[24];
        int count = round ? 200 : 20;

        for (int i = 0; i < count; i++)
            out += sprintf(out, i ? ",channel-%d" : "channel-%d", i);
        listen_to(&client, names);
        turn(&fixture);
        links_looked_at = 0;
        for (int i = 0; i < count; i++) {
            snprintf(name, sizeof name, "channel-%d", i);
            publish(&fixture, name, "news");
        }
        turn(&fixture);
        cost[round] = links_looked_at;
        assert_int_equal(client.writes, 1);
        done(&client);
        pass_ms(&fixture, 20);
    }
    assert_in_range(cost[0], 20, 40);
    assert_in_range(cost[1], 200, 400);
}

static void news_of_others_costs_a_subscriber_nothing(void **state)
{
    struct client client;

    (void)state;
    listen_to(&client, "a,b");
    links_looked_at = 0;
    for (int i = 0; i < 100; i++) {
        publish(&fixture, "c", "x");
        pass_ms(&fixture, 20);
    }
    assert_int_equal(links_looked_at, 0);
    assert_int_equal(client.writes, 0);
    done(&client);
}

/* --- the table --- */

static void channels_are_opened_once_and_closed_when_unused(void **state)
{
    struct channel *channel;
    char name[] = "some/channel";

    (void)state;
    assert_null(channel_find(&fixture.replica, span_of(name)));
    channel = channel_open(&fixture.replica, span_of(name));
    assert_non_null(channel);
    name[0] = 'S';
    assert_null(channel_find(&fixture.replica, span_of(name)));
    name[0] = 's';
    assert_ptr_equal(channel_open(&fixture.replica, (struct span){name, 12}), channel);
    assert_null(channel_find(&fixture.replica, (struct span){name, 11}));
    assert_int_equal(event_id_compare(channel->lost_through, FIXTURE_START), 0);
    channel->lost_through = (struct event_id){FIXTURE_START.ms + 5, 0};
    channel_close_unused(&fixture.replica, channel);
    assert_null(channel_find(&fixture.replica, span_of(name)));
    channel = channel_open(&fixture.replica, span_of(name));
    assert_int_equal(channel->lost_through.ms, FIXTURE_START.ms + 5);
    channel_close_unused(&fixture.replica, channel);
    assert_int_equal(fixture.replica.timeouts.reserved, 0);
}

static void only_a_higher_loss_raises_the_gap_mark(void **state)
{
    struct channel *channel = channel_open(&fixture.replica, span_of("a"));
    uint32_t losses = channel->losses;

    (void)state;
    channel_lose(channel, channel->lost_through);
    channel_lose(channel, event_id_before(channel->lost_through));
    assert_int_equal(channel->losses, losses);
    assert_int_equal(event_id_compare(channel->lost_through, FIXTURE_START), 0);
    channel_lose(channel, (struct event_id){FIXTURE_START.ms, 1});
    assert_int_equal(channel->losses, losses + 1);
    assert_int_equal(channel->lost_through.seq, 1);
    channel_close_unused(&fixture.replica, channel);
}

static void channel_with_a_subscriber_is_not_closed(void **state)
{
    struct client client;

    (void)state;
    listen_to(&client, "a,b");
    channel_close_unused(&fixture.replica, channel_find(&fixture.replica, span_of("a")));
    assert_non_null(channel_find(&fixture.replica, span_of("a")));
    pass_ms(&fixture, 100000);
    assert_int_equal(fixture.metrics.channels, 2);
    done(&client);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup_paced, teardown)
    const struct CMUnitTest tests[] = {
        T(quiet_channel_is_written_at_the_end_of_the_turn),
        T(what_follows_goes_out_together_at_the_end_of_the_interval),
        T(pace_of_zero_writes_in_every_turn),
        T(pace_goes_by_the_pattern_of_the_channel),
        T(several_channels_keep_their_order_while_one_is_paced),
        T(who_joins_in_the_interval_is_told_at_its_end_like_all),
        T(paced_subscribers_are_written_to_before_eviction),
        T(catching_up_before_eviction_is_not_a_write_for_each_message),
        T(who_takes_bytes_again_is_caught_up_too),
        T(who_resumes_from_behind_is_caught_up_too),
        T(who_has_more_to_come_after_a_flush_is_caught_up_too),
        T(catching_up_takes_as_many_writes_as_it_needs),
        T(message_held_back_by_its_pace_comes_before_a_later_one_of_another_channel),
        T(message_held_back_by_its_pace_is_in_what_a_slow_client_takes),
        T(channel_that_ends_with_news_is_not_looked_at_again),
        T(delivery_touches_only_the_channels_that_have_news),
        T(news_of_all_channels_at_once_costs_each_of_them_the_same),
        T(news_of_others_costs_a_subscriber_nothing),
        T(channels_are_opened_once_and_closed_when_unused),
        T(only_a_higher_loss_raises_the_gap_mark),
        T(channel_with_a_subscriber_is_not_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
