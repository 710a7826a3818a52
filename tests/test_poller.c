/* The poller with socket pairs and a real loop, whose turns never sleep. */
#include "poller.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

struct item {
    int fd, peer; /* -1: closed */
    unsigned readable, writable;
    struct item *closes; /* when it is told of anything */
};

struct fixture {
    struct ev_loop *loop;
    struct poller poller;
};

static void close_item(struct item *item)
{
    if (item->fd >= 0)
        close(item->fd);
    item->fd = -1;
}

static void on_ready(void *context, bool readable, bool writable)
{
    struct item *item = context;

    assert_true(readable || writable);
    item->readable += readable;
    item->writable += writable;
    if (item->fd >= 0 && item->closes)
        close_item(item->closes);
}

static int make(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    *state = fixture;
    fixture->loop = ev_loop_new(EVFLAG_AUTO);
    return poller_init(&fixture->poller, fixture->loop, on_ready) ? 0 : -1;
}

static int finish(void **state)
{
    struct fixture *fixture = *state;

    poller_finish(&fixture->poller);
    poller_finish(&fixture->poller);
    ev_loop_destroy(fixture->loop);
    free(fixture);
    return 0;
}

static void turn(struct fixture *fixture)
{
    ev_run(fixture->loop, EVRUN_NOWAIT);
}

static void open_item(struct fixture *fixture, struct item *item)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    *item = (struct item){.fd = fds[0], .peer = fds[1]};
    assert_true(poller_add(&fixture->poller, item->fd, item));
}

static void end_item(struct item *item)
{
    close_item(item);
    if (item->peer >= 0)
        close(item->peer);
}

static void say(struct item *item)
{
    assert_int_equal(send(item->peer, "x", 1, 0), 1);
}

static void an_item_is_told_as_long_as_there_is_something_to_read(void **state)
{
    struct fixture *fixture = *state;
    struct item quiet, item;
    char byte;

    open_item(fixture, &quiet);
    open_item(fixture, &item);
    turn(fixture);
    assert_int_equal(item.readable, 0);
    say(&item);
    turn(fixture);
    turn(fixture);
    assert_int_equal(item.readable, 2);
    assert_int_equal(recv(item.fd, &byte, 1, 0), 1);
    turn(fixture);
    assert_int_equal(item.readable, 2);
    assert_int_equal(item.writable, 0);
    assert_int_equal(quiet.readable, 0);
    end_item(&quiet);
    end_item(&item);
}

static void room_for_writing_is_told_while_it_is_wanted(void **state)
{
    struct fixture *fixture = *state;
    struct item item;

    open_item(fixture, &item);
    poller_want_write(&fixture->poller, item.fd, &item, true);
    turn(fixture);
    assert_int_equal(item.writable, 1);
    assert_int_equal(item.readable, 0);
    say(&item);
    turn(fixture);
    assert_int_equal(item.writable, 2);
    assert_int_equal(item.readable, 1);
    poller_want_write(&fixture->poller, item.fd, &item, false);
    turn(fixture);
    assert_int_equal(item.writable, 2);
    assert_int_equal(item.readable, 2);
    end_item(&item);
}

/* As the end is found by reading, it is told as something to read. */
static void the_end_of_the_peer_is_readable(void **state)
{
    struct fixture *fixture = *state;
    struct item item;

    open_item(fixture, &item);
    close(item.peer);
    item.peer = -1;
    turn(fixture);
    assert_int_equal(item.readable, 1);
    end_item(&item);
}

/* Two are ready, and each closes the other: whoever was first, the turn goes on, and the closed one is not told again. */
static void an_item_may_be_closed_by_another_of_the_same_turn(void **state)
{
    struct fixture *fixture = *state;
    struct item items[2];

    for (int i = 0; i < 2; i++) {
        open_item(fixture, &items[i]);
        items[i].closes = &items[1 - i];
        say(&items[i]);
    }
    turn(fixture);
    assert_int_not_equal(items[0].fd < 0, items[1].fd < 0);
    for (int i = 0; i < 2; i++)
        items[i].readable = 0;
    turn(fixture);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(items[i].readable, items[i].fd >= 0);
        end_item(&items[i]);
    }
}

/* More are ready, again and again, than one turn takes. */
static void a_turn_is_bounded_and_nobody_is_left_out(void **state)
{
    enum { ITEMS = 200, TURNS = 4 };
    struct fixture *fixture = *state;
    struct item *items = calloc(ITEMS, sizeof *items);
    unsigned told = 0;

    for (int i = 0; i < ITEMS; i++) {
        open_item(fixture, &items[i]);
        say(&items[i]);
    }
    turn(fixture);
    for (int i = 0; i < ITEMS; i++)
        told += items[i].readable;
    assert_in_range(told, 1, ITEMS - 1);
    for (int i = 1; i < TURNS; i++)
        turn(fixture);
    for (int i = 0; i < ITEMS; i++) {
        assert_int_not_equal(items[i].readable, 0);
        end_item(&items[i]);
    }
    free(items);
}

/* What the kernel says then is the same as when it lacks room. */
static void a_descriptor_that_cannot_be_watched_is_not_added(void **state)
{
    struct fixture *fixture = *state;
    struct item item = {.peer = -1};

    item.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(item.fd >= 0);
    assert_false(poller_add(&fixture->poller, item.fd, &item));
    end_item(&item);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, finish)
        TEST(an_item_is_told_as_long_as_there_is_something_to_read),
        TEST(room_for_writing_is_told_while_it_is_wanted),
        TEST(the_end_of_the_peer_is_readable),
        TEST(an_item_may_be_closed_by_another_of_the_same_turn),
        TEST(a_turn_is_bounded_and_nobody_is_left_out),
        TEST(a_descriptor_that_cannot_be_watched_is_not_added),
    };

    return cmocka_run_group_tests_name("poller", tests, NULL, NULL);
}
