/* Ingest with real publishers, while signals interrupt its calls. */
#include "ingest_fixture.h"
#include "table.h"
#include "text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

enum { MESSAGES = 200 };

/* --- a call that a signal interrupts, each third time --- */

static unsigned calls, interrupted;

int __real_zmq_msg_recv(zmq_msg_t *frame, void *socket, int flags);
int __wrap_zmq_msg_recv(zmq_msg_t *frame, void *socket, int flags);

int __wrap_zmq_msg_recv(zmq_msg_t *frame, void *socket, int flags)
{
    if (++calls % 3 != 0)
        return __real_zmq_msg_recv(frame, socket, flags);
    interrupted++;
    errno = EINTR;
    return -1;
}

static void no_message_is_torn_when_a_signal_comes_between_its_frames(void **state)
{
    struct fixture *fixture = *state;
    const struct metrics *metrics = &fixture->hub.metrics;
    void *publisher = fixture_connect(fixture, ZMQ_PUSH, fixture->publish);

    interrupted = 0;
    for (int i = 0; i < MESSAGES; i++)
        fixture_send(publisher, (struct span[]){span_of("news"), span_of("data")}, 2);
    while (metrics->messages_published + metrics->dropped_bad_json < MESSAGES)
        ev_run(fixture->loop, EVRUN_NOWAIT);
    assert_true(interrupted > MESSAGES / 2);
    assert_int_equal(metrics->dropped_bad_json, 0);
    assert_int_equal(metrics->messages_published, MESSAGES);
}

/* --- who is asked --- */

/* Each look is a system call: what is quiet is not looked at, and is heard all the same when it says something. */
static void a_socket_that_was_read_empty_is_not_asked_until_it_tells_of_something(void **state)
{
    struct fixture *fixture = *state;
    const struct metrics *metrics = &fixture->hub.metrics;
    void *push = fixture_connect(fixture, ZMQ_PUSH, fixture->publish), *dealer = fixture_connect(fixture, ZMQ_DEALER, fixture->confirm);

    for (unsigned i = 1; i <= MESSAGES; i++) {
        unsigned before;

        fixture_send(i % 2 ? push : dealer, (struct span[]){span_of("news"), span_of("data")}, 2);
        while (metrics->messages_published < i)
            ev_run(fixture->loop, EVRUN_NOWAIT);
        before = calls - 1;
        for (int n = 0; n < 100 && before != calls; n++) { /* what came with connecting */
            before = calls;
            ev_run(fixture->loop, EVRUN_NOWAIT);
            ev_run(fixture->loop, EVRUN_NOWAIT);
        }
        for (int n = 0; n < 10; n++)
            ev_run(fixture->loop, EVRUN_NOWAIT);
        if (i > 2) /* both are connected, and nothing else happens */
            assert_int_equal(calls, before);
    }
}

/* --- several sockets --- */

/* The channels of the inbox, a letter each. */
static size_t take_channels(struct fixture *fixture, char *letters, size_t most)
{
    struct inbox_item item;
    size_t count = 0;

    hub_flush(&fixture->hub);
    while (count < most && inbox_take(&fixture->inbox, &item, 1) > 0) {
        letters[count++] = message_channel(item.message).bytes[0];
        message_unref(item.message);
    }
    bell_ring(&fixture->room);
    return count;
}

static void wait_until_received(struct intake *intakes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        zmq_pollitem_t item = {.socket = intakes[i].socket, .events = ZMQ_POLLIN};

        assert_int_equal(zmq_poll(&item, 1, 10000), 1);
    }
}

static void both_kinds_of_publishers_have_their_turns(void **state)
{
    struct fixture *fixture = *state;
    void *push = fixture_connect(fixture, ZMQ_PUSH, fixture->publish), *dealer = fixture_connect(fixture, ZMQ_DEALER, fixture->confirm);
    char letters[40];
    size_t count, pushed = 0;

    for (int i = 0; i < 5000; i++) {
        fixture_send(push, (struct span[]){span_of("p"), span_of("x")}, 2);
        fixture_send(dealer, (struct span[]){span_of("d"), span_of("x")}, 2);
    }
    wait_until_received(fixture->ingest.intakes, fixture->ingest.intake_count);
    ev_run(fixture->loop, EVRUN_NOWAIT);
    count = take_channels(fixture, letters, sizeof letters);
    assert_int_equal(count, sizeof letters);
    for (size_t i = 0; i < count; i++)
        pushed += letters[i] == 'p';
    assert_in_range(pushed, count / 2 - 1, count / 2 + 1);
}

static void a_full_inbox_stops_both_and_room_lets_both_go_on(void **state)
{
    struct fixture *fixture = *state;
    const struct metrics *metrics = &fixture->hub.metrics;
    void *push = fixture_connect(fixture, ZMQ_PUSH, fixture->publish), *dealer = fixture_connect(fixture, ZMQ_DEALER, fixture->confirm);

    for (int i = 0; i < 2 * FIXTURE_INBOX_LIMIT; i++) {
        fixture_send(push, (struct span[]){span_of("p"), span_of("x")}, 2);
        fixture_send(dealer, (struct span[]){span_of("d"), span_of("x")}, 2);
    }
    while (metrics->ingest_pauses == 0)
        ev_run(fixture->loop, EVRUN_NOWAIT);
    for (int i = 0; i < 10; i++)
        ev_run(fixture->loop, EVRUN_NOWAIT);
    assert_int_equal(metrics->messages_published, FIXTURE_INBOX_LIMIT);
    while (metrics->messages_published < 4 * FIXTURE_INBOX_LIMIT) {
        fixture_take_inbox(fixture);
        ev_run(fixture->loop, EVRUN_NOWAIT);
    }
    assert_int_equal(metrics->confirmations, 2 * FIXTURE_INBOX_LIMIT);
}

/* --- stopping --- */

/* What was sent whole is taken in, and what is answered can be read to its end after the server has let go. */
static void a_drain_answers_what_it_takes_in(void **state)
{
    struct fixture *fixture = *state;
    void *push = fixture_connect(fixture, ZMQ_PUSH, fixture->publish), *dealer = fixture_connect(fixture, ZMQ_DEALER, fixture->confirm);
    zmq_pollitem_t item = {.socket = dealer, .events = ZMQ_POLLIN};
    char answer[64];

    fixture_send(push, (struct span[]){span_of("p"), span_of("x")}, 2);
    for (int i = 0; i < 3 * FIXTURE_INBOX_LIMIT; i++)
        fixture_send(dealer, (struct span[]){span_of("d"), span_of("x")}, 2);
    wait_until_received(fixture->ingest.intakes, fixture->ingest.intake_count);
    ingest_drain(&fixture->ingest, fixture_take_inbox, fixture, 10000);
    assert_int_equal(fixture->hub.metrics.messages_published, 3 * FIXTURE_INBOX_LIMIT + 1);
    for (int i = 0; i < 3 * FIXTURE_INBOX_LIMIT; i++) {
        assert_int_equal(zmq_poll(&item, 1, 10000), 1);
        assert_true(zmq_recv(dealer, answer, sizeof answer, 0) > 3);
        assert_memory_equal(answer, "ok ", 3);
    }
}

/* More than the kernel holds, and a reader that takes none of it before the server has let go. */
static void answers_that_are_not_read_yet_survive_the_end(void **state)
{
    struct fixture *fixture = *state;
    void *dealer = fixture_socket(fixture, ZMQ_DEALER);
    zmq_pollitem_t item = {.socket = dealer, .events = ZMQ_POLLIN};
    struct text batch = TEXT_EMPTY;
    int one = 1;

    for (int i = 0; i < 10000; i++)
        text_append_string(&batch, i == 0 ? "[0" : ",0");
    text_append_string(&batch, "]");
    assert_int_equal(zmq_setsockopt(dealer, ZMQ_RCVHWM, &one, sizeof one), 0);
    assert_int_equal(zmq_connect(dealer, fixture->confirm), 0);
    for (int i = 0; i < 3; i++)
        fixture_send(dealer, (struct span[]){text_span(&batch)}, 1);
    text_finish(&batch);
    wait_until_received(fixture->ingest.intakes + 1, 1);
    ingest_drain(&fixture->ingest, fixture_take_inbox, fixture, 10000);
    assert_int_equal(fixture->hub.metrics.confirmations, 3);
    for (int i = 0; i < 3 * 10000; i++) {
        assert_int_equal(zmq_poll(&item, 1, 10000), 1);
        assert_true(zmq_recv(dealer, NULL, 0, 0) > 0);
    }
}

/* --- starting --- */

static void without_confirm_listen_nothing_answers(void **state)
{
    struct fixture *fixture = *state = fixture_prepare();
    char error[256];

    strcpy(fixture->options[1], "--publish.confirm_listen=");
    fixture_start(fixture, error, sizeof error);
    assert_string_equal(error, "");
    assert_int_equal(fixture->ingest.intake_count, 1);
    assert_false(fixture->ingest.intakes[0].answers);
}

static void an_endpoint_of_both_kinds_is_an_error_and_leaves_nothing(void **state)
{
    struct fixture *fixture = *state = fixture_prepare();
    char error[256];

    snprintf(fixture->options[1], sizeof fixture->options[1], "--publish.confirm_listen=%s", fixture->publish);
    fixture_start(fixture, error, sizeof error);
    assert_non_null(strstr(error, "somebody answers"));
    assert_int_equal(access(fixture->publish + strlen("ipc://"), F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_make, fixture_finish)
#define TEST_OF_START(name) cmocka_unit_test_setup_teardown(name, NULL, fixture_finish)
        TEST(a_socket_that_was_read_empty_is_not_asked_until_it_tells_of_something),
        TEST(no_message_is_torn_when_a_signal_comes_between_its_frames),
        TEST(both_kinds_of_publishers_have_their_turns),
        TEST(a_full_inbox_stops_both_and_room_lets_both_go_on),
        TEST(a_drain_answers_what_it_takes_in),
        TEST(answers_that_are_not_read_yet_survive_the_end),
        TEST_OF_START(without_confirm_listen_nothing_answers),
        TEST_OF_START(an_endpoint_of_both_kinds_is_an_error_and_leaves_nothing),
    };

    log_set_level(LOG_ERROR);
    if (!table_init())
        return 1;
    return cmocka_run_group_tests_name("ingest", tests, NULL, NULL);
}
