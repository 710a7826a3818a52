#include "request.h"
#include "text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <cmocka.h>

/* The modules under test get their memory here: the allocation number `fail_at` (counted from 1; 0: none) fails. */
static unsigned allocations, fail_at;

static void *scarce_malloc(size_t size)
{
    return ++allocations == fail_at ? NULL : malloc(size);
}

static void *scarce_realloc(void *old, size_t size)
{
    return ++allocations == fail_at ? NULL : realloc(old, size);
}

static char *scarce_strndup(const char *text, size_t size)
{
    return ++allocations == fail_at ? NULL : strndup(text, size);
}

#undef strndup
#define malloc scarce_malloc
#define realloc scarce_realloc
#define strndup scarce_strndup
#include "../src/names.c"
#include "../src/request.c"
#undef malloc
#undef realloc
#undef strndup

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define TIMES_255(x) TIMES_51(x) TIMES_51(x) TIMES_51(x) TIMES_51(x) TIMES_51(x)
#define TIMES_51(x) TIMES_17(x) TIMES_17(x) TIMES_17(x)
#define TIMES_17(x) x x x x x x x x x x x x x x x x x

static char *public_patterns[] = {"public/*", "deep/**"};

struct fixture {
    struct settings settings;
    struct request request;
    struct problem problem;
    bool ok;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    fixture->settings.subscribe_max_channels = 4;
    fixture->settings.access_public = (struct string_list){public_patterns, COUNT(public_patterns)};
    allocations = fail_at = 0;
    *state = fixture;
    return fixture ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    request_finish(&fixture->request);
    free(fixture);
    return 0;
}

/* Reads the request with these parameters ("NAME=VALUE", NULL stands for one that is not there). */
static bool parse_params(struct fixture *fixture, const char *const *given, size_t count)
{
    char *params[12];
    size_t kept = 0;

    for (size_t i = 0; i < count; i++)
        if (given[i])
            params[kept++] = (char *)(uintptr_t)given[i];
    params[kept] = NULL;
    request_finish(&fixture->request);
    memset(&fixture->problem, 0, sizeof fixture->problem);
    memset(&fixture->request, 0xa5, sizeof fixture->request);
    fixture->ok = request_parse(&fixture->request, params, &fixture->settings, &fixture->problem);
    return fixture->ok;
}

#define STRINGS(...) ((const char *const[]){__VA_ARGS__})
#define parse(fixture, ...) \
    parse_params(fixture, STRINGS("REQUEST_METHOD=GET", __VA_ARGS__), COUNT(STRINGS("REQUEST_METHOD=GET", __VA_ARGS__)))

static void assert_problem(const struct fixture *fixture, int status, const char *code)
{
    if (fixture->problem.status != status || strcmp(fixture->problem.code, code) != 0)
        fail_msg("got %d %s (%s), expected %d %s", fixture->problem.status, fixture->problem.code ? fixture->problem.code : "",
                 fixture->problem.message, status, code);
}

static void assert_names(const struct string_list *list, const char *expected)
{
    char got[4096] = "";

    for (size_t i = 0; i < list->count; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), i ? ",%s" : "%s", list->items[i]);
    assert_string_equal(got, expected);
}

static void a_parameter_is_found_by_its_whole_name(void **state)
{
    char *params[] = {"QUERY=1", "QUERY_STRING=a=b", "EMPTY=", "QUERY_STRING=second", "BARE", NULL};

    (void)state;
    assert_string_equal(request_param(params, "QUERY_STRING"), "a=b");
    assert_string_equal(request_param(params, "EMPTY"), "");
    assert_null(request_param(params, "QUERY_STR"));
    assert_null(request_param(params, "BARE"));
    assert_null(request_param(params, "query"));
}

static void a_plain_request_is_a_stream_from_now_on(void **state)
{
    struct fixture *f = *state;

    assert_true(parse(f, "QUERY_STRING=channel=news"));
    assert_int_equal(f->request.method, METHOD_GET);
    assert_int_equal(f->request.endpoint, ENDPOINT_SUBSCRIBE);
    assert_int_equal(f->request.transport, TRANSPORT_SSE);
    assert_int_equal(f->request.cursor_kind, CURSOR_NONE);
    assert_false(f->request.envelope);
    assert_false(f->request.has_grant);
    assert_null(f->request.client);
    assert_names(&f->request.channels, "news");
    assert_names(&f->request.grant, "");
}

static void channels_are_decoded_and_kept_in_order_each_once(void **state)
{
    static const struct {
        const char *query, *channels;
    } rows[] = {
        {"QUERY_STRING=", ""},
        {"QUERY_STRING=channel=b&channel=a&channel=b&channel=c&channel=a", "b,a,c"},
        {"QUERY_STRING=channel=z&channel=y&channel=x&channel=w", "z,y,x,w"},
        {"QUERY_STRING=&&channel=a&&x&=&=y&", "a"},
        {"QUERY_STRING=%63hannel=caf%C3%A9&c%68annel=%e2%82%ac/1", "caf\xc3\xa9,\xe2\x82\xac/1"},
        {"QUERY_STRING=channel=caf\xc3\xa9&channel=caf%c3%a9", "caf\xc3\xa9"},
        {"QUERY_STRING=channel=a=b", "a=b"},
        {"QUERY_STRING=channel=a%26b%3Dc%2Bd", "a&b=c+d"},
        {"QUERY_STRING=channel=a;channel=b", "a;channel=b"},
        {"QUERY_STRING=channel[]=a&channels=b&Channel=c&channel%00=d&channel%5B%5D=e", ""},
        {"QUERY_STRING=unknown=%zz&unknown=%ff&token=%&channel=a", "a"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        if (!parse(f, rows[i].query))
            fail_msg("%s: %s", rows[i].query, f->problem.message);
        assert_names(&f->request.channels, rows[i].channels);
    }
}

static void bad_queries_are_refused_with_a_stable_code(void **state)
{
    static const struct {
        const char *query, *code;
    } rows[] = {
        {"QUERY_STRING=channel=", "bad_channel"},
        {"QUERY_STRING=channel", "bad_channel"},
        {"QUERY_STRING=channel=news/*", "bad_channel"},
        {"QUERY_STRING=channel=%2A", "bad_channel"},
        {"QUERY_STRING=channel=a+b", "bad_channel"},
        {"QUERY_STRING=channel=a%20b", "bad_channel"},
        {"QUERY_STRING=channel=a,b", "bad_channel"},
        {"QUERY_STRING=channel=a%00", "bad_channel"},
        {"QUERY_STRING=channel=a%0A", "bad_channel"},
        {"QUERY_STRING=channel=x" TIMES_255("a"), "bad_channel"},
        {"QUERY_STRING=channel=" TIMES_255("%C3%A9"), "bad_channel"},
        {"QUERY_STRING=channel=x" TIMES_255("%C3%A9"), "bad_channel"},
        {"QUERY_STRING=channel=a&channel=b&channel=c&channel=d&channel=e", "too_many_channels"},
        {"QUERY_STRING=channel=%", "bad_query"},
        {"QUERY_STRING=channel=%4", "bad_query"},
        {"QUERY_STRING=channel=%4&last=1", "bad_query"},
        {"QUERY_STRING=channel=%g1", "bad_query"},
        {"QUERY_STRING=channel=%1g", "bad_query"},
        {"QUERY_STRING=channel=a%\xff""1", "bad_query"},
        {"QUERY_STRING=%=1", "bad_query"},
        {"QUERY_STRING=channel=%ff", "bad_query"},
        {"QUERY_STRING=channel=%C3", "bad_query"},
        {"QUERY_STRING=client=%ED%A0%80", "bad_query"},
        {"QUERY_STRING=client=a%00b", "bad_query"},
        {"QUERY_STRING=client=a%7F", "bad_query"},
        {"QUERY_STRING=client=x" TIMES_255("a"), "bad_query"},
        {"QUERY_STRING=last=", "bad_query"},
        {"QUERY_STRING=last=0", "bad_query"},
        {"QUERY_STRING=last=000", "bad_query"},
        {"QUERY_STRING=last=-1", "bad_query"},
        {"QUERY_STRING=last=+1", "bad_query"},
        {"QUERY_STRING=last=1x", "bad_query"},
        {"QUERY_STRING=last=99999999999999x", "bad_query"},
        {"QUERY_STRING=cursor=5-5&last=x", "bad_query"},
        {"QUERY_STRING=transport=", "bad_query"},
        {"QUERY_STRING=transport=SSE", "bad_query"},
        {"QUERY_STRING=transport=websocket", "bad_query"},
        {"QUERY_STRING=transport=poll&transport=x", "bad_query"},
        {"QUERY_STRING=envelope", "bad_query"},
        {"QUERY_STRING=envelope=yes", "bad_query"},
        {"QUERY_STRING=envelope=11", "bad_query"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        if (parse(f, rows[i].query))
            fail_msg("taken: %s", rows[i].query);
        assert_problem(f, 400, rows[i].code);
        assert_true(strlen(f->problem.message) > 0 && strlen(f->problem.message) < sizeof f->problem.message - 1);
    }
}

static void a_name_of_255_bytes_is_taken_however_it_is_encoded(void **state)
{
    struct fixture *f = *state;

    assert_true(parse(f, "QUERY_STRING=channel=" TIMES_255("a") "&client=" TIMES_255("%62")));
    assert_int_equal(strlen(f->request.channels.items[0]), 255);
    assert_int_equal(strlen(f->request.client), 255);
    assert_true(parse(f, "QUERY_STRING=channel=" TIMES_255("%61")));
    assert_int_equal(strlen(f->request.channels.items[0]), 255);
}

static void refusals_never_echo_the_bytes_of_the_client(void **state)
{
    static const char *const given[] = {
        "QUERY_STRING=channel=zebra*", "QUERY_STRING=channel=zebra%zz", "QUERY_STRING=client=zebra%00", "QUERY_STRING=last=zebra",
        "QUERY_STRING=transport=zebra", "QUERY_STRING=envelope=zebra", "REQUEST_METHOD=zebra", "SIDECAST_ENDPOINT=zebra",
        "SIDECAST_CHANNELS=zebra*", "SIDECAST_CHANNELS=zebra\x01", "SIDECAST_CLIENT=zebra\x01",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT(given); i++) {
        const char *params[] = {given[i], "REQUEST_METHOD=GET"};

        assert_false(parse_params(f, params, 2));
        assert_null(strstr(f->problem.message, "zebra"));
    }
}

static void the_transport_follows_accept_unless_the_query_names_it(void **state)
{
    static const struct {
        const char *accept, *query;
        enum request_transport transport;
    } rows[] = {
        {NULL, NULL, TRANSPORT_SSE},
        {"HTTP_ACCEPT=", NULL, TRANSPORT_SSE},
        {"HTTP_ACCEPT=*/*", NULL, TRANSPORT_SSE},
        {"HTTP_ACCEPT=text/html", NULL, TRANSPORT_SSE},
        {"HTTP_ACCEPT=text/event-stream", NULL, TRANSPORT_SSE},
        {"HTTP_ACCEPT=application/json", NULL, TRANSPORT_POLL},
        {"HTTP_ACCEPT=Application/JSON;q=0.9", NULL, TRANSPORT_POLL},
        {"HTTP_ACCEPT=text/html ,\t application/json ; q=0.5, */*", NULL, TRANSPORT_POLL},
        {"HTTP_ACCEPT=application/json, text/event-stream", NULL, TRANSPORT_POLL},
        {"HTTP_ACCEPT=text/event-stream, application/json", NULL, TRANSPORT_SSE},
        {"HTTP_ACCEPT=application/jsonp, application/json5;application/json", NULL, TRANSPORT_SSE},
        {"HTTP_ACCEPT=,, ;,application/json", NULL, TRANSPORT_POLL},
        {"HTTP_ACCEPT=application/json", "QUERY_STRING=transport=sse", TRANSPORT_SSE},
        {"HTTP_ACCEPT=text/event-stream", "QUERY_STRING=transport=poll", TRANSPORT_POLL},
        {NULL, "QUERY_STRING=transport=sse&transport=poll", TRANSPORT_POLL},
        {NULL, "QUERY_STRING=%74ransport=%70oll", TRANSPORT_POLL},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_true(parse(f, rows[i].accept, rows[i].query));
        if (f->request.transport != rows[i].transport)
            fail_msg("%s %s", rows[i].accept ? rows[i].accept : "", rows[i].query ? rows[i].query : "");
    }
}

static void a_refusal_knows_the_transport_whatever_is_wrong(void **state)
{
    static const struct {
        const char *wrong, *query;
        enum request_transport transport;
    } rows[] = {
        {"SIDECAST_ENDPOINT=nowhere", "QUERY_STRING=transport=poll", TRANSPORT_POLL},
        {"HTTP_ACCEPT=application/json", "QUERY_STRING=channel=*", TRANSPORT_POLL},
        {"HTTP_ACCEPT=application/json", "QUERY_STRING=transport=x", TRANSPORT_POLL},
        {"HTTP_ACCEPT=application/json", "QUERY_STRING=%&last=x&transport=sse", TRANSPORT_SSE},
        {NULL, "QUERY_STRING=transport=sse&channel=*&transport=poll", TRANSPORT_POLL},
        {NULL, "QUERY_STRING=channel=%zz&transport=poll&transport=%zz", TRANSPORT_POLL},
        {NULL, "QUERY_STRING=transport=poll%zz", TRANSPORT_SSE},
        {NULL, "QUERY_STRING=transport%zz=poll", TRANSPORT_SSE},
        {"SIDECAST_CHANNELS=*", "QUERY_STRING=transport=poll", TRANSPORT_POLL},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_false(parse(f, rows[i].wrong, rows[i].query));
        assert_int_equal(f->request.transport, rows[i].transport);
    }
    const char *post[] = {"REQUEST_METHOD=POST", "QUERY_STRING=transport=poll"};
    assert_false(parse_params(f, post, 2));
    assert_int_equal(f->request.transport, TRANSPORT_POLL);
}

static void cursors_are_read_in_all_their_spellings(void **state)
{
    static const struct {
        const char *header, *query;
        enum request_cursor kind;
        struct event_id cursor;
    } rows[] = {
        {"HTTP_LAST_EVENT_ID=7-3", NULL, CURSOR_ID, {7, 3}},
        {NULL, "QUERY_STRING=last_event_id=7-3", CURSOR_ID, {7, 3}},
        {NULL, "QUERY_STRING=lastEventId=7-3", CURSOR_ID, {7, 3}},
        {NULL, "QUERY_STRING=lastEventID=7-3", CURSOR_ID, {7, 3}},
        {NULL, "QUERY_STRING=Last-Event-ID=7%2D3", CURSOR_ID, {7, 3}},
        {NULL, "QUERY_STRING=cursor=7-3", CURSOR_ID, {7, 3}},
        {NULL, "QUERY_STRING=Cursor=7-3&LASTEVENTID=7-3", CURSOR_NONE, {0, 0}},
        {"HTTP_LAST_EVENT_ID=7-3", "QUERY_STRING=cursor=9-9", CURSOR_ID, {7, 3}},
        {"HTTP_LAST_EVENT_ID=", "QUERY_STRING=cursor=9-9", CURSOR_ID, {9, 9}},
        {"HTTP_LAST_EVENT_ID=", NULL, CURSOR_NONE, {0, 0}},
        {NULL, "QUERY_STRING=cursor=9-9&lastEventId=7-3", CURSOR_ID, {7, 3}},
        {NULL, "QUERY_STRING=lastEventId=7-3&cursor=9-9", CURSOR_ID, {7, 3}},
        {NULL, "QUERY_STRING=lastEventId=&cursor=9-9", CURSOR_ID, {9, 9}},
        {NULL, "QUERY_STRING=cursor=9-9&cursor=7-3", CURSOR_ID, {7, 3}},
        {NULL, "QUERY_STRING=cursor=7-3&cursor=", CURSOR_ID, {7, 3}},
        {NULL, "QUERY_STRING=cursor=", CURSOR_NONE, {0, 0}},
        {NULL, "QUERY_STRING=cursor=0", CURSOR_ZERO, {0, 0}},
        {"HTTP_LAST_EVENT_ID=0", NULL, CURSOR_ZERO, {0, 0}},
        {NULL, "QUERY_STRING=cursor=0-0", CURSOR_ID, {0, 0}},
        {NULL, "QUERY_STRING=cursor=1763899200123", CURSOR_TIME, {1763899200122, UINT64_MAX}},
        {NULL, "QUERY_STRING=cursor=x", CURSOR_BAD, {0, 0}},
        {NULL, "QUERY_STRING=cursor=%zz", CURSOR_BAD, {0, 0}},
        {NULL, "QUERY_STRING=cursor=%ff", CURSOR_BAD, {0, 0}},
        {NULL, "QUERY_STRING=cursor=7%00-3", CURSOR_BAD, {0, 0}},
        {NULL, "QUERY_STRING=cursor=0" TIMES_255("0"), CURSOR_BAD, {0, 0}},
        {"HTTP_LAST_EVENT_ID=7-3\xff", "QUERY_STRING=cursor=9-9", CURSOR_BAD, {0, 0}},
        {"HTTP_LAST_EVENT_ID=7%2D3", NULL, CURSOR_BAD, {0, 0}},
        {"HTTP_LAST_EVENT_ID=7-3", "QUERY_STRING=cursor=x", CURSOR_ID, {7, 3}},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_true(parse(f, rows[i].header, rows[i].query));
        if (f->request.cursor_kind != rows[i].kind || event_id_compare(f->request.cursor, rows[i].cursor) != 0)
            fail_msg("%s %s: kind %d", rows[i].header ? rows[i].header : "", rows[i].query ? rows[i].query : "",
                     f->request.cursor_kind);
    }
}

static void last_counts_only_without_a_cursor(void **state)
{
    static const struct {
        const char *header, *query;
        enum request_cursor kind;
        uint32_t last;
    } rows[] = {
        {NULL, "QUERY_STRING=last=1", CURSOR_LAST, 1},
        {NULL, "QUERY_STRING=last=007", CURSOR_LAST, 7},
        {NULL, "QUERY_STRING=last=2&last=5", CURSOR_LAST, 5},
        {NULL, "QUERY_STRING=last=4294967295", CURSOR_LAST, 4294967295},
        {NULL, "QUERY_STRING=last=4294967296", CURSOR_LAST, 4294967295},
        {NULL, "QUERY_STRING=last=18446744073709551617", CURSOR_LAST, 4294967295},
        {NULL, "QUERY_STRING=last=99999999999999999999999999999999999999", CURSOR_LAST, 4294967295},
        {"HTTP_LAST_EVENT_ID=", "QUERY_STRING=last=3&cursor=", CURSOR_LAST, 3},
    };
    static const char *const cursors[] = {"cursor=5-1", "cursor=0", "cursor=5", "cursor=x"};
    struct fixture *f = *state;
    char query[64];

    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_true(parse(f, rows[i].header, rows[i].query));
        assert_int_equal(f->request.cursor_kind, rows[i].kind);
        assert_int_equal(f->request.last, rows[i].last);
    }
    for (size_t i = 0; i < COUNT(cursors); i++) {
        snprintf(query, sizeof query, "QUERY_STRING=last=3&%s", cursors[i]);
        assert_true(parse(f, query));
        assert_true(f->request.cursor_kind != CURSOR_LAST && f->request.cursor_kind != CURSOR_NONE);
    }
}

static void the_clients_id_is_the_trusted_one_if_there_is_one(void **state)
{
    struct fixture *f = *state;

    assert_true(parse(f, "QUERY_STRING=client=tab+1"));
    assert_string_equal(f->request.client, "tab 1");
    assert_true(parse(f, "QUERY_STRING=client=tab&client=two"));
    assert_string_equal(f->request.client, "two");
    assert_true(parse(f, "QUERY_STRING=client="));
    assert_null(f->request.client);
    assert_true(parse(f, "QUERY_STRING=client=tab", "SIDECAST_CLIENT=user 7"));
    assert_string_equal(f->request.client, "user 7");
    assert_true(parse(f, "QUERY_STRING=client=tab", "SIDECAST_CLIENT="));
    assert_string_equal(f->request.client, "tab");
    assert_true(parse(f, "HTTP_SIDECAST_CLIENT=evil"));
    assert_null(f->request.client);
    assert_false(parse(f, "SIDECAST_CLIENT=a\nb"));
    assert_problem(f, 400, "bad_query");
}

static void envelope_takes_one_and_zero(void **state)
{
    struct fixture *f = *state;

    assert_true(parse(f, "QUERY_STRING=envelope=1"));
    assert_true(f->request.envelope);
    assert_true(parse(f, "QUERY_STRING=envelope=1&envelope=0"));
    assert_false(f->request.envelope);
}

static void get_head_and_options_are_the_methods(void **state)
{
    static const struct {
        const char *method;
        int result; /* enum request_method, -1: refused */
    } rows[] = {
        {"REQUEST_METHOD=GET", METHOD_GET}, {"REQUEST_METHOD=HEAD", METHOD_HEAD}, {"REQUEST_METHOD=OPTIONS", METHOD_OPTIONS},
        {"REQUEST_METHOD=POST", -1},        {"REQUEST_METHOD=get", -1},           {"REQUEST_METHOD=GETS", -1},
        {"REQUEST_METHOD=", -1},            {NULL, -1},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *params[] = {rows[i].method, "QUERY_STRING=channel=a"};

        assert_int_equal(parse_params(f, params, 2), rows[i].result >= 0);
        if (rows[i].result >= 0)
            assert_int_equal(f->request.method, rows[i].result);
        else
            assert_problem(f, 405, "method_not_allowed");
    }
}

static void publishing_takes_post_and_options_and_reads_nothing_else(void **state)
{
    static const char *const refused[] = {"REQUEST_METHOD=GET", "REQUEST_METHOD=HEAD", "REQUEST_METHOD=PUT"};
    struct fixture *f = *state;

#define PUBLISH(method) parse_params(f, STRINGS("SIDECAST_ENDPOINT=publish", method, "QUERY_STRING=channel=*"), 3)
    assert_true(PUBLISH("REQUEST_METHOD=POST"));
    assert_int_equal(f->request.endpoint, ENDPOINT_PUBLISH);
    assert_int_equal(f->request.method, METHOD_POST);
    assert_int_equal(f->request.channels.count, 0);
    assert_true(PUBLISH("REQUEST_METHOD=OPTIONS"));
    for (size_t i = 0; i < COUNT(refused); i++) {
        assert_false(PUBLISH(refused[i]));
        assert_problem(f, 405, "method_not_allowed");
        assert_string_equal(f->problem.allow, "POST, OPTIONS");
    }
    assert_false(parse_params(f, STRINGS("REQUEST_METHOD=POST"), 1));
    assert_string_equal(f->problem.allow, "GET, HEAD, OPTIONS");
    assert_false(parse_params(f, STRINGS("REQUEST_METHOD=POST", "SIDECAST_ENDPOINT=health"), 2));
}

static void the_endpoint_is_named_by_the_front_end(void **state)
{
    struct fixture *f = *state;

    assert_true(parse(f, "SIDECAST_ENDPOINT="));
    assert_int_equal(f->request.endpoint, ENDPOINT_SUBSCRIBE);
    assert_true(parse(f, "SIDECAST_ENDPOINT=subscribe"));
    assert_int_equal(f->request.endpoint, ENDPOINT_SUBSCRIBE);
    assert_true(parse(f, "SIDECAST_ENDPOINT=health", "QUERY_STRING=channel=*", "SIDECAST_CHANNELS=*"));
    assert_int_equal(f->request.endpoint, ENDPOINT_HEALTH);
    assert_true(parse(f, "HTTP_SIDECAST_ENDPOINT=health"));
    assert_int_equal(f->request.endpoint, ENDPOINT_SUBSCRIBE);
    assert_false(parse(f, "SIDECAST_ENDPOINT=Health"));
    assert_problem(f, 404, "unknown_endpoint");
}

static void the_grant_is_a_list_with_commas(void **state)
{
    static const struct {
        const char *grant, *channels;
    } rows[] = {
        {"SIDECAST_CHANNELS=", ""},
        {"SIDECAST_CHANNELS=,,", ""},
        {"SIDECAST_CHANNELS= \t, ", ""},
        {"SIDECAST_CHANNELS=news", "news"},
        {"SIDECAST_CHANNELS= b ,a,\tb,,c ", "b,a,c"},
        {"SIDECAST_CHANNELS=a,b,c,d,e,f,e,d", "a,b,c,d,e,f"},
        {"SIDECAST_CHANNELS=a%20b", "a%20b"},
    };
    static const char *const bad[] = {"SIDECAST_CHANNELS=news/*", "SIDECAST_CHANNELS=a,*", "SIDECAST_CHANNELS=a b",
                                      "SIDECAST_CHANNELS=a\x01", "SIDECAST_CHANNELS=\xff", "SIDECAST_CHANNELS=x" TIMES_255("a")};
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_true(parse(f, rows[i].grant));
        assert_true(f->request.has_grant);
        assert_names(&f->request.grant, rows[i].channels);
        assert_names(&f->request.channels, "");
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_false(parse(f, bad[i]));
        assert_problem(f, 400, "bad_channel");
    }
    assert_true(parse(f, "HTTP_SIDECAST_CHANNELS=a"));
    assert_false(f->request.has_grant);
}

static void the_message_about_a_star_speaks_of_patterns(void **state)
{
    struct fixture *f = *state;

    assert_false(parse(f, "QUERY_STRING=channel=news/*"));
    assert_string_equal(f->problem.message, "channel= takes channels by their full names, not patterns with *.");
    assert_false(parse(f, "SIDECAST_CHANNELS=news/*"));
    assert_string_equal(f->problem.message, "SIDECAST_CHANNELS takes channels by their full names, not patterns with *.");
}

static void who_may_listen_is_decided_by_grant_or_public_patterns(void **state)
{
    static const struct {
        const char *grant, *query, *channels; /* channels NULL: refused with */
        int status;
        const char *code;
    } rows[] = {
        {"SIDECAST_CHANNELS=b,a", NULL, "b,a", 0, NULL},
        {"SIDECAST_CHANNELS=a,b,c", "QUERY_STRING=channel=c&channel=a", "c,a", 0, NULL},
        {"SIDECAST_CHANNELS=a,b", "QUERY_STRING=channel=a&channel=c", NULL, 403, "not_allowed"},
        {"SIDECAST_CHANNELS=a", "QUERY_STRING=channel=public/1", NULL, 403, "not_allowed"},
        {"SIDECAST_CHANNELS=ab", "QUERY_STRING=channel=a", NULL, 403, "not_allowed"},
        {"SIDECAST_CHANNELS=", "QUERY_STRING=channel=public/1", NULL, 403, "not_allowed"},
        {"SIDECAST_CHANNELS=, ,", "QUERY_STRING=channel=public/1", NULL, 403, "not_allowed"},
        {"SIDECAST_CHANNELS=", NULL, NULL, 403, "not_allowed"},
        {"SIDECAST_CHANNELS=a,b,c,d,e", NULL, NULL, 400, "too_many_channels"},
        {"SIDECAST_CHANNELS=a,b,c,d,e", "QUERY_STRING=channel=e", "e", 0, NULL},
        {NULL, "QUERY_STRING=channel=public/1&channel=deep/1/2", "public/1,deep/1/2", 0, NULL},
        {NULL, "QUERY_STRING=channel=public/1&channel=private", NULL, 403, "not_allowed"},
        {NULL, "QUERY_STRING=channel=public/1/2", NULL, 403, "not_allowed"},
        {NULL, NULL, NULL, 400, "no_channel"},
        {"HTTP_SIDECAST_CHANNELS=a", "QUERY_STRING=channel=a", NULL, 403, "not_allowed"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_true(parse(f, rows[i].grant, rows[i].query));
        bool allowed = request_authorize(&f->request, &f->settings, &f->problem);
        if (allowed != (rows[i].channels != NULL))
            fail_msg("row %zu: allowed is %d", i, allowed);
        if (allowed)
            assert_names(&f->request.channels, rows[i].channels);
        else
            assert_problem(f, rows[i].status, rows[i].code);
    }
}

static void nothing_is_public_by_default(void **state)
{
    struct fixture *f = *state;

    f->settings.access_public = (struct string_list){0};
    assert_true(parse(f, "QUERY_STRING=channel=public/1"));
    assert_false(request_authorize(&f->request, &f->settings, &f->problem));
    assert_problem(f, 403, "not_allowed");
}

/* `start`, then `count` items: `before`, a number from 0 to below `distinct`, `after`. The caller frees it. */
static char *long_list(const char *start, const char *before, const char *after, unsigned count, unsigned distinct)
{
    struct text list = TEXT_EMPTY;

    text_append_string(&list, start);
    for (unsigned i = 0; i < count; i++)
        text_append_format(&list, "%s%x%s", before, i % distinct, after);
    text_append(&list, (struct span){"", 1});
    assert_false(list.failed);
    return list.bytes;
}

static void long_lists_are_counted_without_their_repeats(void **state)
{
    struct fixture *f = *state;
    char *repeats = long_list("QUERY_STRING=", "channel=", "&", 6500, 4);
    char *distinct = long_list("QUERY_STRING=", "channel=", "&", 5000, 5000);
    char *grant = long_list("SIDECAST_CHANNELS=", "", ",", 13000, 13000);

    assert_true(parse(f, repeats));
    assert_names(&f->request.channels, "0,1,2,3");
    assert_false(parse(f, distinct));
    assert_problem(f, 400, "too_many_channels");
    f->settings.subscribe_max_channels = 10000;
    assert_true(parse(f, distinct, grant));
    assert_int_equal(f->request.channels.count, 5000);
    assert_int_equal(f->request.grant.count, 13000);
    for (unsigned i = 0; i < 5000; i++)
        assert_int_equal(strtoul(f->request.channels.items[i], NULL, 16), i);
    assert_true(request_authorize(&f->request, &f->settings, &f->problem));
    free(repeats);
    free(distinct);
    free(grant);
}

static void lack_of_memory_anywhere_refuses_this_request_alone(void **state)
{
    struct fixture *f = *state;
    unsigned rounds = 0;
    bool ok;

    do {
        allocations = 0;
        fail_at = ++rounds;
        ok = parse(f, "QUERY_STRING=transport=poll&client=a&channel=a&channel=b&channel=a&channel=c", "SIDECAST_CHANNELS=c,b,a,c",
                   "SIDECAST_CLIENT=b");
        if (!ok) {
            assert_problem(f, 500, "no_memory");
            assert_int_equal(f->request.transport, TRANSPORT_POLL);
        }
    } while (!ok);
    assert_int_equal(rounds, allocations + 1);
    assert_in_range(rounds, 15, 25);
    fail_at = 0;
    assert_names(&f->request.channels, "a,b,c");
    assert_true(request_authorize(&f->request, &f->settings, &f->problem));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_parameter_is_found_by_its_whole_name),
        TEST(a_plain_request_is_a_stream_from_now_on),
        TEST(channels_are_decoded_and_kept_in_order_each_once),
        TEST(bad_queries_are_refused_with_a_stable_code),
        TEST(a_name_of_255_bytes_is_taken_however_it_is_encoded),
        TEST(refusals_never_echo_the_bytes_of_the_client),
        TEST(the_transport_follows_accept_unless_the_query_names_it),
        TEST(a_refusal_knows_the_transport_whatever_is_wrong),
        TEST(cursors_are_read_in_all_their_spellings),
        TEST(last_counts_only_without_a_cursor),
        TEST(the_clients_id_is_the_trusted_one_if_there_is_one),
        TEST(envelope_takes_one_and_zero),
        TEST(get_head_and_options_are_the_methods),
        TEST(the_endpoint_is_named_by_the_front_end),
        TEST(publishing_takes_post_and_options_and_reads_nothing_else),
        TEST(the_grant_is_a_list_with_commas),
        TEST(the_message_about_a_star_speaks_of_patterns),
        TEST(who_may_listen_is_decided_by_grant_or_public_patterns),
        TEST(nothing_is_public_by_default),
        TEST(long_lists_are_counted_without_their_repeats),
        TEST(lack_of_memory_anywhere_refuses_this_request_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
