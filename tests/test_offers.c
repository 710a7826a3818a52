/* Offers between workers on threads and the hub, whose loop runs in the test: clients that publish, listen, and die, on two workers at once. */
#include "connection_fixture.h"

#include "crew.h"
#include "offers.h"
#include "state.h"

#include <poll.h>

enum { CREW_CLIENTS = 100, POSTS = 50 };

struct house {
    struct settings settings;
    struct ev_loop *loop;
    struct hub hub;
    struct crew crew;
    struct state ids;
    struct offers offers;
};

static int open_house(void **state, char *const *overrides)
{
    struct house *house = calloc(1, sizeof *house);
    struct config_error error;
    struct event_id start;
    char text[64];

    *state = house;
    house->loop = ev_loop_new(EVFLAG_AUTO);
    if (!config_read(&house->settings, NULL, "defaults", overrides, &error) || !state_init(&house->ids, "", clock_wall_ms(), &start, text, sizeof text) ||
        !crew_init(&house->crew, house->loop, &house->settings, &house->hub, start, CREW_CLIENTS))
        return -1;
    hub_init(&house->hub, &house->settings, start, house->crew.inboxes, house->crew.count);
    if (!offers_init(&house->offers, house->loop, &house->hub, &house->crew.room, &house->ids))
        return -1;
    crew_set_offers(&house->crew, &house->offers);
    return crew_start(&house->crew) ? 0 : -1;
}

static int make_one(void **state)
{
    static char *const overrides[] = {"--access.public=**", "--hub.pace=0", NULL};

    return open_house(state, overrides);
}

static int make_two(void **state)
{
    static char *const overrides[] = {"--access.public=**", "--hub.pace=0", "--hub.workers=2", NULL};

    return open_house(state, overrides);
}

static int close_house(void **state)
{
    struct house *house = *state;

    crew_stop(&house->crew);
    crew_finish(&house->crew);
    offers_finish(&house->offers);
    hub_finish(&house->hub);
    config_finish(&house->settings);
    ev_loop_destroy(house->loop);
    free(house);
    return 0;
}

/* Dealt out as the acceptor does it. */
static int connect_to(struct house *house, size_t index)
{
    struct inbox *inbox = house->crew.inboxes[index % house->crew.count];
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_true(inbox_reserve(inbox, 1));
    atomic_fetch_add(&inbox->open, 1);
    inbox_put_take(inbox, &(struct inbox_item){.descriptor = fds[0]}, 1);
    return fds[1];
}

/* False: the other end has closed. */
static bool try_call(int fd, const struct call *call)
{
    struct text bytes = request_of(call);
    bool is_sent = send(fd, bytes.bytes, bytes.size, MSG_NOSIGNAL) == (ssize_t)bytes.size;

    text_finish(&bytes);
    return is_sent;
}

static void send_call(int fd, const struct call *call)
{
    assert_true(try_call(fd, call));
}

static const struct call POST = {.method = "POST", .query = "channel=news", .endpoint = "publish", .keep = true, .body = {"Hello", 5},
                                 .more = {"SIDECAST_PUBLISH", "**"}};

/* Lets the hub's loop run until the bytes end as an answer does. False: the connection ended. */
static bool await_end(struct house *house, int fd, struct text *out)
{
    struct pollfd item = {.fd = fd, .events = POLLIN};
    static const char end[] = {1, FCGI_END_REQUEST, 0, 1, 0, 8, 0, 0};

    text_clear(out);
    while (out->size < FCGI_END_BYTES || memcmp(out->bytes + out->size - FCGI_END_BYTES, end, sizeof end) != 0) {
        ev_run(house->loop, EVRUN_NOWAIT);
        if (poll(&item, 1, 1) <= 0)
            continue;
        char *room = text_reserve(out, 4096);
        ssize_t got = recv(fd, room, 4096, 0);

        if (got <= 0)
            return false;
        out->size += (size_t)got;
    }
    return true;
}

static bool has(const struct text *out, const char *part)
{
    return memmem(out->bytes, out->size, part, strlen(part)) != NULL;
}

/* Its answer is there: then every worker has it, also on connections that have been there before. */
static void what_is_answered_is_in_history_on_every_worker(void **state)
{
    struct house *house = *state;
    int publisher = connect_to(house, 0), listeners[] = {connect_to(house, 0), connect_to(house, 1)};
    struct call poll_all = {.query = "channel=news&transport=poll&last=1", .keep = true};
    struct text out = TEXT_EMPTY;
    char id[EVENT_ID_TEXT];

    for (int i = 0; i < POSTS; i++) {
        send_call(publisher, &POST);
        assert_true(await_end(house, publisher, &out));
        assert_true(has(&out, "Status: 202 Accepted\r\n"));
        event_id_format(house->hub.newest, id);
        assert_true(has(&out, id));
        for (size_t j = 0; j < 2; j++) {
            send_call(listeners[j], &poll_all);
            assert_true(await_end(house, listeners[j], &out));
            assert_true(has(&out, id));
        }
    }
    assert_int_equal(house->hub.metrics.messages_published, POSTS);
    text_finish(&out);
    close(publisher);
    close(listeners[0]);
    close(listeners[1]);
}

static void on_answer(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)watcher;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

static void out_of_patience(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)watcher;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

/* Nothing else would wake it. */
static void an_offer_wakes_a_hub_that_sleeps(void **state)
{
    struct house *house = *state;
    int fd = connect_to(house, 0);
    ev_timer patience;
    ev_io answered;

    ev_timer_init(&patience, out_of_patience, 10., 0.);
    ev_io_init(&answered, on_answer, fd, EV_READ);
    ev_timer_start(house->loop, &patience);
    ev_io_start(house->loop, &answered);
    send_call(fd, &POST);
    ev_run(house->loop, 0);
    assert_int_equal(house->hub.metrics.messages_published, 1);
    ev_timer_stop(house->loop, &patience);
    ev_io_stop(house->loop, &answered);
    close(fd);
}

static void many_at_once_are_all_answered(void **state)
{
    struct house *house = *state;
    struct text out = TEXT_EMPTY;
    int fds[POSTS];

    for (size_t i = 0; i < POSTS; i++) {
        fds[i] = connect_to(house, i);
        send_call(fds[i], &POST);
    }
    for (size_t i = 0; i < POSTS; i++) {
        assert_true(await_end(house, fds[i], &out));
        assert_true(has(&out, "Status: 202 Accepted\r\n"));
        close(fds[i]);
    }
    assert_int_equal(house->hub.metrics.messages_published, POSTS);
    text_finish(&out);
}

/* Each leaves its offer somewhere on the way, and its connection is freed. */
static void who_dies_while_its_offer_is_away_leaves_nothing(void **state)
{
    struct house *house = *state;
    struct text out = TEXT_EMPTY;
    int last;

    for (size_t i = 0; i < POSTS; i++) {
        int fd = connect_to(house, i);

        send_call(fd, &POST);
        close(fd);
        ev_run(house->loop, EVRUN_NOWAIT);
    }
    last = connect_to(house, 0);
    send_call(last, &POST);
    assert_true(await_end(house, last, &out));
    while (crew_open_count(&house->crew) > 1 || house->offers.count > 0)
        ev_run(house->loop, EVRUN_NOWAIT);
    text_finish(&out);
    close(last);
}

/* The worker gives up while the hub may be about to take it: published and 202, or not and 503. */
static void a_timeout_and_the_hub_agree_on_what_is_published(void **state)
{
    struct house *house = *state;
    struct text out = TEXT_EMPTY;
    uint64_t published = 0;
    bool is_sent;
    int fd;

    crew_pause(&house->crew);
    house->settings.fastcgi_request_timeout = 1;
    crew_resume(&house->crew);
    for (int i = 0; i < POSTS; i++) {
        fd = connect_to(house, 0);
        /* On a busy machine the time may be up before the request is sent, or read. */
        is_sent = try_call(fd, &POST);
        if (i % 2 == 0)
            (void)poll(NULL, 0, 1);
        if (is_sent && await_end(house, fd, &out)) {
            published += has(&out, "Status: 202");
            assert_true(has(&out, "Status: 202") || has(&out, "Status: 503"));
        }
        close(fd);
    }
    assert_int_equal(house->hub.metrics.messages_published, published);
    text_finish(&out);
}

static void wait_for_room(void *context)
{
    crew_wait_for_room(context);
}

static void a_drain_takes_all_that_was_offered_and_then_nothing(void **state)
{
    struct house *house = *state;
    struct text out = TEXT_EMPTY;
    int fds[POSTS], answered = 0;

    for (size_t i = 0; i < POSTS; i++) {
        fds[i] = connect_to(house, i);
        send_call(fds[i], &POST);
    }
    offers_drain(&house->offers, wait_for_room, &house->crew, 10000);
    crew_order(&house->crew, WORKER_DRAIN);
    for (size_t i = 0; i < POSTS; i++) {
        assert_true(await_end(house, fds[i], &out));
        answered += has(&out, "Status: 202");
        close(fds[i]);
    }
    assert_int_equal(house->hub.metrics.messages_published, answered);
    text_finish(&out);
}

/* Not taken in, or back and not answered. */
static void what_is_on_its_way_at_the_end_is_let_go(void **state)
{
    struct house *house = *state;

    for (size_t i = 0; i < POSTS; i++) {
        int fd = connect_to(house, i);

        send_call(fd, &POST);
        if (i == POSTS / 2)
            ev_run(house->loop, EVRUN_NOWAIT);
        close(fd);
    }
}

#define ON_BOTH(name) cmocka_unit_test_setup_teardown(name, make_one, close_house), cmocka_unit_test_setup_teardown(name, make_two, close_house)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(what_is_answered_is_in_history_on_every_worker),
        ON_BOTH(an_offer_wakes_a_hub_that_sleeps),
        ON_BOTH(many_at_once_are_all_answered),
        ON_BOTH(who_dies_while_its_offer_is_away_leaves_nothing),
        cmocka_unit_test_setup_teardown(a_timeout_and_the_hub_agree_on_what_is_published, make_two, close_house),
        ON_BOTH(a_drain_takes_all_that_was_offered_and_then_nothing),
        ON_BOTH(what_is_on_its_way_at_the_end_is_let_go),
    };

    return prepare() ? cmocka_run_group_tests_name("offers", tests, NULL, NULL) : 1;
}
