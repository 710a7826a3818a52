#include "keys.h"

#include "snapshot.h"
#include "table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu_time.h"

enum { MANY = 1000 };

static int make(void **state)
{
    static struct keys keys;

    keys_init(&keys);
    *state = &keys;
    return 0;
}

static int finish(void **state)
{
    keys_finish(*state);
    return 0;
}

static void add(struct keys *keys, const char *channel, const char *key, uint64_t ms, int64_t now_ms)
{
    assert_true(keys_add(keys, span_of(channel), span_of(key), (struct event_id){ms, 0}, now_ms));
}

/* The time in the id of the first message, 0 when the key is not known. */
static uint64_t find(const struct keys *keys, const char *channel, const char *key)
{
    struct event_id id = EVENT_ID_ZERO;

    return keys_find(keys, span_of(channel), span_of(key), &id) ? id.ms : 0;
}

static void a_key_is_known_on_its_own_channel_only(void **state)
{
    add(*state, "news", "k1", 11, 0);
    assert_int_equal(find(*state, "news", "k1"), 11);
    assert_int_equal(find(*state, "news", "k2"), 0);
    assert_int_equal(find(*state, "sport", "k1"), 0);
}

static void channel_and_key_are_not_run_together(void **state)
{
    add(*state, "ab", "c", 11, 0);
    assert_int_equal(find(*state, "a", "bc"), 0);
    assert_int_equal(find(*state, "abc", ""), 0);
}

static void names_of_255_bytes_are_told_apart_by_their_last(void **state)
{
    char a[256], b[256];

    memset(a, 'x', 255);
    a[255] = '\0';
    strcpy(b, a);
    b[254] = 'y';
    add(*state, a, a, 11, 0);
    assert_int_equal(find(*state, a, a), 11);
    assert_int_equal(find(*state, a, b), 0);
    assert_int_equal(find(*state, b, a), 0);
}

static void trimming_forgets_what_is_older_and_nothing_else(void **state)
{
    struct keys *keys = *state;

    add(keys, "c", "old", 1, 99);
    add(keys, "c", "edge", 2, 100);
    add(keys, "c", "new", 3, 101);
    keys_trim(keys, 100, MANY);
    assert_int_equal(find(keys, "c", "old"), 0);
    assert_int_equal(find(keys, "c", "edge"), 2);
    assert_int_equal(find(keys, "c", "new"), 3);
    assert_int_equal(keys->count, 2);
}

static void above_the_limit_the_oldest_go_first(void **state)
{
    struct keys *keys = *state;
    char key[16];

    for (int i = 1; i <= MANY; i++) {
        snprintf(key, sizeof key, "k%d", i);
        add(keys, "c", key, (uint64_t)i, i);
    }
    keys_trim(keys, 0, 10);
    assert_int_equal(keys->count, 10);
    assert_int_equal(find(keys, "c", "k990"), 0);
    assert_int_equal(find(keys, "c", "k991"), 991);
    assert_int_equal(find(keys, "c", "k1000"), 1000);
}

static void a_forgotten_key_can_come_again(void **state)
{
    add(*state, "c", "k", 1, 0);
    keys_trim(*state, 1, MANY);
    add(*state, "c", "k", 2, 5);
    assert_int_equal(find(*state, "c", "k"), 2);
}

/* --- over a restart --- */

static void collected_keys_are_known_after(void **state)
{
    struct keys *keys = *state, next;
    struct snapshot *snapshot = snapshot_create(0, 1000);
    char key[16];

    snapshot->newest.ms = 10;
    for (int i = 1; i <= 10; i++) {
        snprintf(key, sizeof key, "k%d", i);
        add(keys, i % 2 ? "odd" : "even", key, (uint64_t)i, 90 * i);
    }
    keys_collect_begin(keys, snapshot);
    assert_true(snapshot->keys.capacity >= snapshot_key_bytes(10, keys->name_bytes));
    assert_true(keys_collect(keys, snapshot, 4));
    assert_true(keys_collect(keys, snapshot, 4));
    add(keys, "odd", "later", 11, 901);
    assert_false(keys_collect(keys, snapshot, 4));
    assert_null(keys->bookmark);
    keys_init(&next);
    keys_restore(&next, snapshot);
    assert_int_equal(next.count, 10);
    assert_int_equal(find(&next, "odd", "k7"), 7);
    assert_int_equal(find(&next, "even", "k7"), 0);
    keys_trim(&next, 90 * 7, MANY);
    assert_int_equal(next.count, 4);
    keys_finish(&next);
    snapshot_destroy(snapshot);
}

static void keys_forgotten_meanwhile_are_passed_over(void **state)
{
    struct keys *keys = *state;
    struct snapshot *snapshot = snapshot_create(0, 1000);

    snapshot->newest.ms = 3;
    add(keys, "c", "one", 1, 1);
    add(keys, "c", "two", 2, 2);
    add(keys, "c", "three", 3, 3);
    keys_collect_begin(keys, snapshot);
    assert_true(keys_collect(keys, snapshot, 1));
    keys_trim(keys, 3, MANY);
    assert_false(keys_collect(keys, snapshot, 10));
    assert_int_equal(snapshot->key_count, 2);
    keys_collect_begin(keys, snapshot);
    keys_trim(keys, 10, MANY);
    assert_false(keys_collect(keys, snapshot, 10));
    assert_int_equal(snapshot->key_count, 2);
    snapshot_destroy(snapshot);
}

/* As many as publish.max_keys lets be by default, the room for them included. */
static void no_turn_is_longer_than_5_ms_because_of_them(void **state)
{
    struct keys *keys = *state;
    struct snapshot *snapshot = snapshot_create(0, 1000);
    int64_t longest_us = 0, start_us;
    bool more = true;
    char key[32];

    snapshot->newest.ms = UINT64_MAX;
    for (int i = 0; i < 100000; i++) {
        snprintf(key, sizeof key, "the key number %d", i);
        add(keys, "a channel", key, 1, 1);
    }
    start_us = cpu_us();
    keys_collect_begin(keys, snapshot);
    while (more) {
        more = keys_collect(keys, snapshot, KEYS_SLICE);
        longest_us = cpu_us() - start_us > longest_us ? cpu_us() - start_us : longest_us;
        start_us = cpu_us();
    }
    assert_int_equal(snapshot->key_count, 100000);
    snapshot_destroy(snapshot);
    if (longest_us > 5000)
        fail_msg("the longest turn: %.1f ms", (double)longest_us / 1000);
}

/* What a file says twice, as no life of ours writes it. */
static void a_key_is_restored_once(void **state)
{
    struct snapshot *snapshot = snapshot_create(0, 1000);
    struct snapshot_key key = {{1, 0}, 10, span_of("c"), span_of("k")};

    snapshot_add_key(snapshot, &key);
    key.id.ms = 2;
    snapshot_add_key(snapshot, &key);
    keys_restore(*state, snapshot);
    assert_int_equal(find(*state, "c", "k"), 1);
    assert_int_equal(((struct keys *)*state)->count, 1);
    snapshot_destroy(snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_key_is_known_on_its_own_channel_only, make, finish),
        cmocka_unit_test_setup_teardown(channel_and_key_are_not_run_together, make, finish),
        cmocka_unit_test_setup_teardown(names_of_255_bytes_are_told_apart_by_their_last, make, finish),
        cmocka_unit_test_setup_teardown(trimming_forgets_what_is_older_and_nothing_else, make, finish),
        cmocka_unit_test_setup_teardown(above_the_limit_the_oldest_go_first, make, finish),
        cmocka_unit_test_setup_teardown(a_forgotten_key_can_come_again, make, finish),
        cmocka_unit_test_setup_teardown(collected_keys_are_known_after, make, finish),
        cmocka_unit_test_setup_teardown(keys_forgotten_meanwhile_are_passed_over, make, finish),
        cmocka_unit_test_setup_teardown(no_turn_is_longer_than_5_ms_because_of_them, make, finish),
        cmocka_unit_test_setup_teardown(a_key_is_restored_once, make, finish),
    };

    if (!table_init())
        return 1;
    return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
