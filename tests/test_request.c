/* What a request asks for: its channels and the rest of its query, and what lack of memory costs. */
#include "request_fixture.h"

#include <strings.h>

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

static void a_parameter_is_found_by_its_whole_name(void **state)
{
    char *params[] = {"QUERY=1", "QUERY_STRING=a=b", "EMPTY=", "QUERY_STRING=second", "BARE", NULL};

    (void)state;
    assert_string_equal(request_param(params, "QUERY_STRING"), "a=b");
    assert_string_equal(request_param(params, "EMPTY"), "");
    assert_null(request_param(params, "QUERY_STR"));
    assert_null(request_param(params, "BARE"));
    assert_null(request_param(params, "query"));
    assert_null(request_filled_param(params, "EMPTY"));
    assert_string_equal(request_filled_param(params, "QUERY_STRING"), "a=b");
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
    assert_null(f->request.client);
    assert_names(&f->request.channels, "news");
    assert_names(&f->request.patterns, "");
    assert_int_equal(f->request.expires_ms, 0);
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

static void what_has_a_star_is_a_pattern(void **state)
{
    struct fixture *f = *state;

    assert_true(parse(f, "QUERY_STRING=channel=b/*&channel=a&channel=**&channel=b/%2A"));
    assert_names(&f->request.channels, "a");
    assert_names(&f->request.patterns, "b/*,**");
}

static void bad_queries_are_refused_with_a_stable_code(void **state)
{
    static const struct {
        const char *query, *code;
    } rows[] = {
        {"QUERY_STRING=channel=", "bad_channel"},
        {"QUERY_STRING=channel", "bad_channel"},
        {"QUERY_STRING=channel=news/*+x", "bad_channel"},
        {"QUERY_STRING=channel=*,*", "bad_channel"},
        {"QUERY_STRING=channel=*%00", "bad_channel"},
        {"QUERY_STRING=channel=*" TIMES_255("a"), "bad_channel"},
        {"QUERY_STRING=channel=a*&channel=b*&channel=c*", "too_many_patterns"},
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
        "QUERY_STRING=channel=zebra,*", "QUERY_STRING=channel=zebra%zz", "QUERY_STRING=client=zebra%00", "QUERY_STRING=last=zebra",
        "QUERY_STRING=transport=zebra", "QUERY_STRING=envelope=zebra", "REQUEST_METHOD=zebra", "SIDECAST_ENDPOINT=zebra",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT(given); i++) {
        const char *params[] = {given[i], "REQUEST_METHOD=GET"};

        assert_false(parse_params(f, params, 2));
        assert_null(strstr(f->problem.message, "zebra"));
    }
}

static void the_last_client_id_holds(void **state)
{
    struct fixture *f = *state;

    assert_true(parse(f, "QUERY_STRING=client=tab+1"));
    assert_string_equal(f->request.client, "tab 1");
    assert_true(parse(f, "QUERY_STRING=client=tab&client=two"));
    assert_string_equal(f->request.client, "two");
    assert_true(parse(f, "QUERY_STRING=client="));
    assert_null(f->request.client);
}

static void envelope_takes_one_and_zero(void **state)
{
    struct fixture *f = *state;

    assert_true(parse(f, "QUERY_STRING=envelope=1"));
    assert_true(f->request.envelope);
    assert_true(parse(f, "QUERY_STRING=envelope=1&envelope=0"));
    assert_false(f->request.envelope);
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

    assert_true(parse(f, repeats));
    assert_names(&f->request.channels, "0,1,2,3");
    assert_false(parse(f, distinct));
    assert_problem(f, 400, "too_many_channels");
    f->settings.subscribe_max_channels = 10000;
    assert_true(parse(f, distinct));
    assert_int_equal(f->request.channels.count, 5000);
    for (unsigned i = 0; i < 5000; i++)
        assert_int_equal(strtoul(f->request.channels.items[i], NULL, 16), i);
    free(repeats);
    free(distinct);
}

static void lack_of_memory_anywhere_refuses_this_request_alone(void **state)
{
    struct fixture *f = *state;
    unsigned rounds = 0;
    bool ok;

    do {
        allocations = 0;
        fail_at = ++rounds;
        ok = parse(f, "QUERY_STRING=transport=poll&client=a&channel=a&channel=b&channel=a&channel=c&channel=*&client=b");
        if (!ok) {
            assert_problem(f, 500, "no_memory");
            assert_int_equal(f->request.transport, TRANSPORT_POLL);
        }
    } while (!ok);
    fail_at = 0;
    assert_int_equal(rounds, allocations + 1);
    assert_in_range(rounds, 10, 20);
    assert_names(&f->request.channels, "a,b,c");
    assert_names(&f->request.patterns, "*");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_parameter_is_found_by_its_whole_name),
        TEST(a_plain_request_is_a_stream_from_now_on),
        TEST(channels_are_decoded_and_kept_in_order_each_once),
        TEST(what_has_a_star_is_a_pattern),
        TEST(bad_queries_are_refused_with_a_stable_code),
        TEST(a_name_of_255_bytes_is_taken_however_it_is_encoded),
        TEST(refusals_never_echo_the_bytes_of_the_client),
        TEST(the_last_client_id_holds),
        TEST(envelope_takes_one_and_zero),
        TEST(long_lists_are_counted_without_their_repeats),
        TEST(lack_of_memory_anywhere_refuses_this_request_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
