#include "message.h"

#include "buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct event_id ID = {1763899200123, 7};

static struct buffer *bytes(const char *text)
{
    struct buffer *buffer = buffer_create(strlen(text));

    assert_non_null(buffer);
    memcpy(buffer->bytes, text, buffer->size);
    return buffer;
}

static void assert_span(struct span got, const char *wanted)
{
    assert_int_equal(got.size, strlen(wanted));
    assert_memory_equal(got.bytes, wanted, got.size);
}

static void a_message_keeps_copies_of_its_names(void **state)
{
    char channel[] = "news", event[] = "update", except[] = "client-1";
    struct message_names names = {span_of(channel), span_of(event), span_of(except)};
    struct message *message = message_create_take(ID, &names, bytes("encoded"));

    (void)state;
    memset(channel, 'x', strlen(channel));
    memset(event, 'x', strlen(event));
    memset(except, 'x', strlen(except));
    assert_span(message_channel(message), "news");
    assert_span(message_event(message), "update");
    assert_span(message_except(message), "client-1");
    assert_int_equal(event_id_compare(message->id, ID), 0);
    message_unref(message);
}

static void event_and_except_may_be_missing(void **state)
{
    struct message_names names = {.channel = span_of("c")};
    struct message *message = message_create_take(ID, &names, bytes("encoded"));

    (void)state;
    assert_span(message_channel(message), "c");
    assert_int_equal(message_event(message).size, 0);
    assert_int_equal(message_except(message).size, 0);
    message_unref(message);
}

static void names_of_255_bytes_are_whole(void **state)
{
    char longest[256];
    struct message *message;

    (void)state;
    memset(longest, 'n', 255);
    longest[255] = '\0';
    message = message_create_take(ID, &(struct message_names){span_of(longest), span_of(longest), span_of(longest)}, bytes(""));
    assert_span(message_channel(message), longest);
    assert_span(message_event(message), longest);
    assert_span(message_except(message), longest);
    message_unref(message);
}

static void a_new_message_is_stored_and_never_expires(void **state)
{
    struct message_names names = {.channel = span_of("c")};
    struct message *message = message_create_take(ID, &names, bytes("encoded"));

    (void)state;
    assert_true(message->store);
    assert_true(message->expires_ms == INT64_MAX);
    message_unref(message);
}

static void the_last_reference_frees_the_encoded_bytes(void **state)
{
    struct message_names names = {.channel = span_of("c")};
    struct buffer *encoded = bytes("encoded");
    struct message *message = message_create_take(ID, &names, buffer_ref(encoded));

    (void)state;
    assert_ptr_equal(message_ref(message), message);
    message_unref(message);
    assert_int_equal(atomic_load(&encoded->references), 2);
    message_unref(message);
    assert_int_equal(atomic_load(&encoded->references), 1);
    buffer_unref(encoded);
    message_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_keeps_copies_of_its_names),
        cmocka_unit_test(event_and_except_may_be_missing),
        cmocka_unit_test(names_of_255_bytes_are_whole),
        cmocka_unit_test(a_new_message_is_stored_and_never_expires),
        cmocka_unit_test(the_last_reference_frees_the_encoded_bytes),
    };

    return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
