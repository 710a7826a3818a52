/* Requests decided about, with keys for tokens and a clock that stands. Include it first: it brings cmocka along. */
#ifndef ACCESS_FIXTURE_H
#define ACCESS_FIXTURE_H

#include "token_fixture.h"

#include "access.h"
#include "request_fixture.h"

static char *public_patterns[] = {"public/*", "deep/**"};
static char no_text[] = "", cookie_name[] = "sidecast_token";
static struct keyring keyring;
static struct identity identity;

enum { NOW = 1800000000 }; /* seconds */
#define CLAIMS(more) "{\"exp\":1800000100" more "}"

static inline int set_up_access(void **state)
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

static inline int tear_down_access(void **state)
{
    access_finish(&identity);
    keyring_finish(&keyring);
    return tear_down(state);
}

static inline bool identify(struct fixture *f, enum access_purpose purpose, const char *const *given, size_t count)
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
static inline bool decide_about(struct fixture *f, const char *const *given, size_t count)
{
    assert_true(parse_params(f, given, count));
    return identify(f, ACCESS_LISTEN, given, count) && access_authorize(&f->request, &identity, &f->settings, &f->problem);
}

#define LISTEN(...) STRINGS("REQUEST_METHOD=GET", __VA_ARGS__), COUNT(STRINGS("REQUEST_METHOD=GET", __VA_ARGS__))
#define decide(fixture, ...) decide_about(fixture, LISTEN(__VA_ARGS__))
#define may_publish(fixture, ...) identify(fixture, ACCESS_PUBLISH, STRINGS(__VA_ARGS__), COUNT(STRINGS(__VA_ARGS__)))

/* `before`, a token with these claims, `after`; good until the next call of the same place. */
static inline const char *with_token(int place, const char *before, const char *claims, const char *after)
{
    static char texts[3][2 * TOKEN_MAX_BYTES];
    char *token = sign(&keyring, claims);

    assert_true((size_t)snprintf(texts[place], sizeof texts[place], "%s%s%s", before, token, after) < sizeof texts[place]);
    free(token);
    return texts[place];
}

static inline const char *bearer(const char *claims)
{
    return with_token(0, "HTTP_AUTHORIZATION=Bearer ", claims, "");
}

/* What became of a row of data. With `got` the request has these names and patterns, else it was refused so. Returns which. */
static inline bool assert_outcome(struct fixture *f, size_t row, bool good, const char *got, const char *got_patterns, int status, const char *code)
{
    if (good != (got != NULL))
        fail_msg("row %zu: %d %s", row, good, f->problem.message);
    if (!good) {
        assert_problem(f, status, code);
        return false;
    }
    assert_names(&f->request.channels, got);
    assert_names(&f->request.patterns, got_patterns);
    return true;
}

#define ACCESS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_access, tear_down_access)

#endif
