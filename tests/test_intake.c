/* One socket of ingest, looked at by itself. */
#include "ingest_fixture.h"
#include "table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <sys/un.h>

static void receive(struct intake *intake, struct intake_message *message)
{
    zmq_pollitem_t item = {.socket = intake->socket, .events = ZMQ_POLLIN};

    assert_int_equal(zmq_poll(&item, 1, 10000), 1);
    assert_true(intake_receive(intake, message));
}

static void of_surplus_frames_only_the_number_is_kept(void **state)
{
    struct fixture *fixture = *state;
    struct intake *intake = &fixture->ingest.intakes[0];
    void *push = fixture_connect(fixture, ZMQ_PUSH, fixture->publish);
    struct intake_message message;
    struct span frames[20];

    intake_message_init(&message);
    for (int i = 0; i < 20; i++)
        frames[i] = span_of("123456789");
    for (size_t count = 1; count <= 20; count++) {
        size_t kept = count < INTAKE_FRAMES ? count : INTAKE_FRAMES;

        fixture_send(push, frames, count);
        receive(intake, &message);
        assert_int_equal(message.count, count);
        assert_int_equal(message.bytes, 9 * kept + 1);
        for (size_t i = 0; i < kept; i++)
            assert_true(span_equal(message.spans[i], frames[i]));
    }
    assert_false(intake_receive(intake, &message));
    intake_message_finish(&message);
}

static int connect_stranger(const char *endpoint)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(name.sun_path, sizeof name.sun_path, "%s", endpoint + strlen("ipc://"));
    assert_int_equal(connect(fd, (const struct sockaddr *)&name, sizeof name), 0);
    return fd;
}

static void who_leaves_or_does_not_speak_zeromq_is_counted_at_each_socket(void **state)
{
    struct fixture *fixture = *state;
    const struct metrics *metrics = &fixture->hub.metrics;

    for (uint64_t i = 1; i <= 2; i++) {
        int fd = connect_stranger(i == 1 ? fixture->publish : fixture->confirm);

        assert_int_equal(send(fd, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 35, 0), 35);
        close(fd);
        while (metrics->publishers_gone + metrics->publishers_failed < i)
            ev_run(fixture->loop, EVRUN_NOWAIT);
    }
}

static void an_endpoint_that_is_taken_adds_none(void **state)
{
    struct fixture *fixture = *state;
    struct intake *intake = &fixture->ingest.intakes[0];
    char error[256] = "";

    assert_false(intake_listen(intake, &fixture->settings, &(struct activation_place){fixture->confirm, -1}, error, sizeof error));
    assert_non_null(strstr(error, "somebody answers"));
    assert_int_equal(intake->endpoint_count, 1);
}

static void a_socket_may_have_several_endpoints(void **state)
{
    struct fixture *fixture = *state;
    struct intake *intake = &fixture->ingest.intakes[0];
    struct intake_message message;
    char error[256] = "";

    intake_message_init(&message);
    assert_true(intake_listen(intake, &fixture->settings, &(struct activation_place){"tcp://127.0.0.1:0", -1}, error, sizeof error));
    assert_int_equal(intake->endpoint_count, 2);
    fixture_send(fixture_connect(fixture, ZMQ_PUSH, intake->endpoints[1].endpoint), (struct span[]){span_of("x")}, 1);
    receive(intake, &message);
    fixture_send(fixture_connect(fixture, ZMQ_PUSH, fixture->publish), (struct span[]){span_of("y")}, 1);
    receive(intake, &message);
    intake_message_finish(&message);
}

static void after_unlink_nobody_new_finds_it_and_who_is_there_stays(void **state)
{
    struct fixture *fixture = *state;
    struct intake *intake = &fixture->ingest.intakes[0];
    void *push = fixture_connect(fixture, ZMQ_PUSH, fixture->publish);
    struct intake_message message;

    intake_message_init(&message);
    for (int i = 0; i < 2; i++) {
        fixture_send(push, (struct span[]){span_of("x")}, 1);
        receive(intake, &message);
        intake_unlink(intake);
        assert_int_equal(access(fixture->publish + strlen("ipc://"), F_OK), -1);
    }
    intake_message_finish(&message);
}

static void a_socket_that_was_passed_in_stays_when_it_is_let_go(void **state)
{
    const struct listener_options options = {.mode = 0600, .group = "", .backlog = 8};
    struct fixture *fixture = *state;
    struct intake *intake = &fixture->ingest.intakes[0];
    struct listener kept; /* what systemd has */
    struct intake_message message;
    char path[64], endpoint[80], error[256] = "";

    snprintf(path, sizeof path, "%s/passed", fixture->directory);
    snprintf(endpoint, sizeof endpoint, "ipc://%s", path);
    assert_true(listener_open(&kept, path, &options, error, sizeof error));
    assert_true(intake_listen(intake, &fixture->settings, &(struct activation_place){endpoint, dup(kept.fd)}, error, sizeof error));
    assert_string_equal(intake->endpoints[1].endpoint, endpoint);
    intake_message_init(&message);
    fixture_send(fixture_connect(fixture, ZMQ_PUSH, endpoint), (struct span[]){span_of("x")}, 1);
    receive(intake, &message);
    intake_message_finish(&message);
    intake_unlink(intake);
    assert_int_equal(access(path, F_OK), 0);
    intake_unbind(intake);
    assert_int_equal(access(path, F_OK), 0);
    close(connect_stranger(endpoint));
    listener_close(&kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_make, fixture_finish)
        TEST(of_surplus_frames_only_the_number_is_kept),
        TEST(who_leaves_or_does_not_speak_zeromq_is_counted_at_each_socket),
        TEST(an_endpoint_that_is_taken_adds_none),
        TEST(a_socket_may_have_several_endpoints),
        TEST(after_unlink_nobody_new_finds_it_and_who_is_there_stays),
        TEST(a_socket_that_was_passed_in_stays_when_it_is_let_go),
    };

    log_set_level(LOG_ERROR);
    if (!table_init())
        return 1;
    return cmocka_run_group_tests_name("intake", tests, NULL, NULL);
}
