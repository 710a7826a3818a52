#include "poll.h"

#include "buffer.h"
#include "fcgi.h"
#include "message.h"
#include "sse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>

static const struct event_id ID = {1763899200123, 7};

static struct message *make(const char *channel, const char *event, const char *data)
{
    struct message_names names = {span_of(channel), span_of(event), span_of("")};
    struct message *message = sse_encode_message(ID, &names, span_of(data));

    assert_non_null(message);
    return message;
}

static void assert_bytes(const struct buffer *buffer, const char *wanted)
{
    assert_non_null(buffer);
    assert_int_equal(buffer->size, strlen(wanted));
    assert_memory_equal(buffer->bytes, wanted, buffer->size);
}

/* Channel, event (empty: none), data, and what the answer's message holds. */
static const struct row {
    const char *channel, *event, *data, *wanted;
} ROWS[] = {
    {"news", "", "hello", "{\"id\":\"1763899200123-7\",\"channel\":\"news\",\"event\":null,\"data\":\"hello\"}"},
    {"news", "tick", "", "{\"id\":\"1763899200123-7\",\"channel\":\"news\",\"event\":\"tick\",\"data\":\"\"}"},
    {"a\"b", "c\\d", "{\"x\":0.1}",
     "{\"id\":\"1763899200123-7\",\"channel\":\"a\\\"b\",\"event\":\"c\\\\d\",\"data\":\"{\\\"x\\\":0.1}\"}"},
    {"n", "", "one\r\ntwo\rthree\n", "{\"id\":\"1763899200123-7\",\"channel\":\"n\",\"event\":null,\"data\":\"one\\ntwo\\nthree\\n\"}"},
    {"n", "", "\x01\x1f", "{\"id\":\"1763899200123-7\",\"channel\":\"n\",\"event\":null,\"data\":\"\\u0001\\u001f\"}"},
    {"ü/ß", "", "☃", "{\"id\":\"1763899200123-7\",\"channel\":\"ü/ß\",\"event\":null,\"data\":\"☃\"}"},
};

static void a_message_is_one_json_object_with_the_data_that_eventsource_shows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct message *message = make(ROWS[i].channel, ROWS[i].event, ROWS[i].data);
        struct buffer *encoded = poll_encode(message);

        assert_bytes(encoded, ROWS[i].wanted);
        buffer_unref(encoded);
        message_unref(message);
    }
}

static void an_answer_is_valid_json(void **state)
{
    struct message *message = make("news", "tick", "a\nb");
    struct buffer *encoded = poll_encode(message);
    struct text text = TEXT_EMPTY;
    json_t *answer;

    (void)state;
    poll_append_start(&text, ID, true);
    text_append(&text, buffer_span(encoded));
    text_append_string(&text, ",");
    text_append(&text, buffer_span(encoded));
    poll_append_end(&text);
    answer = json_loadb(text.bytes, text.size, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(answer);
    assert_string_equal(json_string_value(json_object_get(answer, "cursor")), "1763899200123-7");
    assert_true(json_is_true(json_object_get(answer, "gap")));
    assert_int_equal(json_array_size(json_object_get(answer, "messages")), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(answer, "messages"), 1), "data")), "a\nb");
    json_decref(answer);
    text_finish(&text);
    buffer_unref(encoded);
    message_unref(message);
}

static void an_empty_answer_has_its_cursor(void **state)
{
    struct text text = TEXT_EMPTY;

    (void)state;
    poll_append_start(&text, ID, false);
    poll_append_end(&text);
    text_append(&text, (struct span){"", 1});
    assert_string_equal(text.bytes, "{\"cursor\":\"1763899200123-7\",\"gap\":false,\"messages\":[]}\n");
    text_finish(&text);
}

static void an_envelope_is_an_event_with_the_same_id_and_name(void **state)
{
    struct message *message = make("news", "tick", "a\nb");
    struct buffer *envelope = poll_encode_envelope(message);
    struct span content;
    size_t offset = 0;

    (void)state;
    assert_true(fcgi_next_content(buffer_span(envelope), &offset, &content));
    assert_true(span_equal(content, span_of("id: 1763899200123-7\nevent: tick\n"
                                            "data: {\"channel\":\"news\",\"event\":\"tick\",\"data\":\"a\\nb\"}\n\n")));
    buffer_unref(envelope);
    message_unref(message);
}

static void an_envelope_of_a_large_message_is_whole(void **state)
{
    enum { SIZE = 200000 };
    char *data = calloc(1, SIZE + 1);
    struct message *message;
    struct buffer *envelope;
    struct text shown = TEXT_EMPTY;

    (void)state;
    memset(data, 'x', SIZE);
    message = make("n", "", data);
    envelope = poll_encode_envelope(message);
    sse_append_data(&shown, envelope);
    assert_int_equal(shown.size, SIZE + strlen("{\"channel\":\"n\",\"event\":null,\"data\":\"\"}"));
    text_finish(&shown);
    buffer_unref(envelope);
    message_unref(message);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_one_json_object_with_the_data_that_eventsource_shows),
        cmocka_unit_test(an_answer_is_valid_json),
        cmocka_unit_test(an_empty_answer_has_its_cursor),
        cmocka_unit_test(an_envelope_is_an_event_with_the_same_id_and_name),
        cmocka_unit_test(an_envelope_of_a_large_message_is_whole),
    };

    return cmocka_run_group_tests_name("poll", tests, NULL, NULL);
}
