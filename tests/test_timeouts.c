#include "timeouts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { COUNT = 200, STEPS = 50000 };

static void none_is_never_due(void **state)
{
    struct timeouts timeouts = {0};

    (void)state;
    assert_true(timeouts_due_ms(&timeouts) == TIMEOUTS_NEVER);
    assert_null(timeouts_take_due(&timeouts, INT64_MAX));
    timeouts_finish(&timeouts);
}

static void one_that_is_never_due_is_not_taken_before_the_end_of_time(void **state)
{
    struct timeouts timeouts = {0};
    struct timeout timeout = {0};

    (void)state;
    assert_true(timeouts_reserve(&timeouts, 1));
    timeouts_set(&timeouts, &timeout, TIMEOUTS_NEVER);
    assert_null(timeouts_take_due(&timeouts, INT64_MAX - 1));
    timeouts_clear(&timeouts, &timeout);
    timeouts_clear(&timeouts, &timeout);
    timeouts_release(&timeouts, 1);
    timeouts_finish(&timeouts);
}

static void room_once_reserved_is_enough_however_often_it_is_used(void **state)
{
    struct timeouts timeouts = {0};
    static struct timeout many[1000];

    (void)state;
    for (int round = 0; round < 3; round++) {
        assert_true(timeouts_reserve(&timeouts, 1000));
        for (int i = 0; i < 1000; i++)
            timeouts_set(&timeouts, &many[i], 1000 - i);
        for (int i = 999; i >= 0; i--)
            assert_ptr_equal(timeouts_take_due(&timeouts, 1000), &many[i]);
        timeouts_release(&timeouts, 1000);
    }
    assert_int_equal(timeouts.reserved, 0);
    timeouts_finish(&timeouts);
}

static int64_t least_of(const struct timeout *all, const bool *is_set)
{
    int64_t least = TIMEOUTS_NEVER;

    for (int i = 0; i < COUNT; i++)
        if (is_set[i] && all[i].due_ms < least)
            least = all[i].due_ms;
    return least;
}

/* Against an array that is searched from end to end. */
static void heap_is_as_good_as_an_array(void **state)
{
    struct timeouts timeouts = {0};
    struct timeout all[COUNT] = {0};
    bool is_set[COUNT] = {false};
    uint32_t random = 1;
    size_t count = 0;

    (void)state;
    assert_true(timeouts_reserve(&timeouts, COUNT));
    for (int step = 0; step < STEPS; step++) {
        random = random * 1664525 + 1013904223;
        unsigned i = (random >> 8) % COUNT, choice = random >> 29;
        int64_t time_ms = random >> 12 & 511;

        if (choice < 5) {
            timeouts_set(&timeouts, &all[i], time_ms);
            count += !is_set[i];
            is_set[i] = true;
        } else if (choice == 5) {
            timeouts_clear(&timeouts, &all[i]);
            count -= is_set[i];
            is_set[i] = false;
            assert_int_equal(all[i].place, 0);
        } else {
            int64_t least = least_of(all, is_set);
            struct timeout *taken = timeouts_take_due(&timeouts, time_ms / 2);

            assert_true((taken != NULL) == (least <= time_ms / 2));
            if (taken) {
                assert_int_equal(taken->due_ms, least);
                assert_true(is_set[taken - all]);
                is_set[taken - all] = false;
                count--;
            }
        }
        assert_int_equal(timeouts.count, count);
        assert_int_equal(timeouts_due_ms(&timeouts), least_of(all, is_set));
    }
    timeouts_finish(&timeouts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_is_never_due),
        cmocka_unit_test(one_that_is_never_due_is_not_taken_before_the_end_of_time),
        cmocka_unit_test(room_once_reserved_is_enough_however_often_it_is_used),
        cmocka_unit_test(heap_is_as_good_as_an_array),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
