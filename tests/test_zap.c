/* Real publishers with CURVE against ingest, with a list of those who may come and without. */
#include "curve.h"
#include "ingest_fixture.h"
#include "table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>

struct pair {
    char public[CURVE_TEXT], secret[CURVE_TEXT];
};

static struct pair server, client, stranger;
static char secret_file[64], list_file[64];

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, 0600), 0);
}

static struct fixture *prepare(void **state)
{
    struct fixture *fixture = *state = fixture_prepare();

    assert_int_equal(zmq_curve_keypair(server.public, server.secret), 0);
    assert_int_equal(zmq_curve_keypair(client.public, client.secret), 0);
    assert_int_equal(zmq_curve_keypair(stranger.public, stranger.secret), 0);
    snprintf(secret_file, sizeof secret_file, "%s/secret", fixture->directory);
    snprintf(list_file, sizeof list_file, "%s/list", fixture->directory);
    write_file(secret_file, server.secret);
    snprintf(fixture->options[2], sizeof fixture->options[2], "--publish.curve_secret_file=%s", secret_file);
    snprintf(fixture->options[3], sizeof fixture->options[3], "--publish.confirm_listen=tcp://127.0.0.1:0");
    snprintf(fixture->options[4], sizeof fixture->options[4], "--publish.listen=tcp://127.0.0.1:0");
    return fixture;
}

static void start(struct fixture *fixture)
{
    char error[512];

    fixture_start(fixture, error, sizeof error);
    assert_string_equal(error, "");
}

static struct fixture *start_with_list(void **state)
{
    struct fixture *fixture = prepare(state);
    char text[64];

    snprintf(text, sizeof text, "%s\n", client.public);
    write_file(list_file, text);
    snprintf(fixture->options[5], sizeof fixture->options[5], "--publish.curve_clients_file=%s", list_file);
    start(fixture);
    return fixture;
}

static int finish(void **state)
{
    unlink(secret_file);
    unlink(list_file);
    return fixture_finish(state);
}

/* The TCP endpoint that answers, or does not. */
static const char *endpoint(struct fixture *fixture, bool answers)
{
    for (size_t i = 0; i < fixture->ingest.intake_count; i++) {
        struct intake *intake = &fixture->ingest.intakes[i];

        if (intake->answers == answers && strncmp(intake->endpoints[0].endpoint, "tcp", 3) == 0)
            return intake->endpoints[0].endpoint;
    }
    abort();
}

static void *connect_with(struct fixture *fixture, int type, const struct pair *own, const char *server_key)
{
    void *socket = fixture_socket(fixture, type);

    assert_int_equal(zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server_key, CURVE_TEXT), 0);
    assert_int_equal(zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, own->public, CURVE_TEXT), 0);
    assert_int_equal(zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, own->secret, CURVE_TEXT), 0);
    assert_int_equal(zmq_connect(socket, endpoint(fixture, type == ZMQ_REQ)), 0);
    return socket;
}

static void assert_answered(struct fixture *fixture, void *req)
{
    char answer[128];

    fixture_await(fixture, req, answer, sizeof answer);
    assert_memory_equal(answer, "ok ", 3);
}

static void *ask(struct fixture *fixture, const struct pair *own)
{
    void *req = connect_with(fixture, ZMQ_REQ, own, server.public);

    fixture_send(req, (struct span[]){span_of("c"), span_of("x")}, 2);
    return req;
}

static void wait_for_failures(struct fixture *fixture, uint64_t more)
{
    uint64_t wanted = fixture->hub.metrics.publishers_failed + more;

    while (fixture->hub.metrics.publishers_failed < wanted)
        ev_run(fixture->loop, EVRUN_NOWAIT);
}

static void without_a_list_all_who_know_the_servers_key_may_come(void **state)
{
    struct fixture *fixture = prepare(state);
    void *push;

    start(fixture);
    assert_answered(fixture, ask(fixture, &stranger));
    push = connect_with(fixture, ZMQ_PUSH, &client, server.public);
    fixture_send(push, (struct span[]){span_of("c"), span_of("x")}, 2);
    while (fixture->hub.metrics.messages_published < 2)
        ev_run(fixture->loop, EVRUN_NOWAIT);
}

static void with_a_list_those_in_it_may_come_and_no_others(void **state)
{
    struct fixture *fixture = start_with_list(state);

    ask(fixture, &stranger);
    wait_for_failures(fixture, 2);
    assert_answered(fixture, ask(fixture, &client));
    assert_int_equal(fixture->hub.metrics.messages_published, 1);
}

static void a_list_read_anew_lets_in_who_was_added_and_shuts_out_who_was_removed(void **state)
{
    struct fixture *fixture = start_with_list(state);
    void *before = ask(fixture, &client), *waits = ask(fixture, &stranger);

    assert_answered(fixture, before);
    wait_for_failures(fixture, 1);
    write_file(list_file, stranger.public);
    ingest_reload(&fixture->ingest, &fixture->settings);
    assert_answered(fixture, waits);
    ask(fixture, &client);
    wait_for_failures(fixture, 2);
    assert_int_equal(fixture->hub.metrics.messages_published, 2);
    fixture_send(before, (struct span[]){span_of("c"), span_of("y")}, 2);
    assert_answered(fixture, before); /* who is there stays */
}

static void a_list_that_cannot_be_read_leaves_the_old_one(void **state)
{
    struct fixture *fixture = start_with_list(state);

    write_file(list_file, "nonsense\n");
    ingest_reload(&fixture->ingest, &fixture->settings);
    ask(fixture, &stranger);
    wait_for_failures(fixture, 1);
    assert_answered(fixture, ask(fixture, &client));
}

static void who_has_the_wrong_key_of_the_server_or_none_is_counted_and_not_let_in(void **state)
{
    struct fixture *fixture = prepare(state);
    void *req;

    start(fixture);
    req = connect_with(fixture, ZMQ_REQ, &client, stranger.public);
    fixture_send(req, (struct span[]){span_of("c"), span_of("x")}, 2);
    wait_for_failures(fixture, 2);
    zmq_disconnect(req, endpoint(fixture, true));
    req = fixture_connect(fixture, ZMQ_REQ, endpoint(fixture, true));
    fixture_send(req, (struct span[]){span_of("c"), span_of("x")}, 2);
    wait_for_failures(fixture, 2);
    assert_int_equal(fixture->hub.metrics.messages_published, 0);
}

static void ipc_stays_without_curve(void **state)
{
    struct fixture *fixture = start_with_list(state);
    void *req = fixture_connect(fixture, ZMQ_REQ, fixture->confirm);

    fixture_send(req, (struct span[]){span_of("c"), span_of("x")}, 2);
    assert_answered(fixture, req);
    assert_int_equal(fixture->ingest.intake_count, 4);
}

static void bad_key_files_end_the_start(void **state)
{
    struct fixture *fixture = prepare(state);
    char error[512];

    assert_int_equal(chmod(secret_file, 0604), 0);
    fixture_start(fixture, error, sizeof error);
    assert_non_null(strstr(error, "others can read or change it"));
    assert_int_equal(access(fixture->publish + strlen("ipc://"), F_OK), -1);
}

static void a_missing_list_ends_the_start(void **state)
{
    struct fixture *fixture = prepare(state);
    char error[512];

    snprintf(fixture->options[5], sizeof fixture->options[5], "--publish.curve_clients_file=%s", list_file);
    fixture_start(fixture, error, sizeof error);
    assert_non_null(strstr(error, "list: No such file"));
}

/* A frame of exactly publish.max_frame_bytes, which is a little longer when it is encrypted. */
static void the_largest_frame_gets_through(void **state)
{
    struct fixture *fixture = prepare(state);
    static char data[2048];
    void *req;

    memset(data, 'x', sizeof data);
    strcpy(fixture->options[5], "--publish.max_frame_bytes=2048");
    snprintf(fixture->options[1], sizeof fixture->options[1], "--publish.max_bytes=2048");
    start(fixture);
    req = connect_with(fixture, ZMQ_REQ, &client, server.public);
    fixture_send(req, (struct span[]){span_of("c"), {data, sizeof data}}, 2);
    assert_answered(fixture, req);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, NULL, finish)
        TEST(without_a_list_all_who_know_the_servers_key_may_come),
        TEST(with_a_list_those_in_it_may_come_and_no_others),
        TEST(a_list_read_anew_lets_in_who_was_added_and_shuts_out_who_was_removed),
        TEST(a_list_that_cannot_be_read_leaves_the_old_one),
        TEST(who_has_the_wrong_key_of_the_server_or_none_is_counted_and_not_let_in),
        TEST(ipc_stays_without_curve),
        TEST(bad_key_files_end_the_start),
        TEST(a_missing_list_ends_the_start),
        TEST(the_largest_frame_gets_through),
    };

    log_set_level(LOG_ERROR);
    if (!table_init())
        return 1;
    return cmocka_run_group_tests_name("zap", tests, NULL, NULL);
}
