#include "listener.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const struct listener_options OPTIONS = {.mode = 0640, .group = "", .backlog = 16};

struct fixture {
    char folder[64];
    char path[80];
    char error[256];
    struct listener listener;
};

static int make(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    fixture->listener.fd = -1;
    strcpy(fixture->folder, "/tmp/sidecast-listener.XXXXXX");
    if (!mkdtemp(fixture->folder))
        return -1;
    snprintf(fixture->path, sizeof fixture->path, "%s/s.sock", fixture->folder);
    *state = fixture;
    return 0;
}

static int finish(void **state)
{
    struct fixture *fixture = *state;

    listener_close(&fixture->listener);
    (void)unlink(fixture->path);
    (void)rmdir(fixture->folder);
    free(fixture);
    return 0;
}

static bool open_at(struct fixture *fixture, const char *address)
{
    return listener_open(&fixture->listener, address, &OPTIONS, fixture->error, sizeof fixture->error);
}

static int connect_to(const struct sockaddr *name, socklen_t size)
{
    int fd = socket(name->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), result = connect(fd, name, size);

    close(fd);
    return result;
}

static struct sockaddr_un name_of(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};

    strcpy(name.sun_path, path);
    return name;
}

static int connect_unix(const char *path)
{
    struct sockaddr_un name = name_of(path);

    return connect_to((const struct sockaddr *)&name, sizeof name);
}

/* What a process that was killed leaves behind: a socket file that nobody answers on. */
static void leave_stale_socket(const char *path)
{
    struct sockaddr_un name = name_of(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (const struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(listen(fd, 1), 0);
    close(fd);
}

static mode_t mode_of(const char *path)
{
    struct stat status;

    assert_int_equal(lstat(path, &status), 0);
    return status.st_mode;
}

static void a_unix_socket_answers_at_its_path(void **state)
{
    struct fixture *fixture = *state;

    assert_true(open_at(fixture, fixture->path));
    assert_string_equal(fixture->listener.address, fixture->path);
    assert_int_equal(connect_unix(fixture->path), 0);
}

static void the_descriptor_does_not_block_and_is_not_inherited(void **state)
{
    struct fixture *fixture = *state;

    assert_true(open_at(fixture, fixture->path));
    assert_true(fcntl(fixture->listener.fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fixture->listener.fd, F_GETFD) & FD_CLOEXEC);
}

static void the_socket_has_its_mode_whatever_the_umask(void **state)
{
    struct fixture *fixture = *state;
    mode_t before = umask(0077);

    assert_true(open_at(fixture, fixture->path));
    assert_int_equal(umask(before), 0077);
    assert_int_equal(mode_of(fixture->path) & 0777, 0640);
}

static void the_socket_has_its_group(void **state)
{
    struct fixture *fixture = *state;
    struct group *group = getgrgid(getgid());
    struct listener_options options = OPTIONS;
    struct stat status;

    /* Root may give it to any group, others to one of their own. */
    if (geteuid() == 0)
        group = getgrnam("www-data");
    if (!group)
        skip();
    options.group = group->gr_name;
    assert_true(listener_open(&fixture->listener, fixture->path, &options, fixture->error, sizeof fixture->error));
    assert_int_equal(lstat(fixture->path, &status), 0);
    assert_int_equal(status.st_gid, group->gr_gid);
}

static void a_group_that_is_not_there_is_an_error_and_leaves_no_socket(void **state)
{
    struct fixture *fixture = *state;
    struct listener_options options = OPTIONS;

    options.group = "no-such-group-here";
    assert_false(listener_open(&fixture->listener, fixture->path, &options, fixture->error, sizeof fixture->error));
    assert_int_equal(access(fixture->path, F_OK), -1);
    assert_int_equal(fixture->listener.fd, -1);
}

static void a_stale_socket_is_replaced(void **state)
{
    struct fixture *fixture = *state;

    leave_stale_socket(fixture->path);
    assert_int_equal(connect_unix(fixture->path), -1);
    assert_true(open_at(fixture, fixture->path));
    assert_int_equal(connect_unix(fixture->path), 0);
}

static void a_socket_that_answers_is_left_alone(void **state)
{
    struct fixture *fixture = *state;
    struct listener second;

    assert_true(open_at(fixture, fixture->path));
    assert_false(listener_open(&second, fixture->path, &OPTIONS, fixture->error, sizeof fixture->error));
    assert_non_null(strstr(fixture->error, "another sidecast is running"));
    assert_non_null(strstr(fixture->error, fixture->path));
    listener_close(&second);
    assert_int_equal(connect_unix(fixture->path), 0);
}

/* A running sidecast that is too busy to accept is still one. */
static void a_socket_with_a_full_backlog_is_left_alone(void **state)
{
    struct fixture *fixture = *state;
    struct listener_options options = OPTIONS;
    struct sockaddr_un name = name_of(fixture->path);
    struct listener second;
    int waiting[8];

    options.backlog = 1;
    assert_true(listener_open(&fixture->listener, fixture->path, &options, fixture->error, sizeof fixture->error));
    for (int i = 0; i < 8; i++) {
        waiting[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(waiting[i], (const struct sockaddr *)&name, sizeof name);
    }
    assert_int_equal(errno, EAGAIN);
    assert_false(listener_open(&second, fixture->path, &OPTIONS, fixture->error, sizeof fixture->error));
    assert_non_null(strstr(fixture->error, "another sidecast is running"));
    for (int i = 0; i < 8; i++)
        close(waiting[i]);
}

static void what_is_not_a_socket_is_left_alone(void **state)
{
    struct fixture *fixture = *state;
    FILE *file = fopen(fixture->path, "w");

    assert_non_null(file);
    fclose(file);
    assert_false(open_at(fixture, fixture->path));
    assert_non_null(strstr(fixture->error, fixture->path));
    assert_true(S_ISREG(mode_of(fixture->path)));
}

static void a_link_is_left_alone_with_what_it_points_to(void **state)
{
    struct fixture *fixture = *state;
    char target[96];

    snprintf(target, sizeof target, "%s/target", fixture->folder);
    leave_stale_socket(target);
    assert_int_equal(symlink(target, fixture->path), 0);
    assert_false(open_at(fixture, fixture->path));
    assert_true(S_ISLNK(mode_of(fixture->path)));
    assert_true(S_ISSOCK(mode_of(target)));
    unlink(target);
}

static void closing_removes_the_socket(void **state)
{
    struct fixture *fixture = *state;

    assert_true(open_at(fixture, fixture->path));
    listener_close(&fixture->listener);
    assert_int_equal(access(fixture->path, F_OK), -1);
    listener_close(&fixture->listener);
}

static void closing_leaves_the_socket_that_took_its_place(void **state)
{
    struct fixture *fixture = *state;
    struct listener second;

    assert_true(open_at(fixture, fixture->path));
    unlink(fixture->path);
    assert_true(listener_open(&second, fixture->path, &OPTIONS, fixture->error, sizeof fixture->error));
    listener_close(&fixture->listener);
    assert_int_equal(connect_unix(fixture->path), 0);
    listener_close(&second);
}

static void a_released_descriptor_stays_open_and_its_file_is_removed(void **state)
{
    struct fixture *fixture = *state;
    int fd;

    assert_true(open_at(fixture, fixture->path));
    fd = listener_release(&fixture->listener);
    listener_close(&fixture->listener);
    assert_int_equal(access(fixture->path, F_OK), -1);
    assert_true(fcntl(fd, F_GETFD) >= 0);
    close(fd);
}

static void a_path_that_is_too_long_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    char path[200];

    memset(path, 'x', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    assert_false(open_at(fixture, path));
    assert_non_null(strstr(fixture->error, "File name too long"));
}

static void tcp_port_0_chooses_a_port_and_tells_it(void **state)
{
    struct fixture *fixture = *state;
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    unsigned port = 0;

    assert_true(open_at(fixture, "127.0.0.1:0"));
    assert_int_equal(sscanf(fixture->listener.address, "127.0.0.1:%u", &port), 1);
    assert_true(port > 0);
    name.sin_port = htons((uint16_t)port);
    assert_int_equal(connect_to((const struct sockaddr *)&name, sizeof name), 0);
    assert_true(fcntl(fixture->listener.fd, F_GETFL) & O_NONBLOCK);
}

static void ipv6_stands_in_brackets(void **state)
{
    struct fixture *fixture = *state;

    if (access("/proc/net/if_inet6", R_OK) != 0 || !open_at(fixture, "[::1]:0"))
        skip();
    assert_int_equal(strncmp(fixture->listener.address, "[::1]:", 6), 0);
}

static void a_tcp_port_in_use_is_an_error_that_says_so(void **state)
{
    struct fixture *fixture = *state;
    struct listener second;
    char address[128];

    assert_true(open_at(fixture, "127.0.0.1:0"));
    strcpy(address, fixture->listener.address);
    assert_false(listener_open(&second, address, &OPTIONS, fixture->error, sizeof fixture->error));
    assert_non_null(strstr(fixture->error, "another sidecast is running"));
    assert_non_null(strstr(fixture->error, address));
}

static void what_is_no_address_is_an_error(void **state)
{
    struct fixture *fixture = *state;

    assert_false(open_at(fixture, "localhost"));
    assert_non_null(strstr(fixture->error, "expected host:port"));
    assert_false(open_at(fixture, "127.0.0.1:http"));
    assert_non_null(strstr(fixture->error, "127.0.0.1:http"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, finish)
        TEST(a_unix_socket_answers_at_its_path),
        TEST(the_descriptor_does_not_block_and_is_not_inherited),
        TEST(the_socket_has_its_mode_whatever_the_umask),
        TEST(the_socket_has_its_group),
        TEST(a_group_that_is_not_there_is_an_error_and_leaves_no_socket),
        TEST(a_stale_socket_is_replaced),
        TEST(a_socket_that_answers_is_left_alone),
        TEST(a_socket_with_a_full_backlog_is_left_alone),
        TEST(what_is_not_a_socket_is_left_alone),
        TEST(a_link_is_left_alone_with_what_it_points_to),
        TEST(closing_removes_the_socket),
        TEST(closing_leaves_the_socket_that_took_its_place),
        TEST(a_released_descriptor_stays_open_and_its_file_is_removed),
        TEST(a_path_that_is_too_long_is_an_error),
        TEST(tcp_port_0_chooses_a_port_and_tells_it),
        TEST(ipv6_stands_in_brackets),
        TEST(a_tcp_port_in_use_is_an_error_that_says_so),
        TEST(what_is_no_address_is_an_error),
    };

    return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}
