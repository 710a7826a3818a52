#include "guard.h"
#include "text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define BYTES(literal) ((struct span){literal, sizeof(literal) - 1})

static int set_up(void **state)
{
    static struct text text;

    text = TEXT_EMPTY;
    *state = &text;
    return 0;
}

static int tear_down(void **state)
{
    text_finish(*state);
    return 0;
}

static void assert_text(const struct text *text, struct span expected)
{
    assert_false(text->failed);
    if (!span_equal(text_span(text), expected))
        fail_msg("got \"%.*s\", expected \"%.*s\"", (int)text->size, text->bytes, (int)expected.size, expected.bytes);
}

static void what_is_appended_stands_one_after_the_other(void **state)
{
    struct text *text = *state;

    text_append_string(text, "one ");
    text_append(text, BYTES("t\0o"));
    text_append(text, (struct span){NULL, 0});
    text_append_string(text, "");
    text_append_format(text, " %d%s", 3, "!");
    assert_text(text, BYTES("one t\0o 3!"));
}

static void a_text_grows_over_every_size(void **state)
{
    struct text *text = *state;

    for (size_t i = 0; i < 5000; i++)
        text_append(text, (struct span){&"0123456789"[i % 10], 1});
    assert_int_equal(text->size, 5000);
    for (size_t i = 0; i < 5000; i++)
        assert_int_equal(text->bytes[i], '0' + (int)(i % 10));
}

static void formatting_grows_the_text_at_every_fill(void **state)
{
    struct text *text = *state;

    for (size_t fill = 0; fill < 600; fill++) {
        text_finish(text);
        for (size_t i = 0; i < fill; i++)
            text_append_string(text, "x");
        text_append_format(text, "%0300d", 7);
        assert_int_equal(text->size, fill + 300);
        assert_int_equal(text->bytes[fill + 299], '7');
    }
}

static void clearing_keeps_the_memory_and_finishing_does_not(void **state)
{
    struct text *text = *state;

    text_append_string(text, "before");
    const char *bytes = text->bytes;
    text->failed = true;
    text_clear(text);
    text_append_string(text, "after");
    assert_ptr_equal(text->bytes, bytes);
    assert_text(text, BYTES("after"));
    text_finish(text);
    assert_null(text->bytes);
    assert_int_equal(text->size, 0);
    assert_int_equal(text->capacity, 0);
}

static void a_reservation_is_room_that_is_not_counted(void **state)
{
    struct text *text = *state;

    text_append_string(text, "ab");
    char *end = text_reserve(text, 1000);
    assert_non_null(end);
    assert_int_equal(text->size, 2);
    memset(end, 'c', 1000);
    text->size += 1000;
    assert_int_equal(text->bytes[0], 'a');
    assert_int_equal(text->bytes[1001], 'c');
}

static void a_failed_text_stays_failed_and_takes_nothing(void **state)
{
    struct text *text = *state;

    text_append_string(text, "ab");
    text->failed = true;
    assert_null(text_reserve(text, 1));
    text_append_string(text, "cd");
    text_append_format(text, "%d", 1);
    text_append_json(text, BYTES("\n"));
    assert_true(text->failed);
    assert_int_equal(text->size, 2);
}

static void json_strings_are_escaped_as_little_as_possible(void **state)
{
    static const struct {
        struct span text, json;
    } rows[] = {
        {{"", 0}, {"\"\"", 2}},
        {{"plain / 'x'", 11}, {"\"plain / 'x'\"", 13}},
        {{"\"\\", 2}, {"\"\\\"\\\\\"", 6}},
        {{"\b\f\n\r\t", 5}, {"\"\\b\\f\\n\\r\\t\"", 12}},
        {{"\0", 1}, {"\"\\u0000\"", 8}},
        {{"a\x01\x1f\x7f" "b", 5}, {"\"a\\u0001\\u001f\x7f" "b\"", 17}},
        {{"caf\xc3\xa9 \xf0\x9f\x98\x80", 10}, {"\"caf\xc3\xa9 \xf0\x9f\x98\x80\"", 12}},
    };
    struct text *text = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        char *copy = guard_copy(rows[i].text.bytes, rows[i].text.size);

        text_clear(text);
        text_append_json(text, (struct span){copy, rows[i].text.size});
        assert_text(text, rows[i].json);
        guard_free(copy, rows[i].text.size);
    }
}

/* Well-formed by its definition: a number, the shortest form of it, no surrogate. Returns the bytes it takes. */
static size_t naive_sequence(const unsigned char *p, size_t left)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t size = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
    uint32_t point = size == 1 ? p[0] : p[0] & (0x7fu >> size);

    if (size == 0 || size > left)
        return 0;
    for (size_t i = 1; i < size; i++) {
        if (p[i] >> 6 != 2)
            return 0;
        point = point << 6 | (p[i] & 0x3f);
    }
    return point < least[size] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff) ? 0 : size;
}

static bool naive_utf8(const unsigned char *p, size_t left)
{
    while (left > 0) {
        size_t size = naive_sequence(p, left);

        if (size == 0)
            return false;
        p += size;
        left -= size;
    }
    return true;
}

/* Checks at every distance from the end of the buffer within two words, because whole words of ASCII are skipped. */
static void utf8_is_checked_as_a_naive_reader_does(void **state)
{
    static const unsigned char edges[] = {
        0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0,
        0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf7, 0xf8, 0xfe, 0xff,
    };
    enum { EDGES = COUNT(edges) };
    unsigned char *end = (unsigned char *)guard_alloc(64) + 64;
    size_t good = 0;

    (void)state;
    for (unsigned n = 0; n < EDGES * EDGES * EDGES * EDGES; n++) {
        unsigned char *p = end - 4;

        p[0] = edges[n % EDGES];
        p[1] = edges[n / EDGES % EDGES];
        p[2] = edges[n / EDGES / EDGES % EDGES];
        p[3] = edges[n / EDGES / EDGES / EDGES];
        for (size_t size = 1; size <= 4; size++) {
            unsigned char *start = end - size;
            bool expected = naive_utf8(start, size);

            good += expected;
            if (text_is_utf8((struct span){(char *)start, size}) != expected)
                fail_msg("%02x %02x %02x %02x, the last %zu bytes", p[0], p[1], p[2], p[3], size);
        }
    }
    assert_true(good > 1000);
    guard_free((char *)end - 64, 64);
}

static void a_bad_byte_is_found_at_any_place(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 80; size++)
        for (size_t at = 0; at < size; at++) {
            char *bytes = guard_alloc(size);

            memset(bytes, 'a', size);
            assert_true(text_is_utf8((struct span){bytes, size}));
            bytes[at] = '\xff';
            assert_false(text_is_utf8((struct span){bytes, size}));
            bytes[at] = '\xc3';
            assert_false(text_is_utf8((struct span){bytes, size}));
            if (at + 1 < size) {
                bytes[at + 1] = '\xa9';
                assert_true(text_is_utf8((struct span){bytes, size}));
            }
            guard_free(bytes, size);
        }
    assert_true(text_is_utf8((struct span){NULL, 0}));
}

static void labels_and_channels_are_what_the_contract_says(void **state)
{
    static const struct {
        struct span name;
        bool label, channel;
    } rows[] = {
        {{"", 0}, true, false},
        {{NULL, 0}, true, false},
        {{"news", 4}, true, true},
        {{"a/b:c@d~%", 9}, true, true},
        {{"caf\xc3\xa9", 5}, true, true},
        {{"a b", 3}, true, false},
        {{"a,b", 3}, true, false},
        {{"a*", 2}, true, false},
        {{"a\0b", 3}, false, false},
        {{"a\n", 2}, false, false},
        {{"a\r", 2}, false, false},
        {{"\x1f", 1}, false, false},
        {{"\x7f", 1}, false, false},
        {{"\xff", 1}, false, false},
        {{"a\xc3", 2}, false, false},
        {{"\xed\xa0\x80", 3}, false, false},
        {{"a\xc2\x80", 3}, false, false},
        {{"\xc2\x9f b", 4}, false, false},
        {{"a\xc2\xa0", 3}, true, true},
        {{"\xd0\x80", 2}, true, true},
        {{"\xc2\xa0 b", 4}, true, false},
    };
    char name[256];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        if (text_is_label(rows[i].name) != rows[i].label || text_is_channel(rows[i].name) != rows[i].channel)
            fail_msg("row %zu", i);
    memset(name, 'a', sizeof name);
    assert_true(text_is_label((struct span){name, 255}));
    assert_true(text_is_channel((struct span){name, 255}));
    assert_false(text_is_label((struct span){name, 256}));
    assert_false(text_is_channel((struct span){name, 256}));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(what_is_appended_stands_one_after_the_other),
        TEST(a_text_grows_over_every_size),
        TEST(formatting_grows_the_text_at_every_fill),
        TEST(clearing_keeps_the_memory_and_finishing_does_not),
        TEST(a_reservation_is_room_that_is_not_counted),
        TEST(a_failed_text_stays_failed_and_takes_nothing),
        TEST(json_strings_are_escaped_as_little_as_possible),
        TEST(utf8_is_checked_as_a_naive_reader_does),
        TEST(a_bad_byte_is_found_at_any_place),
        TEST(labels_and_channels_are_what_the_contract_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
