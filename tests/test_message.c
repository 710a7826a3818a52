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

static void assert_span(struct span got, const char *wanted)
{
    assert_int_equal(got.size, strlen(wanted));
    assert_memory_equal(got.bytes, wanted, got.size);
}

static void a_message_keeps_copies_of_its_names(void **state)
{
    char channel[] = "news", event[] = "update", except[] = "client-1";
    struct message_names names = {span_of(channel), span_of(event), span_of(except)};
    struct message *message = message_create(ID, &names, 7);

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
    struct message *message = message_create(ID, &names, 7);

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
    message = message_create(ID, &(struct message_names){span_of(longest), span_of(longest), span_of(longest)}, 0);
    assert_span(message_channel(message), longest);
    assert_span(message_event(message), longest);
    assert_span(message_except(message), longest);
    message_unref(message);
}

static void a_new_message_is_stored_and_never_expires(void **state)
{
    struct message_names names = {.channel = span_of("c")};
    struct message *message = message_create(ID, &names, 7);

    (void)state;
    assert_true(message->store);
    assert_true(message->expires_ms == INT64_MAX);
    message_unref(message);
}

/* ASan sees a use of what is freed, and LeakSanitizer what is not. */
static void whoever_holds_the_encoded_bytes_keeps_the_message(void **state)
{
    struct message_names names = {.channel = span_of("c")};
    struct message *message = message_create(ID, &names, 7);
    struct buffer *encoded = buffer_ref(message->encoded);

    (void)state;
    memcpy(encoded->bytes, "encoded", 7);
    message_unref(message);
    assert_span(buffer_span(encoded), "encoded");
    assert_span(message_channel(message), "c");
    buffer_unref(encoded);
    message_unref(NULL);
}

static void the_last_reference_frees(void **state)
{
    struct message_names names = {.channel = span_of("c")};
    struct message *message = message_create(ID, &names, 7);

    (void)state;
    assert_ptr_equal(message_ref(message), message);
    message_share(message, 3);
    for (int left = 3; left > 0; left--) {
        assert_int_equal(atomic_load(&message->encoded->references), left);
        message_unref(message);
    }
}

static void the_encoded_bytes_begin_behind_the_names_whatever_their_size(void **state)
{
    char name[] = "12345678";

    (void)state;
    for (size_t size = 1; size <= 8; size++) {
        struct message *message = message_create(ID, &(struct message_names){.channel = {name, size}}, 2);

        assert_int_equal((uintptr_t)message->encoded % _Alignof(struct buffer), 0);
        assert_true(message->names + size <= (char *)message->encoded);
        memset(message->encoded->bytes, 'e', 2);
        assert_memory_equal(message_channel(message).bytes, name, size);
        message_unref(message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_keeps_copies_of_its_names),
        cmocka_unit_test(event_and_except_may_be_missing),
        cmocka_unit_test(names_of_255_bytes_are_whole),
        cmocka_unit_test(a_new_message_is_stored_and_never_expires),
        cmocka_unit_test(whoever_holds_the_encoded_bytes_keeps_the_message),
        cmocka_unit_test(the_last_reference_frees),
        cmocka_unit_test(the_encoded_bytes_begin_behind_the_names_whatever_their_size),
    };

    return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
