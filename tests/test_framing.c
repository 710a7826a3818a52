#include "framing.h"

#include "buffer.h"
#include "fcgi.h"
#include "sse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/uio.h>

/* The content of the STDOUT records of `id` in the buffer; `ended`: whether the end of the stream and of the request follow. */
static struct text content(const struct buffer *buffer, uint16_t id, bool *ended)
{
    struct text text = TEXT_EMPTY;
    size_t at = 0;

    *ended = false;
    while (at < buffer->size) {
        const unsigned char *header = (const unsigned char *)buffer->bytes + at;
        size_t size = (size_t)(header[4] << 8 | header[5]);

        assert_false(*ended);
        assert_int_equal(header[0], 1);
        assert_int_equal(header[2] << 8 | header[3], id);
        assert_int_equal(header[6], 0);
        if (header[1] == FCGI_STDOUT && size > 0) {
            text_append(&text, (struct span){buffer->bytes + at + FCGI_HEADER_BYTES, size});
            at += FCGI_HEADER_BYTES + size;
            continue;
        }
        assert_int_equal(header[1], FCGI_STDOUT);
        assert_int_equal(buffer->size - at, FCGI_HEADER_BYTES + FCGI_END_BYTES);
        assert_int_equal(header[FCGI_HEADER_BYTES + 1], FCGI_END_REQUEST);
        assert_int_equal(header[FCGI_HEADER_BYTES + 2] << 8 | header[FCGI_HEADER_BYTES + 3], id);
        *ended = true;
        at = buffer->size;
    }
    assert_int_equal(at, buffer->size);
    return text;
}

static void assert_content(struct buffer *buffer, uint16_t id, const char *wanted, bool wanted_end)
{
    bool ended;
    struct text text;

    assert_non_null(buffer);
    text = content(buffer, id, &ended);
    text_append(&text, (struct span){"", 1});
    assert_string_equal(text.bytes, wanted);
    assert_int_equal(ended, wanted_end);
    text_finish(&text);
    buffer_unref(buffer);
}

static void headers_and_the_first_bytes_share_a_record_without_padding(void **state)
{
    struct buffer *start = framing_fastcgi.start(1, span_of("Status: 200 OK\r\n"), span_of(":\n"));

    (void)state;
    assert_int_equal(start->size, FCGI_HEADER_BYTES + strlen("Status: 200 OK\r\n\r\n:\n"));
    assert_content(start, 1, "Status: 200 OK\r\n\r\n:\n", false);
}

static void the_end_closes_stream_and_request(void **state)
{
    struct buffer *end = framing_fastcgi.end(7);

    (void)state;
    assert_int_equal(end->size, FCGI_HEADER_BYTES + FCGI_END_BYTES);
    assert_content(end, 7, "", true);
}

static void a_whole_response_says_its_length(void **state)
{
    (void)state;
    assert_content(framing_fastcgi.whole(3, span_of("Status: 200 OK\r\n"), span_of("ok\n")), 3,
                   "Status: 200 OK\r\nContent-Length: 3\r\n\r\nok\n", true);
}

static void a_whole_response_without_a_body_says_no_length(void **state)
{
    (void)state;
    assert_content(framing_fastcgi.whole(3, span_of("Status: 204 No Content\r\n"), span_of("")), 3, "Status: 204 No Content\r\n\r\n", true);
}

static void a_body_is_records_alone(void **state)
{
    (void)state;
    assert_content(framing_fastcgi.body(1, span_of(":\n")), 1, ":\n", false);
}

static void a_body_above_one_record_is_several(void **state)
{
    size_t size = 3 * FCGI_CONTENT_MAX + 5;
    char *bytes = malloc(size + 1);
    struct buffer *body;

    (void)state;
    memset(bytes, 'x', size);
    bytes[size] = '\0';
    body = framing_fastcgi.body(300, (struct span){bytes, size});
    assert_int_equal(body->size, size + 4 * FCGI_HEADER_BYTES);
    assert_content(body, 300, bytes, false);
    free(bytes);
}

static struct iovec part_of(struct buffer *buffer)
{
    return (struct iovec){buffer->bytes, buffer->size};
}

static void several_messages_share_a_record(void **state)
{
    struct buffer *first = sse_encode((struct event_id){5, 0}, span_of("tick"), span_of("one"));
    struct buffer *second = sse_encode((struct event_id){5, 1}, span_of(""), span_of("two"));
    struct iovec parts[] = {part_of(first), part_of(second)};
    struct buffer *both = framing_fastcgi.messages(7, parts, 2);

    (void)state;
    assert_int_equal(both->size, first->size + second->size - FCGI_HEADER_BYTES);
    assert_content(both, 7, "id: 5-0\nevent: tick\ndata: one\n\nid: 5-1\ndata: two\n\n", false);
    buffer_unref(first);
    buffer_unref(second);
}

/* Sizes around those at which the content of one or both needs a record more. */
static void messages_of_any_size_become_the_records_that_one_body_would(void **state)
{
    static const size_t sizes[] = {1, 65000, 65518, 65519, 65520, 65535, 131053, 131054, 140000};
    enum { SIZES = sizeof sizes / sizeof *sizes };

    (void)state;
    for (int i = 0; i < SIZES * SIZES; i++) {
        char *bytes = malloc(140000);
        struct buffer *encoded[2], *wanted, *got;
        struct text text = TEXT_EMPTY;
        struct iovec parts[2];
        bool ended;

        memset(bytes, 'x', 140000);
        for (int n = 0; n < 2; n++) {
            encoded[n] = sse_encode((struct event_id){5, (uint64_t)n}, span_of(""), (struct span){bytes, sizes[n ? i % SIZES : i / SIZES]});
            parts[n] = part_of(encoded[n]);
            struct text event = content(encoded[n], 1, &ended);

            text_append(&text, text_span(&event));
            text_finish(&event);
        }
        wanted = framing_fastcgi.body(0x1234, text_span(&text));
        got = framing_fastcgi.messages(0x1234, parts, 2);
        assert_true(span_equal(buffer_span(got), buffer_span(wanted)));
        buffer_unref(wanted);
        buffer_unref(got);
        buffer_unref(encoded[0]);
        buffer_unref(encoded[1]);
        text_finish(&text);
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_and_the_first_bytes_share_a_record_without_padding),
        cmocka_unit_test(the_end_closes_stream_and_request),
        cmocka_unit_test(a_whole_response_says_its_length),
        cmocka_unit_test(a_whole_response_without_a_body_says_no_length),
        cmocka_unit_test(a_body_is_records_alone),
        cmocka_unit_test(a_body_above_one_record_is_several),
        cmocka_unit_test(several_messages_share_a_record),
        cmocka_unit_test(messages_of_any_size_become_the_records_that_one_body_would),
    };

    return cmocka_run_group_tests_name("framing", tests, NULL, NULL);
}
