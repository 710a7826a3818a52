#include "sse.h"

#include "buffer.h"
#include "fcgi.h"
#include "guard.h"
#include "text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct event_id ID = {1763899200123, 7};

static void assert_span(struct span got, struct span wanted)
{
    assert_int_equal(got.size, wanted.size);
    if (wanted.size > 0)
        assert_memory_equal(got.bytes, wanted.bytes, wanted.size);
}

static struct span guarded(struct span bytes)
{
    return (struct span){guard_copy(bytes.bytes, bytes.size), bytes.size};
}

/* The text inside the records, whose headers are checked on the way. */
static struct text unframe(const struct buffer *encoded)
{
    struct text text = TEXT_EMPTY;
    size_t at = 0;

    while (at < encoded->size) {
        const unsigned char *header = (const unsigned char *)encoded->bytes + at;
        size_t content = (size_t)header[4] << 8 | header[5];
        const unsigned char wanted[] = {1, 6, 0, 1, header[4], header[5], 0, 0};

        assert_true(at + FCGI_HEADER_BYTES + content <= encoded->size);
        assert_memory_equal(header, wanted, sizeof wanted);
        assert_true(content > 0);
        if (at + FCGI_HEADER_BYTES + content < encoded->size)
            assert_int_equal(content, FCGI_CONTENT_MAX);
        text_append(&text, (struct span){encoded->bytes + at + FCGI_HEADER_BYTES, content});
        at += FCGI_HEADER_BYTES + content;
    }
    return text;
}

static const struct row {
    const char *event;
    struct span data;
    const char *fields; /* after the id line */
    struct span shown;  /* by EventSource */
} ROWS[] = {
#define S(literal) {literal, sizeof literal - 1}
    {"", S("hello"), "data: hello\n\n", S("hello")},
    {"price", S("{\"a\":1}"), "event: price\ndata: {\"a\":1}\n\n", S("{\"a\":1}")},
    {" padded ", S("x"), "event:  padded \ndata: x\n\n", S("x")},
    {"", S(""), "data:\n\n", S("")},
    {"", S("a\nb"), "data: a\ndata: b\n\n", S("a\nb")},
    {"", S("a\rb"), "data: a\ndata: b\n\n", S("a\nb")},
    {"", S("a\r\nb"), "data: a\ndata: b\n\n", S("a\nb")},
    {"", S("a\n\rb"), "data: a\ndata:\ndata: b\n\n", S("a\n\nb")},
    {"", S("a\r\r\n\nb"), "data: a\ndata:\ndata:\ndata: b\n\n", S("a\n\n\nb")},
    {"", S("a\n"), "data: a\ndata:\n\n", S("a\n")},
    {"", S("a\r\n"), "data: a\ndata:\n\n", S("a\n")},
    {"", S("\n"), "data:\ndata:\n\n", S("\n")},
    {"", S("\na"), "data:\ndata: a\n\n", S("\na")},
    {"", S("  two"), "data:   two\n\n", S("  two")},
    {"", S(" "), "data:  \n\n", S(" ")},
    {"", S("a\n b"), "data: a\ndata:  b\n\n", S("a\n b")},
    {"", S("data: x\n\nid: 5"), "data: data: x\ndata:\ndata: id: 5\n\n", S("data: x\n\nid: 5")},
    {"data: e", S("x"), "event: data: e\ndata: x\n\n", S("x")},
    {"", S("\xef\xbb\xbf" "bom"), "data: \xef\xbb\xbf" "bom\n\n", S("\xef\xbb\xbf" "bom")},
    {"", S("gr\xc3\xbc\xc3\x9f"), "data: gr\xc3\xbc\xc3\x9f\n\n", S("gr\xc3\xbc\xc3\x9f")},
};

static void an_event_is_id_name_and_a_data_line_per_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct text text = TEXT_EMPTY, wanted = TEXT_EMPTY;
        struct span data = guarded(ROWS[i].data);

        text_append_string(&text, "before\n");
        text_append_string(&wanted, "before\nid: 1763899200123-7\n");
        text_append_string(&wanted, ROWS[i].fields);
        sse_append_event(&text, ID, span_of(ROWS[i].event), data);
        assert_span(text_span(&text), text_span(&wanted));
        text_finish(&text);
        text_finish(&wanted);
        guard_free((char *)data.bytes, data.size);
    }
}

static void an_encoded_message_is_the_same_text_in_records(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct text text = TEXT_EMPTY;
        struct span data = guarded(ROWS[i].data);
        struct buffer *encoded = sse_encode(ID, span_of(ROWS[i].event), data);
        struct text inside = unframe(encoded);

        sse_append_event(&text, ID, span_of(ROWS[i].event), data);
        assert_span(text_span(&inside), text_span(&text));
        text_finish(&text);
        text_finish(&inside);
        buffer_unref(encoded);
        guard_free((char *)data.bytes, data.size);
    }
}

static void the_data_comes_back_as_event_source_shows_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct text text = TEXT_EMPTY;
        struct buffer *encoded = sse_encode(ID, span_of(ROWS[i].event), ROWS[i].data);

        text_append_string(&text, "kept");
        sse_append_data(&text, encoded);
        assert_memory_equal(text.bytes, "kept", 4);
        assert_span((struct span){text.bytes + 4, text.size - 4}, ROWS[i].shown);
        text_finish(&text);
        buffer_unref(encoded);
    }
}

static void a_nul_in_data_stays(void **state)
{
    struct text text = TEXT_EMPTY;
    struct buffer *encoded = sse_encode(ID, span_of(""), (struct span)S("a\0b\n\0"));

    (void)state;
    sse_append_data(&text, encoded);
    assert_span(text_span(&text), (struct span)S("a\0b\n\0"));
    text_finish(&text);
    buffer_unref(encoded);
}

static void an_absent_span_is_empty_data(void **state)
{
    struct text text = TEXT_EMPTY;

    (void)state;
    sse_append_event(&text, EVENT_ID_ZERO, (struct span){NULL, 0}, (struct span){NULL, 0});
    assert_span(text_span(&text), (struct span)S("id: 0-0\ndata:\n\n"));
    text_finish(&text);
}

/* Data of `size` bytes, a line break of varying form every `line` bytes (0: none). */
static struct text long_data(size_t size, size_t line)
{
    struct text data = TEXT_EMPTY;
    static const char *const breaks[] = {"\n", "\r\n", "\r"};

    while (data.size < size) {
        text_append_format(&data, "%c", (char)('a' + data.size % 26));
        if (line > 0 && data.size % line == 0)
            text_append_string(&data, breaks[data.size / line % 3]);
    }
    return data;
}

static void assert_round_trip(struct span data)
{
    struct text shown = TEXT_EMPTY, again = TEXT_EMPTY, plain = TEXT_EMPTY;
    struct buffer *encoded = sse_encode(ID, span_of("e"), data);
    struct text inside = unframe(encoded);

    sse_append_event(&plain, ID, span_of("e"), data);
    assert_span(text_span(&inside), text_span(&plain));
    sse_append_data(&shown, encoded);
    buffer_unref(encoded);
    encoded = sse_encode(ID, span_of("e"), text_span(&shown));
    text_finish(&inside);
    inside = unframe(encoded);
    assert_span(text_span(&inside), text_span(&plain));
    sse_append_data(&again, encoded);
    assert_span(text_span(&again), text_span(&shown));
    buffer_unref(encoded);
    text_finish(&inside);
    text_finish(&plain);
    text_finish(&again);
    text_finish(&shown);
}

/* Wherever it lies, also at the edges of what is searched at once. */
static void a_line_break_is_found_at_every_place(void **state)
{
    (void)state;
    for (size_t at = 0; at < 1100; at++) {
        char data[1102];
        struct text shown = TEXT_EMPTY;
        struct buffer *encoded;

        memset(data, 'a', sizeof data);
        memcpy(data + at, at % 3 == 0 ? "\r\n" : at % 3 == 1 ? "\r\r" : "\na", 2);
        encoded = sse_encode(ID, span_of(""), (struct span){data, sizeof data});
        sse_append_data(&shown, encoded);
        assert_int_equal(shown.size, at % 3 == 0 ? sizeof data - 1 : sizeof data);
        for (size_t i = 0; i < shown.size; i++)
            assert_int_equal(shown.bytes[i] == '\n', i == at || (at % 3 == 1 && i == at + 1));
        buffer_unref(encoded);
        text_finish(&shown);
    }
}

static void a_long_message_is_several_full_records(void **state)
{
    const size_t sizes[] = {65535 - 50, 65535, 65536, 2 * 65535, 1 << 20};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct text data = long_data(sizes[i], i % 2 ? 0 : 17);

        assert_round_trip(text_span(&data));
        text_finish(&data);
    }
}

static void every_size_around_the_record_limit_is_framed(void **state)
{
    struct text data = long_data(FCGI_CONTENT_MAX, 0);

    (void)state;
    for (size_t size = FCGI_CONTENT_MAX - 50; size <= FCGI_CONTENT_MAX; size++) {
        struct buffer *encoded = sse_encode(ID, span_of(""), (struct span){data.bytes, size});
        struct text inside = unframe(encoded), shown = TEXT_EMPTY;

        assert_int_equal(inside.size, strlen("id: 1763899200123-7\ndata: \n\n") + size);
        assert_int_equal(encoded->size, inside.size + FCGI_HEADER_BYTES * (inside.size > FCGI_CONTENT_MAX ? 2 : 1));
        sse_append_data(&shown, encoded);
        assert_span(text_span(&shown), (struct span){data.bytes, size});
        text_finish(&inside);
        text_finish(&shown);
        buffer_unref(encoded);
    }
    text_finish(&data);
}

static void a_line_may_cross_records_at_any_byte(void **state)
{
    (void)state;
    for (size_t shift = 0; shift < 40; shift++) {
        struct text data = long_data(65480 + shift, 0);

        text_append_string(&data, "\r\none\ntwo\r three\n\n");
        assert_round_trip(text_span(&data));
        text_finish(&data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_id_name_and_a_data_line_per_line),
        cmocka_unit_test(an_encoded_message_is_the_same_text_in_records),
        cmocka_unit_test(the_data_comes_back_as_event_source_shows_it),
        cmocka_unit_test(a_nul_in_data_stays),
        cmocka_unit_test(an_absent_span_is_empty_data),
        cmocka_unit_test(a_line_break_is_found_at_every_place),
        cmocka_unit_test(a_long_message_is_several_full_records),
        cmocka_unit_test(every_size_around_the_record_limit_is_framed),
        cmocka_unit_test(a_line_may_cross_records_at_any_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
