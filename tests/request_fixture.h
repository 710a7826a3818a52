/* Requests read from parameters, one after the other in one fixture. Include it first: it brings cmocka along. */
#ifndef REQUEST_FIXTURE_H
#define REQUEST_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "request.h"
#include "text.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define TIMES_255(x) TIMES_51(x) TIMES_51(x) TIMES_51(x) TIMES_51(x) TIMES_51(x)
#define TIMES_51(x) TIMES_17(x) TIMES_17(x) TIMES_17(x)
#define TIMES_17(x) x x x x x x x x x x x x x x x x x

struct fixture {
    struct settings settings;
    struct request request;
    struct problem problem;
    bool ok;
};

static inline int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    fixture->settings.subscribe_max_channels = 4;
    fixture->settings.subscribe_max_patterns = 2;
    *state = fixture;
    return fixture ? 0 : -1;
}

static inline int tear_down(void **state)
{
    struct fixture *fixture = *state;

    request_finish(&fixture->request);
    free(fixture);
    return 0;
}

enum { MOST_PARAMS = 12 };

/* As libfcgi gives them; "NAME=VALUE", NULL stands for one that is not there. */
static inline void fill_params(char **params, const char *const *given, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++)
        if (given[i])
            params[kept++] = (char *)(uintptr_t)given[i];
    params[kept] = NULL;
}

/* Reads the request with these parameters ("NAME=VALUE", NULL stands for one that is not there). */
static inline bool parse_params(struct fixture *fixture, const char *const *given, size_t count)
{
    char *params[MOST_PARAMS];

    fill_params(params, given, count);
    request_finish(&fixture->request);
    memset(&fixture->problem, 0, sizeof fixture->problem);
    memset(&fixture->request, 0xa5, sizeof fixture->request);
    fixture->ok = request_parse(&fixture->request, params, &fixture->settings, &fixture->problem);
    return fixture->ok;
}

#define STRINGS(...) ((const char *const[]){__VA_ARGS__})
#define parse(fixture, ...) \
    parse_params(fixture, STRINGS("REQUEST_METHOD=GET", __VA_ARGS__), COUNT(STRINGS("REQUEST_METHOD=GET", __VA_ARGS__)))

static inline void assert_problem(const struct fixture *fixture, int status, const char *code)
{
    if (fixture->problem.status != status || strcmp(fixture->problem.code, code) != 0)
        fail_msg("got %d %s (%s), expected %d %s", fixture->problem.status, fixture->problem.code ? fixture->problem.code : "",
                 fixture->problem.message, status, code);
}

static inline void assert_names(const struct string_list *list, const char *expected)
{
    char got[4096] = "";

    for (size_t i = 0; i < list->count; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), i ? ",%s" : "%s", list->items[i]);
    assert_string_equal(got, expected);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
