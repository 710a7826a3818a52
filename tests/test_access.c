/* Who may listen by what nginx grants, and what is public; and what lack of memory costs. */
#include "access_fixture.h"
#include "failing_memory.h"

static void the_grant_alone_decides_where_there_is_one(void **state)
{
    static const struct {
        const char *channels, *patterns, *query;
        const char *got; /* NULL: refused with */
        const char *got_patterns;
        int status;
        const char *code;
    } rows[] = {
        {"SIDECAST_CHANNELS=b,a", NULL, NULL, "b,a", "", 0, NULL},
        {"SIDECAST_CHANNELS= b ,a,\tb,,c ", NULL, NULL, "b,a,c", "", 0, NULL},
        {"SIDECAST_CHANNELS=a%20b", NULL, NULL, "a%20b", "", 0, NULL},
        {"SIDECAST_CHANNELS=a,b,c", NULL, "QUERY_STRING=channel=c&channel=a", "c,a", "", 0, NULL},
        {"SIDECAST_CHANNELS=a,b", NULL, "QUERY_STRING=channel=a&channel=c", NULL, NULL, 403, "not_allowed"},
        {"SIDECAST_CHANNELS=a", NULL, "QUERY_STRING=channel=public/1", NULL, NULL, 403, "not_allowed"},
        {"SIDECAST_CHANNELS=a", NULL, "QUERY_STRING=channel=a*", NULL, NULL, 403, "not_allowed"},
        {"SIDECAST_CHANNELS=ab", NULL, "QUERY_STRING=channel=a", NULL, NULL, 403, "not_allowed"},
        {"SIDECAST_CHANNELS=", NULL, "QUERY_STRING=channel=public/1", NULL, NULL, 403, "not_allowed"},
        {"SIDECAST_CHANNELS=, ,", NULL, NULL, NULL, NULL, 403, "not_allowed"},
        {"SIDECAST_CHANNELS=", "SIDECAST_PATTERNS=", NULL, NULL, NULL, 403, "not_allowed"},
        {NULL, "SIDECAST_PATTERNS=", "QUERY_STRING=channel=public/1", NULL, NULL, 403, "not_allowed"},
        {"SIDECAST_CHANNELS=a,b,c,d,e", NULL, NULL, NULL, NULL, 400, "too_many_channels"},
        {"SIDECAST_CHANNELS=a,b,c,d,e", NULL, "QUERY_STRING=channel=e", "e", "", 0, NULL},
        {NULL, "SIDECAST_PATTERNS= o/* ,**,o/*", NULL, "", "o/*,**", 0, NULL},
        {NULL, "SIDECAST_PATTERNS=a*,b*,c*", NULL, NULL, NULL, 400, "too_many_patterns"},
        {NULL, "SIDECAST_PATTERNS=a*,b*,c*", "QUERY_STRING=channel=c*", "", "c*", 0, NULL},
        {NULL, "SIDECAST_PATTERNS=o/*,plain", NULL, "plain", "o/*", 0, NULL},
        {"SIDECAST_CHANNELS=a", "SIDECAST_PATTERNS=o/*,a", NULL, "a", "o/*", 0, NULL},
        {"SIDECAST_CHANNELS=a", "SIDECAST_PATTERNS=o/*", "QUERY_STRING=channel=o/7&channel=a&channel=o/7*", "o/7,a", "o/7*", 0, NULL},
        {"SIDECAST_CHANNELS=a", "SIDECAST_PATTERNS=o/*", "QUERY_STRING=channel=a&channel=o/**", NULL, NULL, 403, "not_allowed"},
        {"SIDECAST_CHANNELS=a", "SIDECAST_PATTERNS=o/*", "QUERY_STRING=channel=public/1", NULL, NULL, 403, "not_allowed"},
        {"SIDECAST_CHANNELS=", "SIDECAST_PATTERNS=o/*", "QUERY_STRING=channel=o/7", "o/7", "", 0, NULL},
        {"SIDECAST_CHANNELS=news/*", NULL, NULL, NULL, NULL, 400, "bad_channel"},
        {"SIDECAST_CHANNELS=a b", NULL, NULL, NULL, NULL, 400, "bad_channel"},
        {"SIDECAST_CHANNELS=a\x01", NULL, NULL, NULL, NULL, 400, "bad_channel"},
        {"SIDECAST_CHANNELS=\xff", NULL, NULL, NULL, NULL, 400, "bad_channel"},
        {"SIDECAST_CHANNELS=x" TIMES_255("a"), NULL, NULL, NULL, NULL, 400, "bad_channel"},
        {NULL, "SIDECAST_PATTERNS=o/* p", NULL, NULL, NULL, 400, "bad_channel"},
        {NULL, "SIDECAST_PATTERNS=*" TIMES_255("a"), NULL, NULL, NULL, 400, "bad_channel"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        bool good = decide(f, rows[i].channels, rows[i].patterns, rows[i].query, bearer(CLAIMS(",\"channels\":[\"**\"]")));

        if (assert_outcome(f, i, good, rows[i].got, rows[i].got_patterns, rows[i].status, rows[i].code))
            assert_int_equal(f->request.expires_ms, 0);
    }
}

static void what_a_browser_sends_is_no_grant(void **state)
{
    struct fixture *f = *state;

    assert_false(decide(f, "QUERY_STRING=channel=a", "HTTP_SIDECAST_CHANNELS=a", "HTTP_SIDECAST_PATTERNS=*", "HTTP_X_SIDECAST_CHANNELS=a"));
    assert_problem(f, 403, "not_allowed");
}

static void the_message_about_a_star_speaks_of_patterns(void **state)
{
    struct fixture *f = *state;

    assert_false(decide(f, "SIDECAST_CHANNELS=news/*"));
    assert_string_equal(f->problem.message, "SIDECAST_CHANNELS takes channels by their full names, not patterns with *.");
}

static void the_public_may_have_by_name_what_public_patterns_match(void **state)
{
    static const struct {
        const char *query, *got, *got_patterns; /* `got` NULL: refused with */
        int status;
        const char *code;
    } rows[] = {
        {"QUERY_STRING=channel=public/1&channel=deep/1/2", "public/1,deep/1/2", "", 0, NULL},
        {"QUERY_STRING=channel=public/a*", NULL, NULL, 403, "not_allowed"},
        {"QUERY_STRING=channel=public/1&channel=public/*", NULL, NULL, 403, "not_allowed"},
        {"QUERY_STRING=channel=public/1&channel=private", NULL, NULL, 403, "not_allowed"},
        {"QUERY_STRING=channel=public/1/2", NULL, NULL, 403, "not_allowed"},
        {"QUERY_STRING=channel=public/**", NULL, NULL, 403, "not_allowed"},
        {NULL, NULL, NULL, 400, "no_channel"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        bool good = decide(f, rows[i].query);

        (void)assert_outcome(f, i, good, rows[i].got, rows[i].got_patterns, rows[i].status, rows[i].code);
    }
}

static void nothing_is_public_by_default(void **state)
{
    struct fixture *f = *state;

    f->settings.access_public = (struct string_list){0};
    assert_false(decide(f, "QUERY_STRING=channel=public/1"));
    assert_problem(f, 403, "not_allowed");
}

static void the_clients_id_is_nginxs_then_the_tokens_then_its_own(void **state)
{
    struct fixture *f = *state;
    const char *query = "QUERY_STRING=channel=public/1&client=own", *token = bearer(CLAIMS(",\"sub\":\"from token\""));

    assert_true(decide(f, query));
    assert_string_equal(f->request.client, "own");
    assert_true(decide(f, query, token));
    assert_string_equal(f->request.client, "from token");
    assert_true(decide(f, query, token, "SIDECAST_CLIENT=from nginx"));
    assert_string_equal(f->request.client, "from nginx");
    assert_true(decide(f, query, "SIDECAST_CLIENT="));
    assert_string_equal(f->request.client, "own");
    assert_true(decide(f, query, "HTTP_SIDECAST_CLIENT=evil"));
    assert_string_equal(f->request.client, "own");
    assert_false(decide(f, query, "SIDECAST_CLIENT=zebra\n"));
    assert_problem(f, 400, "bad_query");
    assert_null(strstr(f->problem.message, "zebra"));
}

static void a_permission_ends_when_nginx_says(void **state)
{
    static const struct {
        const char *expires;
        uint64_t ms;
        const char *code; /* NULL: good */
    } rows[] = {
        {"SIDECAST_EXPIRES=", 0, NULL},
        {"SIDECAST_EXPIRES=1800000001", 1800000001000, NULL},
        {"SIDECAST_EXPIRES=001800000001", 1800000001000, NULL},
        {"SIDECAST_EXPIRES=99999999999999999999999999", 253402300799000, NULL},
        {"HTTP_SIDECAST_EXPIRES=1", 0, NULL},
        {"SIDECAST_EXPIRES=1800000000", 0, "grant_expired"},
        {"SIDECAST_EXPIRES=0", 0, "grant_expired"},
        {"SIDECAST_EXPIRES=-1", 0, "bad_expires"},
        {"SIDECAST_EXPIRES=1e9", 0, "bad_expires"},
        {"SIDECAST_EXPIRES= 1800000001", 0, "bad_expires"},
        {"SIDECAST_EXPIRES=1800000001.5", 0, "bad_expires"},
        {"SIDECAST_EXPIRES=never", 0, "bad_expires"},
    };
    static const char *const grants[] = {"SIDECAST_CHANNELS=a", "QUERY_STRING=channel=public/1"};
    struct fixture *f = *state;

    for (size_t i = 0; i < 2 * COUNT(rows); i++) {
        bool good = decide(f, rows[i / 2].expires, grants[i % 2]);

        if (good != !rows[i / 2].code)
            fail_msg("%s: %d %s", rows[i / 2].expires, good, f->problem.message);
        if (good)
            assert_int_equal(f->request.expires_ms, rows[i / 2].ms);
        else
            assert_problem(f, 403, rows[i / 2].code);
    }
}

static void of_two_ends_the_earlier_holds(void **state)
{
    struct fixture *f = *state;

    assert_true(decide(f, "SIDECAST_EXPIRES=1800000050", bearer(CLAIMS(",\"channels\":[\"a\"]"))));
    assert_int_equal(f->request.expires_ms, 1800000050000);
    assert_true(decide(f, "SIDECAST_EXPIRES=1800000150", bearer(CLAIMS(",\"channels\":[\"a\"]"))));
    assert_int_equal(f->request.expires_ms, 1800000100000);
}

/* --- memory --- */

static void lack_of_memory_anywhere_refuses_this_request_alone(void **state)
{
    struct fixture *f = *state;
    const char *token = bearer(CLAIMS(",\"sub\":\"me\",\"channels\":[\"a\",\"b*\",\"c\"],\"publish\":[\"d\"]"));
    long rounds = 0;
    bool good;

    do {
        allocations_left = rounds++;
        good = identify(f, ACCESS_LISTEN, STRINGS(token, "SIDECAST_EXPIRES=1800000050"), 2);
        allocations_left = -1;
        if (!good)
            assert_problem(f, 500, "no_memory");
    } while (!good);
    assert_in_range(rounds, 8, 20);
    rounds = 0;
    do {
        allocations_left = rounds++;
        good = identify(f, ACCESS_LISTEN, STRINGS("SIDECAST_CHANNELS=a,b", "SIDECAST_PATTERNS=c*", "SIDECAST_CLIENT=me"), 3);
        allocations_left = -1;
        if (!good)
            assert_problem(f, 500, "no_memory");
    } while (!good);
    assert_in_range(rounds, 6, 12);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        ACCESS_TEST(the_grant_alone_decides_where_there_is_one),
        ACCESS_TEST(what_a_browser_sends_is_no_grant),
        ACCESS_TEST(the_message_about_a_star_speaks_of_patterns),
        ACCESS_TEST(the_public_may_have_by_name_what_public_patterns_match),
        ACCESS_TEST(nothing_is_public_by_default),
        ACCESS_TEST(the_clients_id_is_nginxs_then_the_tokens_then_its_own),
        ACCESS_TEST(a_permission_ends_when_nginx_says),
        ACCESS_TEST(of_two_ends_the_earlier_holds),
        ACCESS_TEST(lack_of_memory_anywhere_refuses_this_request_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
