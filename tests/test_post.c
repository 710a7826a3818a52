#include "post.h"

#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

enum { PARAMS_MAX = 5 };

struct fixture {
    struct settings settings;
    struct post post;
    struct problem problem;
    bool is_good;
    struct text told; /* for C's string functions */
};

static int make(void **state)
{
    static char *const overrides[] = {"--publish.max_batch=5", "--publish.max_frame_bytes=4KiB", "--publish.max_bytes=1KiB", NULL};
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct config_error error;

    *state = fixture;
    return config_read(&fixture->settings, NULL, "defaults", overrides, &error) ? 0 : -1;
}

static int finish(void **state)
{
    struct fixture *fixture = *state;

    post_finish(&fixture->post);
    text_finish(&fixture->told);
    config_finish(&fixture->settings);
    free(fixture);
    return 0;
}

static void parse(struct fixture *fixture, const char *const *params, struct span bytes)
{
    const char *all[PARAMS_MAX + 2] = {"REQUEST_METHOD=POST"};
    struct text body = TEXT_EMPTY;

    for (size_t i = 0; i < PARAMS_MAX && params[i]; i++)
        all[i + 1] = params[i];
    text_append(&body, bytes);
    post_finish(&fixture->post);
    fixture->is_good = post_parse_take(&fixture->post, (char *const *)all, &body, &fixture->settings, &fixture->problem);
    assert_null(body.bytes);
}

/* `code`, or a line per message: its frames, with `|` between. */
static const char *tell(struct fixture *fixture)
{
    struct text *told = &fixture->told;
    struct span frames[POST_FRAMES_MAX];

    text_clear(told);
    if (!fixture->is_good)
        text_append_format(told, "%d %s\n", fixture->problem.status, fixture->problem.code);
    for (size_t i = 0; fixture->is_good && i < post_message_count(&fixture->post); i++) {
        size_t count = post_frames(&fixture->post, i, frames);

        for (size_t j = 0; j < count; j++)
            text_append_format(told, "%.*s%c", (int)frames[j].size, frames[j].bytes, j + 1 < count ? '|' : '\n');
    }
    text_append(told, (struct span){"", 1});
    return told->bytes;
}

struct row {
    const char *params[PARAMS_MAX];
    const char *body;
    const char *wanted;
};

static void assert_rows(struct fixture *fixture, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        parse(fixture, rows[i].params, span_of(rows[i].body));
        assert_string_equal(tell(fixture), rows[i].wanted);
    }
}
#define ASSERT_ROWS(rows) assert_rows(*state, rows, sizeof rows / sizeof *rows)

#define JSON "CONTENT_TYPE=application/json"

static void the_query_names_channels_and_the_body_is_data(void **state)
{
    static const struct row rows[] = {
        {{"QUERY_STRING=channel=a"}, "Hello", "a|Hello\n"},
        {{"QUERY_STRING=channel=a"}, "", "a|\n"},
        {{"QUERY_STRING=channel=orders%2F7"}, "x", "orders/7|x\n"},
        {{"QUERY_STRING=channel=b&channel=a&channel=b"}, "x", "b|x\na|x\nb|x\n"},
        {{"QUERY_STRING=channel=a", JSON}, "{\"channel\":\"b\"}", "a|{\"channel\":\"b\"}\n"},
        {{"QUERY_STRING=&channel=a&token=secret&"}, "x", "a|x\n"},
        {{"QUERY_STRING=channel=caf%C3%A9"}, "x", "caf\xc3\xa9|x\n"},
        {{"QUERY_STRING=channel=a", "CONTENT_LENGTH="}, "x", "a|x\n"},
        {{"QUERY_STRING=channel=a", "CONTENT_LENGTH=1"}, "x", "a|x\n"},
        /* What data may be is for wire.h to say. */
        {{"QUERY_STRING=channel=a"}, "\xff", "a|\xff\n"},
    };

    ASSERT_ROWS(rows);
}

static void options_are_in_the_query_or_in_headers_and_the_query_wins(void **state)
{
    static const struct row rows[] = {
        {{"QUERY_STRING=channel=a&event=e&except=me&key=k&store=0&ttl=60"}, "x",
         "a|x|{\"event\":\"e\",\"except\":\"me\",\"key\":\"k\",\"store\":false,\"ttl\":60}\n"},
        {{"QUERY_STRING=channel=a", "HTTP_X_SIDECAST_EVENT=e", "HTTP_X_SIDECAST_EXCEPT=me", "HTTP_X_SIDECAST_KEY=k", "HTTP_X_SIDECAST_STORE=false"}, "x",
         "a|x|{\"event\":\"e\",\"except\":\"me\",\"key\":\"k\",\"store\":false}\n"},
        {{"QUERY_STRING=channel=a", "HTTP_X_SIDECAST_TTL=1.5"}, "x", "a|x|{\"ttl\":1.5}\n"},
        {{"QUERY_STRING=channel=a&event=query", "HTTP_X_SIDECAST_EVENT=header"}, "x", "a|x|{\"event\":\"query\"}\n"},
        {{"QUERY_STRING=channel=a&event=", "HTTP_X_SIDECAST_EVENT=header"}, "x", "a|x|{\"event\":\"\"}\n"},
        {{"QUERY_STRING=channel=a", "HTTP_X_SIDECAST_EVENT="}, "x", "a|x\n"},
        {{"QUERY_STRING=event=1&channel=a&event=2"}, "x", "a|x|{\"event\":\"2\"}\n"},
        {{"QUERY_STRING=channel=a&channel=b&store=1"}, "x", "a|x|{\"store\":true}\nb|x|{\"store\":true}\n"},
        {{"QUERY_STRING=channel=a&event=%22%5C"}, "x", "a|x|{\"event\":\"\\\"\\\\\"}\n"},
        {{"QUERY_STRING=channel=a&event=a+b%0A"}, "x", "a|x|{\"event\":\"a b\\n\"}\n"},
    };

    ASSERT_ROWS(rows);
}

/* What is no number and no flag becomes a string, for which wire.h has the reason. */
static void values_that_break_a_rule_are_left_to_the_rules(void **state)
{
    static const struct row rows[] = {
        {{"QUERY_STRING=channel=a&ttl=soon"}, "x", "a|x|{\"ttl\":\"soon\"}\n"},
        {{"QUERY_STRING=channel=a&ttl="}, "x", "a|x|{\"ttl\":\"\"}\n"},
        {{"QUERY_STRING=channel=a&ttl=007"}, "x", "a|x|{\"ttl\":\"007\"}\n"},
        {{"QUERY_STRING=channel=a&ttl=1."}, "x", "a|x|{\"ttl\":\"1.\"}\n"},
        {{"QUERY_STRING=channel=a&ttl=.5"}, "x", "a|x|{\"ttl\":\".5\"}\n"},
        {{"QUERY_STRING=channel=a&ttl=1e3"}, "x", "a|x|{\"ttl\":\"1e3\"}\n"},
        {{"QUERY_STRING=channel=a&ttl=-1"}, "x", "a|x|{\"ttl\":\"-1\"}\n"},
        {{"QUERY_STRING=channel=a&ttl=0"}, "x", "a|x|{\"ttl\":0}\n"},
        {{"QUERY_STRING=channel=a&store=no"}, "x", "a|x|{\"store\":\"no\"}\n"},
    };

    ASSERT_ROWS(rows);
}

static void without_a_channel_json_is_a_document(void **state)
{
    static const struct row rows[] = {
        {{JSON}, "{\"channel\":\"a\",\"data\":1}", "{\"channel\":\"a\",\"data\":1}\n"},
        {{"QUERY_STRING=", JSON "; charset=utf-8"}, "[]", "[]\n"},
        {{"QUERY_STRING=token=t", "CONTENT_TYPE=Application/JSON"}, "[]", "[]\n"},
        {{JSON}, "", "\n"},
        {{JSON, "QUERY_STRING=event=e"}, "{}", "400 bad_option\n"},
        {{JSON, "HTTP_X_SIDECAST_KEY=k"}, "{}", "400 bad_option\n"},
        {{"CONTENT_TYPE=application/jsonp"}, "{}", "400 no_channel\n"},
        {{"CONTENT_TYPE=text/plain"}, "{}", "400 no_channel\n"},
        {{"CONTENT_TYPE="}, "{}", "400 no_channel\n"},
        {{NULL}, "{}", "400 no_channel\n"},
    };

    ASSERT_ROWS(rows);
}

static void what_cannot_be_a_publication_is_told(void **state)
{
    static const struct row rows[] = {
        {{"QUERY_STRING=channel="}, "x", "400 bad_channel\n"},
        {{"QUERY_STRING=channel=a&channel=b+c"}, "x", "400 bad_channel\n"},
        {{"QUERY_STRING=channel=a*"}, "x", "400 bad_channel\n"},
        {{"QUERY_STRING=channel=a%00b"}, "x", "400 bad_channel\n"},
        {{"QUERY_STRING=channel=%FF"}, "x", "400 bad_channel\n"},
        {{"QUERY_STRING=channel=%4"}, "x", "400 bad_channel\n"},
        {{"QUERY_STRING=channel=a&evnt=e"}, "x", "400 bad_option\n"},
        {{"QUERY_STRING=channel=a&event=%FF"}, "x", "400 bad_option\n"},
        {{"QUERY_STRING=channel=a&event=%"}, "x", "400 bad_option\n"},
        {{"QUERY_STRING=channel=a", "HTTP_X_SIDECAST_EVENT=\xff"}, "x", "400 bad_option\n"},
        {{"QUERY_STRING=channel=a", "CONTENT_LENGTH=2"}, "x", "400 bad_data\n"},
        {{"QUERY_STRING=channel=a", "CONTENT_LENGTH=0"}, "x", "400 bad_data\n"},
        {{"QUERY_STRING=channel=a&channel=a&channel=a&channel=a&channel=a"}, "x", "a|x\na|x\na|x\na|x\na|x\n"},
        {{"QUERY_STRING=channel=a&channel=a&channel=a&channel=a&channel=a&channel=a"}, "x", "413 too_large\n"},
        {{"QUERY_STRING=channel%zz=a"}, "x", "400 bad_option\n"},
        {{"QUERY_STRING=channel=a&token%=x"}, "x", "400 bad_option\n"},
        {{"QUERY_STRING=channel%00=a"}, "x", "400 bad_option\n"},
        {{"QUERY_STRING=channel=a%00"}, "x", "400 bad_channel\n"},
        {{"QUERY_STRING=channel=%C1%A1"}, "x", "400 bad_channel\n"},
    };

    ASSERT_ROWS(rows);
}

static void long_names_are_told_and_not_cut(void **state)
{
    char query[600] = "QUERY_STRING=channel=";
    const char *params[PARAMS_MAX] = {query};

    memset(query + strlen(query), 'c', 255);
    parse(*state, params, span_of("x"));
    assert_true(((struct fixture *)*state)->is_good);
    strcat(query, "c");
    parse(*state, params, span_of("x"));
    assert_string_equal(tell(*state), "400 bad_channel\n");
    strcpy(query, "QUERY_STRING=channel=a&event=");
    memset(query + strlen(query), 'e', 256);
    parse(*state, params, span_of("x"));
    assert_int_equal(((struct fixture *)*state)->post.options.size, strlen("{\"event\":\"\"}") + 256); /* which wire.h refuses */
}

static void all_channels_together_make_no_more_than_a_frame_may(void **state)
{
    static char body[1025];
    static const char *const params[PARAMS_MAX] = {"QUERY_STRING=channel=a&channel=b&channel=c&channel=d"};

    parse(*state, params, (struct span){body, 1024});
    assert_true(((struct fixture *)*state)->is_good);
    assert_int_equal(post_size(&((struct fixture *)*state)->post), 4097);
    parse(*state, params, (struct span){body, 1025});
    assert_string_equal(tell(*state), "413 too_large\n");
}

/* --- who may --- */

static bool may(void *context, struct span channel)
{
    ++*(int *)context;
    return channel.size > 0 && channel.bytes[0] == 'm';
}

static void every_channel_is_asked_for_and_one_refused_refuses_all(void **state)
{
    static const struct {
        struct row row;
        bool wanted;
    } rows[] = {
        {{{"QUERY_STRING=channel=mine"}, "", ""}, true},
        {{{"QUERY_STRING=channel=mine&channel=yours"}, "", ""}, false},
        {{{JSON}, "{\"channel\":\"mine\",\"data\":1}", ""}, true},
        {{{JSON}, "{\"channel\":\"yours\",\"data\":1}", ""}, false},
        {{{JSON}, "[{\"channel\":\"mine\",\"data\":1},{\"channels\":[\"m\",\"y\"],\"data\":1}]", ""}, false},
        {{{JSON}, "{\"channel\":\"\\u0079ours\"}", ""}, false},
        {{{JSON}, "[{\"channel\":\"mine\",\"data\":1},{\"channel\":\"not a name\",\"data\":1}]", ""}, true},
        {{{JSON}, "what is this", ""}, true},
        /* Beyond limits that a reload may raise before the hub gets to see it. */
        {{{JSON}, "[{\"channel\":\"y\"},{\"channel\":\"m\"},{\"channel\":\"m\"},{\"channel\":\"m\"},{\"channel\":\"m\"},{\"channel\":\"m\"}]", ""}, false},
    };
    struct fixture *fixture = *state;
    int asked;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        asked = 0;
        parse(fixture, rows[i].row.params, span_of(rows[i].row.body));
        assert_true(fixture->is_good);
        assert_int_equal(post_is_allowed(&fixture->post, "channel", may, &asked), rows[i].wanted);
    }
}

static long allocations_left;

static void *allocate(size_t size)
{
    return allocations_left-- == 0 ? NULL : malloc(size);
}

/* Later, when it is published, there may be memory for it. */
static void a_document_that_lack_of_memory_hides_is_not_allowed(void **state)
{
    static const char *const params[PARAMS_MAX] = {JSON};
    struct fixture *fixture = *state;
    int asked = 0;

    for (long n = 0; asked == 0; n++) {
        parse(fixture, params, span_of("[{\"channel\":\"yours\",\"data\":[\"x\",1,true]}]"));
        allocations_left = n;
        json_set_alloc_funcs(allocate, free);
        assert_false(post_is_allowed(&fixture->post, "channel", may, &asked) && !fixture->post.reason);
        json_set_alloc_funcs(malloc, free);
        assert_true(asked == 0 || n > 5);
    }
}

static void a_permission_for_a_document_names_the_key_that_it_was_read_with(void **state)
{
    static const char *const params[PARAMS_MAX] = {JSON};
    struct fixture *fixture = *state;
    int asked = 0;

    parse(fixture, params, span_of("{\"category\":\"mine\",\"channel\":\"yours\"}"));
    assert_true(post_is_allowed(&fixture->post, "category", may, &asked));
    assert_int_equal(asked, 1);
    assert_string_equal(fixture->post.checked_key, "category");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_query_names_channels_and_the_body_is_data),
        TEST(options_are_in_the_query_or_in_headers_and_the_query_wins),
        TEST(values_that_break_a_rule_are_left_to_the_rules),
        TEST(without_a_channel_json_is_a_document),
        TEST(what_cannot_be_a_publication_is_told),
        TEST(long_names_are_told_and_not_cut),
        TEST(all_channels_together_make_no_more_than_a_frame_may),
        TEST(every_channel_is_asked_for_and_one_refused_refuses_all),
        TEST(a_document_that_lack_of_memory_hides_is_not_allowed),
        TEST(a_permission_for_a_document_names_the_key_that_it_was_read_with),
    };

    return cmocka_run_group_tests_name("post", tests, NULL, NULL);
}
