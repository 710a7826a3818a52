/* Publish requests on one loop: a worker, a hub, and the queue between them. */
#ifndef PUBLISHING_FIXTURE_H
#define PUBLISHING_FIXTURE_H

#include "connection_fixture.h"

#include "offers.h"
#include "publishing.h"
#include "state.h"

static struct offers offers;
static struct bell room;
static struct state ids;

static inline void ring_room(void *context)
{
    (void)context;
    bell_ring(&room);
}

static inline int make_with_offers(void **state)
{
    char error[64];
    struct event_id start;
    struct fixture *fixture;

    if (make(state) < 0)
        return -1;
    fixture = *state;
    if (!bell_init(&room) || !state_init(&ids, "", clock_wall_ms(), &start, error, sizeof error))
        return -1;
    if (!offers_init(&offers, fixture->loop, &fixture->hub, &room, &ids))
        return -1;
    fixture->worker.offers = &offers;
    fixture->worker.owner.took = ring_room;
    return 0;
}

static inline int finish_with_offers(void **state)
{
    struct fixture *fixture = *state;

    worker_finish(&fixture->worker);
    offers_finish(&offers);
    bell_finish(&room);
    hub_finish(&fixture->hub);
    config_finish(&fixture->settings);
    ev_loop_destroy(fixture->loop);
    free(fixture);
    return 0;
}

#define ALL "SIDECAST_PUBLISH", "**"

static inline struct call post_of(const char *query, const char *body)
{
    return (struct call){.method = "POST", .query = query, .endpoint = "publish", .keep = true, .body = span_of(body), .more = {ALL}};
}

static inline struct call document_of(const char *json)
{
    return (struct call){.method = "POST", .endpoint = "publish", .keep = true, .body = span_of(json),
                         .more = {ALL, "CONTENT_TYPE", "application/json"}};
}

static inline void ask_anew(struct peer *peer, struct call call)
{
    clear(peer);
    ask(peer, &call);
}

static inline void assert_answer(struct peer *peer, struct call call, const char *status, const char *part)
{
    ask_anew(peer, call);
    assert_starts(peer->out, status);
    assert_part(&peer->out, part);
    assert_int_equal(peer->ends, 1);
    assert_false(peer->is_over);
}

/* What is in history, as a poll shows it. */
static inline void assert_history(struct peer *peer, const char *query, const char *part)
{
    assert_answer(peer, (struct call){.query = query, .keep = true}, "Status: 200 OK\r\n", part);
}

/* No inbox has room: what is offered waits. */
static inline void fill_inbox(struct fixture *fixture)
{
    fixture->inbox->limit = 0;
}

static inline void empty_inbox(struct fixture *fixture)
{
    fixture->inbox->limit = 100;
    bell_ring(&room);
    turn(fixture);
}

/* As if its deadline had come. */
static inline void time_out(struct subscriber *waiting)
{
    waiting->ends_ms = 0;
    connection_timeout(&waiting->timeout);
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_with_offers, finish_with_offers)

#endif
