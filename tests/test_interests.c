/* The patterns that somebody listens to. Linked with --wrap for pattern_matches, whose calls are counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "failing_memory.h"
#include "interests.h"
#include "pattern.h"

static unsigned long matched;

bool __real_pattern_matches(struct span pattern, struct span name);
bool __wrap_pattern_matches(struct span pattern, struct span name);

bool __wrap_pattern_matches(struct span pattern, struct span name)
{
    matched++;
    return __real_pattern_matches(pattern, name);
}

/* How many shares there are in what matches. */
static bool count_shares(struct interest *interest, void *context)
{
    struct share *share;

    LIST_FOREACH(share, &interest->shares, of_interest)
        ++*(unsigned *)context;
    return false;
}

static unsigned shares_of(const struct interests *interests, const char *name)
{
    unsigned count = 0;

    assert_false(interests_match(interests, span_of(name), count_shares, &count));
    return count;
}

static void names_find_the_patterns_that_match_them(void **state)
{
    static const char *const patterns[] = {"*", "**", "a/*", "a/**", "a/b*", "a/b/*", "a/*/c", "**/c", "a/b", "b*", "/*", "a//*"};
    static const char *const names[] = {"a", "b", "a/b", "a/b/c", "a/", "/", "/x", "a//b", "bc", "a/x/c", "c", "x/c", "a/bc"};
    enum { PATTERNS = sizeof patterns / sizeof *patterns };
    struct share shares[PATTERNS] = {0};
    struct interests interests = {0};

    (void)state;
    for (int i = 0; i < PATTERNS; i++)
        assert_true(interests_add(&interests, span_of(patterns[i]), &shares[i]));
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        unsigned wanted = 0;

        for (int i = 0; i < PATTERNS; i++)
            wanted += __real_pattern_matches(span_of(patterns[i]), span_of(names[n]));
        assert_true(wanted > 0);
        assert_int_equal(shares_of(&interests, names[n]), wanted);
    }
    for (int i = 0; i < PATTERNS; i++)
        interests_remove(&interests, &shares[i]);
    assert_null(interests.by_pattern);
    assert_null(interests.directories);
    assert_int_equal(shares_of(&interests, "a"), 0);
}

static void equal_patterns_are_one_and_it_goes_with_the_last_share(void **state)
{
    struct share shares[3] = {0}, none = {0};
    struct interests interests = {0};

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_true(interests_add(&interests, span_of("a/*"), &shares[i]));
    assert_ptr_equal(shares[0].interest, shares[2].interest);
    assert_int_equal(HASH_COUNT(interests.by_pattern), 1);
    matched = 0;
    assert_int_equal(shares_of(&interests, "a/x"), 3);
    assert_int_equal(matched, 1);
    interests_remove(&interests, &shares[1]);
    interests_remove(&interests, &shares[1]); /* has no part any more: fine */
    interests_remove(&interests, &none);
    assert_int_equal(shares_of(&interests, "a/x"), 2);
    interests_remove(&interests, &shares[0]);
    interests_remove(&interests, &shares[2]);
    assert_null(interests.by_pattern);
    assert_null(interests.directories);
}

static void patterns_of_other_directories_are_not_looked_at(void **state)
{
    enum { MANY = 10000 };
    struct share *shares = calloc(MANY, sizeof *shares), near = {0}, top = {0};
    struct interests interests = {0};
    char pattern[64];

    (void)state;
    for (int i = 0; i < MANY; i++) {
        snprintf(pattern, sizeof pattern, "users/%d/*", i);
        assert_true(interests_add(&interests, span_of(pattern), &shares[i]));
    }
    assert_true(interests_add(&interests, span_of("orders/*"), &near));
    assert_true(interests_add(&interests, span_of("*"), &top));
    matched = 0;
    assert_int_equal(shares_of(&interests, "orders/7"), 1);
    assert_int_equal(matched, 2);
    assert_int_equal(shares_of(&interests, "users/77/inbox"), 1);
    assert_int_equal(matched, 4);
    for (int i = 0; i < MANY; i++)
        interests_remove(&interests, &shares[i]);
    interests_remove(&interests, &near);
    interests_remove(&interests, &top);
    free(shares);
}

static bool stop(struct interest *interest, void *context)
{
    (void)interest;
    return ++*(unsigned *)context == 2;
}

static void a_visit_that_has_seen_enough_ends_it(void **state)
{
    static const char *const patterns[] = {"a/*", "a/**", "*/b", "**"};
    struct share shares[4] = {0};
    struct interests interests = {0};
    unsigned visits = 0;

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_true(interests_add(&interests, span_of(patterns[i]), &shares[i]));
    assert_true(interests_match(&interests, span_of("a/b"), stop, &visits));
    assert_int_equal(visits, 2);
    for (int i = 0; i < 4; i++)
        interests_remove(&interests, &shares[i]);
}

static void without_memory_nothing_is_added_whichever_allocation_fails(void **state)
{
    bool added = false;
    long n = 0;

    (void)state;
    for (; !added; n++) {
        struct share share = {0};
        struct interests interests = {0};

        allocations_left = n;
        added = interests_add(&interests, span_of("a/*"), &share);
        allocations_left = -1;
        assert_true(added == (share.interest != NULL));
        interests_remove(&interests, &share);
        assert_null(interests.by_pattern);
        assert_null(interests.directories);
    }
    assert_true(n > 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_find_the_patterns_that_match_them),
        cmocka_unit_test(equal_patterns_are_one_and_it_goes_with_the_last_share),
        cmocka_unit_test(patterns_of_other_directories_are_not_looked_at),
        cmocka_unit_test(a_visit_that_has_seen_enough_ends_it),
        cmocka_unit_test(without_memory_nothing_is_added_whichever_allocation_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
