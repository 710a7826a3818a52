/* Requests of real REQ and DEALER sockets, and what they are answered. Ids in answers are shown by their place in the order. */
#include "ingest_fixture.h"
#include "table.h"
#include "text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { ANSWER_BYTES = 65536 };

#define F(...) (struct span[]){__VA_ARGS__}, sizeof((struct span[]){__VA_ARGS__}) / sizeof(struct span)

/* Sends and waits; each id in the answer becomes `#`. */
static void ask(struct fixture *fixture, void *socket, const struct span *frames, size_t count, char answer[ANSWER_BYTES])
{
    char *to = answer, *from = answer;

    fixture_send(socket, frames, count);
    fixture_await(fixture, socket, answer, ANSWER_BYTES);
    while (*from)
        if (strspn(from, "0123456789-") > strlen("1763899200123")) {
            from += strspn(from, "0123456789-");
            *to++ = '#';
        } else {
            *to++ = *from++;
        }
    *to = '\0';
}

static void assert_answer(struct fixture *fixture, void *socket, const struct span *frames, size_t count, const char *wanted)
{
    static char answer[ANSWER_BYTES];

    ask(fixture, socket, frames, count, answer);
    if (strncmp(answer, wanted, strlen(wanted)) != 0)
        fail_msg("got %s, wanted %s", answer, wanted);
}

static void req_and_dealer_are_answered_with_the_id(void **state)
{
    struct fixture *fixture = *state;
    void *req = fixture_connect(fixture, ZMQ_REQ, fixture->confirm), *dealer = fixture_connect(fixture, ZMQ_DEALER, fixture->confirm);

    assert_answer(fixture, req, F(span_of("{\"channel\":\"c\",\"data\":\"1\"}")), "ok #|");
    assert_answer(fixture, req, F(span_of("c"), span_of("2")), "ok #|");
    assert_answer(fixture, req, F(span_of("c"), span_of(""), span_of("{\"ttl\":5}")), "ok #|");
    assert_answer(fixture, dealer, F(span_of("c"), span_of("4")), "ok #|");
    assert_answer(fixture, dealer, F(span_of(""), span_of("c"), span_of("5")), "|ok #|");
    assert_int_equal(fixture->hub.metrics.confirmations, 5);
    assert_int_equal(fixture->inbox.count, 5);
}

static void each_fault_is_answered_with_its_word(void **state)
{
    struct fixture *fixture = *state;
    void *req = fixture_connect(fixture, ZMQ_REQ, fixture->confirm), *dealer = fixture_connect(fixture, ZMQ_DEALER, fixture->confirm);

    fixture->settings.publish_max_bytes = 10;
    assert_answer(fixture, req, F(span_of("c"), span_of("d"), span_of("{}"), span_of("e")), "error bad_frames a message has 1 to 3 frames");
    assert_answer(fixture, dealer, F(span_of("c"), span_of("d"), span_of("{}"), span_of("e")), "error bad_frames ");
    assert_answer(fixture, dealer, F(span_of(""), span_of("1"), span_of("2"), span_of("3"), span_of("4"), span_of("5"), span_of("6")),
                  "|error bad_frames ");
    assert_answer(fixture, dealer, F(span_of(""), span_of("")), "|error bad_json ");
    assert_answer(fixture, req, F(span_of("{")), "error bad_json ");
    assert_answer(fixture, req, F(span_of("[]")), "error bad_json a batch must have at least one item|");
    assert_answer(fixture, req, F(span_of("c"), span_of("d"), span_of("{\"ttl\":0}")), "error bad_option ttl must be ");
    assert_answer(fixture, req, F(span_of("c d"), span_of("d")), "error bad_channel ");
    assert_answer(fixture, req, F(span_of("c"), span_of("\xff")), "error bad_data ");
    assert_answer(fixture, req, F(span_of("c"), span_of("12345678901")), "error too_large ");
    assert_int_equal(fixture->hub.metrics.messages_published, 0);
}

static void a_lonely_empty_frame_is_a_delimiter_without_a_message(void **state)
{
    struct fixture *fixture = *state;
    void *dealer = fixture_connect(fixture, ZMQ_DEALER, fixture->confirm);

    assert_answer(fixture, dealer, F(span_of("")), "|error bad_frames ");
}

static void a_batch_is_answered_item_by_item(void **state)
{
    struct fixture *fixture = *state;
    void *req = fixture_connect(fixture, ZMQ_REQ, fixture->confirm);

    assert_answer(fixture, req,
                  F(span_of("[{\"channel\":\"a\",\"data\":1},{\"channel\":\"a b\",\"data\":2},{\"channels\":[\"b\",\"a\"],\"data\":3},4]")),
                  "ok #|error bad_channel the channel must be a string of 1 to 255 bytes without control characters, spaces, commas and *|"
                  "ok # #|error bad_json an item of a batch must be a JSON object|");
}

static void a_repeated_key_is_answered_with_the_same_id(void **state)
{
    struct fixture *fixture = *state;
    void *req = fixture_connect(fixture, ZMQ_REQ, fixture->confirm);
    char first[ANSWER_BYTES], second[ANSWER_BYTES];

    for (int i = 0; i < 2; i++) {
        fixture_send(req, F(span_of("c"), span_of("d"), span_of("{\"key\":\"k\"}")));
        fixture_await(fixture, req, i == 0 ? first : second, ANSWER_BYTES);
    }
    assert_string_equal(first, second);
    assert_memory_equal(first, "ok 1", 4);
    assert_int_equal(fixture->hub.metrics.messages_published, 1);
}

/* The limit of a batch in answers, one frame each. */
static void ten_thousand_items_have_ten_thousand_answers(void **state)
{
    struct fixture *fixture = *state;
    void *dealer = fixture_connect(fixture, ZMQ_DEALER, fixture->confirm);
    struct text batch = TEXT_EMPTY;
    char answer[ANSWER_BYTES];
    size_t count = 0;

    for (int i = 0; i < 10000; i++)
        text_append_string(&batch, i == 0 ? "[0" : ",0");
    text_append_string(&batch, "]");
    fixture_send(dealer, F(text_span(&batch)));
    text_finish(&batch);
    for (int more = 1; more; count++) {
        size_t size = sizeof more;

        while (zmq_recv(dealer, answer, sizeof answer, ZMQ_DONTWAIT) < 0)
            ev_run(fixture->loop, EVRUN_NOWAIT);
        zmq_getsockopt(dealer, ZMQ_RCVMORE, &more, &size);
    }
    assert_int_equal(count, 10000);
}

static void who_has_gone_costs_nothing(void **state)
{
    struct fixture *fixture = *state;
    void *gone = fixture_connect(fixture, ZMQ_DEALER, fixture->confirm), *there = fixture_connect(fixture, ZMQ_REQ, fixture->confirm);
    int linger_ms = 10000;

    zmq_setsockopt(gone, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    fixture_send(gone, F(span_of("c"), span_of("1")));
    zmq_close(gone);
    fixture->sockets[0] = fixture->sockets[--fixture->socket_count];
    while (fixture->hub.metrics.confirmations < 1)
        ev_run(fixture->loop, EVRUN_NOWAIT);
    assert_answer(fixture, there, F(span_of("c"), span_of("2")), "ok #|");
    assert_int_equal(fixture->hub.metrics.messages_published, 2);
}

/* Nobody hears of an id whose message is not in the inbox: looked at when a frame is sent. */
static struct fixture *watched;
static int sent_frames;

int __real_zmq_msg_send(zmq_msg_t *frame, void *socket, int flags);
int __wrap_zmq_msg_send(zmq_msg_t *frame, void *socket, int flags);

int __wrap_zmq_msg_send(zmq_msg_t *frame, void *socket, int flags)
{
    if (watched) {
        assert_int_equal(watched->hub.metrics.messages_published, watched->inbox.count);
        sent_frames++;
    }
    return __real_zmq_msg_send(frame, socket, flags);
}

static void an_answer_comes_after_its_message(void **state)
{
    struct fixture *fixture = watched = *state;
    void *dealer = fixture_connect(fixture, ZMQ_DEALER, fixture->confirm);
    char answer[ANSWER_BYTES];

    for (int i = 0; i < 100; i++)
        fixture_send(dealer, F(span_of("c"), span_of("x")));
    for (int i = 0; i < 100; i++)
        fixture_await(fixture, dealer, answer, sizeof answer);
    assert_int_equal(sent_frames, 200);
    watched = NULL;
}

/* What would become of the answer if its memory lacked: a frame for it could not be made. */
static int fail_sizes_above = -1;

int __real_zmq_msg_init_size(zmq_msg_t *frame, size_t size);
int __wrap_zmq_msg_init_size(zmq_msg_t *frame, size_t size);

int __wrap_zmq_msg_init_size(zmq_msg_t *frame, size_t size)
{
    return fail_sizes_above >= 0 && size > (size_t)fail_sizes_above ? -1 : __real_zmq_msg_init_size(frame, size);
}

static void an_answer_that_has_no_memory_is_a_short_one(void **state)
{
    struct fixture *fixture = *state;
    void *req = fixture_connect(fixture, ZMQ_REQ, fixture->confirm);

    fail_sizes_above = 32;
    assert_answer(fixture, req, F(span_of("[{\"channel\":\"c\",\"data\":1},2]")), "ok #|error no_memory|");
    fail_sizes_above = -1;
    assert_answer(fixture, req, F(span_of("c"), span_of("x")), "ok #|");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_make, fixture_finish)
        TEST(req_and_dealer_are_answered_with_the_id),
        TEST(each_fault_is_answered_with_its_word),
        TEST(a_lonely_empty_frame_is_a_delimiter_without_a_message),
        TEST(a_batch_is_answered_item_by_item),
        TEST(a_repeated_key_is_answered_with_the_same_id),
        TEST(ten_thousand_items_have_ten_thousand_answers),
        TEST(who_has_gone_costs_nothing),
        TEST(an_answer_comes_after_its_message),
        TEST(an_answer_that_has_no_memory_is_a_short_one),
    };

    log_set_level(LOG_ERROR);
    if (!table_init())
        return 1;
    return cmocka_run_group_tests_name("confirm", tests, NULL, NULL);
}
