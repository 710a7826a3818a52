/* What is told to a socket of ours that stands for systemd's. */
#include "notify.h"

#include "log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stddef.h>
#include <sys/time.h>
#include <unistd.h>

enum { SELF = 4711 };

struct fixture {
    char folder[64], path[96];
    int fd; /* who is told */
    struct notify notify;
    bool is_alive;
    char told[256];
};

static int make(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct sockaddr_un name = {.sun_family = AF_UNIX};

    *state = fixture;
    fixture->notify.fd = -1;
    fixture->is_alive = true;
    strcpy(fixture->folder, "/tmp/notify.XXXXXX");
    if (!mkdtemp(fixture->folder))
        return -1;
    snprintf(fixture->path, sizeof fixture->path, "%s/n.sock", fixture->folder);
    strcpy(name.sun_path, fixture->path);
    fixture->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return bind(fixture->fd, (const struct sockaddr *)&name, sizeof name);
}

static int finish(void **state)
{
    struct fixture *fixture = *state;

    notify_finish(&fixture->notify);
    close(fixture->fd);
    (void)unlink(fixture->path);
    (void)rmdir(fixture->folder);
    free(fixture);
    return 0;
}

static void init(struct fixture *fixture, const char *socket, const char *usec, const char *pid)
{
    struct notify_environment environment = {socket, usec, pid};

    notify_init(&fixture->notify, &environment, SELF);
}

/* The next datagram; empty: none. */
static const char *told(struct fixture *fixture)
{
    ssize_t size = recv(fixture->fd, fixture->told, sizeof fixture->told - 1, 0);

    fixture->told[size > 0 ? size : 0] = '\0';
    return fixture->told;
}

static bool say_alive(void *context)
{
    return ((struct fixture *)context)->is_alive;
}

static void each_news_is_one_datagram(void **state)
{
    struct fixture *fixture = *state;

    init(fixture, fixture->path, NULL, NULL);
    notify_send(&fixture->notify, "READY=1\nSTATUS=fine");
    notify_send(&fixture->notify, "STOPPING=1");
    assert_string_equal(told(fixture), "READY=1\nSTATUS=fine");
    assert_string_equal(told(fixture), "STOPPING=1");
    assert_string_equal(told(fixture), "");
}

static void an_abstract_name_begins_with_an_at(void **state)
{
    struct fixture *fixture = *state;
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "\0sidecast-test-notify"};

    close(fixture->fd);
    fixture->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fixture->fd, (const struct sockaddr *)&name, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 21)), 0);
    init(fixture, "@sidecast-test-notify", NULL, NULL);
    notify_send(&fixture->notify, "READY=1");
    assert_string_equal(told(fixture), "READY=1");
}

static void without_a_socket_nobody_is_told_and_nothing_breaks(void **state)
{
    struct fixture *fixture = *state;
    char long_path[200] = "/";
    const char *sockets[] = {NULL, "", "/", "@", "relative", "vsock:2:1234", long_path};

    memset(long_path + 1, 'x', sizeof long_path - 2);
    for (size_t i = 0; i < sizeof sockets / sizeof *sockets; i++) {
        init(fixture, sockets[i], "1000000", NULL);
        assert_int_equal(fixture->notify.fd, -1);
        assert_int_equal(fixture->notify.watchdog_ms, 0);
        notify_send(&fixture->notify, "READY=1");
        notify_watch(&fixture->notify, NULL, say_alive, fixture);
        notify_finish(&fixture->notify);
    }
}

static void whoever_has_gone_is_told_nothing_and_whoever_comes_back_is(void **state)
{
    struct fixture *fixture = *state;
    struct sockaddr_un name = {.sun_family = AF_UNIX};

    init(fixture, fixture->path, NULL, NULL);
    close(fixture->fd);
    unlink(fixture->path);
    notify_send(&fixture->notify, "READY=1");
    fixture->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    strcpy(name.sun_path, fixture->path);
    assert_int_equal(bind(fixture->fd, (const struct sockaddr *)&name, sizeof name), 0);
    notify_send(&fixture->notify, "STOPPING=1");
    assert_string_equal(told(fixture), "STOPPING=1");
}

static void the_watchdogs_time_is_taken_if_it_is_ours(void **state)
{
    struct fixture *fixture = *state;
    const struct {
        const char *usec, *pid;
        int64_t ms;
    } rows[] = {
        {"30000000", NULL, 30000}, {"30000000", "4711", 30000}, {"30000000", "4712", 0}, {NULL, "4711", 0}, {"2000", NULL, 2},
        {"1999", NULL, 0},         {"0", NULL, 0},              {"-1", NULL, 0},         {"1s", NULL, 0},   {"", NULL, 0},
        {"99999999999999999999", NULL, 0},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        init(fixture, fixture->path, rows[i].usec, rows[i].pid);
        assert_int_equal(fixture->notify.watchdog_ms, rows[i].ms);
        notify_finish(&fixture->notify);
    }
}

static void init_watched(struct fixture *fixture)
{
    init(fixture, fixture->path, "1000000", NULL);
    fixture->notify.is_alive = say_alive;
    fixture->notify.context = fixture;
}

static void the_watchdog_is_told_at_every_half_of_its_time(void **state)
{
    struct fixture *fixture = *state;

    init_watched(fixture);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(notify_look(&fixture->notify), 500);
        assert_string_equal(told(fixture), "WATCHDOG=1");
        assert_string_equal(told(fixture), "");
    }
}

static void the_watchdog_is_not_told_while_somebody_is_not_alive(void **state)
{
    struct fixture *fixture = *state;

    init_watched(fixture);
    fixture->is_alive = false;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(notify_look(&fixture->notify), 50); /* soon again: there is little time left */
        assert_string_equal(told(fixture), "");
    }
    fixture->is_alive = true;
    assert_int_equal(notify_look(&fixture->notify), 500);
    assert_string_equal(told(fixture), "WATCHDOG=1");
}

/* A ping does not wait for room in the other's queue. */
static void a_full_queue_does_not_hold_the_loop(void **state)
{
    struct fixture *fixture = *state;

    const struct timeval for_ever = {0};

    init_watched(fixture);
    setsockopt(fixture->notify.fd, SOL_SOCKET, SO_SNDTIMEO, &for_ever, sizeof for_ever);
    while (sendto(fixture->notify.fd, "X=1", 3, MSG_DONTWAIT, (const struct sockaddr *)&fixture->notify.name, fixture->notify.name_size) >= 0)
        ;
    assert_int_equal(notify_look(&fixture->notify), 500);
}

static void the_loop_keeps_the_watchdog_quiet(void **state)
{
    struct fixture *fixture = *state;
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);

    init(fixture, fixture->path, "20000", NULL);
    notify_watch(&fixture->notify, loop, say_alive, fixture);
    assert_string_equal(told(fixture), "WATCHDOG=1");
    for (int i = 0; i < 3; i++) {
        ev_run(loop, EVRUN_ONCE);
        assert_string_equal(told(fixture), "WATCHDOG=1");
    }
    notify_finish(&fixture->notify);
    ev_run(loop, EVRUN_NOWAIT);
    assert_string_equal(told(fixture), "");
    ev_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, finish)
        TEST(each_news_is_one_datagram),
        TEST(an_abstract_name_begins_with_an_at),
        TEST(without_a_socket_nobody_is_told_and_nothing_breaks),
        TEST(whoever_has_gone_is_told_nothing_and_whoever_comes_back_is),
        TEST(the_watchdogs_time_is_taken_if_it_is_ours),
        TEST(the_watchdog_is_told_at_every_half_of_its_time),
        TEST(the_watchdog_is_not_told_while_somebody_is_not_alive),
        TEST(a_full_queue_does_not_hold_the_loop),
        TEST(the_loop_keeps_the_watchdog_quiet),
    };

    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
