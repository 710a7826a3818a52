/* Who may listen and publish: where permissions are looked for, which one counts, and what it covers. */
#include "token_fixture.h"

#include "access.h"
#include "request_fixture.h"

static char *public_patterns[] = {"public/*", "deep/**"};
static char no_text[] = "", cookie_name[] = "sidecast_token", issuer[] = "me";
static struct keyring keyring;
static struct identity identity;

enum { NOW = 1800000000 }; /* seconds */
#define CLAIMS(more) "{\"exp\":1800000100" more "}"

static int set_up_access(void **state)
{
    struct fixture *f;

    if (set_up(state) != 0)
        return -1;
    f = *state;
    f->settings.access_public = (struct string_list){public_patterns, COUNT(public_patterns)};
    f->settings.token_issuer = f->settings.token_audience = no_text;
    f->settings.token_cookie = cookie_name;
    f->settings.token_leeway = 0;
    ring_of(&keyring, ALL_PRIVATE);
    return 0;
}

static int tear_down_access(void **state)
{
    access_finish(&identity);
    keyring_finish(&keyring);
    return tear_down(state);
}

static bool identify(struct fixture *f, enum access_purpose purpose, const char *const *given, size_t count)
{
    struct access_rules rules = {purpose, &f->settings, &keyring, NOW * UINT64_C(1000)};
    char *params[MOST_PARAMS];

    fill_params(params, given, count);
    access_finish(&identity);
    memset(&f->problem, 0, sizeof f->problem);
    memset(&identity, 0xa5, sizeof identity);
    return access_identify(&identity, params, &rules, &f->problem);
}

/* A request that is read, and decided about. */
static bool decide_about(struct fixture *f, const char *const *given, size_t count)
{
    assert_true(parse_params(f, given, count));
    return identify(f, ACCESS_LISTEN, given, count) && access_authorize(&f->request, &identity, &f->settings, &f->problem);
}

#define LISTEN(...) STRINGS("REQUEST_METHOD=GET", __VA_ARGS__), COUNT(STRINGS("REQUEST_METHOD=GET", __VA_ARGS__))
#define decide(fixture, ...) decide_about(fixture, LISTEN(__VA_ARGS__))
#define may_publish(fixture, ...) identify(fixture, ACCESS_PUBLISH, STRINGS(__VA_ARGS__), COUNT(STRINGS(__VA_ARGS__)))

/* `before`, a token with these claims, `after`; good until the next call of the same place. */
static const char *with_token(int place, const char *before, const char *claims, const char *after)
{
    static char texts[3][2 * TOKEN_MAX_BYTES];
    char *token = sign(&keyring, claims);

    assert_true((size_t)snprintf(texts[place], sizeof texts[place], "%s%s%s", before, token, after) < sizeof texts[place]);
    free(token);
    return texts[place];
}

static const char *bearer(const char *claims)
{
    return with_token(0, "HTTP_AUTHORIZATION=Bearer ", claims, "");
}

/* --- what nginx says --- */

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

        if (good != (rows[i].got != NULL))
            fail_msg("row %zu: %d %s", i, good, f->problem.message);
        if (!good) {
            assert_problem(f, rows[i].status, rows[i].code);
            continue;
        }
        assert_names(&f->request.channels, rows[i].got);
        assert_names(&f->request.patterns, rows[i].got_patterns);
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

static void the_public_may_have_what_public_patterns_cover(void **state)
{
    static const struct {
        const char *query, *got, *got_patterns; /* `got` NULL: refused with */
        int status;
        const char *code;
    } rows[] = {
        {"QUERY_STRING=channel=public/1&channel=deep/1/2", "public/1,deep/1/2", "", 0, NULL},
        {"QUERY_STRING=channel=public/a*&channel=deep/*", "", "public/a*,deep/*", 0, NULL},
        {"QUERY_STRING=channel=public/1&channel=private", NULL, NULL, 403, "not_allowed"},
        {"QUERY_STRING=channel=public/1/2", NULL, NULL, 403, "not_allowed"},
        {"QUERY_STRING=channel=public/**", NULL, NULL, 403, "not_allowed"},
        {NULL, NULL, NULL, 400, "no_channel"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        bool good = decide(f, rows[i].query);

        if (good != (rows[i].got != NULL))
            fail_msg("row %zu: %d %s", i, good, f->problem.message);
        if (!good) {
            assert_problem(f, rows[i].status, rows[i].code);
            continue;
        }
        assert_names(&f->request.channels, rows[i].got);
        assert_names(&f->request.patterns, rows[i].got_patterns);
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

/* --- tokens --- */

static void a_token_gives_its_channels_and_what_is_public(void **state)
{
    static const struct {
        const char *query, *got, *got_patterns; /* `got` NULL: refused with */
        int status;
        const char *code;
    } rows[] = {
        {NULL, "a", "o/*", 0, NULL},
        {"QUERY_STRING=channel=o/7&channel=public/1&channel=a", "o/7,public/1,a", "", 0, NULL},
        {"QUERY_STRING=channel=o/7*&channel=deep/**", "", "o/7*,deep/**", 0, NULL},
        {"QUERY_STRING=channel=b", NULL, NULL, 403, "not_allowed"},
        {"QUERY_STRING=channel=a*", NULL, NULL, 403, "not_allowed"},
        {"QUERY_STRING=channel=o/**", NULL, NULL, 403, "not_allowed"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        bool good = decide(f, rows[i].query, bearer(CLAIMS(",\"channels\":[\"a\",\"o/*\"],\"publish\":[\"b\"]")));

        if (good != (rows[i].got != NULL))
            fail_msg("row %zu: %d %s", i, good, f->problem.message);
        if (!good) {
            assert_problem(f, rows[i].status, rows[i].code);
            continue;
        }
        assert_names(&f->request.channels, rows[i].got);
        assert_names(&f->request.patterns, rows[i].got_patterns);
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
    struct fixture *f = *state;

    f->settings.token_issuer = issuer;
    assert_false(decide(f, bearer(ONE)));
    assert_problem(f, 401, "token_invalid");
    f->settings.token_issuer = no_text;
    f->settings.token_audience = issuer;
    assert_false(decide(f, bearer(ONE)));
    f->settings.token_audience = no_text;
    assert_false(decide(f, bearer("{\"exp\":1799999999,\"channels\":[\"a\"]}")));
    assert_problem(f, 401, "token_expired");
    f->settings.token_leeway = 2000;
    assert_true(decide(f, bearer("{\"exp\":1799999999,\"channels\":[\"a\"]}")));
    assert_int_equal(f->request.expires_ms, 1800000001000);
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

/* --- memory --- */

static unsigned allocations, fail_at; /* the allocation of this number fails, counted from 1; 0: none */

void *__real_malloc(size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);

void *__wrap_malloc(size_t size)
{
    return ++allocations == fail_at ? NULL : __real_malloc(size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return ++allocations == fail_at ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
    return ++allocations == fail_at ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t size)
{
    return ++allocations == fail_at ? NULL : __real_strndup(text, size);
}

static void lack_of_memory_anywhere_refuses_this_request_alone(void **state)
{
    struct fixture *f = *state;
    const char *token = bearer(CLAIMS(",\"sub\":\"me\",\"channels\":[\"a\",\"b*\",\"c\"],\"publish\":[\"d\"]"));
    unsigned rounds = 0;
    bool good;

    do {
        allocations = 0;
        fail_at = ++rounds;
        good = identify(f, ACCESS_LISTEN, STRINGS(token, "SIDECAST_EXPIRES=1800000050"), 2);
        if (!good)
            assert_problem(f, 500, "no_memory");
    } while (!good);
    assert_in_range(rounds, 8, 20);
    rounds = 0;
    do {
        allocations = 0;
        fail_at = ++rounds;
        good = identify(f, ACCESS_LISTEN, STRINGS("SIDECAST_CHANNELS=a,b", "SIDECAST_PATTERNS=c*", "SIDECAST_CLIENT=me"), 3);
        if (!good)
            assert_problem(f, 500, "no_memory");
    } while (!good);
    fail_at = 0;
    assert_in_range(rounds, 6, 12);
}

#define ACCESS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_access, tear_down_access)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        ACCESS_TEST(the_grant_alone_decides_where_there_is_one),
        ACCESS_TEST(what_a_browser_sends_is_no_grant),
        ACCESS_TEST(the_message_about_a_star_speaks_of_patterns),
        ACCESS_TEST(the_public_may_have_what_public_patterns_cover),
        ACCESS_TEST(nothing_is_public_by_default),
        ACCESS_TEST(the_clients_id_is_nginxs_then_the_tokens_then_its_own),
        ACCESS_TEST(a_permission_ends_when_nginx_says),
        ACCESS_TEST(of_two_ends_the_earlier_holds),
        ACCESS_TEST(a_token_gives_its_channels_and_what_is_public),
        ACCESS_TEST(the_limits_hold_for_tokens_too),
        ACCESS_TEST(the_first_token_that_is_there_decides),
        ACCESS_TEST(a_token_is_found_in_all_its_spellings),
        ACCESS_TEST(the_cookies_name_is_configured),
        ACCESS_TEST(a_token_that_is_too_long_is_not_cut),
        ACCESS_TEST(without_keys_no_token_is_supported),
        ACCESS_TEST(the_rules_of_the_configuration_reach_the_token),
        ACCESS_TEST(who_may_publish_is_said_by_nginx_or_by_a_token_of_the_pages_own),
        ACCESS_TEST(lack_of_memory_anywhere_refuses_this_request_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
