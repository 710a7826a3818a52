#include "worker.h"

#include "clock.h"
#include "collect.h"
#include "connection.h"
#include "hub.h"
#include "message.h"
#include "publishing.h"
#include "snapshot.h"

#include <stdlib.h>
#include <sys/random.h>

enum {
    TAKE_BATCH = 256,
    TURN_ITEMS = 1024,   /* taken in before subscribers are written to */
    FRESH_MS = 100,      /* at the end: whoever has just connected is about to write its request, and would take a close for a refusal */
};

static const struct replica_io worker_io = {
    .write = connection_write,
    .want_write = connection_want_write,
    .left = connection_left,
    .timeout = connection_timeout,
};

/* --- places --- */

/* What subscribers that came and went have changed. */
static void settle_places(struct worker *worker)
{
    size_t taken = (size_t)worker->metrics.subscribers;

    if (taken == worker->places_taken)
        return;
    atomic_fetch_add(&worker->places->taken, taken - worker->places_taken); /* wraps where it is less */
    worker->places_taken = taken;
}

bool worker_take_place(struct worker *worker)
{
    settle_places(worker);
    if (atomic_fetch_add(&worker->places->taken, 1) < worker->places->limit) {
        worker->places_taken++;
        return true;
    }
    atomic_fetch_sub(&worker->places->taken, 1);
    return false;
}

/* --- the inbox --- */

static void take_item(struct worker *worker, const struct inbox_item *item)
{
    if (item->is_offer) {
        publishing_answer_take(item->offer);
    } else if (item->message) {
        replica_apply_take(&worker->replica, item->message);
    } else if (!connection_open_take(worker, item->descriptor)) {
        worker->metrics.connections_refused++;
        log_limited(&worker->lacking, worker->replica.now_ms, LOG_ERROR, "no memory for a connection: it is closed");
        worker->owner.closed_one(worker->owner.context);
    }
}

/* At least `least` items, and until `number` messages are applied, if there are so many. True: there may be more. */
static bool take_items(struct worker *worker, size_t least, uint64_t number)
{
    struct inbox_item items[TAKE_BATCH];
    size_t taken = 0, count;

    worker->replica.now_ms = clock_monotonic_ms();
    do {
        count = inbox_take(&worker->inbox, items, TAKE_BATCH);
        for (size_t i = 0; i < count; i++)
            take_item(worker, &items[i]);
        taken += count;
    } while (count == TAKE_BATCH && (taken < least || worker->replica.number < number));
    if (taken > 0 && worker->owner.took)
        worker->owner.took(worker->owner.context);
    return count == TAKE_BATCH;
}

void worker_take_inbox(struct worker *worker)
{
    (void)take_items(worker, SIZE_MAX, 0);
}

/*
 * A request on a kept connection bypasses the inbox: it must not be decided without a message that was published before its last byte came. All that are
 * undecided were whole when the turn began, so what was published then is enough. True: the inbox may hold more.
 */
static bool take_and_decide(struct worker *worker)
{
    uint64_t published = TAILQ_EMPTY(&worker->undecided) ? 0 : hub_published(worker->hub);
    bool has_more = take_items(worker, TURN_ITEMS, published);

    while (!TAILQ_EMPTY(&worker->undecided) && worker->replica.number >= published)
        connection_decide(connection_of(TAILQ_FIRST(&worker->undecided)));
    return has_more;
}

/* --- orders --- */

static void close_idle(struct worker *worker)
{
    struct subscriber *subscriber;

    TAILQ_FOREACH(subscriber, &worker->idle, of_state)
        if (connection_is_silent(connection_of(subscriber))) {
            connection_close(connection_of(subscriber));
            return;
        }
}

static void end_all(struct replica *replica, struct subscriber_queue *queue)
{
    struct subscriber *subscriber, *next;

    for (subscriber = TAILQ_FIRST(queue); subscriber; subscriber = next) {
        next = TAILQ_NEXT(subscriber, of_state);
        subscriber_end(replica, subscriber);
    }
}

static void close_silent(struct connection *connection)
{
    if (!connection_is_silent(connection))
        return;
    if (connection->keep)
        connection_close(connection);
    else
        connection_set_deadline(connection, FRESH_MS);
}

/* Nothing new begins. */
static void shut(struct worker *worker)
{
    struct subscriber *subscriber, *next;

    worker->is_draining = true;
    worker->replica.now_ms = clock_monotonic_ms();
    for (subscriber = TAILQ_FIRST(&worker->idle); subscriber; subscriber = next) {
        next = TAILQ_NEXT(subscriber, of_state);
        close_silent(connection_of(subscriber));
    }
}

static void spread(struct worker *worker)
{
    shut(worker);
    replica_spread_ends(&worker->replica, worker->settings->hub_drain);
}

static void drain(struct worker *worker)
{
    worker_take_inbox(worker);
    (void)replica_flush(&worker->replica);
    shut(worker);
    /* Who is idle may become one of the others. */
    end_all(&worker->replica, &worker->replica.blocked);
    end_all(&worker->replica, &worker->replica.ready);
    end_all(&worker->replica, &worker->replica.idle);
}

static void reload(struct worker *worker)
{
    worker->limits.body_bytes = (size_t)worker->settings->fastcgi_max_body;
    worker->replica.now_ms = clock_monotonic_ms();
    replica_reload(&worker->replica);
}

void worker_order(struct worker *worker, enum worker_order order)
{
    atomic_fetch_or(&worker->orders, (unsigned)order);
    bell_ring(&worker->bell);
}

/* Standing comes first and is looked behind, since the hub changes things meanwhile. */
static void carry_out_orders(struct worker *worker)
{
    unsigned orders;

    while ((orders = atomic_load(&worker->orders)) != 0) {
        if ((orders & WORKER_STAND) != 0) {
            atomic_fetch_and(&worker->orders, ~(unsigned)WORKER_STAND);
            worker->owner.stand(worker->owner.context);
            continue;
        }
        atomic_fetch_and(&worker->orders, ~orders);
        if ((orders & WORKER_RELOAD) != 0)
            reload(worker);
        if ((orders & WORKER_CLOSE_IDLE) != 0)
            close_idle(worker);
        if ((orders & WORKER_SPREAD) != 0)
            spread(worker);
        if ((orders & WORKER_DRAIN) != 0)
            drain(worker);
        if ((orders & WORKER_COLLECT) != 0)
            worker->is_asked = true;
        if ((orders & WORKER_STOP) != 0)
            ev_break(worker->loop, EVBREAK_ALL);
    }
}

/* --- the turn --- */

static void free_closed(struct worker *worker)
{
    while (!TAILQ_EMPTY(&worker->closed)) {
        struct subscriber *subscriber = TAILQ_FIRST(&worker->closed);

        TAILQ_REMOVE(&worker->closed, subscriber, of_state);
        free(connection_of(subscriber));
    }
}

static void set_timer(struct worker *worker)
{
    int64_t due_ms = timeouts_due_ms(&worker->replica.timeouts);
    int64_t left_ms = due_ms - clock_monotonic_ms();

    ev_timer_stop(worker->loop, &worker->timer);
    if (due_ms == TIMEOUTS_NEVER)
        return;
    ev_now_update(worker->loop);
    ev_timer_set(&worker->timer, left_ms > 0 ? (double)left_ms / 1000 : 0., 0.);
    ev_timer_start(worker->loop, &worker->timer);
}

/* Whether the loop may sleep: what comes from now on rings. On the hub's loop what comes is seen by the turn before the next sleep. */
static bool may_sleep(struct worker *worker)
{
    if (!worker->has_thread)
        return true;
    bell_await(&worker->bell);
    return inbox_is_empty(&worker->inbox) && atomic_load(&worker->orders) == 0;
}

/* A slice of the snapshot. True: there is more. */
static bool collect(struct worker *worker)
{
    /* Only once all messages are here that belong to it. */
    if (worker->is_asked && worker->replica.number >= worker->snapshot->published) {
        worker->is_asked = false;
        worker->is_collecting = true;
        collect_begin(&worker->replica, worker->snapshot);
    }
    if (!worker->is_collecting || collect_messages(&worker->replica, worker->snapshot, COLLECT_SLICE))
        return worker->is_collecting;
    worker->is_collecting = false;
    worker->owner.collected(worker->owner.context);
    return false;
}

static void turn(struct worker *worker)
{
    bool has_more;

    carry_out_orders(worker);
    has_more = take_and_decide(worker);
    has_more |= collect(worker);
    replica_run_timeouts(&worker->replica);
    has_more |= replica_flush(&worker->replica);
    free_closed(worker);
    settle_places(worker);
    if (has_more || !may_sleep(worker))
        ev_idle_start(worker->loop, &worker->more);
    else
        ev_idle_stop(worker->loop, &worker->more);
    set_timer(worker);
}

static void on_turn(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    (void)loop;
    (void)events;
    turn(watcher->data);
}

/* The turn before the next sleep does the work. */
static void on_timer(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)watcher;
    (void)events;
}

static void on_more(struct ev_loop *loop, ev_idle *watcher, int events)
{
    (void)loop;
    (void)watcher;
    (void)events;
}

static void on_rung(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct worker *worker = watcher->data;

    (void)loop;
    (void)events;
    bell_hear(&worker->bell);
}

static void on_notify(void *context)
{
    struct worker *worker = context;

    bell_ring(&worker->bell);
}

bool worker_init(struct worker *worker, struct ev_loop *loop, const struct settings *settings, struct hub *hub, struct event_id start,
                 struct places *places)
{
    uint64_t seed;

    *worker = (struct worker){.loop = loop, .settings = settings, .hub = hub, .places = places};
    worker->scratch = malloc(WORKER_READ_BYTES);
    if (!worker->scratch || getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed || !bell_init(&worker->bell)) {
        free(worker->scratch);
        return false;
    }
    if (!poller_init(&worker->poller, loop, connection_ready)) {
        bell_finish(&worker->bell);
        free(worker->scratch);
        return false;
    }
    worker->limits = (struct fcgi_limits){(size_t)settings->fastcgi_max_body, (unsigned)places->limit};
    TAILQ_INIT(&worker->idle);
    TAILQ_INIT(&worker->reading);
    TAILQ_INIT(&worker->undecided);
    TAILQ_INIT(&worker->offered);
    TAILQ_INIT(&worker->closed);
    inbox_init(&worker->inbox, INBOX_ITEMS, on_notify, worker);
    decoder_init(&worker->decoder);
    replica_init(&worker->replica, settings, &worker_io, &worker->metrics, start, seed);
    worker->replica.now_ms = clock_monotonic_ms();
    ev_prepare_init(&worker->turn, on_turn);
    worker->turn.data = worker;
    ev_prepare_start(loop, &worker->turn);
    ev_io_init(&worker->rung, on_rung, worker->bell.fd, EV_READ);
    worker->rung.data = worker;
    ev_io_start(loop, &worker->rung);
    ev_idle_init(&worker->more, on_more);
    ev_timer_init(&worker->timer, on_timer, 0., 0.);
    return true;
}

static void close_all(struct subscriber_queue *queue)
{
    while (!TAILQ_EMPTY(queue))
        connection_close(connection_of(TAILQ_FIRST(queue)));
}

void worker_finish(struct worker *worker)
{
    close_all(&worker->idle);
    close_all(&worker->reading);
    close_all(&worker->undecided);
    close_all(&worker->offered);
    close_all(&worker->replica.idle);
    close_all(&worker->replica.ready);
    close_all(&worker->replica.blocked);
    free_closed(worker);
    poller_finish(&worker->poller);
    ev_prepare_stop(worker->loop, &worker->turn);
    ev_io_stop(worker->loop, &worker->rung);
    ev_idle_stop(worker->loop, &worker->more);
    ev_timer_stop(worker->loop, &worker->timer);
    settle_places(worker);
    bell_finish(&worker->bell);
    inbox_finish(&worker->inbox);
    replica_finish(&worker->replica);
    decoder_finish(&worker->decoder);
    free(worker->scratch);
}
