/* The gate between real sockets and a real libzmq, with all waiting done by reading: libzmq greets whom it lets in, who is refused reads the end. */
#include "gate.h"

#include "listener.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

enum { LIMIT = 8, FLOOD = 40, PATIENCE_MS = 10000, FILLERS_MAX = 256, HWM = 100 };

struct fixture {
    char folder[64];
    char endpoint[200];
    struct listener listener;
    int guarded_fd;
    int kept_fd; /* of the next process, if it was passed in; or -1 */
    struct sockaddr_storage name; /* where publishers connect */
    socklen_t name_size;
    void *zmq;
    void *pull;
    uint64_t refused_before;
};

static int open_listener(struct fixture *fixture, const char *scheme, const char *address)
{
    const struct listener_options options = {.mode = 0600, .group = "", .backlog = 2 * FLOOD};
    char error[256];

    if (!listener_open(&fixture->listener, address, &options, error, sizeof error)) {
        print_error("%s\n", error);
        return -1;
    }
    snprintf(fixture->endpoint, sizeof fixture->endpoint, "%s://%s", scheme, fixture->listener.address);
    fixture->name_size = sizeof fixture->name;
    return getsockname(fixture->listener.fd, (struct sockaddr *)&fixture->name, &fixture->name_size);
}

/* As ingest does it: the listening socket is ours, libzmq gets its descriptor. */
static int bind_pull(struct fixture *fixture)
{
    int none = 0, hwm = HWM;

    fixture->guarded_fd = listener_release(&fixture->listener);
    gate_guard(fixture->guarded_fd, false, fixture->kept_fd >= 0);
    fixture->zmq = zmq_ctx_new();
    fixture->pull = zmq_socket(fixture->zmq, ZMQ_PULL);
    zmq_setsockopt(fixture->pull, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(fixture->pull, ZMQ_RCVHWM, &hwm, sizeof hwm);
    zmq_setsockopt(fixture->pull, ZMQ_USE_FD, &fixture->guarded_fd, sizeof fixture->guarded_fd);
    return zmq_bind(fixture->pull, fixture->endpoint);
}

static struct fixture *create(void)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    fixture->kept_fd = -1;
    strcpy(fixture->folder, "/tmp/sidecast-gate.XXXXXX");
    fixture->refused_before = gate_refused();
    return mkdtemp(fixture->folder) && gate_init(LIMIT) ? fixture : NULL;
}

static int make_ipc(void **state)
{
    struct fixture *fixture = create();
    char path[80];

    *state = fixture;
    snprintf(path, sizeof path, "%s/p.sock", fixture->folder);
    return open_listener(fixture, "ipc", path) < 0 ? -1 : bind_pull(fixture);
}

static int make_tcp(void **state)
{
    struct fixture *fixture = create();

    *state = fixture;
    return open_listener(fixture, "tcp", "127.0.0.1:0") < 0 ? -1 : bind_pull(fixture);
}

static int make_passed(void **state)
{
    struct fixture *fixture = create();
    char path[80];

    *state = fixture;
    snprintf(path, sizeof path, "%s/p.sock", fixture->folder);
    if (open_listener(fixture, "ipc", path) < 0)
        return -1;
    fixture->kept_fd = dup(fixture->listener.fd);
    return bind_pull(fixture);
}

static int finish(void **state)
{
    struct fixture *fixture = *state;

    zmq_close(fixture->pull);
    zmq_ctx_term(fixture->zmq);
    gate_unguard(fixture->guarded_fd);
    gate_finish();
    if (fixture->kept_fd >= 0)
        close(fixture->kept_fd);
    listener_close(&fixture->listener);
    (void)rmdir(fixture->folder);
    free(fixture);
    return 0;
}

static int client(const struct fixture *fixture)
{
    struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    int fd = socket(fixture->name.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

static void connect_client(const struct fixture *fixture, int fd)
{
    assert_int_equal(connect(fd, (const struct sockaddr *)&fixture->name, fixture->name_size), 0);
}

/* Whether libzmq greets; a refused one reads the end, or a reset. */
static bool is_let_in(int fd)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, 0);

    if (got < 0)
        assert_int_equal(errno, ECONNRESET);
    return got == 1;
}

static uint64_t refused(const struct fixture *fixture)
{
    return gate_refused() - fixture->refused_before;
}

static size_t flood(const struct fixture *fixture, int fds[FLOOD])
{
    size_t let_in = 0;

    for (int i = 0; i < FLOOD; i++) {
        fds[i] = client(fixture);
        connect_client(fixture, fds[i]);
    }
    for (int i = 0; i < FLOOD; i++)
        let_in += is_let_in(fds[i]);
    return let_in;
}

static void close_all(const int *fds, int count)
{
    for (int i = 0; i < count; i++)
        close(fds[i]);
}

/* libzmq sees on a thread of its own that a publisher has left. */
static void await_count(size_t count)
{
    for (int waited_ms = 0; gate_count() != count && waited_ms < PATIENCE_MS; waited_ms++)
        poll(NULL, 0, 1);
    assert_int_equal(gate_count(), count);
}

static void a_flood_gets_as_many_connections_as_the_limit(void **state)
{
    int fds[FLOOD];

    assert_int_equal(flood(*state, fds), LIMIT);
    assert_int_equal(gate_count(), LIMIT);
    assert_int_equal(refused(*state), FLOOD - LIMIT);
    close_all(fds, FLOOD);
}

static void a_slot_is_free_again_after_a_publisher_leaves(void **state)
{
    struct fixture *fixture = *state;
    int fds[FLOOD], one_more;

    assert_int_equal(flood(fixture, fds), LIMIT);
    close_all(fds, FLOOD);
    await_count(0);
    for (int i = 0; i < LIMIT; i++) {
        fds[i] = client(fixture);
        connect_client(fixture, fds[i]);
        assert_true(is_let_in(fds[i]));
    }
    close(fds[0]);
    await_count(LIMIT - 1);
    one_more = client(fixture);
    connect_client(fixture, one_more);
    assert_true(is_let_in(one_more));
    close(one_more);
    close_all(fds + 1, LIMIT - 1);
}

static void *connect_push(const struct fixture *fixture)
{
    void *push = zmq_socket(fixture->zmq, ZMQ_PUSH);
    int none = 0;

    zmq_setsockopt(push, ZMQ_LINGER, &none, sizeof none);
    assert_int_equal(zmq_connect(push, fixture->endpoint), 0);
    return push;
}

static void assert_delivers(void *push, void *pull, const char *text)
{
    char got[64];
    int patience_ms = PATIENCE_MS, size;

    assert_int_equal(zmq_send(push, text, strlen(text), 0), (int)strlen(text));
    zmq_setsockopt(pull, ZMQ_RCVTIMEO, &patience_ms, sizeof patience_ms);
    size = zmq_recv(pull, got, sizeof got, 0);
    assert_int_equal(size, (int)strlen(text));
    assert_memory_equal(got, text, (size_t)size);
}

static void publishers_that_are_in_are_heard_during_a_flood(void **state)
{
    struct fixture *fixture = *state;
    void *push = connect_push(fixture);
    int fds[FLOOD];

    assert_delivers(push, fixture->pull, "before");
    assert_int_equal(flood(fixture, fds), LIMIT - 1);
    assert_delivers(push, fixture->pull, "during");
    close_all(fds, FLOOD);
    assert_delivers(push, fixture->pull, "after");
    zmq_close(push);
}

static void other_listening_sockets_are_not_bounded(void **state)
{
    struct fixture *fixture = *state;
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    socklen_t size = sizeof(sa_family_t); /* the kernel chooses an abstract name */
    int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fds[FLOOD];

    assert_int_equal(flood(fixture, fds), LIMIT);
    assert_int_equal(bind(listening, (const struct sockaddr *)&name, size), 0);
    assert_int_equal(listen(listening, FLOOD), 0);
    size = sizeof name;
    assert_int_equal(getsockname(listening, (struct sockaddr *)&name, &size), 0);
    for (int i = 0; i < 2 * LIMIT; i++) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), accepted;

        assert_int_equal(connect(fd, (const struct sockaddr *)&name, size), 0);
        accepted = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        assert_true(accepted >= 0);
        assert_true(fcntl(accepted, F_GETFD) & FD_CLOEXEC);
        assert_true(fcntl(accepted, F_GETFL) & O_NONBLOCK);
        close(accepted);
        close(fd);
    }
    assert_int_equal(gate_count(), LIMIT);
    close_all(fds, FLOOD);
    close(listening);
}

static void an_unguarded_socket_is_not_bounded(void **state)
{
    struct fixture *fixture = *state;
    int fds[FLOOD];

    gate_unguard(fixture->guarded_fd);
    assert_int_equal(flood(fixture, fds), FLOOD);
    assert_int_equal(refused(fixture), 0);
    close_all(fds, FLOOD);
}

/* Takes every descriptor that there is below a lowered limit. */
static int take_descriptors(int fillers[FILLERS_MAX], struct rlimit *before)
{
    struct rlimit limit;
    int count = 0, next = dup(0);

    assert_int_equal(getrlimit(RLIMIT_NOFILE, before), 0);
    limit = *before;
    limit.rlim_cur = (rlim_t)next + 16;
    close(next);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    while (count < FILLERS_MAX && (fillers[count] = dup(0)) >= 0)
        count++;
    assert_true(count < FILLERS_MAX);
    assert_int_equal(errno, EMFILE);
    return count;
}

/* libzmq 4.3.4 ends the process when accept on an ipc endpoint says EMFILE, and spins on tcp. */
static void without_descriptors_publishers_are_refused_and_nothing_breaks(void **state)
{
    struct fixture *fixture = *state;
    int fds[LIMIT], fillers[FILLERS_MAX], count;
    struct rlimit before;

    for (int i = 0; i < LIMIT; i++)
        fds[i] = client(fixture);
    count = take_descriptors(fillers, &before);
    for (int i = 0; i < LIMIT - 1; i++) {
        connect_client(fixture, fds[i]);
        assert_false(is_let_in(fds[i]));
    }
    assert_int_equal(refused(fixture), LIMIT - 1);
    assert_int_equal(gate_count(), 0);
    close_all(fillers, count);
    connect_client(fixture, fds[LIMIT - 1]);
    assert_true(is_let_in(fds[LIMIT - 1]));
    setrlimit(RLIMIT_NOFILE, &before);
    close_all(fds, LIMIT);
}

enum { BURST = 4000, FRAME = 6 };

/* ZMTP 3.0 (RFC 23): greeting, READY of a PUSH socket, then single frames of four digits. */
static void write_burst(int fd)
{
    static const char ready[] = "\4\x1a\5READY\13Socket-Type\0\0\0\4PUSH";
    char greeting[64] = "\xff\0\0\0\0\0\0\0\0\x7f\3\0NULL";
    static char frames[BURST * FRAME + 1];
    char answer[64 + 28];

    for (int i = 0; i < BURST; i++) {
        sprintf(frames + i * FRAME, "-\4%04d", i);
        frames[i * FRAME] = 0;
    }
    assert_int_equal(send(fd, greeting, sizeof greeting, 0), sizeof greeting);
    assert_int_equal(send(fd, ready, sizeof ready - 1, 0), sizeof ready - 1);
    assert_int_equal(recv(fd, answer, sizeof answer - 1, MSG_WAITALL), sizeof answer - 1); /* is_let_in has read a byte */
    assert_int_equal(send(fd, frames, BURST * FRAME, 0), BURST * FRAME);
}

/* Until libzmq's thread has stopped reading: what it left in the kernel no longer shrinks, and is not all of it. */
static void await_stalled_reader(int fd)
{
    int left = INT_MAX, before;

    do {
        before = left;
        (void)poll(NULL, 0, 5); /* between two looks: the thread has nothing to wait for but the processor */
        assert_int_equal(ioctl(fd, SIOCOUTQ, &left), 0);
    } while (left != before);
    assert_true(left > 0);
}

static void assert_burst(void *pull)
{
    char text[16], expected[16];

    for (int i = 0; i < BURST; i++) {
        int size = zmq_recv(pull, text, sizeof text - 1, 0);

        assert_int_equal(size, 4);
        text[size] = '\0';
        sprintf(expected, "%04d", i);
        assert_string_equal(text, expected);
    }
}

static int enter(const struct fixture *fixture)
{
    int patience = PATIENCE_MS, fd = client(fixture);

    zmq_setsockopt(fixture->pull, ZMQ_RCVTIMEO, &patience, sizeof patience);
    connect_client(fixture, fd);
    assert_true(is_let_in(fd));
    return fd;
}

static void a_publisher_that_leaves_while_the_hub_is_behind_loses_nothing(void **state)
{
    struct fixture *fixture = *state;
    int fd = enter(fixture);

    write_burst(fd);
    await_stalled_reader(fd);
    close(fd);
    assert_burst(fixture->pull);
}

static void a_publisher_that_leaves_at_once_loses_nothing(void **state)
{
    struct fixture *fixture = *state;

    for (int i = 0; i < 50; i++) {
        int fd = enter(fixture);

        write_burst(fd);
        close(fd);
        assert_burst(fixture->pull);
    }
}

/* Whether anybody in this process waits for it to become readable. */
static bool is_watched(int fd)
{
    DIR *folder = opendir("/proc/self/fdinfo");
    bool found = false;
    struct dirent *entry;

    while ((entry = readdir(folder)) != NULL) {
        char path[300], line[256];
        int watched;
        FILE *file;

        snprintf(path, sizeof path, "/proc/self/fdinfo/%s", entry->d_name);
        file = fopen(path, "re");
        while (file && fgets(line, sizeof line, file))
            found |= sscanf(line, "tfd: %d", &watched) == 1 && watched == fd;
        if (file)
            fclose(file);
    }
    closedir(folder);
    return found;
}

/* libzmq's thread sees that somebody waits, and from then on is not woken for it. */
static void await_unwatched(int fd)
{
    for (int waited_ms = 0; is_watched(fd) && waited_ms < PATIENCE_MS; waited_ms++)
        poll(NULL, 0, 1);
    assert_false(is_watched(fd));
}

static void at_a_passed_socket_who_comes_to_a_shut_gate_waits_for_the_next_process(void **state)
{
    struct fixture *fixture = *state;
    int before = enter(fixture), after[3], accepted;
    char byte;

    assert_true(is_watched(fixture->guarded_fd));
    gate_shut_reading();
    for (int i = 0; i < 3; i++) {
        after[i] = client(fixture);
        connect_client(fixture, after[i]);
    }
    await_unwatched(fixture->guarded_fd);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(recv(after[i], &byte, 1, MSG_DONTWAIT), -1);
        assert_int_equal(errno, EAGAIN);
    }
    assert_int_equal(refused(fixture), 0);
    assert_int_equal(zmq_unbind(fixture->pull, fixture->endpoint), 0);
    for (int i = 0; i < 3; i++) {
        accepted = accept4(fixture->kept_fd, NULL, NULL, SOCK_CLOEXEC);
        assert_true(accepted >= 0);
        close(accepted);
    }
    close_all(after, 3);
    close(before);
}

static void at_a_socket_of_our_own_who_comes_to_a_shut_gate_is_refused(void **state)
{
    struct fixture *fixture = *state;
    int fd = client(fixture);

    gate_shut_reading();
    connect_client(fixture, fd);
    assert_false(is_let_in(fd));
    assert_int_equal(refused(fixture), 1);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) {#name "_on_ipc", name, make_ipc, finish, NULL}, {#name "_on_tcp", name, make_tcp, finish, NULL}
        TEST(a_flood_gets_as_many_connections_as_the_limit),
        TEST(a_slot_is_free_again_after_a_publisher_leaves),
        TEST(publishers_that_are_in_are_heard_during_a_flood),
        TEST(other_listening_sockets_are_not_bounded),
        TEST(an_unguarded_socket_is_not_bounded),
        TEST(without_descriptors_publishers_are_refused_and_nothing_breaks),
        cmocka_unit_test_setup_teardown(a_publisher_that_leaves_while_the_hub_is_behind_loses_nothing, make_ipc, finish),
        TEST(a_publisher_that_leaves_at_once_loses_nothing),
        cmocka_unit_test_setup_teardown(at_a_passed_socket_who_comes_to_a_shut_gate_waits_for_the_next_process, make_passed, finish),
        TEST(at_a_socket_of_our_own_who_comes_to_a_shut_gate_is_refused),
    };

    return cmocka_run_group_tests_name("gate", tests, NULL, NULL);
}
