/* Ingest with a real publisher, while signals interrupt its calls. */
#include "ingest.h"

#include "clock.h"
#include "config.h"
#include "message.h"
#include "state.h"
#include "table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <unistd.h>
#include <zmq.h>

enum { MESSAGES = 200, INBOX_LIMIT = 1000 };

struct fixture {
    char directory[32], endpoint[80], option[112];
    struct settings settings;
    struct ev_loop *loop;
    struct inbox inbox;
    struct inbox *inboxes[1];
    struct bell room;
    struct state state;
    struct hub hub;
    struct ingest ingest;
    void *zmq, *publisher;
};

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

/* --- set-up --- */

static void ignore(void *context)
{
    (void)context;
}

static int make(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    char *overrides[] = {fixture->option, NULL};
    struct event_id start = {clock_wall_ms(), 0};
    struct config_error error;
    char text[256];

    *state = fixture;
    strcpy(fixture->directory, "/tmp/ingest.XXXXXX");
    if (!mkdtemp(fixture->directory))
        return -1;
    snprintf(fixture->endpoint, sizeof fixture->endpoint, "ipc://%s/socket", fixture->directory);
    snprintf(fixture->option, sizeof fixture->option, "--publish.listen=%s", fixture->endpoint);
    fixture->loop = ev_loop_new(EVFLAG_AUTO);
    inbox_init(&fixture->inbox, INBOX_LIMIT, ignore, NULL);
    fixture->inboxes[0] = &fixture->inbox;
    if (!config_read(&fixture->settings, NULL, "defaults", overrides, &error) || !bell_init(&fixture->room) ||
        !state_init(&fixture->state, "", start.ms, &start, text, sizeof text))
        return -1;
    hub_init(&fixture->hub, &fixture->settings, start, fixture->inboxes, 1);
    if (!ingest_init(&fixture->ingest, fixture->loop, &fixture->settings, &fixture->hub, &fixture->room, &fixture->state, text, sizeof text))
        return -1;
    fixture->zmq = zmq_ctx_new();
    fixture->publisher = zmq_socket(fixture->zmq, ZMQ_PUSH);
    return zmq_connect(fixture->publisher, fixture->endpoint);
}

static int finish(void **state)
{
    struct fixture *fixture = *state;

    zmq_close(fixture->publisher);
    zmq_ctx_term(fixture->zmq);
    ingest_finish(&fixture->ingest);
    hub_finish(&fixture->hub);
    inbox_finish(&fixture->inbox);
    bell_finish(&fixture->room);
    config_finish(&fixture->settings);
    ev_loop_destroy(fixture->loop);
    rmdir(fixture->directory);
    free(fixture);
    return 0;
}

static void no_message_is_torn_when_a_signal_comes_between_its_frames(void **state)
{
    struct fixture *fixture = *state;
    const struct metrics *metrics = &fixture->hub.metrics;

    for (int i = 0; i < MESSAGES; i++) {
        assert_int_equal(zmq_send(fixture->publisher, "news", 4, ZMQ_SNDMORE), 4);
        assert_int_equal(zmq_send(fixture->publisher, "data", 4, 0), 4);
    }
    while (metrics->messages_published + metrics->dropped_bad_json < MESSAGES)
        ev_run(fixture->loop, EVRUN_NOWAIT);
    assert_true(interrupted > MESSAGES / 2);
    assert_int_equal(metrics->dropped_bad_json, 0);
    assert_int_equal(metrics->messages_published, MESSAGES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_message_is_torn_when_a_signal_comes_between_its_frames, make, finish),
    };

    log_set_level(LOG_ERROR);
    if (!table_init())
        return 1;
    return cmocka_run_group_tests_name("ingest", tests, NULL, NULL);
}
