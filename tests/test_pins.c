#include "pins.h"

#include "buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct pins pins;
static struct buffer *first, *second;

static int setup(void **state)
{
    (void)state;
    pins_init(&pins);
    first = buffer_create(100);
    second = buffer_create(1000);
    return !first || !second;
}

static int teardown(void **state)
{
    (void)state;
    pins_finish(&pins);
    buffer_unref(first);
    buffer_unref(second);
    return 0;
}

static void what_is_in_history_costs_nothing_until_it_is_evicted(void **state)
{
    (void)state;
    assert_true(pins_hold(&pins, first, true));
    assert_int_equal(pins.bytes, 0);
    assert_null(pins_oldest(&pins));
    pins_evicted(&pins, first);
    assert_int_equal(pins.bytes, 100);
    assert_ptr_equal(pins_oldest(&pins), first);
    pins_let_go(&pins, first);
    assert_int_equal(pins.bytes, 0);
}

static void a_buffer_counts_once_until_its_last_holder_lets_go(void **state)
{
    (void)state;
    assert_true(pins_hold(&pins, first, true) && pins_hold(&pins, first, true));
    pins_evicted(&pins, first);
    assert_true(pins_hold(&pins, first, false));
    pins_evicted(&pins, first);
    assert_int_equal(pins.bytes, 100);
    pins_let_go(&pins, first);
    pins_let_go(&pins, first);
    assert_int_equal(pins.bytes, 100);
    pins_let_go(&pins, first);
    assert_int_equal(pins.bytes, 0);
    assert_null(pins_oldest(&pins));
}

static void the_oldest_is_the_one_counted_for_the_longest_time_not_held(void **state)
{
    (void)state;
    assert_true(pins_hold(&pins, first, true) && pins_hold(&pins, second, false));
    pins_evicted(&pins, first);
    assert_ptr_equal(pins_oldest(&pins), second);
    assert_int_equal(pins.bytes, 1100);
    pins_let_go(&pins, second);
    assert_ptr_equal(pins_oldest(&pins), first);
    pins_let_go(&pins, first);
}

static void what_nobody_holds_does_not_matter(void **state)
{
    (void)state;
    pins_evicted(&pins, NULL);
    pins_evicted(&pins, first);
    pins_let_go(&pins, first);
    assert_true(pins_hold(&pins, second, true));
    pins_evicted(&pins, first);
    pins_let_go(&pins, first);
    assert_int_equal(pins.bytes, 0);
    pins_let_go(&pins, second);
}

static void a_message_in_front_of_its_bytes_is_counted_with_them(void **state)
{
    struct buffer *buffer = buffer_create_behind(64, 100);

    (void)state;
    assert_true(pins_hold(&pins, buffer, false));
    assert_int_equal(pins.bytes, 164);
    pins_let_go(&pins, buffer);
    assert_int_equal(pins.bytes, 0);
    buffer_unref(buffer);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(what_is_in_history_costs_nothing_until_it_is_evicted),
        T(a_buffer_counts_once_until_its_last_holder_lets_go),
        T(the_oldest_is_the_one_counted_for_the_longest_time_not_held),
        T(what_nobody_holds_does_not_matter),
        T(a_message_in_front_of_its_bytes_is_counted_with_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
