#include "keys.h"

#include "table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_key_is_known_on_its_own_channel_only, make, finish),
        cmocka_unit_test_setup_teardown(channel_and_key_are_not_run_together, make, finish),
        cmocka_unit_test_setup_teardown(names_of_255_bytes_are_told_apart_by_their_last, make, finish),
        cmocka_unit_test_setup_teardown(trimming_forgets_what_is_older_and_nothing_else, make, finish),
        cmocka_unit_test_setup_teardown(above_the_limit_the_oldest_go_first, make, finish),
        cmocka_unit_test_setup_teardown(a_forgotten_key_can_come_again, make, finish),
    };

    if (!table_init())
        return 1;
    return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
