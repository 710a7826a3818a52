#include "inbox.h"

#include "buffer.h"
#include "message.h"
#include "offer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { LIMIT = 100 };

struct fixture {
    struct inbox inbox;
    int notified;
};

static void count(void *context)
{
    ++*(int *)context;
}

static int make(void **state)
{
    static struct fixture fixture;

    fixture.notified = 0;
    inbox_init(&fixture.inbox, LIMIT, count, &fixture.notified);
    *state = &fixture;
    return 0;
}

static int finish(void **state)
{
    inbox_finish(&((struct fixture *)*state)->inbox);
    return 0;
}

static struct message *message_with(uint64_t ms, size_t size)
{
    struct message *message = message_create((struct event_id){ms, 0}, &(struct message_names){.channel = span_of("c")}, size);

    assert_non_null(message);
    return message;
}

static struct message *message_of(uint64_t ms)
{
    return message_with(ms, 1);
}

static void put(struct inbox *inbox, struct inbox_item item)
{
    assert_true(inbox_reserve(inbox, 1));
    inbox_put_take(inbox, &item, 1);
}

static void put_message(struct inbox *inbox, uint64_t ms)
{
    put(inbox, (struct inbox_item){.message = message_of(ms)});
}

static uint64_t take_message(struct inbox *inbox)
{
    struct inbox_item item;
    uint64_t ms;

    assert_int_equal(inbox_take(inbox, &item, 1), 1);
    assert_non_null(item.message);
    ms = item.message->id.ms;
    message_unref(item.message);
    return ms;
}

static void messages_and_connections_come_out_in_one_order(void **state)
{
    struct fixture *fixture = *state;
    struct inbox_item item;
    int descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC);

    put_message(&fixture->inbox, 1);
    put(&fixture->inbox, (struct inbox_item){.descriptor = descriptor});
    put_message(&fixture->inbox, 2);
    assert_int_equal(take_message(&fixture->inbox), 1);
    assert_int_equal(inbox_take(&fixture->inbox, &item, 1), 1);
    assert_null(item.message);
    assert_int_equal(item.descriptor, descriptor);
    assert_int_equal(take_message(&fixture->inbox), 2);
    assert_int_equal(inbox_take(&fixture->inbox, &item, 1), 0);
    close(descriptor);
}

/* The one that is not taken is let go at the end. */
static void an_offer_comes_back_behind_its_messages(void **state)
{
    struct fixture *fixture = *state;
    struct inbox_item item;

    for (uint64_t i = 1; i <= 2; i++) {
        struct post post = {0};
        struct offer *offer = offer_create_take(&post, &fixture->inbox, NULL);

        put_message(&fixture->inbox, i);
        put(&fixture->inbox, (struct inbox_item){.offer = offer, .is_offer = true});
    }
    assert_int_equal(take_message(&fixture->inbox), 1);
    assert_int_equal(inbox_take(&fixture->inbox, &item, 1), 1);
    assert_true(item.is_offer);
    offer_destroy(item.offer);
    assert_int_equal(take_message(&fixture->inbox), 2);
}

/* Puts run ahead of takes, so that the ring wraps and grows in every position. */
static void the_order_holds_while_the_ring_wraps_and_grows(void **state)
{
    struct inbox *inbox = &((struct fixture *)*state)->inbox;
    uint64_t next_in = 0, next_out = 0;

    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 7; i++)
            put_message(inbox, next_in++);
        for (int i = 0; i < 5; i++)
            assert_int_equal(take_message(inbox), next_out++);
    }
    while (next_out < next_in)
        assert_int_equal(take_message(inbox), next_out++);
}

static void there_is_room_until_the_limit_and_again_below_it(void **state)
{
    struct inbox *inbox = &((struct fixture *)*state)->inbox;

    for (uint64_t i = 0; i < LIMIT; i++) {
        assert_true(inbox_has_room(inbox, 1));
        put_message(inbox, i);
    }
    assert_false(inbox_has_room(inbox, 1));
    take_message(inbox);
    assert_true(inbox_has_room(inbox, 1));
}

/* Sixty thousand messages of a megabyte would be a lot. */
static void there_is_room_until_the_limit_of_bytes_and_again_below_it(void **state)
{
    struct inbox *inbox = &((struct fixture *)*state)->inbox;

    for (uint64_t i = 0; i < 4; i++) {
        assert_true(inbox_has_room(inbox, 1));
        put(inbox, (struct inbox_item){.message = message_with(i, INBOX_BYTES / 4)});
    }
    assert_false(inbox_has_room(inbox, 1));
    take_message(inbox);
    assert_true(inbox_has_room(inbox, 1));
    for (uint64_t i = 1; i < 4; i++)
        assert_int_equal(take_message(inbox), i);
    put(inbox, (struct inbox_item){.message = message_with(4, INBOX_BYTES - 1000)});
    assert_true(inbox_has_room(inbox, 1));
}

/* Room is asked for once per multipart message: what is in a batch goes in whole. */
static void a_batch_may_go_beyond_the_limit(void **state)
{
    struct inbox *inbox = &((struct fixture *)*state)->inbox;

    for (uint64_t i = 0; i < LIMIT * 3; i++)
        put_message(inbox, i);
    assert_false(inbox_has_room(inbox, 1));
    for (uint64_t i = 0; i < LIMIT * 3; i++)
        assert_int_equal(take_message(inbox), i);
    assert_true(inbox_has_room(inbox, 1));
}

static void room_is_for_as_many_as_asked_and_not_one_more(void **state)
{
    struct inbox *inbox = &((struct fixture *)*state)->inbox;

    for (uint64_t i = 0; i < LIMIT - 10; i++)
        put_message(inbox, i);
    assert_true(inbox_has_room(inbox, 10));
    assert_false(inbox_has_room(inbox, 11));
    take_message(inbox);
    assert_true(inbox_has_room(inbox, 11));
}

static void what_is_put_together_notifies_once(void **state)
{
    struct fixture *fixture = *state;
    struct inbox_item items[3], taken[5];

    for (uint64_t i = 0; i < 3; i++)
        items[i] = (struct inbox_item){.message = message_of(i)};
    assert_true(inbox_is_empty(&fixture->inbox));
    assert_true(inbox_reserve(&fixture->inbox, 3));
    inbox_put_take(&fixture->inbox, items, 3);
    assert_int_equal(fixture->notified, 1);
    assert_false(inbox_is_empty(&fixture->inbox));
    assert_int_equal(inbox_take(&fixture->inbox, taken, 2), 2);
    assert_int_equal(inbox_take(&fixture->inbox, taken + 2, 3), 1);
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(taken[i].message, items[i].message);
        message_unref(taken[i].message);
    }
    assert_true(inbox_is_empty(&fixture->inbox));
}

static void finishing_lets_go_of_messages_and_closes_connections(void **state)
{
    struct inbox inbox;
    struct message *message = message_of(1);
    int notified = 0, descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)state;
    inbox_init(&inbox, LIMIT, count, &notified);
    put(&inbox, (struct inbox_item){.message = message_ref(message)});
    put(&inbox, (struct inbox_item){.descriptor = descriptor});
    inbox_finish(&inbox);
    assert_int_equal(atomic_load(&message->encoded->references), 1);
    assert_int_equal(fcntl(descriptor, F_GETFD), -1);
    assert_int_equal(errno, EBADF);
    message_unref(message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(messages_and_connections_come_out_in_one_order, make, finish),
        cmocka_unit_test_setup_teardown(an_offer_comes_back_behind_its_messages, make, finish),
        cmocka_unit_test_setup_teardown(the_order_holds_while_the_ring_wraps_and_grows, make, finish),
        cmocka_unit_test_setup_teardown(there_is_room_until_the_limit_and_again_below_it, make, finish),
        cmocka_unit_test_setup_teardown(there_is_room_until_the_limit_of_bytes_and_again_below_it, make, finish),
        cmocka_unit_test_setup_teardown(a_batch_may_go_beyond_the_limit, make, finish),
        cmocka_unit_test_setup_teardown(room_is_for_as_many_as_asked_and_not_one_more, make, finish),
        cmocka_unit_test_setup_teardown(what_is_put_together_notifies_once, make, finish),
        cmocka_unit_test(finishing_lets_go_of_messages_and_closes_connections),
    };

    return cmocka_run_group_tests_name("inbox", tests, NULL, NULL);
}
