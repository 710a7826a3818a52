/* The merge against sorting: channels with random ids, random cursors, and the naive answer. The seed is printed when it fails. */
#include "merge.h"

#include "channel.h"
#include "history.h"
#include "message.h"
#include "replica.h"
#include "subscriber.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CHANNELS_MAX = 20, ENTRIES_MAX = 64, ROUNDS = 2000 };

/* A channel with a history of `count` entries, made by hand. */
struct fake {
    struct channel channel;
    struct message messages[ENTRIES_MAX];
    struct entry entries[ENTRIES_MAX];
    struct entry *ring[ENTRIES_MAX];
};

static struct fake fakes[CHANNELS_MAX];
static struct link links[CHANNELS_MAX];
static struct subscriber subscriber;
static struct replica replica;
static struct merge *const merge = &replica.merge;
static uint64_t seed, failing_seed;

static unsigned random_below(unsigned limit)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(seed >> 33) % limit;
}

/* The ring begins anywhere, so that it wraps. */
static void empty(struct fake *fake)
{
    fake->channel.history = (struct history){.ring = fake->ring, .capacity = ENTRIES_MAX, .head = random_below(ENTRIES_MAX)};
}

static void add(struct fake *fake, uint64_t ms)
{
    struct history *history = &fake->channel.history;
    uint32_t at = history->count++;

    fake->messages[at].id = (struct event_id){ms, 0};
    fake->entries[at].message = &fake->messages[at];
    fake->ring[(history->head + at) & (ENTRIES_MAX - 1)] = &fake->entries[at];
}

/* A subscriber of the first `count` channels, all of them pending. */
static void subscribe(unsigned count)
{
    subscriber = (struct subscriber){.several = links, .link_count = count, .is_single = count == 1};
    for (unsigned i = 0; i < count; i++) {
        struct link *link = &subscriber_links(&subscriber)[i];

        *link = (struct link){.channel = &fakes[i].channel, .subscriber = &subscriber};
        if (count > 1)
            subscriber_mark_pending(link);
    }
    assert_true(merge_reserve(merge, count));
}

static void one_round(void)
{
    unsigned channel_count = 1 + random_below(CHANNELS_MAX), total = random_below(ENTRIES_MAX);
    uint64_t ids[ENTRIES_MAX], ms = 100, cursor = 90 + random_below(total * 2 + 20);
    unsigned owner[ENTRIES_MAX];

    for (unsigned i = 0; i < channel_count; i++)
        empty(&fakes[i]);
    for (unsigned i = 0; i < total; i++) {
        ids[i] = ms += 1 + random_below(3);
        owner[i] = random_below(channel_count);
        add(&fakes[owner[i]], ids[i]);
    }
    subscribe(channel_count);
    merge_start(&replica, &subscriber, (struct event_id){cursor, 0});
    for (unsigned i = 0; i < total; i++) {
        if (ids[i] <= cursor)
            continue;
        struct merge_head *head = merge_first(merge);

        assert_non_null(head);
        assert_int_equal(head->entry->message->id.ms, ids[i]);
        assert_ptr_equal(head->link, &subscriber_links(&subscriber)[owner[i]]);
        merge_pass(merge);
    }
    assert_null(merge_first(merge));
}

static void the_merged_order_is_that_of_the_ids(void **state)
{
    const uint64_t first_seed = 20251123;

    (void)state;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        failing_seed = seed = first_seed + round;
        one_round();
    }
    failing_seed = 0;
}

static int tell_seed(void **state)
{
    (void)state;
    if (failing_seed != 0)
        print_error("seed %llu\n", (unsigned long long)failing_seed);
    merge_finish(merge);
    return 0;
}

static void channels_that_are_not_pending_are_left_out(void **state)
{
    (void)state;
    empty(&fakes[0]);
    empty(&fakes[1]);
    add(&fakes[0], 1);
    add(&fakes[1], 2);
    subscribe(2);
    assert_int_equal(subscriber.first_pending, 2); /* marked last */
    links[1].next_pending = PENDING_END;
    links[0].next_pending = 0;
    merge_start(&replica, &subscriber, EVENT_ID_ZERO);
    assert_int_equal(merge_first(merge)->entry->message->id.ms, 2);
    merge_pass(merge);
    assert_null(merge_first(merge));
    merge_finish(merge);
}

static void channels_without_news_give_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < CHANNELS_MAX; i++) {
        empty(&fakes[i]);
        add(&fakes[i], 5);
    }
    subscribe(CHANNELS_MAX);
    merge_start(&replica, &subscriber, (struct event_id){5, 0});
    assert_null(merge_first(merge));
    merge_finish(merge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_merged_order_is_that_of_the_ids, tell_seed),
        cmocka_unit_test(channels_that_are_not_pending_are_left_out),
        cmocka_unit_test(channels_without_news_give_nothing),
    };

    return cmocka_run_group_tests_name("merge", tests, NULL, NULL);
}
