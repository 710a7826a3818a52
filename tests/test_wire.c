#include "wire.h"

#include "guard.h"
#include "text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define S(literal) {literal, sizeof literal - 1}

enum { MAX_BYTES = 1000 };

static const char *const ERRORS[] = {
    [WIRE_BAD_FRAMES] = "bad_frames", [WIRE_BAD_JSON] = "bad_json", [WIRE_BAD_OPTION] = "bad_option",
    [WIRE_BAD_CHANNEL] = "bad_channel", [WIRE_BAD_DATA] = "bad_data", [WIRE_TOO_LARGE] = "too_large",
    [WIRE_NO_MEMORY] = "no_memory",
};

/* What a decoding handed out, one line each: `channel|data` and then what is not as usual, or `!error`. */
static void note_publication(void *context, const struct publication *publication)
{
    struct text *out = context;

    text_append(out, publication->channel);
    text_append_string(out, "|");
    text_append(out, publication->data);
    if (publication->event.size > 0)
        text_append_format(out, "|event=%.*s", (int)publication->event.size, publication->event.bytes);
    if (publication->except.size > 0)
        text_append_format(out, "|except=%.*s", (int)publication->except.size, publication->except.bytes);
    if (publication->key.size > 0)
        text_append_format(out, "|key=%.*s", (int)publication->key.size, publication->key.bytes);
    if (publication->ttl_ms > 0)
        text_append_format(out, "|ttl=%lld", (long long)publication->ttl_ms);
    if (publication->more)
        text_append_string(out, "|more");
    text_append_string(out, publication->store ? "\n" : "|store=no\n");
}

static void note_fault(void *context, enum wire_error error, const char *reason)
{
    assert_true(strlen(reason) > 10);
    text_append_format(context, "!%s\n", ERRORS[error]);
}

static struct text decode(const struct span *frames, size_t count, const char *channel_key)
{
    struct text out = TEXT_EMPTY;
    const struct wire_sink sink = {note_publication, note_fault, &out};
    const struct wire_limits limits = {.max_bytes = MAX_BYTES, .channel_key = channel_key};
    struct span guarded[5];

    assert_true(count <= COUNT(guarded));
    for (size_t i = 0; i < count; i++)
        guarded[i] = (struct span){guard_copy(frames[i].bytes, frames[i].size), frames[i].size};
    wire_decode(guarded, count, &limits, &sink);
    for (size_t i = 0; i < count; i++)
        guard_free((char *)guarded[i].bytes, guarded[i].size);
    assert_false(out.failed);
    return out;
}

static void assert_decoded(const struct span *frames, size_t count, const char *channel_key, struct span wanted)
{
    struct text out = decode(frames, count, channel_key);

    if (!span_equal(text_span(&out), wanted)) {
        for (size_t i = 0; i < count; i++)
            print_error("frame: %.*s\n", (int)frames[i].size, frames[i].bytes);
        print_error("decoded: %.*swanted: %.*s", (int)out.size, out.bytes, (int)wanted.size, wanted.bytes);
        fail();
    }
    text_finish(&out);
}

struct row {
    struct span frame;
    struct span wanted;
};

static void assert_rows(const struct row *rows, size_t count, const char *channel_key)
{
    for (size_t i = 0; i < count; i++)
        assert_decoded(&rows[i].frame, 1, channel_key, rows[i].wanted);
}

static void an_object_is_one_publication(void **state)
{
    static const struct row rows[] = {
        {S("{\"channel\":\"news\",\"data\":\"hello\"}"), S("news|hello\n")},
        {S(" \r\n\t{ \"data\" : \"x\" , \"channel\" : \"news\" } \n"), S("news|x\n")},
        {S("{\"channel\":\"news\",\"data\":\"\"}"), S("news|\n")},
        {S("{\"channel\":\"a/b\",\"data\":\"l1\\nl2 \\u00fc \\ud83d\\ude00 \\\" \\\\\"}"),
         S("a/b|l1\nl2 \xc3\xbc \xf0\x9f\x98\x80 \" \\\n")},
        {S("{\"channel\":\"n\",\"data\":\"a\\u0000b\"}"), S("n|a\0b\n")},
        {S("{\"ch\\u0061nnel\":\"n\",\"d\\u0061ta\":\"x\",\"\\u0074tl\":1}"), S("n|x|ttl=1000\n")},
        {S("{\"channel\":\"gr\\u00fc\\u00df\",\"data\":\"x\"}"), S("gr\xc3\xbc\xc3\x9f|x\n")},
    };

    (void)state;
    assert_rows(rows, COUNT(rows), "channel");
}

static void data_that_is_not_a_string_keeps_the_publishers_bytes(void **state)
{
    static const struct row rows[] = {
        {S("{\"channel\":\"n\",\"data\":0.1}"), S("n|0.1\n")},
        {S("{\"channel\":\"n\",\"data\": 1e3 }"), S("n|1e3\n")},
        {S("{\"data\":-0,\"channel\":\"n\"}"), S("n|-0\n")},
        {S("{\"channel\":\"n\",\"data\":123456789012345678901234567890}"), S("n|123456789012345678901234567890\n")},
        {S("{\"channel\":\"n\",\"data\":null}"), S("n|null\n")},
        {S("{\"channel\":\"n\",\"data\":true\n}"), S("n|true\n")},
        {S("{\"channel\":\"n\",\"data\":\tfalse,\"ttl\":1}"), S("n|false|ttl=1000\n")},
        {S("{\"channel\":\"n\",\"data\":{}}"), S("n|{}\n")},
        {S("{\"channel\":\"n\",\"data\":\r\n[ 1, 2 ]\r\n}"), S("n|[ 1, 2 ]\n")},
        {S("{\"data\":{\"b\":1,\"a\":[{}],\"\\u0061b\":\"\\\"}]\"},\"channel\":\"n\"}"),
         S("n|{\"b\":1,\"a\":[{}],\"\\u0061b\":\"\\\"}]\"}\n")},
        {S("{\"channel\":\"n\",\"key\":\"{\\\"data\\\":1}\",\"event\":\"\\\\\",\"\\u0064ata\":{\"data\":2}}"),
         S("n|{\"data\":2}|event=\\|key={\"data\":1}\n")},
        {S("{\"channel\":\"n\",\"data\":{\"x\":\"\\\\\\\"\\u0000,:\"},\"store\":false}"),
         S("n|{\"x\":\"\\\\\\\"\\u0000,:\"}|store=no\n")},
    };

    (void)state;
    assert_rows(rows, COUNT(rows), "channel");
}

static void an_object_without_data_is_itself_the_data(void **state)
{
    static const struct row rows[] = {
        {S("{\"category\":\"kittens\",\"title\":\"T\",\"when\":1.50}\n"),
         S("kittens|{\"category\":\"kittens\",\"title\":\"T\",\"when\":1.50}\n")},
        {S(" {\"category\":\"k\",\"event\":7,\"ttl\":\"soon\",\"store\":false,\"channel\":\"z\"} "),
         S("k|{\"category\":\"k\",\"event\":7,\"ttl\":\"soon\",\"store\":false,\"channel\":\"z\"}\n")},
        {S("{\"channels\":[\"a\",\"b\"],\"n\":{\"data\":1}}"),
         S("a|{\"channels\":[\"a\",\"b\"],\"n\":{\"data\":1}}|more\nb|{\"channels\":[\"a\",\"b\"],\"n\":{\"data\":1}}\n")},
        {S("{\"title\":\"T\"}"), S("!bad_channel\n")},
        {S("{}"), S("!bad_channel\n")},
    };

    (void)state;
    assert_rows(rows, COUNT(rows), "category");
}

static void the_channel_key_is_configurable(void **state)
{
    static const struct row rows[] = {
        {S("{\"category\":\"k\",\"data\":1,\"event\":\"e\"}"), S("k|1|event=e\n")},
        {S("{\"channel\":\"k\",\"data\":1}"), S("!bad_channel\n")},
        {S("{\"category\":\"k\",\"channel\":\"k\",\"data\":1}"), S("!bad_option\n")},
    };

    (void)state;
    assert_rows(rows, COUNT(rows), "category");
}

static void channels_is_one_publication_per_channel_in_list_order(void **state)
{
    static const struct row rows[] = {
        {S("{\"channels\":[\"b\",\"a\",\"c\"],\"data\":\"x\",\"key\":\"k\"}"), S("b|x|key=k|more\na|x|key=k|more\nc|x|key=k\n")},
        {S("{\"channels\":[\"a\"],\"data\":[1]}"), S("a|[1]\n")},
        {S("{\"channels\":[],\"data\":1}"), S("!bad_channel\n")},
        {S("{\"channels\":\"a\",\"data\":1}"), S("!bad_channel\n")},
        {S("{\"channels\":{\"a\":1},\"data\":1}"), S("!bad_channel\n")},
        {S("{\"channels\":[\"a\",\"b c\"],\"data\":1}"), S("!bad_channel\n")},
        {S("{\"channels\":[\"a\",1],\"data\":1}"), S("!bad_channel\n")},
        {S("{\"channels\":[\"a\"],\"channel\":\"b\",\"data\":1}"), S("!bad_channel\n")},
    };

    (void)state;
    assert_rows(rows, COUNT(rows), "channel");
}

static void channels_holds_at_most_a_thousand(void **state)
{
    (void)state;
    for (int count = 1000; count <= 1001; count++) {
        struct text frame = TEXT_EMPTY, wanted = TEXT_EMPTY;

        for (int i = 0; i < count; i++) {
            text_append_format(&frame, "%s\"c%d\"", i == 0 ? "{\"data\":1,\"channels\":[" : ",", i);
            text_append_format(&wanted, "c%d|1%s\n", i, i + 1 < count ? "|more" : "");
        }
        text_append_string(&frame, "]}");
        struct span one = text_span(&frame);
        assert_decoded(&one, 1, "channel", count == 1000 ? text_span(&wanted) : span_of("!bad_channel\n"));
        text_finish(&frame);
        text_finish(&wanted);
    }
}

static void options_are_read_and_checked(void **state)
{
    static const struct {
        const char *options;
        const char *wanted;
    } rows[] = {
        {"\"event\":\"price\",\"except\":\"me\",\"key\":\"k 1\",\"ttl\":60,\"store\":false",
         "|event=price|except=me|key=k 1|ttl=60000|store=no"},
        {"\"store\":true", ""},
        {"\"event\":\"\",\"except\":\"\",\"key\":\"\"", ""},
        {"\"ttl\":1", "|ttl=1000"},
        {"\"ttl\":1.0004", "|ttl=1000"},
        {"\"ttl\":1.0006", "|ttl=1001"},
        {"\"ttl\":2.5", "|ttl=2500"},
        {"\"ttl\":1e300", "|ttl=315360000000"},
        {"\"ttl\":99999999999999999999", "|ttl=315360000000"},
        {"\"ttl\":0.999", NULL},
        {"\"ttl\":0", NULL},
        {"\"ttl\":-5", NULL},
        {"\"ttl\":\"60\"", NULL},
        {"\"ttl\":true", NULL},
        {"\"ttl\":null", NULL},
        {"\"store\":0", NULL},
        {"\"store\":\"no\"", NULL},
        {"\"store\":null", NULL},
        {"\"event\":1", NULL},
        {"\"event\":null", NULL},
        {"\"event\":\"a\\nb\"", NULL},
        {"\"event\":\"a\\rb\"", NULL},
        {"\"event\":\"a\\u0000b\"", NULL},
        {"\"except\":[\"a\"]", NULL},
        {"\"except\":\"\\u007f\"", NULL},
        {"\"key\":1", NULL},
        {"\"key\":\"\\t\"", NULL},
        {"\"TTL\":1", NULL},
        {"\"evnt\":\"e\"", NULL},
        {"\"\":1", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text frame = TEXT_EMPTY, options = TEXT_EMPTY, wanted = TEXT_EMPTY;

        text_append_format(&frame, "{\"channel\":\"c\",\"data\":\"d\",%s}", rows[i].options);
        text_append_format(&options, "{%s}", rows[i].options);
        if (rows[i].wanted)
            text_append_format(&wanted, "c|d%s\n", rows[i].wanted);
        else
            text_append_string(&wanted, "!bad_option\n");
        const struct span object = text_span(&frame), frames[] = {S("c"), S("d"), text_span(&options)};
        assert_decoded(&object, 1, "channel", text_span(&wanted));
        assert_decoded(frames, 3, "channel", text_span(&wanted));
        text_finish(&frame);
        text_finish(&options);
        text_finish(&wanted);
    }
}

static void labels_and_channels_have_at_most_255_bytes(void **state)
{
    (void)state;
    for (int size = NAME_MAX_BYTES; size <= NAME_MAX_BYTES + 1; size++)
        for (int place = 0; place < 4; place++) {
            static const char *const members[] = {"channel", "event", "except", "key"};
            struct text frame = TEXT_EMPTY;

            text_append_format(&frame, "{%s\"data\":1,\"%s\":\"%0*d\"}", place == 0 ? "" : "\"channel\":\"c\",",
                               members[place], size, 0);
            struct span one = text_span(&frame);
            struct text out = decode(&one, 1, "channel");
            if (size == NAME_MAX_BYTES)
                assert_int_not_equal(out.bytes[0], '!');
            else
                assert_true(span_equal(text_span(&out), span_of(place == 0 ? "!bad_channel\n" : "!bad_option\n")));
            text_finish(&out);
            text_finish(&frame);
        }
}

static void bad_json_is_dropped_whole(void **state)
{
    static const struct row rows[] = {
        {S(""), S("!bad_json\n")},
        {S(" "), S("!bad_json\n")},
        {S("hello"), S("!bad_json\n")},
        {S("\"hello\""), S("!bad_json\n")},
        {S("1"), S("!bad_json\n")},
        {S("null"), S("!bad_json\n")},
        {S("{\"channel\":\"n\",\"data\":1"), S("!bad_json\n")},
        {S("{\"channel\":\"n\",\"data\":1}}"), S("!bad_json\n")},
        {S("{\"channel\":\"n\",\"data\":1}\0"), S("!bad_json\n")},
        {S("{\"channel\":\"n\",\"data\":1\0}"), S("!bad_json\n")},
        {S("{\"channel\":\"n\",\"data\":1}{\"channel\":\"n\",\"data\":1}"), S("!bad_json\n")},
        {S("{\"channel\":\"n\",\"data\":01}"), S("!bad_json\n")},
        {S("{\"channel\":\"n\",\"data\":NaN}"), S("!bad_json\n")},
        {S("{\"channel\":\"n\",\"data\":1e400}"), S("!bad_json\n")},
        {S("{\"channel\":\"n\",\"data\":'x'}"), S("!bad_json\n")},
        {S("{\"channel\":\"n\",\"data\":\"\\ud800\"}"), S("!bad_json\n")},
        {S("{\"channel\":\"n\",\"data\":\"\xff\"}"), S("!bad_json\n")},
        {S("{\"channel\":\"n\",\"data\":[\"\xed\xa0\x80\"]}"), S("!bad_json\n")},
        {S("{\"channel\":\"n\",\"data\":\"a\nb\"}"), S("!bad_json\n")},
        {S("{\"channel\":\"n\",\"data\":1,\"data\":2}"), S("!bad_json\n")},
        {S("{\"channel\":\"n\",\"data\":1,\"d\\u0061ta\":2}"), S("!bad_json\n")},
        {S("{\"channel\":\"n\",\"data\":{\"a\":1,\"a\":1}}"), S("!bad_json\n")},
        {S("{\"channel\":\"n\",\"data\":1,\"a\\u0000\":2}"), S("!bad_json\n")},
        {S("[{\"channel\":\"n\",\"data\":1},"), S("!bad_json\n")},
        {S("[{\"channel\":\"n\",\"data\":1},{\"channel\":\"n\",\"data\":1,}]"), S("!bad_json\n")},
    };

    (void)state;
    assert_rows(rows, COUNT(rows), "channel");
}

static void a_publication_cut_at_any_byte_is_bad_json(void **state)
{
    const struct span whole = S("[{\"channel\":\"n\",\"data\":{\"a\":[1,\"\\\"\"]},\"ttl\":1.5},{\"channels\":[\"a\"]}]");

    (void)state;
    for (size_t size = 0; size < whole.size; size++)
        assert_decoded(&(struct span){whole.bytes, size}, 1, "channel", span_of("!bad_json\n"));
}

static void nesting_is_bounded(void **state)
{
    const int depths[] = {400, 1000000};

    (void)state;
    for (size_t i = 0; i < COUNT(depths); i++) {
        struct text frame = TEXT_EMPTY, wanted = TEXT_EMPTY;
        struct text brackets = TEXT_EMPTY;

        for (int j = 0; j < 2 * depths[i]; j++)
            text_append_string(&brackets, j < depths[i] ? "[" : "]");
        text_append_format(&frame, "{\"channel\":\"c\",\"data\":%.*s}", (int)brackets.size, brackets.bytes);
        text_append_format(&wanted, "c|%.*s\n", (int)brackets.size, brackets.bytes);
        struct span one = text_span(&frame);
        assert_decoded(&one, 1, "channel", i == 0 ? text_span(&wanted) : span_of("!bad_json\n"));
        text_finish(&brackets);
        text_finish(&frame);
        text_finish(&wanted);
    }
}

static void bad_channels_are_refused(void **state)
{
    static const char *const names[] = {
        "\"\"", "\"a b\"", "\"a,b\"", "\"a*\"", "\"a\\u0000\"", "\"a\\n\"", "1", "null", "[\"a\"]", "{}", "true",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        struct text frame = TEXT_EMPTY;

        text_append_format(&frame, "{\"channel\":%s,\"data\":1}", names[i]);
        struct span one = text_span(&frame);
        assert_decoded(&one, 1, "channel", span_of("!bad_channel\n"));
        text_finish(&frame);
    }
}

static void a_batch_is_taken_item_by_item(void **state)
{
    static const struct row rows[] = {
        {S("[]"), S("")},
        {S(" [ \n] "), S("")},
        {S("[{\"channel\":\"a\",\"data\":1}]"), S("a|1\n")},
        {S("[ {\"channel\":\"a\",\"data\": [1] } , {\"channels\":[\"b\",\"c\"],\"data\":\"2\"}\n,{\"channel\":\"d\" }\t]"),
         S("a|[1]\nb|2|more\nc|2\nd|{\"channel\":\"d\" }\n")},
        {S("[{\"channel\":\"a\",\"data\":1},{\"data\":1},{\"channel\":\"b\",\"data\":2,\"ttl\":0},7,null,\"{\",[{}],"
           "{\"channel\":\"c\",\"data\":{\"x\":3}}]"),
         S("a|1\n!bad_channel\n!bad_option\n!bad_json\n!bad_json\n!bad_json\n!bad_json\nc|{\"x\":3}\n")},
    };

    (void)state;
    assert_rows(rows, COUNT(rows), "channel");
}

static void frames_carry_data_as_it_is(void **state)
{
    static const struct {
        struct span frames[5];
        size_t count;
        struct span wanted;
    } rows[] = {
        {{S("news"), S("hello")}, 2, S("news|hello\n")},
        {{S("news"), S("{\"data\": 1}\n")}, 2, S("news|{\"data\": 1}\n\n")},
        {{S("news"), S("")}, 2, S("news|\n")},
        {{S("news"), S("a\0b")}, 2, S("news|a\0b\n")},
        {{S("gr\xc3\xbc\xc3\x9f"), S("\xf0\x9f\x98\x80")}, 2, S("gr\xc3\xbc\xc3\x9f|\xf0\x9f\x98\x80\n")},
        {{S("news"), S("x"), S("{}")}, 3, S("news|x\n")},
        {{S("news"), S("x"), S(" {\"event\":\"e\"} ")}, 3, S("news|x|event=e\n")},
        {{S("news"), S("\xff")}, 2, S("!bad_data\n")},
        {{S("news"), S("\xf0\x9f\x98")}, 2, S("!bad_data\n")},
        {{S("news"), S("\xc0\x80"), S("{}")}, 3, S("!bad_data\n")},
        {{S(""), S("x")}, 2, S("!bad_channel\n")},
        {{S("a b"), S("x")}, 2, S("!bad_channel\n")},
        {{S("a\0"), S("x")}, 2, S("!bad_channel\n")},
        {{S("a\xff"), S("x"), S("{}")}, 3, S("!bad_channel\n")},
        {{S("news"), S("x"), S("")}, 3, S("!bad_json\n")},
        {{S("news"), S("x"), S("{")}, 3, S("!bad_json\n")},
        {{S("news"), S("x"), S("{\"ttl\":1,\"ttl\":1}")}, 3, S("!bad_json\n")},
        {{S("news"), S("x"), S("[]")}, 3, S("!bad_option\n")},
        {{S("news"), S("x"), S("{\"channel\":\"b\"}")}, 3, S("!bad_option\n")},
        {{S("news"), S("x"), S("{\"channels\":[\"b\"]}")}, 3, S("!bad_option\n")},
        {{S("news"), S("x"), S("{\"data\":1}")}, 3, S("!bad_option\n")},
        {{S("news")}, 0, S("!bad_frames\n")},
        {{S("news"), S("x"), S("{}"), S("")}, 4, S("!bad_frames\n")},
        {{S("news"), S("x"), S("{}"), S(""), S("")}, 5, S("!bad_frames\n")},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_decoded(rows[i].frames, rows[i].count, "channel", rows[i].wanted);
}

static void assert_size_limit(const struct span *frames, size_t count, size_t size)
{
    struct text out = decode(frames, count, "channel");

    assert_int_equal(out.size, size <= MAX_BYTES ? strlen("c|\n") + size : strlen("!too_large\n"));
    text_finish(&out);
}

static void the_limit_counts_bytes_of_data(void **state)
{
    static const struct {
        const char *before;
        const char *after;
        int more; /* bytes that these two add to the data */
    } rows[] = {
        {"{\"channel\":\"c\",\"data\":\"\\u0061", "\"}", 1},
        {"{\"channel\":\"c\",\"data\": [", "] }", 2},
        {" {\"channel\":\"c\",", "\"datum\":1} ", 25},
    };

    (void)state;
    for (int size = MAX_BYTES; size <= MAX_BYTES + 1; size++) {
        struct text frame = TEXT_EMPTY;

        for (size_t i = 0; i < COUNT(rows); i++) {
            text_clear(&frame);
            text_append_format(&frame, "%s%*s%s", rows[i].before, size - rows[i].more, "", rows[i].after);
            assert_size_limit(&(struct span){frame.bytes, frame.size}, 1, (size_t)size);
        }
        text_clear(&frame);
        text_append_format(&frame, "%*s", size, "");
        assert_size_limit((const struct span[]){S("c"), {frame.bytes, frame.size}}, 2, (size_t)size);
        text_finish(&frame);
    }
}

static void count_publication(void *context, const struct publication *publication)
{
    assert_int_equal(publication->data.size, 1000);
    ++*(int *)context;
}

static void fail_on_fault(void *context, enum wire_error error, const char *reason)
{
    (void)context;
    fail_msg("%s: %s", ERRORS[error], reason);
}

/* Passing over what was read for each item anew would take minutes. */
static void a_batch_of_16_mib_takes_linear_time(void **state)
{
    struct text frame = TEXT_EMPTY;
    int published = 0;
    const struct wire_limits limits = {.max_bytes = MAX_BYTES, .channel_key = "channel"};
    const struct wire_sink sink = {count_publication, fail_on_fault, &published};

    (void)state;
    for (int i = 0; i < 16000; i++)
        text_append_format(&frame, "%s{\"channel\":\"c\",\"data\":[\"%0996d\"]}", i == 0 ? "[" : ",", i);
    text_append_string(&frame, "]");
    wire_decode(&(struct span){frame.bytes, frame.size}, 1, &limits, &sink);
    assert_int_equal(published, 16000);
    text_finish(&frame);
}

static long allocations_left = -1; /* before one fails; negative: none does */

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
    return allocations_left >= 0 && allocations_left-- == 0 ? NULL : __real_malloc(size);
}

static int begin_allocation_failures(void **state)
{
    (void)state;
    wire_library_init();
    return 0;
}

static int end_allocation_failures(void **state)
{
    (void)state;
    allocations_left = -1;
    json_set_alloc_funcs(malloc, free);
    return 0;
}

/* A publisher that is told so sends it again; one that is told of bad JSON gives it up. */
static void lack_of_memory_costs_that_message_alone_and_is_told_from_bad_json(void **state)
{
    const struct span frame = S("{\"channel\":\"n\",\"data\":{\"a\":[1,true,0.5]},\"ttl\":2}");
    long allocations = 0;

    (void)state;
    for (bool failed = true; failed; allocations++) {
        allocations_left = allocations;
        struct text out = decode(&frame, 1, "channel");
        failed = allocations_left < 0;
        if (failed)
            assert_true(span_equal(text_span(&out), span_of("!no_memory\n")));
        text_finish(&out);
    }
    allocations_left = -1;
    assert_true(allocations > 10);
    assert_decoded(&(const struct span){"{", 1}, 1, "channel", span_of("!bad_json\n"));
}

static void tally_publication(void *context, const struct publication *publication)
{
    (void)publication;
    ++*(int *)context;
}

static void count_too_large(void *context, enum wire_error error, const char *reason)
{
    (void)reason;
    assert_int_equal(error, WIRE_TOO_LARGE);
    *(int *)context += 1000;
}

static void a_frame_of_more_messages_or_bytes_than_allowed_is_dropped_whole(void **state)
{
    static const struct {
        const char *frame;
        int expected;
    } rows[] = {
        {"[{\"channel\":\"a\",\"data\":1},{\"channel\":\"a\",\"data\":2},{\"channel\":\"a\",\"data\":3}]", 3},
        {"[{\"channel\":\"a\",\"data\":1},{\"channel\":\"a\",\"data\":2},{\"channels\":[\"a\",\"b\"],\"data\":3}]", 1000},
        {"{\"channels\":[\"a\",\"b\",\"c\"],\"data\":3}", 3},
        {"{\"channels\":[\"a\",\"b\",\"c\",\"d\"],\"data\":3}", 1000},
        {"{\"channels\":[\"a\",\"b\",\"c\"],\"data\":\"0123456789012345678901234567890123456789\"}", 3},
        {"{\"channels\":[\"a\",\"b\",\"c\"],\"data\":\"01234567890123456789012345678901234567890\"}", 1000},
        {"{\"channels\":[\"a-name-that-is-long-but-counts-once\",\"another-one-that-is-as-long-as-this-one\"],\"data\":1}", 2},
        {"{\"channel\":\"a\",\"data\":\"0123456789012345678901234567890123456789\"}", 1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int counted = 0;
        const struct wire_sink sink = {tally_publication, count_too_large, &counted};
        const struct wire_limits limits = {.max_bytes = MAX_BYTES, .channel_key = "channel", .max_batch = 3, .max_batch_bytes = 120};
        const struct span frame = span_of(rows[i].frame);

        wire_decode(&frame, 1, &limits, &sink);
        assert_int_equal(counted, rows[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_is_one_publication),
        cmocka_unit_test(data_that_is_not_a_string_keeps_the_publishers_bytes),
        cmocka_unit_test(an_object_without_data_is_itself_the_data),
        cmocka_unit_test(the_channel_key_is_configurable),
        cmocka_unit_test(channels_is_one_publication_per_channel_in_list_order),
        cmocka_unit_test(channels_holds_at_most_a_thousand),
        cmocka_unit_test(options_are_read_and_checked),
        cmocka_unit_test(labels_and_channels_have_at_most_255_bytes),
        cmocka_unit_test(bad_json_is_dropped_whole),
        cmocka_unit_test(a_publication_cut_at_any_byte_is_bad_json),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(bad_channels_are_refused),
        cmocka_unit_test(a_batch_is_taken_item_by_item),
        cmocka_unit_test(frames_carry_data_as_it_is),
        cmocka_unit_test(the_limit_counts_bytes_of_data),
        cmocka_unit_test(a_frame_of_more_messages_or_bytes_than_allowed_is_dropped_whole),
        cmocka_unit_test(a_batch_of_16_mib_takes_linear_time),
        cmocka_unit_test_setup_teardown(lack_of_memory_costs_that_message_alone_and_is_told_from_bad_json,
                                        begin_allocation_failures, end_allocation_failures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
