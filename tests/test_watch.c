/*
 * Subscribers by pattern. Linked with --wrap for malloc, calloc, realloc and strdup.
 */
#include "replica_fixture.h"
#include "failing_memory.h"

static struct link_list *matched_of(const char *channel)
{
    struct channel *found = channel_find(&fixture.replica, span_of(channel));

    assert_non_null(found);
    return &found->matched;
}

static void watch(struct client *client, const char *channels)
{
    client_init(client);
    join(&fixture, client, (struct wish){.channels = channels});
}

/* --- what it gets --- */

static void messages_of_channels_that_come_to_be_are_got_in_order(void **state)
{
    struct client client;

    (void)state;
    watch(&client, "orders/*");
    publish(&fixture, "orders/7", "one");
    publish(&fixture, "users/7", "other");
    publish(&fixture, "orders/8", "two");
    turn(&fixture);
    publish(&fixture, "orders/7/lines", "deeper");
    publish(&fixture, "orders/7", "three");
    turn(&fixture);
    assert_string_equal(told(&client), "open one two three");
    assert_int_equal(fixture.metrics.patterns, 1);
    assert_int_equal(fixture.metrics.pattern_links, 2);
    done(&client);
    assert_int_equal(fixture.metrics.patterns, 0);
    assert_int_equal(fixture.metrics.pattern_links, 0);
}

static void channels_that_are_there_are_found_by_every_kind_of_cursor(void **state)
{
    static const struct {
        enum request_cursor cursor;
        const char *told;
    } rows[] = {
        {CURSOR_NONE, "open four"},  {CURSOR_ZERO, "one two three four"}, {CURSOR_LAST, "open two three four"},
        {CURSOR_ID, "two three four"}, {CURSOR_TIME, "three four"},         {CURSOR_BAD, "gap one two three four"},
    };
    struct client clients[6];
    struct event_id first, third;

    (void)state;
    first = publish(&fixture, "a/1", "one");
    publish(&fixture, "b", "elsewhere");
    publish(&fixture, "a/2", "two");
    pass_ms(&fixture, 1000);
    third = publish(&fixture, "a/1", "three");
    for (int i = 0; i < 6; i++) {
        struct wish wish = {.channels = "a/*", .cursor = rows[i].cursor, .id = first, .last = 2};

        if (wish.cursor == CURSOR_TIME)
            wish.id = event_id_before((struct event_id){third.ms, 0});
        client_init(&clients[i]);
        join(&fixture, &clients[i], wish);
    }
    publish(&fixture, "a/3", "four");
    turn(&fixture);
    for (int i = 0; i < 6; i++) {
        assert_string_equal(told(&clients[i]), rows[i].told);
        done(&clients[i]);
    }
}

static void one_link_serves_a_channel_that_is_named_and_matched_twice(void **state)
{
    struct client named, twice;

    (void)state;
    publish(&fixture, "orders/1", "before");
    watch(&named, "orders/1,orders/7,orders/*,**");
    watch(&twice, "orders/*,**");
    assert_int_equal(named.subscriber.link_count, 2);
    assert_int_equal(fixture.metrics.pattern_links, 2);
    publish(&fixture, "orders/7", "one");
    publish(&fixture, "orders/1", "two");
    publish(&fixture, "orders/8", "three");
    turn(&fixture);
    assert_string_equal(told(&named), "open one two three");
    assert_string_equal(told(&twice), "open one two three");
    assert_int_equal(named.subscriber.link_count, 3);
    assert_int_equal(fixture.metrics.pattern_links, 4);
    done(&named);
    done(&twice);
}

static void names_and_patterns_go_together_and_the_envelope_tells_them_apart(void **state)
{
    static const char *const wanted[] = {
        "{\"channel\":\"orders/7\",\"event\":null,\"data\":\"paid\"}",
        "{\"channel\":\"news\",\"event\":null,\"data\":\"rain\"}",
    };
    struct client client;
    struct stream stream;

    (void)state;
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "news,orders/*", .cursor = CURSOR_ZERO, .envelope = true});
    publish(&fixture, "orders/7", "paid");
    publish(&fixture, "news", "rain");
    turn(&fixture);
    stream = client_read(&client);
    assert_int_equal(stream.count, 3);
    for (int i = 0; i < 2; i++) /* behind the comment */
        assert_true(span_equal(text_span(&stream.events[i + 1].data), span_of(wanted[i])));
    stream_finish(&stream);
    done(&client);
}

static void except_ttl_and_store_false_hold_in_a_channel_that_comes_to_be(void **state)
{
    struct client me, other, late;

    (void)state;
    client_init(&me);
    join(&fixture, &me, (struct wish){.channels = "a/*", .client = "me"});
    watch(&other, "a/*");
    publish_with(&fixture, (struct publication){.channel = "a/1", .data = span_of("mine"), .except = "me"});
    publish_with(&fixture, (struct publication){.channel = "a/2", .data = span_of("now"), .transient = true});
    publish_with(&fixture, (struct publication){.channel = "a/3", .data = span_of("soon"), .ttl_ms = 1000});
    publish_with(&fixture, (struct publication){.channel = "b", .data = span_of("nobody"), .transient = true});
    assert_null(channel_find(&fixture.replica, span_of("b")));
    turn(&fixture);
    pass_ms(&fixture, 2000);
    client_init(&late);
    join(&fixture, &late, (struct wish){.channels = "a/*", .cursor = CURSOR_ZERO});
    assert_string_equal(told(&me), "open now soon");
    assert_string_equal(told(&other), "open mine now soon");
    assert_string_equal(told(&late), "mine");
    assert_null(channel_find(&fixture.replica, span_of("a/2")));
    done(&me);
    done(&other);
    done(&late);
}

static void links_come_and_go_by_the_hundred(void **state)
{
    struct client client, blocked;
    char channel[32], data[32], *wanted = calloc(1, 1 << 16), *out = wanted;

    (void)state;
    fixture.settings.history_age = 1000;
    fixture.settings.history_keep = 1000;
    watch(&client, "a/*");
    watch(&blocked, "**");
    blocked.budget = 100;
    out += sprintf(out, "open");
    for (int i = 0; i < 600; i++) {
        snprintf(channel, sizeof channel, "a/%d", i);
        snprintf(data, sizeof data, "%d", i);
        publish(&fixture, channel, data);
        out += sprintf(out, " %s", data);
        if (i % 7 == 0)
            pass_ms(&fixture, 40);
    }
    assert_true(fixture.metrics.channels < 400); /* many have gone */
    turn(&fixture);
    assert_string_equal(told(&client), wanted);
    client_takes(&fixture, &blocked, SIZE_MAX);
    turn(&fixture);
    assert_non_null(strstr(told(&blocked), "gap"));
    assert_non_null(strstr(told(&blocked), " 598 599"));
    free(wanted);
    done(&client);
    done(&blocked);
}

/* --- long-polls --- */

static const char *body_of(const struct client *client)
{
    static char body[4096];
    struct stream stream = client_read(client);

    assert_true(stream.is_whole);
    snprintf(body, sizeof body, "%.*s", (int)stream.body.size, stream.body.bytes);
    stream_finish(&stream);
    return body;
}

static void long_poll_of_a_pattern_that_matches_nothing_waits_for_the_first_message(void **state)
{
    struct client client;
    char wanted[256];
    struct event_id id;

    (void)state;
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a/*", .cursor = CURSOR_ID, .id = fixture.last, .poll = true});
    publish(&fixture, "b", "elsewhere");
    turn(&fixture);
    assert_false(client.has_left);
    id = publish(&fixture, "a/1", "one");
    turn(&fixture);
    assert_true(client.has_left);
    snprintf(wanted, sizeof wanted,
             "{\"cursor\":\"%s\",\"gap\":false,\"messages\":[{\"id\":\"%s\",\"channel\":\"a/1\",\"event\":null,\"data\":\"one\"}]}\n",
             text_of(id), text_of(id));
    assert_string_equal(body_of(&client), wanted);
    done(&client);
}

static void answers_are_shared_by_those_of_the_same_patterns_and_no_others(void **state)
{
    static const char *const channels[6] = {"a/*", "a/*", "a/1", "**", "x,a/*", "a/**"};
    struct client clients[6], late;

    (void)state;
    for (int i = 0; i < 6; i++) {
        client_init(&clients[i]);
        join(&fixture, &clients[i], (struct wish){.channels = channels[i], .cursor = CURSOR_ID, .id = fixture.last, .poll = true});
    }
    publish(&fixture, "b", "two");
    publish(&fixture, "a/1", "one");
    turn(&fixture);
    for (int i = 0; i < 6; i++) {
        assert_true(clients[i].has_left);
        assert_int_equal(strstr(body_of(&clients[i]), "\"two\"") != NULL, i == 3);
        assert_non_null(strstr(body_of(&clients[i]), "\"one\""));
        done(&clients[i]);
    }
    assert_int_equal(fixture.metrics.poll_answers_shared, 1);
    /* Within one turn: the record of a pattern that nobody has any more may lend its memory to another's. */
    for (int i = 0; i < 2; i++) {
        client_init(&late);
        join(&fixture, &late, (struct wish){.channels = i ? "b*" : "a/*", .cursor = CURSOR_ID, .id = FIXTURE_START, .poll = true});
        assert_int_equal(strstr(body_of(&late), "\"two\"") != NULL, i == 1);
        done(&late);
    }
}

/* --- gaps --- */

/* Any channel that has gone may have been one of its, if it lay where the pattern begins. */
static void resuming_takes_the_marks_of_channels_that_have_gone(void **state)
{
    static const struct {
        const char *channels;
        bool from_lost; /* the cursor is the lost message, not the one before */
        const char *told;
        const char *gap; /* the channels of the gap, or NULL */
    } rows[] = {
        {"a/b/*", false, "gap", "[\"a/b/*\"]"},
        {"a/b/*", true, "", NULL},
        {"a/*,kept/1", false, "gap three", "[\"a/*\"]"}, /* not needed, but it may have been a/c */
        {"*/c", false, "gap", "[\"*/c\"]"},
        {"kept/1,**", false, "gap three", "[\"**\"]"},
        {"kept/*,x/*", false, "three", NULL},
        {"a/b/c/*", false, "", NULL},
        {"a/b/x*", false, "gap", "[\"a/b/x*\"]"},
        {"kept/1", false, "three", NULL},
    };
    struct client client;
    struct event_id cursor, lost;

    (void)state;
    cursor = publish(&fixture, "kept/1", "one");
    pass_ms(&fixture, 1000);
    lost = publish(&fixture, "a/b/c", "two");
    pass_ms(&fixture, 3600000 - 500);
    publish(&fixture, "kept/1", "three");
    pass_ms(&fixture, 1000);
    assert_null(channel_find(&fixture.replica, span_of("a/b/c")));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char data[300] = "", wanted[300] = "";

        client_init(&client);
        join(&fixture, &client, (struct wish){.channels = rows[i].channels, .cursor = CURSOR_ID, .id = rows[i].from_lost ? lost : cursor});
        assert_string_equal(told(&client), rows[i].told);
        last_event(&client, "sidecast.gap", data, sizeof data);
        if (rows[i].gap)
            snprintf(wanted, sizeof wanted, ",\"channels\":%s}", rows[i].gap);
        assert_true(rows[i].gap ? strstr(data, wanted) != NULL : data[0] == '\0');
        done(&client);
    }
}

static void a_loss_is_told_once_to_who_resumes(void **state)
{
    struct client client;
    struct event_id cursor;

    (void)state;
    cursor = publish(&fixture, "b", "one");
    publish(&fixture, "a/1", "two");
    pass_ms(&fixture, 3700000);
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a/*", .cursor = CURSOR_ID, .id = cursor});
    publish(&fixture, "a/1", "three");
    turn(&fixture);
    assert_string_equal(told(&client), "gap three");
    assert_int_equal(fixture.metrics.gaps, 1);
    done(&client);
}

static void loss_in_a_channel_that_is_there_is_told_at_resume(void **state)
{
    struct client client;
    struct event_id cursor;
    char data[300];

    (void)state;
    fixture.settings.history_messages = 1;
    fixture.settings.history_keep = 0;
    cursor = publish(&fixture, "a/1", "one");
    publish(&fixture, "a/1", "two");
    publish(&fixture, "a/1", "three");
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a/*", .cursor = CURSOR_ID, .id = cursor});
    assert_string_equal(told(&client), "gap three");
    last_event(&client, "sidecast.gap", data, sizeof data);
    assert_non_null(strstr(data, "\"channels\":[\"a/*\"]"));
    done(&client);
}

/* Whatever the mark stands for was there before, and would have been linked. */
static void a_new_channel_tells_no_gap_for_the_mark_that_it_takes(void **state)
{
    struct client idle, blocked;

    (void)state;
    watch(&idle, "a/*");
    watch(&blocked, "a/*");
    blocked.budget = 0;
    publish(&fixture, "a/1", "one");
    turn(&fixture);
    for (int i = 0; i < REPLICA_MARKS; i++)
        fixture.replica.marks[i] = publish(&fixture, "b", "elsewhere");
    publish(&fixture, "a/2", "two");
    turn(&fixture);
    client_takes(&fixture, &blocked, SIZE_MAX);
    turn(&fixture);
    assert_string_equal(told(&idle), "open one two");
    assert_string_equal(told(&blocked), "open one two");
    assert_int_equal(fixture.metrics.gaps, 0);
    done(&idle);
    done(&blocked);
}

static void loss_of_a_channel_that_has_gone_is_told_to_who_was_blocked(void **state)
{
    struct client blocked, idle;
    char data[300];

    (void)state;
    fixture.settings.history_age = 1000;
    fixture.settings.history_keep = 0;
    watch(&blocked, "a/*,kept");
    watch(&idle, "a/*");
    blocked.budget = 3;
    publish(&fixture, "a/1", "half");
    turn(&fixture);
    publish(&fixture, "a/2", "lost");
    pass_ms(&fixture, 3000);
    assert_null(channel_find(&fixture.replica, span_of("a/2")));
    publish(&fixture, "kept", "after");
    turn(&fixture);
    client_takes(&fixture, &blocked, SIZE_MAX);
    turn(&fixture);
    assert_string_equal(told(&blocked), "open half gap after");
    last_event(&blocked, "sidecast.gap", data, sizeof data);
    assert_non_null(strstr(data, "\"channels\":[\"a/*\"]"));
    assert_string_equal(told(&idle), "open half lost");
    /* The same channel again: nothing more is told. */
    publish(&fixture, "a/2", "again");
    turn(&fixture);
    assert_string_equal(told(&blocked), "open half gap after again");
    done(&blocked);
    done(&idle);
}

/* The first has it gathered; the second may not have it as it is. It is made idle by hand, as if it lacked nothing: the flush then comes to it. */
static void a_shared_write_does_not_hide_a_loss_without_a_link(void **state)
{
    struct client idle, slow;

    (void)state;
    fixture.settings.history_age = 1000;
    fixture.settings.history_keep = 0;
    watch(&idle, "a/*");
    watch(&slow, "a/*");
    publish(&fixture, "a/1", "one");
    turn(&fixture);
    slow.budget = 0;
    publish(&fixture, "a/2", "two");
    turn(&fixture);
    pass_ms(&fixture, 3000);
    publish(&fixture, "a/3", "three");
    slow.budget = SIZE_MAX;
    subscriber_set_state(&fixture.replica, &slow.subscriber, SUBSCRIBER_IDLE);
    turn(&fixture);
    assert_string_equal(told(&idle), "open one two three");
    assert_string_equal(told(&slow), "open one gap three");
    done(&idle);
    done(&slow);
}

/* --- what links by patterns keep --- */

static void links_by_patterns_keep_no_channel(void **state)
{
    struct client client, named;
    char channel[32];

    (void)state;
    watch(&client, "**");
    watch(&named, "a/7,**");
    for (int i = 0; i < 1000; i++) {
        snprintf(channel, sizeof channel, "a/%d", i);
        publish(&fixture, channel, "x");
    }
    turn(&fixture);
    assert_int_equal(fixture.metrics.channels, 1000);
    assert_int_equal(fixture.metrics.pattern_links, 1999);
    pass_ms(&fixture, 3700000);
    assert_int_equal(fixture.metrics.channels, 1);
    assert_int_equal(fixture.metrics.pattern_links, 1); /* the first one's to the channel that the second one named */
    assert_int_equal(client.subscriber.link_count, 1);
    assert_true(client.subscriber.watcher->capacity < 100);
    publish(&fixture, "a/8", "last");
    publish(&fixture, "a/7", "of all");
    turn(&fixture);
    assert_non_null(strstr(told(&client), "x last of"));
    assert_int_equal(fixture.metrics.gaps, 0);
    done(&named);
    done(&client);
}

/* --- too many --- */

static void idlest_channel_is_left_and_its_next_message_is_got_all_the_same(void **state)
{
    struct client client, other;

    (void)state;
    fixture.settings.subscribe_max_matched = 2;
    watch(&client, "a/*");
    watch(&other, "a/1"); /* keeps its channel */
    for (int round = 0; round < 3; round++) {
        publish(&fixture, "a/1", "one");
        turn(&fixture);
        publish(&fixture, "a/2", "two");
        turn(&fixture);
        publish(&fixture, "a/3", "three");
        turn(&fixture);
        assert_int_equal(client.subscriber.link_count, 2);
        assert_true(LIST_EMPTY(matched_of("a/1")));
        assert_false(LIST_EMPTY(matched_of("a/2")) || LIST_EMPTY(matched_of("a/3")));
    }
    assert_string_equal(told(&client), "open one two three one two three one two three");
    assert_int_equal(fixture.metrics.pattern_links_left, 7);
    assert_int_equal(fixture.metrics.gaps, 0);
    done(&client);
    done(&other);
}

static void what_pacing_holds_back_is_written_before_a_channel_is_left(void **state)
{
    struct client client;

    (void)state;
    fixture.settings.hub_pace = 10000;
    fixture.settings.subscribe_max_matched = 1;
    watch(&client, "a/*");
    publish(&fixture, "a/1", "one");
    turn(&fixture);
    publish(&fixture, "a/2", "two");
    turn(&fixture);
    assert_true(LIST_EMPTY(matched_of("a/1")));
    publish(&fixture, "a/1", "three");
    publish(&fixture, "a/2", "four");
    turn(&fixture);
    assert_string_equal(told(&client), "open one two three four");
    assert_int_equal(client.subscriber.link_count, 1);
    assert_false(LIST_EMPTY(matched_of("a/2")));
    assert_int_equal(fixture.metrics.gaps, 0);
    done(&client);
}

static void blocked_client_with_too_many_channels_is_told_of_a_gap(void **state)
{
    struct client client;

    (void)state;
    fixture.settings.subscribe_max_matched = 2;
    watch(&client, "a/*");
    client.budget = 5;
    publish(&fixture, "a/1", "half");
    turn(&fixture);
    publish(&fixture, "a/3", "early"); /* below what is left: told once all the same, however often it is written to */
    publish(&fixture, "a/2", "left");
    publish(&fixture, "a/3", "three");
    publish(&fixture, "a/4", "four");
    turn(&fixture);
    assert_int_equal(client.subscriber.link_count, 2);
    client.per_call = 40;
    for (int i = 0; i < 40; i++)
        client_takes(&fixture, &client, 40);
    client.per_call = SIZE_MAX;
    client_takes(&fixture, &client, SIZE_MAX);
    turn(&fixture);
    assert_string_equal(told(&client), "open half gap early three four");
    publish(&fixture, "a/2", "again"); /* `left` is before the cursor */
    turn(&fixture);
    assert_string_equal(told(&client), "open half gap early three four again");
    assert_int_equal(fixture.metrics.gaps, 1);
    done(&client);
}

static void who_joins_more_than_it_may_have_gets_those_with_the_newest_messages(void **state)
{
    static const struct {
        enum request_cursor cursor;
        int after; /* the message that the cursor is */
        const char *told;
    } rows[] = {
        {CURSOR_NONE, 0, "open next"},
        {CURSOR_ZERO, 0, "gap zero three four next"},     /* all that history has, and more than it may have */
        {CURSOR_LAST, 0, "open zero three four next"},    /* of the channels that it has */
        {CURSOR_ID, 0, "gap three four next"},
        {CURSOR_ID, 1, "three four next"},           /* it lacks nothing of those that are left */
        {CURSOR_ID, 2, "four next"},
    };
    enum { ROWS = sizeof rows / sizeof *rows };
    struct client clients[ROWS], poll;
    char data[300];
    struct event_id ids[4];

    (void)state;
    fixture.settings.subscribe_max_matched = 2;
    publish(&fixture, "a/3", "zero");
    ids[0] = publish(&fixture, "a/1", "one");
    ids[1] = publish(&fixture, "a/2", "two");
    ids[2] = publish(&fixture, "a/3", "three");
    ids[3] = publish(&fixture, "a/4", "four");
    for (int i = 0; i < ROWS; i++) {
        client_init(&clients[i]);
        join(&fixture, &clients[i], (struct wish){.channels = "a/*", .cursor = rows[i].cursor, .id = ids[rows[i].after], .last = 3});
        assert_int_equal(clients[i].subscriber.link_count, 2);
    }
    client_init(&poll);
    join(&fixture, &poll, (struct wish){.channels = "a/*", .cursor = CURSOR_ZERO, .poll = true});
    assert_non_null(strstr(body_of(&poll), "\"gap\":true"));
    done(&poll);
    publish(&fixture, "a/1", "next");
    turn(&fixture);
    last_event(&clients[1], "sidecast.gap", data, sizeof data);
    assert_memory_equal(data, "{\"after\":\"0-0\",", 15);
    for (int i = 0; i < ROWS; i++) {
        assert_string_equal(told(&clients[i]), rows[i].told);
        done(&clients[i]);
    }
}

/* Its next message brings the channel back to a client that has more to come than one write takes, and lets go of what is not for it. */
static void who_has_more_to_come_is_not_told_again_of_a_channel_that_was_left(void **state)
{
    struct client client, live;
    struct event_id cursor = fixture.last;
    char pattern[] = "a/2", *patterns[] = {pattern};
    struct channel_rule rule = {.match = {patterns, 1}, .policy = {.messages = 10, .age_ms = 1000}};

    (void)state;
    fixture.settings.rules = &rule;
    fixture.settings.rule_count = 1;
    fixture.settings.history_messages = 1000;
    fixture.settings.subscribe_max_matched = 1;
    watch(&live, "a/2");
    publish_many(&fixture, "a/1", 0, 300, 1);
    publish_many(&fixture, "a/2", 300, 10, 1);
    publish_many(&fixture, "a/1", 310, 300, 1);
    turn(&fixture);
    client_init(&client);
    join(&fixture, &client, (struct wish){.channels = "a/*", .cursor = CURSOR_ID, .id = cursor});
    assert_int_equal(client.subscriber.state, SUBSCRIBER_READY);
    publish(&fixture, "a/2", "last"); /* evicts one */
    turn(&fixture);
    assert_int_equal(fixture.metrics.gaps, 1);
    assert_string_equal(strrchr(told(&client), ' '), " last");
    done(&client);
    done(&live);
}

static void leaving_goes_by_eighths_so_that_it_is_seldom(void **state)
{
    struct client client;
    char channel[32];

    (void)state;
    fixture.settings.subscribe_max_matched = 80;
    watch(&client, "a/*");
    for (int i = 0; i < 81; i++) {
        snprintf(channel, sizeof channel, "a/%d", i);
        publish(&fixture, channel, "x");
        turn(&fixture);
    }
    assert_int_equal(client.subscriber.link_count, 70);
    assert_int_equal(fixture.metrics.pattern_links_left, 11);
    assert_true(LIST_EMPTY(matched_of("a/10")));
    assert_false(LIST_EMPTY(matched_of("a/11")));
    done(&client);
}

/* --- lack of memory --- */

static void joining_without_memory_is_clean_whichever_allocation_fails(void **state)
{
    (void)state;
    for (int form = 0; form < 4; form++) {
        bool failed = true;
        long n = 0;

        for (; failed; n++) {
            struct client client;
            bool joined;

            for (int i = 0; i < 6; i++)
                publish(&fixture, (const char *[]){"a/1", "a/2", "a/3", "a/4", "a/5", "b"}[i], "x");
            client_with_room(&client);
            allocations_left = n + 1; /* the first is the fixture's own */
            joined = try_join(&fixture, &client,
                              (struct wish){
                                  .channels = form & 1 ? "a/*,b*,**,none/*" : "b,new,a/*",
                                  .client = "me",
                                  .poll = form & 2,
                                  .cursor = CURSOR_ID,
                                  .id = EVENT_ID_ZERO,
                              });
            failed = allocations_left < 0;
            allocations_left = -1;
            turn(&fixture);
            assert_true(joined || client.received.size == 0);
            assert_true(failed || joined);
            if (joined && !client.has_left)
                assert_string_equal(told(&client), "gap x x x x x x");
            done(&client);
            assert_int_equal(fixture.metrics.patterns, 0);
            assert_int_equal(fixture.metrics.pattern_links, 0);
            pass_ms(&fixture, 4000000);
            assert_int_equal(fixture.metrics.channels, 0);
            assert_int_equal(fixture.replica.timeouts.reserved, 0);
        }
        assert_true(n > 8);
    }
}

/* The first message of a channel, and what becomes of it. */
static bool create_with_failure(long n, bool transient)
{
    static const char *const wanted[4] = {"a/*", "a/*,**", "none/1,none/2,none/3,none/4,a/*", "a/*"};
    struct client clients[5];
    struct message *message;
    bool failed;

    for (int i = 0; i < 5; i++) {
        client_with_room(&clients[i]);
        join(&fixture, &clients[i], (struct wish){.channels = wanted[i % 4], .cursor = CURSOR_ID, .id = fixture.last, .poll = i == 4});
        if (i == 3)
            clients[i].budget = 10;
    }
    fixture.last = event_id_next(fixture.last, 0);
    message = sse_encode_message(fixture.last, &(struct message_names){.channel = span_of("a/1")}, span_of("one"));
    message->ingest_ms = fixture.replica.now_ms;
    message->store = !transient;
    allocations_left = n;
    replica_apply_take(&fixture.replica, message);
    turn(&fixture);
    failed = allocations_left < 0;
    allocations_left = -1;
    publish(&fixture, "a/1", "two"); /* whoever lacked memory for the link gets it now */
    turn(&fixture);
    client_takes(&fixture, &clients[3], SIZE_MAX);
    turn(&fixture);
    for (int i = 0; i < 5; i++) {
        const char *text = i == 4 || clients[i].has_left ? NULL : told(&clients[i]);

        if (clients[i].has_left && clients[i].reason == LEAVE_NO_MEMORY)
            assert_true(failed);
        else if (text)
            assert_true(strcmp(text, "one two") == 0 || (failed && (strcmp(text, "gap two") == 0 || strcmp(text, "gap one two") == 0)) ||
                        (failed && transient && strcmp(text, "two") == 0));
        else
            assert_true(strstr(body_of(&clients[i]), "\"one\"") || (failed && strstr(body_of(&clients[i]), "\"gap\":true")) ||
                        (failed && transient));
        done(&clients[i]);
    }
    return failed;
}

static void new_channel_without_memory_is_told_or_ends_the_client_whichever_allocation_fails(void **state)
{
    (void)state;
    for (int transient = 0; transient < 2; transient++) {
        long n = 0;

        while (create_with_failure(n, transient)) {
            n++;
            pass_ms(&fixture, 4000000);
            assert_int_equal(fixture.metrics.channels, 0);
        }
        assert_true(n > 8);
        pass_ms(&fixture, 4000000);
    }
    assert_true(fixture.metrics.dropped_no_memory > 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup_with_memory, teardown_with_memory)
    const struct CMUnitTest tests[] = {
        T(messages_of_channels_that_come_to_be_are_got_in_order),
        T(channels_that_are_there_are_found_by_every_kind_of_cursor),
        T(one_link_serves_a_channel_that_is_named_and_matched_twice),
        T(names_and_patterns_go_together_and_the_envelope_tells_them_apart),
        T(except_ttl_and_store_false_hold_in_a_channel_that_comes_to_be),
        T(links_come_and_go_by_the_hundred),
        T(long_poll_of_a_pattern_that_matches_nothing_waits_for_the_first_message),
        T(answers_are_shared_by_those_of_the_same_patterns_and_no_others),
        T(resuming_takes_the_marks_of_channels_that_have_gone),
        T(a_loss_is_told_once_to_who_resumes),
        T(loss_in_a_channel_that_is_there_is_told_at_resume),
        T(a_new_channel_tells_no_gap_for_the_mark_that_it_takes),
        T(loss_of_a_channel_that_has_gone_is_told_to_who_was_blocked),
        T(a_shared_write_does_not_hide_a_loss_without_a_link),
        T(links_by_patterns_keep_no_channel),
        T(idlest_channel_is_left_and_its_next_message_is_got_all_the_same),
        T(what_pacing_holds_back_is_written_before_a_channel_is_left),
        T(blocked_client_with_too_many_channels_is_told_of_a_gap),
        T(who_joins_more_than_it_may_have_gets_those_with_the_newest_messages),
        T(who_has_more_to_come_is_not_told_again_of_a_channel_that_was_left),
        T(leaving_goes_by_eighths_so_that_it_is_seldom),
        T(joining_without_memory_is_clean_whichever_allocation_fails),
        T(new_channel_without_memory_is_told_or_ends_the_client_whichever_allocation_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
