/* What a process finds in its environment, with sockets at high descriptors in place of those from 3 on. */
#include "activation.h"

#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST = 200, SELF = 4711 };

struct fixture {
    char folder[64], path[96];
    int next; /* descriptor */
    struct settings settings;
    struct activation activation;
    char error[512];
};

static int make(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct config_error error;
    char *none[] = {NULL};

    *state = fixture;
    fixture->next = FIRST;
    strcpy(fixture->folder, "/tmp/activation.XXXXXX");
    if (!mkdtemp(fixture->folder))
        return -1;
    snprintf(fixture->path, sizeof fixture->path, "%s/s.sock", fixture->folder);
    return config_read(&fixture->settings, NULL, "defaults", none, &error) ? 0 : -1;
}

static int finish(void **state)
{
    struct fixture *fixture = *state;

    while (fixture->next > FIRST)
        close(--fixture->next);
    (void)unlink(fixture->path);
    (void)rmdir(fixture->folder);
    config_finish(&fixture->settings);
    free(fixture);
    return 0;
}

/* The next one of those that are passed in. */
static int pass(struct fixture *fixture, int fd)
{
    assert_int_equal(dup2(fd, fixture->next), fixture->next);
    close(fd);
    return fixture->next++;
}

static int unix_socket(const char *path, int type)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type, 0);

    snprintf(name.sun_path + (path[0] == '@'), sizeof name.sun_path - 1, "%s", path + (path[0] == '@'));
    assert_int_equal(bind(fd, (const struct sockaddr *)&name, sizeof name), 0);
    return fd;
}

static int listening(int fd)
{
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

static int tcp_socket(uint32_t address)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (const struct sockaddr *)&name, sizeof name), 0);
    return fd;
}

static void pass_tcp(struct fixture *fixture, int count)
{
    for (int i = 0; i < count; i++)
        pass(fixture, listening(tcp_socket(INADDR_LOOPBACK)));
}

static bool read_all(struct fixture *fixture, const char *pid, const char *fds, const char *names)
{
    struct activation_environment environment = {pid, fds, names};

    return activation_read(&fixture->activation, &environment, SELF, FIRST, fixture->error, sizeof fixture->error);
}

static void says(struct fixture *fixture, const char *text)
{
    if (!strstr(fixture->error, text))
        fail_msg("expected `%s` in `%s`", text, fixture->error);
}

static void sockets_are_known_by_their_names(void **state)
{
    struct fixture *fixture = *state;
    const struct activation_socket *sockets = fixture->activation.sockets;
    char expected[160];

    pass(fixture, listening(unix_socket(fixture->path, SOCK_STREAM)));
    pass_tcp(fixture, 3);
    assert_true(read_all(fixture, "4711", "4", "fastcgi:publish:confirm:publish"));
    assert_int_equal(fixture->activation.count, 4);
    snprintf(expected, sizeof expected, "ipc://%s", fixture->path);
    assert_string_equal(sockets[0].endpoint, expected);
    assert_int_equal(sockets[0].name, ACTIVATION_FASTCGI);
    assert_int_equal(sockets[0].fd, FIRST);
    assert_int_equal(sockets[1].name, ACTIVATION_PUBLISH);
    assert_memory_equal(sockets[1].endpoint, "tcp://127.0.0.1:", 16);
    assert_int_equal(sockets[2].name, ACTIVATION_CONFIRM);
    assert_int_equal(sockets[3].name, ACTIVATION_PUBLISH);
    assert_int_equal(sockets[3].fd, FIRST + 3);
}

static void they_do_not_block_and_are_not_inherited(void **state)
{
    struct fixture *fixture = *state;

    pass_tcp(fixture, 1);
    assert_true(read_all(fixture, "4711", "1", "fastcgi"));
    assert_true(fcntl(FIRST, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(FIRST, F_GETFD) & FD_CLOEXEC);
}

static void an_environment_of_somebody_else_is_none(void **state)
{
    struct fixture *fixture = *state;
    const struct activation_environment others[] = {
        {NULL, NULL, NULL}, {NULL, "1", "fastcgi"}, {"4712", "1", "fastcgi"}, {"471", "many", NULL}, {"47110", "1", "what"},
    };

    pass(fixture, open("/dev/null", O_RDONLY));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_true(activation_read(&fixture->activation, &others[i], SELF, FIRST, fixture->error, sizeof fixture->error));
        assert_int_equal(fixture->activation.count, 0);
    }
    assert_false(fcntl(FIRST, F_GETFL) & O_NONBLOCK);
}

static void what_is_wrong_in_it_is_told(void **state)
{
    struct fixture *fixture = *state;
    const struct {
        const char *pid, *fds, *names, *says;
    } rows[] = {
        {"self", "1", "fastcgi", "LISTEN_PID: expected a process id, got `self`"},
        {"", "1", "fastcgi", "LISTEN_PID: expected a process id, got ``"},
        {"-4711", "1", "fastcgi", "LISTEN_PID"},
        {"4711 ", "1", "fastcgi", "LISTEN_PID"},
        {"99999999999999999999", "1", "fastcgi", "LISTEN_PID"},
        {"4711", NULL, "fastcgi", "LISTEN_FDS: expected the number of sockets that were passed in, 1 to 64, got ``"},
        {"4711", "", "fastcgi", "LISTEN_FDS"},
        {"4711", "0", "", "got `0`"},
        {"4711", "-1", "fastcgi", "got `-1`"},
        {"4711", "1x", "fastcgi", "got `1x`"},
        {"4711", "65", "fastcgi", "got `65`"},
        {"4711", "99999999999999999999", "fastcgi", "LISTEN_FDS"},
        {"4711", "2", NULL, "LISTEN_FDNAMES: expected 2 names with colons between, one for each socket of LISTEN_FDS, got 0"},
        {"4711", "2", "", "got 0"},
        {"4711", "2", "fastcgi", "expected 2 names with colons between, one for each socket of LISTEN_FDS, got 1"},
        {"4711", "2", "fastcgi:publish:confirm", "got 3"},
        {"4711", "2", "fastcgi:", "expected fastcgi, publish or confirm as the name of each socket (FileDescriptorName=), got ``"},
        {"4711", "2", "fastcgi:sidecast-publish.socket", "got `sidecast-publish.socket`"},
        {"4711", "2", "Fastcgi:publish", "got `Fastcgi`"},
        {"4711", "2", "fastcgi:publishing", "got `publishing`"},
    };

    pass_tcp(fixture, 2);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (read_all(fixture, rows[i].pid, rows[i].fds, rows[i].names))
            fail_msg("row %zu is taken", i);
        says(fixture, rows[i].says);
    }
}

static int pipe_end(void)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    close(ends[1]);
    return ends[0];
}

static void what_nobody_can_connect_to_is_told(void **state)
{
    struct fixture *fixture = *state;
    const struct {
        int fd;
        const char *says;
    } rows[] = {
        {pipe_end(), "it is no stream socket"},
        {open("/dev/null", O_RDONLY), "it is no stream socket"},
        {socket(AF_INET, SOCK_DGRAM, 0), "it is no stream socket"},
        {listening(unix_socket(fixture->path, SOCK_SEQPACKET)), "it is no stream socket"},
        {tcp_socket(INADDR_LOOPBACK), "it does not listen"},
        {socket(AF_UNIX, SOCK_STREAM, 0), "it does not listen"},
        {listening(unix_socket("@sidecast-test-activation", SOCK_STREAM)), "neither a unix socket with a path nor TCP"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int fd = pass(fixture, rows[i].fd);

        assert_false(read_all(fixture, "4711", "1", "publish"));
        says(fixture, "expected descriptor 200 (publish) to be a listening stream socket, unix or TCP");
        says(fixture, rows[i].says);
        close(fd);
        fixture->next--;
    }
    assert_false(read_all(fixture, "4711", "1", "publish"));
    says(fixture, "there is no such descriptor");
}

static void the_second_one_is_looked_at_too(void **state)
{
    struct fixture *fixture = *state;

    pass_tcp(fixture, 1);
    pass(fixture, pipe_end());
    assert_false(read_all(fixture, "4711", "2", "publish:confirm"));
    says(fixture, "descriptor 201 (confirm)");
}

/* Who may connect is decided in the configuration, whoever made the socket. */
static void beyond_loopback_needs_to_be_allowed(void **state)
{
    struct fixture *fixture = *state;
    struct settings *settings = &fixture->settings;

    pass(fixture, listening(tcp_socket(INADDR_ANY)));
    assert_true(read_all(fixture, "4711", "1", "fastcgi"));
    assert_false(activation_is_allowed(&fixture->activation, settings, fixture->error, sizeof fixture->error));
    says(fixture, "expected descriptor 200 (fastcgi) to be on a loopback address, unless fastcgi.insecure = yes, got 0.0.0.0:");
    settings->publish_insecure = true;
    assert_false(activation_is_allowed(&fixture->activation, settings, fixture->error, sizeof fixture->error));
    settings->fastcgi_insecure = true;
    assert_true(activation_is_allowed(&fixture->activation, settings, fixture->error, sizeof fixture->error));

    assert_true(read_all(fixture, "4711", "1", "confirm"));
    assert_true(activation_is_allowed(&fixture->activation, settings, fixture->error, sizeof fixture->error));
    settings->publish_insecure = false;
    assert_false(activation_is_allowed(&fixture->activation, settings, fixture->error, sizeof fixture->error));
    says(fixture, "publish.insecure = yes");
}

static void loopback_and_paths_are_always_allowed(void **state)
{
    struct fixture *fixture = *state;

    pass(fixture, listening(unix_socket(fixture->path, SOCK_STREAM)));
    pass_tcp(fixture, 1);
    assert_true(read_all(fixture, "4711", "2", "fastcgi:publish"));
    assert_true(activation_is_allowed(&fixture->activation, &fixture->settings, fixture->error, sizeof fixture->error));
}

/* Passed ones take the place of all of that name that are configured, and of no others. */
static void places_are_those_passed_in_or_those_configured(void **state)
{
    struct fixture *fixture = *state;
    const struct activation *activation = &fixture->activation;
    char *items[] = {"one", "two"};
    const struct string_list configured = {items, 2};
    struct activation_place place;

    pass_tcp(fixture, 3);
    assert_true(read_all(fixture, "4711", "3", "publish:fastcgi:publish"));
    assert_int_equal(activation_count(activation, ACTIVATION_PUBLISH, &configured), 2);
    assert_int_equal(activation_place(activation, ACTIVATION_PUBLISH, &configured, 0).fd, FIRST);
    place = activation_place(activation, ACTIVATION_PUBLISH, &configured, 1);
    assert_int_equal(place.fd, FIRST + 2);
    assert_memory_equal(place.name, "tcp://127.0.0.1:", 16);
    assert_int_equal(activation_count(activation, ACTIVATION_FASTCGI, &configured), 1);
    place = activation_place(activation, ACTIVATION_FASTCGI, &configured, 0);
    assert_int_equal(place.fd, FIRST + 1);
    assert_memory_equal(place.name, "127.0.0.1:", 10);
    assert_int_equal(activation_count(activation, ACTIVATION_CONFIRM, &configured), 2);
    place = activation_place(activation, ACTIVATION_CONFIRM, &configured, 1);
    assert_int_equal(place.fd, -1);
    assert_string_equal(place.name, "two");
    assert_int_equal(activation_count(NULL, ACTIVATION_FASTCGI, &configured), 2);
    assert_string_equal(activation_place(NULL, ACTIVATION_FASTCGI, &configured, 0).name, "one");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, finish)
        TEST(sockets_are_known_by_their_names),
        TEST(they_do_not_block_and_are_not_inherited),
        TEST(an_environment_of_somebody_else_is_none),
        TEST(what_is_wrong_in_it_is_told),
        TEST(what_nobody_can_connect_to_is_told),
        TEST(the_second_one_is_looked_at_too),
        TEST(beyond_loopback_needs_to_be_allowed),
        TEST(loopback_and_paths_are_always_allowed),
        TEST(places_are_those_passed_in_or_those_configured),
    };

    return cmocka_run_group_tests_name("activation", tests, NULL, NULL);
}
