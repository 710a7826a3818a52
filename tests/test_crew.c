/* Workers on threads, with a hub that runs in the test: what is shared, pauses, places, and starts that fail. */
#include "crew.h"

#include "clock.h"
#include "config.h"
#include "hub.h"
#include "table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WORKERS = 3, MAX_CLIENTS = 2 };

struct fixture {
    struct settings settings;
    struct ev_loop *loop;
    struct hub hub;
    struct crew crew;
};

/* --- calls that can be told to fail: the count of those that still succeed; -1: all --- */

static int bells_left = -1, threads_left = -1;

bool __real_bell_init(struct bell *bell);
bool __wrap_bell_init(struct bell *bell);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *context);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *context);

static bool succeeds(int *left)
{
    if (*left == 0)
        return false;
    if (*left > 0)
        --*left;
    return true;
}

bool __wrap_bell_init(struct bell *bell)
{
    errno = EMFILE;
    return succeeds(&bells_left) && __real_bell_init(bell);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *context)
{
    return succeeds(&threads_left) ? __real_pthread_create(thread, attributes, run, context) : EAGAIN;
}

/* --- the crew --- */

static int read_settings(void **state)
{
    static char *const overrides[] = {"--access.public=**", "--hub.workers=3", NULL};
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct config_error error;

    *state = fixture;
    bells_left = threads_left = -1;
    fixture->loop = ev_loop_new(EVFLAG_AUTO);
    return config_read(&fixture->settings, NULL, "defaults", overrides, &error) ? 0 : -1;
}

static int make(void **state)
{
    struct event_id start = {clock_wall_ms(), 0};
    struct fixture *fixture;

    if (read_settings(state) < 0)
        return -1;
    fixture = *state;
    if (!crew_init(&fixture->crew, fixture->loop, &fixture->settings, &fixture->hub, start, MAX_CLIENTS))
        return -1;
    hub_init(&fixture->hub, &fixture->settings, start, fixture->crew.inboxes, fixture->crew.count);
    return 0;
}

static int drop_settings(void **state)
{
    struct fixture *fixture = *state;

    config_finish(&fixture->settings);
    ev_loop_destroy(fixture->loop);
    free(fixture);
    return 0;
}

static int finish(void **state)
{
    struct fixture *fixture = *state;

    crew_stop(&fixture->crew);
    crew_finish(&fixture->crew);
    hub_finish(&fixture->hub);
    return drop_settings(state);
}

static void publish(struct fixture *fixture, const char *channel)
{
    struct publication publication = {.channel = span_of(channel), .data = span_of("x"), .store = true};
    struct event_id id;

    fixture->hub.now_ms = clock_monotonic_ms();
    fixture->hub.wall_ms = clock_wall_ms();
    assert_int_equal(hub_publish(&fixture->hub, &publication, &id), HUB_PUBLISHED);
}

static bool have_applied(struct fixture *fixture, uint64_t number)
{
    for (size_t i = 0; i < WORKERS; i++)
        if (crew_worker(&fixture->crew, i)->replica.number != number)
            return false;
    return true;
}

static void wait_until_applied(struct fixture *fixture, uint64_t number)
{
    bool done;

    do {
        crew_pause(&fixture->crew);
        done = have_applied(fixture, number);
        crew_resume(&fixture->crew);
    } while (!done);
}

static void every_worker_applies_every_message_in_one_order(void **state)
{
    struct fixture *fixture = *state;

    assert_true(crew_start(&fixture->crew));
    for (int i = 0; i < 2000; i++)
        publish(fixture, i % 2 == 0 ? "even" : "odd");
    wait_until_applied(fixture, 2000);
    crew_pause(&fixture->crew);
    for (size_t i = 0; i < WORKERS; i++)
        assert_int_equal(event_id_compare(crew_worker(&fixture->crew, i)->replica.newest, fixture->hub.newest), 0);
    crew_resume(&fixture->crew);
}

static void in_a_pause_nobody_runs_and_afterwards_all_go_on(void **state)
{
    struct fixture *fixture = *state;

    assert_true(crew_start(&fixture->crew));
    for (int round = 1; round <= 200; round++) {
        crew_pause(&fixture->crew);
        publish(fixture, "news");
        assert_false(have_applied(fixture, (uint64_t)round));
        fixture->settings.history_messages = round; /* what they read between pauses */
        crew_order(&fixture->crew, WORKER_RELOAD);
        crew_resume(&fixture->crew);
        wait_until_applied(fixture, (uint64_t)round);
    }
}

static void a_full_inbox_has_room_when_its_worker_goes_on(void **state)
{
    struct fixture *fixture = *state;
    uint64_t published = 0;

    assert_true(crew_start(&fixture->crew));
    crew_pause(&fixture->crew);
    while (hub_has_room(&fixture->hub)) {
        publish(fixture, "news");
        published++;
    }
    crew_resume(&fixture->crew);
    crew_wait_for_room(&fixture->crew);
    assert_true(hub_has_room(&fixture->hub));
    wait_until_applied(fixture, published);
}

static bool is_alive_again(struct crew *crew)
{
    while (!crew_is_alive(crew))
        ;
    return true;
}

static void a_crew_is_alive_while_every_loop_turns(void **state)
{
    struct fixture *fixture = *state;

    assert_true(crew_is_alive(&fixture->crew)); /* no thread, nobody to ask */
    assert_true(crew_start(&fixture->crew));
    for (int i = 0; i < 100; i++)
        assert_true(is_alive_again(&fixture->crew));
    /* They stand: nobody answers what was asked before or is asked now. */
    crew_pause(&fixture->crew);
    (void)crew_is_alive(&fixture->crew);
    for (int i = 0; i < 100; i++)
        assert_false(crew_is_alive(&fixture->crew));
    crew_resume(&fixture->crew);
    assert_true(is_alive_again(&fixture->crew));
}

static void metrics_are_the_sum_of_all(void **state)
{
    struct fixture *fixture = *state;
    struct metrics sum = {0};

    assert_true(crew_start(&fixture->crew));
    publish(fixture, "news");
    wait_until_applied(fixture, 1);
    crew_pause(&fixture->crew);
    crew_add_metrics(&fixture->crew, &sum);
    crew_resume(&fixture->crew);
    assert_int_equal(sum.history_messages, WORKERS);
    assert_int_equal(sum.channels, WORKERS);
}

/* Places are told apart from what each has: two of one worker, or one of two. */
static void places_are_counted_over_all_workers(void **state)
{
    struct fixture *fixture = *state;
    struct worker *first = crew_worker(&fixture->crew, 0), *second = crew_worker(&fixture->crew, 1);

    assert_true(worker_take_place(first));
    first->metrics.subscribers = 1;
    assert_true(worker_take_place(second));
    second->metrics.subscribers = 1;
    assert_false(worker_take_place(first));
    assert_false(worker_take_place(second));
    second->metrics.subscribers = 0;
    assert_true(worker_take_place(second)); /* its own, which it has given back */
    second->metrics.subscribers = 1;
    assert_false(worker_take_place(first));
    first->metrics.subscribers = second->metrics.subscribers = 0;
}

/* Dealt out as the acceptor does it; the worker closes it because its peer does. */
static void a_connection_that_closes_is_counted_and_rings(void **state)
{
    struct fixture *fixture = *state;
    struct inbox *inbox = fixture->crew.inboxes[1];
    int fds[2];

    assert_true(crew_start(&fixture->crew));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    assert_true(inbox_reserve(inbox, 1));
    atomic_fetch_add(&inbox->open, 1);
    inbox_put_take(inbox, &(struct inbox_item){.descriptor = fds[0]}, 1);
    assert_int_equal(crew_open_count(&fixture->crew), 1);
    bell_await(&fixture->crew.place);
    close(fds[1]);
    bell_sleep(&fixture->crew.place, -1);
    assert_int_equal(crew_open_count(&fixture->crew), 0);
}

static void what_is_open_at_the_end_is_closed(void **state)
{
    struct fixture *fixture = *state;
    int fds[2];
    char byte;

    assert_true(crew_start(&fixture->crew));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_true(inbox_reserve(fixture->crew.inboxes[2], 1));
    inbox_put_take(fixture->crew.inboxes[2], &(struct inbox_item){.descriptor = fds[0]}, 1);
    finish(state);
    assert_int_equal(recv(fds[1], &byte, 1, 0), 0);
    close(fds[1]);
}

static void a_thread_that_cannot_start_is_told_and_none_is_left(void **state)
{
    struct fixture *fixture = *state;

    for (int left = 0; left < WORKERS; left++) {
        threads_left = left;
        assert_false(crew_start(&fixture->crew));
        assert_int_equal(errno, EAGAIN);
        assert_int_equal(fixture->crew.running, 0);
    }
    threads_left = -1;
    assert_true(crew_start(&fixture->crew));
    publish(fixture, "news");
    wait_until_applied(fixture, 1);
}

static void a_worker_that_cannot_be_made_is_told_and_nothing_is_left(void **state)
{
    struct fixture *fixture = *state;
    struct event_id start = {1, 0};

    for (int left = 0; left < WORKERS + 2; left++) {
        bells_left = left;
        assert_false(crew_init(&fixture->crew, fixture->loop, &fixture->settings, &fixture->hub, start, MAX_CLIENTS));
        assert_int_equal(errno, EMFILE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, finish)
        TEST(every_worker_applies_every_message_in_one_order),
        TEST(in_a_pause_nobody_runs_and_afterwards_all_go_on),
        TEST(a_full_inbox_has_room_when_its_worker_goes_on),
        TEST(a_crew_is_alive_while_every_loop_turns),
        TEST(metrics_are_the_sum_of_all),
        TEST(places_are_counted_over_all_workers),
        TEST(a_connection_that_closes_is_counted_and_rings),
        TEST(a_thread_that_cannot_start_is_told_and_none_is_left),
        cmocka_unit_test_setup(what_is_open_at_the_end_is_closed, make),
        cmocka_unit_test_setup_teardown(a_worker_that_cannot_be_made_is_told_and_nothing_is_left, read_settings, drop_settings),
    };

    log_set_level(LOG_ERROR);
    if (!table_init() || !decoder_library_init())
        return 1;
    return cmocka_run_group_tests_name("crew", tests, NULL, NULL);
}
