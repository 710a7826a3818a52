/* The acceptor with a real socket, and inboxes that nobody empties: who gets a connection. */
#include "acceptor.h"

#include "activation.h"
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { WORKERS_MAX = 4, CONNECTIONS = 1000, PENDING = 50 };

struct fixture {
    char directory[32], path[64], option[96];
    struct settings settings;
    struct ev_loop *loop;
    struct inbox inboxes[WORKERS_MAX];
    struct inbox *pointers[WORKERS_MAX];
    struct acceptor acceptor;
    struct activation passed; /* if there are any */
    struct listener kept;     /* who passed it has it, too */
    int peers[CONNECTIONS];
    int peer_count;
    int awaited, asked; /* calls of the owner's functions */
};

static void ignore(void *context)
{
    (void)context;
}

static void count_awaited(void *context)
{
    ((struct fixture *)context)->awaited++;
}

static void count_asked(void *context)
{
    ((struct fixture *)context)->asked++;
}

static int make(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    char *overrides[] = {fixture->option, NULL};
    struct config_error error;

    *state = fixture;
    strcpy(fixture->directory, "/tmp/acceptor.XXXXXX");
    if (!mkdtemp(fixture->directory))
        return -1;
    snprintf(fixture->path, sizeof fixture->path, "%s/socket", fixture->directory);
    snprintf(fixture->option, sizeof fixture->option, "--fastcgi.listen=%s", fixture->path);
    fixture->loop = ev_loop_new(EVFLAG_AUTO);
    fixture->kept.fd = -1;
    for (int i = 0; i < WORKERS_MAX; i++) {
        inbox_init(&fixture->inboxes[i], CONNECTIONS, ignore, NULL);
        fixture->pointers[i] = &fixture->inboxes[i];
    }
    return config_read(&fixture->settings, NULL, "defaults", overrides, &error) ? 0 : -1;
}

static int finish(void **state)
{
    struct fixture *fixture = *state;

    acceptor_finish(&fixture->acceptor);
    listener_close(&fixture->kept);
    for (int i = 0; i < WORKERS_MAX; i++)
        inbox_finish(&fixture->inboxes[i]);
    for (int i = 0; i < fixture->peer_count; i++)
        close(fixture->peers[i]);
    ev_loop_destroy(fixture->loop);
    config_finish(&fixture->settings);
    rmdir(fixture->directory);
    free(fixture);
    return 0;
}

static void start(struct fixture *fixture, size_t workers, size_t limit)
{
    char error[256];

    assert_true(acceptor_init(&fixture->acceptor, fixture->loop, &fixture->settings, &fixture->passed, fixture->pointers, workers, limit, error, sizeof error));
    fixture->acceptor.owner = (struct acceptor_owner){count_awaited, count_asked, fixture};
}

static void connect_one(struct fixture *fixture)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(name.sun_path, fixture->path);
    assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof name), 0);
    fixture->peers[fixture->peer_count++] = fd;
}

static void turn(struct fixture *fixture)
{
    ev_run(fixture->loop, EVRUN_NOWAIT);
}

static size_t open_of(struct fixture *fixture, int worker)
{
    return atomic_load(&fixture->inboxes[worker].open);
}

/* As the worker does it. */
static void close_one(struct fixture *fixture, int worker)
{
    atomic_fetch_sub(&fixture->inboxes[worker].open, 1);
}

static void assert_even(struct fixture *fixture, int workers)
{
    size_t all = 0;

    for (int i = 0; i < workers; i++)
        all += open_of(fixture, i);
    for (int i = 0; i < workers; i++) {
        assert_in_range(open_of(fixture, i), all * 95 / 100 / (size_t)workers, all * 105 / 100 / (size_t)workers + 1);
    }
}

static void connections_are_dealt_evenly(void **state)
{
    struct fixture *fixture = *state;

    start(fixture, 3, CONNECTIONS);
    for (int i = 0; i < CONNECTIONS; i++) {
        connect_one(fixture);
        if (i % PENDING == 0)
            turn(fixture);
    }
    turn(fixture);
    assert_int_equal(open_of(fixture, 0) + open_of(fixture, 1) + open_of(fixture, 2), CONNECTIONS);
    assert_even(fixture, 3);
}

/* Those of one worker leave three times as often. */
static void who_lost_more_gets_more(void **state)
{
    struct fixture *fixture = *state;
    unsigned seed = 1;

    start(fixture, 4, CONNECTIONS);
    for (int i = 0; i < CONNECTIONS; i++) {
        int worker = rand_r(&seed) % 6;

        connect_one(fixture);
        turn(fixture);
        worker = worker < 4 ? worker : 0;
        if (i > 100 && i % 2 == 0 && open_of(fixture, worker) > 0)
            close_one(fixture, worker);
    }
    assert_even(fixture, 4);
}

static void at_the_limit_it_rests_and_says_so_until_somebody_left(void **state)
{
    struct fixture *fixture = *state;

    start(fixture, 2, 4);
    for (int i = 0; i < 5; i++)
        connect_one(fixture);
    turn(fixture);
    turn(fixture);
    assert_int_equal(open_of(fixture, 0) + open_of(fixture, 1), 4);
    assert_true(fixture->awaited > 0);
    assert_int_equal(fixture->asked, 1);
    turn(fixture);
    assert_int_equal(fixture->asked, 1); /* it does not ask again and again */
    close_one(fixture, 1);
    acceptor_go_on(&fixture->acceptor);
    turn(fixture);
    assert_int_equal(open_of(fixture, 0) + open_of(fixture, 1), 4);
    assert_int_equal(open_of(fixture, 1), 2);
}

static void who_waits_at_the_limit_when_it_stops_is_not_let_in_later(void **state)
{
    struct fixture *fixture = *state;

    start(fixture, 1, 1);
    connect_one(fixture);
    connect_one(fixture);
    turn(fixture);
    turn(fixture);
    acceptor_stop(&fixture->acceptor);
    close_one(fixture, 0);
    acceptor_go_on(&fixture->acceptor);
    assert_false(ev_is_active(&fixture->acceptor.sockets[0].watcher)); /* its descriptor may be somebody else's by now */
}

/* --- sockets that were passed in --- */

static void pass_socket(struct fixture *fixture)
{
    const struct listener_options options = {.mode = 0600, .group = "", .backlog = PENDING};
    struct activation_socket *socket = &fixture->passed.sockets[fixture->passed.count++];
    char error[256];

    assert_true(listener_open(&fixture->kept, fixture->path, &options, error, sizeof error));
    *socket = (struct activation_socket){.name = ACTIVATION_FASTCGI, .fd = dup(fixture->kept.fd)};
    snprintf(socket->endpoint, sizeof socket->endpoint, "ipc://%s", fixture->path);
}

/* As many as wait for the next process. */
static int count_waiting(struct fixture *fixture)
{
    int count = 0, fd;

    while ((fd = accept4(fixture->kept.fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        close(fd);
        count++;
    }
    return count;
}

static void a_socket_that_was_passed_in_is_served(void **state)
{
    struct fixture *fixture = *state;

    pass_socket(fixture);
    start(fixture, 1, CONNECTIONS);
    assert_string_equal(fixture->acceptor.sockets[0].listener.address, fixture->path);
    connect_one(fixture);
    turn(fixture);
    assert_int_equal(open_of(fixture, 0), 1);
}

static void who_comes_when_it_is_left_waits_for_the_next_process(void **state)
{
    struct fixture *fixture = *state;

    pass_socket(fixture);
    start(fixture, 1, 1);
    connect_one(fixture);
    turn(fixture);
    acceptor_leave_passed(&fixture->acceptor);
    for (int i = 0; i < 3; i++)
        connect_one(fixture);
    turn(fixture);
    close_one(fixture, 0);
    acceptor_go_on(&fixture->acceptor);
    turn(fixture);
    acceptor_stop(&fixture->acceptor);
    connect_one(fixture);
    acceptor_go_on(&fixture->acceptor);
    turn(fixture);
    assert_int_equal(open_of(fixture, 0), 0);
    acceptor_finish(&fixture->acceptor);
    connect_one(fixture);
    assert_int_equal(count_waiting(fixture), 5);
}

/* It rests at its limit when the end comes. */
static void who_waits_while_it_rests_is_left_too(void **state)
{
    struct fixture *fixture = *state;

    pass_socket(fixture);
    start(fixture, 1, 1);
    connect_one(fixture);
    connect_one(fixture);
    turn(fixture);
    turn(fixture);
    acceptor_leave_passed(&fixture->acceptor);
    close_one(fixture, 0);
    acceptor_go_on(&fixture->acceptor);
    turn(fixture);
    assert_int_equal(open_of(fixture, 0), 0);
    assert_int_equal(count_waiting(fixture), 1);
}

static void at_a_socket_of_its_own_it_accepts_until_it_stops(void **state)
{
    struct fixture *fixture = *state;

    start(fixture, 1, CONNECTIONS);
    acceptor_leave_passed(&fixture->acceptor);
    connect_one(fixture);
    turn(fixture);
    assert_int_equal(open_of(fixture, 0), 1);
    connect_one(fixture);
    acceptor_stop(&fixture->acceptor);
    assert_int_equal(open_of(fixture, 0), 2);
    assert_int_equal(access(fixture->path, F_OK), -1);
    acceptor_go_on(&fixture->acceptor);
    turn(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(connections_are_dealt_evenly, make, finish),
        cmocka_unit_test_setup_teardown(who_lost_more_gets_more, make, finish),
        cmocka_unit_test_setup_teardown(at_the_limit_it_rests_and_says_so_until_somebody_left, make, finish),
        cmocka_unit_test_setup_teardown(who_waits_at_the_limit_when_it_stops_is_not_let_in_later, make, finish),
        cmocka_unit_test_setup_teardown(a_socket_that_was_passed_in_is_served, make, finish),
        cmocka_unit_test_setup_teardown(who_comes_when_it_is_left_waits_for_the_next_process, make, finish),
        cmocka_unit_test_setup_teardown(who_waits_while_it_rests_is_left_too, make, finish),
        cmocka_unit_test_setup_teardown(at_a_socket_of_its_own_it_accepts_until_it_stops, make, finish),
    };
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests_name("acceptor", tests, NULL, NULL);
}
