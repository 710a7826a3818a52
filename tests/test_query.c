#include "guard.h"
#include "query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void assert_span(struct span got, const char *expected)
{
    if (!span_equal(got, span_of(expected)))
        fail_msg("got \"%.*s\", expected \"%s\"", (int)got.size, got.bytes, expected);
}

static void pairs_are_split_at_ampersands_and_the_first_equals_sign(void **state)
{
    static const char *const pairs[][2] = {{"a", "1"}, {"", ""}, {"b", ""}, {"c", "d=e;f"}, {"", "g"}, {"h%26", "%3D"}};
    char *query = guard_copy("a=1&&b&c=d=e;f&=g&h%26=%3D&", 28);
    const char *rest = query;
    struct span key, value;

    (void)state;
    for (size_t i = 0; i < COUNT(pairs); i++) {
        assert_true(query_next_pair(&rest, &key, &value));
        assert_span(key, pairs[i][0]);
        assert_span(value, pairs[i][1]);
    }
    assert_false(query_next_pair(&rest, &key, &value));
    assert_false(query_next_pair(&rest, &key, &value));
    guard_free(query, 28);
}

static void percent_signs_and_plus_are_decoded(void **state)
{
    static const struct {
        const char *raw, *text;
        bool broken;
    } rows[] = {
        {"", "", false},           {"plain", "plain", false}, {"a+b", "a b", false},    {"a%2Bb", "a+b", false},
        {"%41%6a%6A", "Ajj", false}, {"%C3%A9", "\xc3\xa9", false}, {"\xff%FF", "\xff\xff", false}, {"%2541", "%41", false},
        {"%", "", true},           {"a%", "a", true},         {"a%4", "a", true},       {"a%4g", "a", true},
        {"a%g4", "a", true},       {"a%%41", "a", true},      {"a%+1", "a", true},      {"a% 1", "a", true},
    };
    struct query_text text;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t size = strlen(rows[i].raw);
        char *raw = guard_copy(rows[i].raw, size);

        assert_span(query_decode((struct span){raw, size}, &text), rows[i].text);
        assert_int_equal(text.broken, rows[i].broken);
        guard_free(raw, size);
    }
    struct span nul = query_decode(span_of("a%00b"), &text);
    assert_true(span_equal(nul, (struct span){"a\0b", 3}));
}

static void a_text_longer_than_a_name_is_cut_one_byte_beyond(void **state)
{
    char raw[3 * 300];
    struct query_text text;

    (void)state;
    for (size_t i = 0; i < sizeof raw; i += 3)
        memcpy(raw + i, "%61", 3);
    assert_int_equal(query_decode((struct span){raw, 3 * 255}, &text).size, 255);
    assert_int_equal(query_decode((struct span){raw, 3 * 256}, &text).size, 256);
    assert_int_equal(query_decode((struct span){raw, 3 * 300}, &text).size, 256);
    assert_false(text.broken);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_split_at_ampersands_and_the_first_equals_sign),
        cmocka_unit_test(percent_signs_and_plus_are_decoded),
        cmocka_unit_test(a_text_longer_than_a_name_is_cut_one_byte_beyond),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
