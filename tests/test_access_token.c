/* Who may listen and publish by a token: where it is looked for, which one counts, and what it covers. */
#include "access_fixture.h"

static void a_token_gives_its_channels_and_what_is_public(void **state)
{
    static const struct {
        const char *query, *got, *got_patterns; /* `got` NULL: refused with */
        int status;
        const char *code;
    } rows[] = {
        {NULL, "a", "o/*", 0, NULL},
        {"QUERY_STRING=channel=o/7&channel=public/1&channel=a", "o/7,public/1,a", "", 0, NULL},
        {"QUERY_STRING=channel=o/7*&channel=deep/1/2", "deep/1/2", "o/7*", 0, NULL},
        {"QUERY_STRING=channel=deep/*", NULL, NULL, 403, "not_allowed"},
        {"QUERY_STRING=channel=b", NULL, NULL, 403, "not_allowed"},
        {"QUERY_STRING=channel=a*", NULL, NULL, 403, "not_allowed"},
        {"QUERY_STRING=channel=o/**", NULL, NULL, 403, "not_allowed"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        bool good = decide(f, rows[i].query, bearer(CLAIMS(",\"channels\":[\"a\",\"o/*\"],\"publish\":[\"b\"]")));

        if (assert_outcome(f, i, good, rows[i].got, rows[i].got_patterns, rows[i].status, rows[i].code))
            assert_int_equal(f->request.expires_ms, 1800000100000);
    }
    assert_false(decide(f, bearer(CLAIMS(""))));
    assert_problem(f, 400, "no_channel");
}

static void the_limits_hold_for_tokens_too(void **state)
{
    struct fixture *f = *state;

    assert_false(decide(f, bearer(CLAIMS(",\"channels\":[\"a\",\"b\",\"c\",\"d\",\"e\"]"))));
    assert_problem(f, 400, "too_many_channels");
    assert_false(decide(f, bearer(CLAIMS(",\"channels\":[\"a*\",\"b*\",\"c*\"]"))));
    assert_problem(f, 400, "too_many_patterns");
}

#define ONE CLAIMS(",\"channels\":[\"one\"]")
#define TWO CLAIMS(",\"channels\":[\"two\"]")
#define THREE CLAIMS(",\"channels\":[\"three\"]")

static void the_first_token_that_is_there_decides(void **state)
{
    struct fixture *f = *state;
    const char *header = bearer(ONE), *query = with_token(1, "QUERY_STRING=token=", TWO, "");
    const char *cookie = with_token(2, "HTTP_COOKIE=sidecast_token=", THREE, "");
    const struct {
        const char *header, *query, *cookie, *got; /* `got` NULL: 401 token_invalid */
    } rows[] = {
        {header, query, cookie, "one"},
        {NULL, query, cookie, "two"},
        {NULL, NULL, cookie, "three"},
        {"HTTP_AUTHORIZATION=Basic dTpw", query, cookie, "two"},
        {"HTTP_AUTHORIZATION=Bearertoken", NULL, cookie, "three"},
        {"HTTP_AUTHORIZATION=", "QUERY_STRING=token=", cookie, "three"},
        {"HTTP_AUTHORIZATION=Bearer", query, cookie, NULL},
        {"HTTP_AUTHORIZATION=Bearer ", query, cookie, NULL},
        {"HTTP_AUTHORIZATION=Bearer x", query, cookie, NULL},
        {NULL, "QUERY_STRING=token=x", cookie, NULL},
        {NULL, "QUERY_STRING=token=%zz", cookie, NULL},
        {NULL, NULL, "HTTP_COOKIE=sidecast_token=x", NULL},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        bool good = decide(f, rows[i].header, rows[i].query, rows[i].cookie);

        if (good != (rows[i].got != NULL))
            fail_msg("row %zu: %d %s", i, good, f->problem.message);
        if (good)
            assert_names(&f->request.channels, rows[i].got);
        else
            assert_problem(f, 401, "token_invalid");
    }
}

static void a_token_is_found_in_all_its_spellings(void **state)
{
    static const struct {
        const char *before, *after;
        bool found;
    } rows[] = {
        {"HTTP_AUTHORIZATION=bearer   ", "  ", true},
        {"HTTP_AUTHORIZATION=BEARER ", "", true},
        {"HTTP_AUTHORIZATION=Token ", "", false},
        {"QUERY_STRING=a=b&token=", "&c=d", true},
        {"QUERY_STRING=%74oken=", "", true},
        {"QUERY_STRING=token=x&token=", "", true},
        {"QUERY_STRING=%zz=1&token=", "", false}, /* a query that is refused as a whole */
        {"QUERY_STRING=xtoken=", "", false},
        {"HTTP_COOKIE=sidecast_token=", "", true},
        {"HTTP_COOKIE=a=b; sidecast_token=", "; c=d", true},
        {"HTTP_COOKIE=a=b;sidecast_token=\"", "\" ;c=d", true},
        {"HTTP_COOKIE=xsidecast_token=x; sidecast_token=", "", true},
        {"HTTP_COOKIE=sidecast_tokenx=x; sidecast_token=", "; sidecast_token=later", true},
        {"HTTP_COOKIE=sidecast_token=; sidecast_token=", "", true},
        {"HTTP_COOKIE=sidecast_token; ;=; sidecast_token=", "", true},
        {"HTTP_COOKIE=xsidecast_token=", "", false},
        {"HTTP_COOKIE=sidecast_tokenx=", "", false},
        {"HTTP_COOKIE=Sidecast_Token=", "", false},
        {"HTTP_COOKIE=a=\"; b=sidecast_token=", "", false},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *given = with_token(0, rows[i].before, ONE, rows[i].after);
        const char *params[] = {given, "REQUEST_METHOD=GET"};

        if (strstr(given, "%zz")) {
            assert_false(parse_params(f, params, 2));
            continue;
        }
        if (decide_about(f, params, 2) != rows[i].found)
            fail_msg("%s: %s", rows[i].before, f->problem.message);
    }
}

static void the_cookies_name_is_configured(void **state)
{
    static char other[] = "t";
    struct fixture *f = *state;
    const char *cookie = with_token(0, "HTTP_COOKIE=sidecast_token=x; t=", ONE, "");

    f->settings.token_cookie = other;
    assert_true(decide(f, cookie));
    f->settings.token_cookie = no_text;
    assert_false(decide(f, cookie));
    assert_problem(f, 400, "no_channel");
    assert_false(decide(f, with_token(0, "HTTP_COOKIE==", ONE, "")));
    assert_problem(f, 400, "no_channel");
}

static void a_token_that_is_too_long_is_not_cut(void **state)
{
    struct fixture *f = *state;
    char *token = sign(&keyring, ONE), *param = NULL;

    assert_true(asprintf(&param, "HTTP_COOKIE=sidecast_token=%0*d%s", TOKEN_MAX_BYTES, 0, token) > 0);
    assert_false(decide(f, param));
    assert_problem(f, 401, "token_invalid");
    assert_non_null(strstr(f->problem.message, "8192"));
    free(param);
    free(token);
}

static void without_keys_no_token_is_supported(void **state)
{
    struct fixture *f = *state;
    const char *token = bearer(ONE);

    keyring_finish(&keyring);
    assert_false(decide(f, token));
    assert_problem(f, 401, "token_not_supported");
    assert_true(decide(f, token, "SIDECAST_CHANNELS=a"));
}

static void the_rules_of_the_configuration_reach_the_token(void **state)
{
    static char other[] = "me";
    struct fixture *f = *state;

    f->settings.token_issuer = other;
    assert_false(decide(f, bearer(ONE)));
    assert_problem(f, 401, "token_invalid");
    f->settings.token_issuer = no_text;
    f->settings.token_audience = other;
    assert_false(decide(f, bearer(ONE)));
    f->settings.token_audience = no_text;
    assert_false(decide(f, bearer("{\"exp\":1799999999,\"channels\":[\"a\"]}")));
    assert_problem(f, 401, "token_expired");
    f->settings.token_leeway = 2000;
    assert_true(decide(f, bearer("{\"exp\":1799999999,\"channels\":[\"a\"]}")));
    assert_int_equal(f->request.expires_ms, 1800000001000);
}

/* Once in a snippet and once beside it: whoever set the narrower one would have the wider, or the other way round. */
static void what_nginx_says_twice_refuses(void **state)
{
    static const struct {
        enum access_purpose purpose;
        const char *params[3];
        bool good;
    } rows[] = {
        {ACCESS_PUBLISH, {"SIDECAST_PUBLISH=**", "SIDECAST_PUBLISH=o/*", ""}, false},
        {ACCESS_PUBLISH, {"SIDECAST_PUBLISH=o/*", "SIDECAST_PUBLISH=", ""}, false},
        {ACCESS_PUBLISH, {"SIDECAST_PUBLISH=o/*", "SIDECAST_CLIENT=a", "SIDECAST_CLIENT=a"}, false},
        {ACCESS_LISTEN, {"SIDECAST_CHANNELS=a", "SIDECAST_CHANNELS=", ""}, false},
        {ACCESS_LISTEN, {"SIDECAST_CHANNELS=a", "SIDECAST_CLIENT=me", "SIDECAST_CHANNELS=a"}, false},
        {ACCESS_LISTEN, {"SIDECAST_PATTERNS=**", "SIDECAST_PATTERNS=o/*", ""}, false},
        {ACCESS_LISTEN, {"SIDECAST_CHANNELS=a", "SIDECAST_EXPIRES=", "SIDECAST_EXPIRES=1800000001"}, false},
        {ACCESS_LISTEN, {"SIDECAST_CLIENT=me", "SIDECAST_CLIENT=you", ""}, false},
        {ACCESS_LISTEN, {"SIDECAST_CHANNELS=a", "SIDECAST_CHANNELSX=b", "HTTP_SIDECAST_CHANNELS=c"}, true},
        {ACCESS_LISTEN, {"SIDECAST_CHANNELS=a", "SIDECAST_PATTERNS=a", "SIDECAST_PUBLISH=a"}, true},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        if (identify(f, rows[i].purpose, rows[i].params, COUNT(rows[i].params)) != rows[i].good)
            fail_msg("row %zu: %s", i, f->problem.message);
        if (!rows[i].good)
            assert_problem(f, 403, "bad_grant");
    }
}

/* --- publishing --- */

static void who_may_publish_is_said_by_nginx_or_by_a_token_of_the_pages_own(void **state)
{
    static const char both[] = CLAIMS(",\"channels\":[\"**\"],\"publish\":[\"chat/*\",\"plain\"],\"sub\":\"me\"");
    struct fixture *f = *state;

    assert_true(may_publish(f, bearer(both)));
    assert_true(access_may_publish(&identity, span_of("chat/1")));
    assert_true(access_may_publish(&identity, span_of("plain")));
    assert_false(access_may_publish(&identity, span_of("chat/1/2")));
    assert_false(access_may_publish(&identity, span_of("news")));
    assert_string_equal(identity.client, "me");
    assert_int_equal(identity.expires_ms, 1800000100000);
    assert_true(may_publish(f, with_token(0, "QUERY_STRING=token=", both, "")));
    assert_true(access_may_publish(&identity, span_of("chat/1")));
    assert_true(may_publish(f, with_token(0, "HTTP_COOKIE=sidecast_token=", both, "")));
    assert_true(identity.from_cookie);
    assert_false(access_may_publish(&identity, span_of("chat/1")));
    assert_true(may_publish(f, "SIDECAST_PUBLISH=news, o/*", bearer(both)));
    assert_true(access_may_publish(&identity, span_of("o/7")));
    assert_false(access_may_publish(&identity, span_of("chat/1")));
    assert_true(may_publish(f, "SIDECAST_PUBLISH=", bearer(both)));
    assert_false(access_may_publish(&identity, span_of("chat/1")));
    assert_true(may_publish(f, "SIDECAST_CHANNELS=**", "HTTP_SIDECAST_PUBLISH=**"));
    assert_false(access_may_publish(&identity, span_of("public/1")));
    assert_false(may_publish(f, "SIDECAST_PUBLISH=a b"));
    assert_problem(f, 400, "bad_channel");
    assert_false(may_publish(f, "SIDECAST_PUBLISH=a", "SIDECAST_EXPIRES=1800000000"));
    assert_problem(f, 403, "grant_expired");
    assert_false(may_publish(f, "HTTP_AUTHORIZATION=Bearer x"));
    assert_problem(f, 401, "token_invalid");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        ACCESS_TEST(a_token_gives_its_channels_and_what_is_public),
        ACCESS_TEST(the_limits_hold_for_tokens_too),
        ACCESS_TEST(the_first_token_that_is_there_decides),
        ACCESS_TEST(a_token_is_found_in_all_its_spellings),
        ACCESS_TEST(the_cookies_name_is_configured),
        ACCESS_TEST(a_token_that_is_too_long_is_not_cut),
        ACCESS_TEST(without_keys_no_token_is_supported),
        ACCESS_TEST(the_rules_of_the_configuration_reach_the_token),
        ACCESS_TEST(what_nginx_says_twice_refuses),
        ACCESS_TEST(who_may_publish_is_said_by_nginx_or_by_a_token_of_the_pages_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
