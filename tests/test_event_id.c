#include "event_id.h"
#include "guard.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define MAX UINT64_MAX

static void assert_id(struct event_id id, uint64_t ms, uint64_t seq)
{
    if (id.ms != ms || id.seq != seq)
        fail_msg("got %ju-%ju, expected %ju-%ju", (uintmax_t)id.ms, (uintmax_t)id.seq, (uintmax_t)ms, (uintmax_t)seq);
}

static void ids_are_compared_as_two_numbers(void **state)
{
    static const struct event_id rising[] = {
        {0, 0}, {0, 1}, {0, MAX}, {9, 10}, {10, 9}, {10, 10}, {10, 100}, {MAX, 0}, {MAX, MAX},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rising); i++)
        for (size_t j = 0; j < COUNT(rising); j++) {
            struct event_id larger = event_id_max(rising[i], rising[j]);

            assert_int_equal(event_id_compare(rising[i], rising[j]), i < j ? -1 : i > j);
            assert_int_equal(event_id_less(rising[i], rising[j]), i < j);
            assert_id(larger, rising[i > j ? i : j].ms, rising[i > j ? i : j].seq);
        }
}

static void the_next_id_rises_whatever_the_clock_does(void **state)
{
    static const struct {
        struct event_id last;
        uint64_t now_ms;
        struct event_id next;
    } rows[] = {
        {{0, 0}, 0, {0, 1}},
        {{0, 0}, 1763899200123, {1763899200123, 0}},
        {{1000, 0}, 1000, {1000, 1}},
        {{1000, 7}, 1001, {1001, 0}},
        {{1000, 7}, 3, {1000, 8}},
        {{1000, MAX}, 1000, {1001, 0}},
        {{1000, MAX}, 3, {1001, 0}},
        {{MAX, MAX - 1}, 3, {MAX, MAX}},
        {{MAX, MAX}, 3, {MAX, MAX}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_id(event_id_next(rows[i].last, rows[i].now_ms), rows[i].next.ms, rows[i].next.seq);
}

static void the_id_before_is_the_largest_one_below(void **state)
{
    (void)state;
    assert_id(event_id_before((struct event_id){5, 3}), 5, 2);
    assert_id(event_id_before((struct event_id){5, 0}), 4, MAX);
    assert_id(event_id_before((struct event_id){0, 1}), 0, 0);
    assert_id(event_id_before(EVENT_ID_ZERO), 0, 0);
}

static void the_text_form_is_two_decimal_numbers(void **state)
{
    static const struct {
        struct event_id id;
        const char *text;
    } rows[] = {
        {{0, 0}, "0-0"},
        {{1763899200123, 0}, "1763899200123-0"},
        {{MAX, MAX}, "18446744073709551615-18446744073709551615"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *text = guard_alloc(EVENT_ID_TEXT);

        assert_int_equal(event_id_format(rows[i].id, text), strlen(rows[i].text));
        assert_string_equal(text, rows[i].text);
        guard_free(text, EVENT_ID_TEXT);
    }
}

static void numbers_of_every_length_are_written_whole(void **state)
{
    char text[EVENT_ID_TEXT], wanted[EVENT_ID_TEXT];

    (void)state;
    for (uint64_t power = 1; power <= MAX / 10; power *= 10)
        for (uint64_t number = power - 1; number <= power + 1; number++) {
            snprintf(wanted, sizeof wanted, "%" PRIu64 "-%" PRIu64, number, 11 * number);
            assert_int_equal(event_id_format((struct event_id){number, 11 * number}, text), strlen(wanted));
            assert_string_equal(text, wanted);
        }
}

/* Parses a copy that ends at a page without access. */
static enum event_id_form parse(const char *text, size_t size, struct event_id *id)
{
    char *copy = guard_copy(text, size);
    enum event_id_form form = event_id_parse((struct span){copy, size}, id);

    guard_free(copy, size);
    return form;
}

static void full_ids_and_times_are_read(void **state)
{
    static const struct {
        const char *text;
        enum event_id_form form;
        struct event_id id;
    } rows[] = {
        {"1763899200123-0", EVENT_ID_FULL, {1763899200123, 0}},
        {"0-0", EVENT_ID_FULL, {0, 0}},
        {"5-17", EVENT_ID_FULL, {5, 17}},
        {"007-08", EVENT_ID_FULL, {7, 8}},
        {"18446744073709551615-18446744073709551615", EVENT_ID_FULL, {MAX, MAX}},
        {"1763899200123", EVENT_ID_TIME, {1763899200122, MAX}},
        {"1", EVENT_ID_TIME, {0, MAX}},
        {"0", EVENT_ID_TIME, {0, 0}},
        {"18446744073709551615", EVENT_ID_TIME, {MAX - 1, MAX}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct event_id id = {42, 42};

        assert_int_equal(parse(rows[i].text, strlen(rows[i].text), &id), rows[i].form);
        assert_id(id, rows[i].id.ms, rows[i].id.seq);
    }
}

static void anything_else_is_bad_and_leaves_the_id_alone(void **state)
{
    static const char *const texts[] = {
        "", "-", "5-", "-5", "--", "5--6", "5-6-7", "5-6-", "+5", "+5-6", "5-+6", " 5", "5 ", "5- 6", "5.0", "0x5", "abc", "5-b",
        "1e3", "18446744073709551616", "18446744073709551616-0", "0-18446744073709551616", "99999999999999999999999", "5\n",
        "\xd9\xa5",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct event_id id = {42, 43};

        if (parse(texts[i], strlen(texts[i]), &id) != EVENT_ID_BAD)
            fail_msg("taken for an id: \"%s\"", texts[i]);
        assert_id(id, 42, 43);
    }
    struct event_id id = {42, 43};
    assert_int_equal(parse("5\0", 2, &id), EVENT_ID_BAD);
    assert_int_equal(event_id_parse((struct span){NULL, 0}, &id), EVENT_ID_BAD);
    assert_id(id, 42, 43);
}

static void every_formatted_id_reads_back(void **state)
{
    uint64_t random = UINT64_C(0x9e3779b97f4a7c15);

    (void)state;
    for (int i = 0; i < 2000; i++) {
        char text[EVENT_ID_TEXT];
        struct event_id id, read;

        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        id.ms = random >> (random % 61);
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        id.seq = random >> (random % 61);
        assert_int_equal(parse(text, event_id_format(id, text), &read), EVENT_ID_FULL);
        assert_id(read, id.ms, id.seq);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_compared_as_two_numbers),
        cmocka_unit_test(the_next_id_rises_whatever_the_clock_does),
        cmocka_unit_test(the_id_before_is_the_largest_one_below),
        cmocka_unit_test(the_text_form_is_two_decimal_numbers),
        cmocka_unit_test(numbers_of_every_length_are_written_whole),
        cmocka_unit_test(full_ids_and_times_are_read),
        cmocka_unit_test(anything_else_is_bad_and_leaves_the_id_alone),
        cmocka_unit_test(every_formatted_id_reads_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
