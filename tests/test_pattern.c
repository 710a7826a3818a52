#include "guard.h"
#include "pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Matches copies that end at pages without access. */
static bool matches(const char *pattern, const char *name)
{
    size_t pattern_size = strlen(pattern), name_size = strlen(name);
    char *pattern_copy = guard_copy(pattern, pattern_size), *name_copy = guard_copy(name, name_size);
    bool result = pattern_matches((struct span){pattern_copy, pattern_size}, (struct span){name_copy, name_size});

    guard_free(pattern_copy, pattern_size);
    guard_free(name_copy, name_size);
    return result;
}

static void patterns_match_as_the_contract_says(void **state)
{
    static const struct {
        const char *pattern, *name;
        bool result;
    } rows[] = {
        {"news", "news", true},
        {"news", "new", false},
        {"news", "newss", false},
        {"news", "News", false},
        {"orders/*", "orders/7", true},
        {"orders/*", "orders/", true},
        {"orders/*", "orders", false},
        {"orders/*", "orders/7/lines", false},
        {"orders/**", "orders/7", true},
        {"orders/**", "orders/7/lines", true},
        {"orders/**", "orders", false},
        {"*", "news", true},
        {"*", "news/1", false},
        {"**", "news/1/2", true},
        {"***", "news/1/2", true},
        {"*/lines", "7/lines", true},
        {"*/lines", "orders/7/lines", false},
        {"**/lines", "orders/7/lines", true},
        {"**/lines", "lines", false},
        {"a*c", "abc", true},
        {"a*c", "ac", true},
        {"a*c", "ab/c", false},
        {"a**c", "ab/c", true},
        {"a*b*c", "aXbYbZc", true},
        {"a*b*c", "aXbYbZ", false},
        {"*/*", "a/b", true},
        {"*/*", "a/b/c", false},
        {"**/x*/y", "a/xb/c/xd/y", true},
        {"**/x*/y", "a/xb/c/zd/y", false},
        {"**a*b", "xa/ab", true},
        {"caf\xc3\xa9/*", "caf\xc3\xa9/\xe2\x82\xac", true},
        {"*\xa9", "\xc3\xa8", false},
        {"", "a", false},
        {"a?", "ab", false},
        {"[ab]", "a", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        if (matches(rows[i].pattern, rows[i].name) != rows[i].result)
            fail_msg("%s and %s", rows[i].pattern, rows[i].name);
}

/* What the contract says, word for word, with no care for time. */
static bool naive(const char *pattern, const char *name)
{
    if (pattern[0] == '*' && pattern[1] == '*')
        return naive(pattern + 2, name) || (*name && naive(pattern, name + 1));
    if (pattern[0] == '*')
        return naive(pattern + 1, name) || (*name && *name != '/' && naive(pattern, name + 1));
    return *pattern ? *pattern == *name && naive(pattern + 1, name + 1) : !*name;
}

static unsigned next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (unsigned)(*seed >> 33);
}

static void random_text(uint64_t *seed, const char *letters, char text[10])
{
    size_t size = 1 + next_random(seed) % 8;

    for (size_t i = 0; i < size; i++)
        text[i] = letters[next_random(seed) % strlen(letters)];
    text[size] = '\0';
}

static void random_patterns_match_as_a_naive_matcher_does(void **state)
{
    uint64_t seed = 20251123;
    int matched = 0;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        char pattern[10], name[10];

        random_text(&seed, "ab/**", pattern);
        random_text(&seed, "ab/", name);
        matched += naive(pattern, name);
        if (matches(pattern, name) != naive(pattern, name))
            fail_msg("seed 20251123, round %d: %s and %s", i, pattern, name);
    }
    assert_in_range(matched, 1000, 19000);
}

static void a_name_that_is_no_channel_name_matches_nothing(void **state)
{
    char name[257];

    (void)state;
    memset(name, 'a', sizeof name);
    assert_false(matches("**", ""));
    assert_true(pattern_matches(span_of("**"), (struct span){name, 255}));
    assert_true(pattern_matches((struct span){name, 255}, (struct span){name, 255}));
    assert_false(pattern_matches(span_of("**"), (struct span){name, 256}));
    assert_false(pattern_matches(span_of("*"), (struct span){NULL, 0}));
}

static void a_hostile_pattern_takes_no_longer_than_the_product_of_the_lengths(void **state)
{
    char pattern[256] = "", name[256] = "";

    (void)state;
    for (int i = 0; i < 127; i++)
        strcat(pattern, "*a");
    memset(name, 'a', 255);
    name[254] = 'b';
    /* Backtracking would not come back from the first of these. */
    for (int i = 0; i < 100; i++)
        assert_false(matches(pattern, name));
    name[254] = 'a';
    assert_true(matches(pattern, name));
}

static void a_pattern_is_a_channel_name_with_stars(void **state)
{
    static const char *const good[] = {"a", "*", "**", "news/*", "a*b", "caf\xc3\xa9/**"};
    static const char *const bad[] = {"", "a b", "a,b", "a\nb", "a\x7f", "\xff", "\xc3", " "};
    char long_one[257];

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(pattern_is_valid(span_of(good[i])));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(pattern_is_valid(span_of(bad[i])));
    memset(long_one, '*', sizeof long_one);
    assert_true(pattern_is_valid((struct span){long_one, 255}));
    assert_false(pattern_is_valid((struct span){long_one, 256}));
    assert_false(pattern_is_valid((struct span){NULL, 0}));
    assert_false(pattern_is_valid((struct span){"a\0b", 3}));
}

static void a_pattern_covers_those_that_match_no_more_than_it_does(void **state)
{
    static const struct {
        const char *grant, *asked;
        bool result;
    } rows[] = {
        {"orders/7", "orders/7", true},
        {"orders/*", "orders/7", true},
        {"orders/*", "orders/*", true},
        {"orders/*", "orders/7*", true},
        {"orders/*", "orders/**", false},
        {"orders/*", "*", false},
        {"orders/7", "orders/*", false},
        {"orders/**", "orders/*", true},
        {"orders/**", "orders/*/lines", true},
        {"orders/**", "orders**", false},
        {"orders**", "orders/**", true},
        {"**", "*/**", true},
        {"*", "**", false},
        {"*/*", "**", false},
        {"*", "a*b*c", true},
        {"a*c", "a**c", false},
        {"a**c", "a*/*c", true},
        {"a*b", "a*", false},
        {"***", "**", true},
        {"**", "***", true},
        {"*b**", "ab***", true},
        {"a", "", false},
        /* The same names, but not sign by sign: refused. */
        {"*/**", "**/*", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        if (pattern_covers(span_of(rows[i].grant), span_of(rows[i].asked)) != rows[i].result)
            fail_msg("%s and %s", rows[i].grant, rows[i].asked);
}

enum { NAMES = 1092, PATTERNS = 363, TEXT_BYTES = 7 };

/* All texts of at most `longest` of the three letters. */
static size_t all_texts(const char *letters, size_t longest, char texts[][TEXT_BYTES])
{
    size_t count = 0;

    for (size_t size = 1, these = 3; size <= longest; size++, these *= 3)
        for (size_t number = 0; number < these; number++, count++) {
            texts[count][size] = '\0';
            for (size_t i = 0, rest = number; i < size; i++, rest /= 3)
                texts[count][i] = letters[rest % 3];
        }
    return count;
}

static bool matches_all_of(const bool *grant, const bool *asked)
{
    for (size_t i = 0; i < NAMES; i++)
        if (asked[i] && !grant[i])
            return false;
    return true;
}

static void what_is_covered_is_what_every_name_says(void **state)
{
    static char names[NAMES][TEXT_BYTES], patterns[PATTERNS][TEXT_BYTES];
    static bool match[PATTERNS][NAMES];
    int refused = 0;

    (void)state;
    assert_int_equal(all_texts("ab/", 6, names), NAMES);
    assert_int_equal(all_texts("a*/", 5, patterns), PATTERNS);
    for (size_t i = 0; i < PATTERNS; i++)
        for (size_t j = 0; j < NAMES; j++)
            match[i][j] = naive(patterns[i], names[j]);
    for (size_t i = 0; i < PATTERNS; i++)
        for (size_t j = 0; j < PATTERNS; j++) {
            bool covers = pattern_covers(span_of(patterns[i]), span_of(patterns[j])), does = matches_all_of(match[i], match[j]);

            if ((covers && !does) || (covers != does && !strstr(patterns[j], "**")))
                fail_msg("%s and %s: %d, expected %d", patterns[i], patterns[j], covers, does);
            refused += covers != does;
        }
    assert_in_range(refused, 1, 1000); /* of 131769 */
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_as_the_contract_says),
        cmocka_unit_test(random_patterns_match_as_a_naive_matcher_does),
        cmocka_unit_test(a_name_that_is_no_channel_name_matches_nothing),
        cmocka_unit_test(a_hostile_pattern_takes_no_longer_than_the_product_of_the_lengths),
        cmocka_unit_test(a_pattern_is_a_channel_name_with_stars),
        cmocka_unit_test(a_pattern_covers_those_that_match_no_more_than_it_does),
        cmocka_unit_test(what_is_covered_is_what_every_name_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
