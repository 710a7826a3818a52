#include "worker.h"

#include "clock.h"
#include "connection.h"
#include "hub.h"
#include "message.h"

#include <stdlib.h>
#include <sys/random.h>

/* Messages and connections that may wait; one multipart message more is always let in. */
enum { INBOX_LIMIT = 65536 };

static const struct replica_io worker_io = {
    .write = connection_write,
    .want_write = connection_want_write,
    .left = connection_left,
    .timeout = connection_timeout,
};

void worker_take_inbox(struct worker *worker)
{
    struct inbox_item item;

    worker->replica.now_ms = clock_monotonic_ms();
    while (inbox_take(&worker->inbox, &item)) {
        if (item.message) {
            replica_apply(&worker->replica, item.message);
            message_unref(item.message);
        } else if (!connection_open_take(worker, item.descriptor)) {
            worker->metrics.connections_refused++;
            worker->closed_one(worker->context);
        }
    }
}

/* A request on a kept connection bypasses the inbox: it must not be decided without a message that was published before its last byte came. */
static void decide_requests(struct worker *worker)
{
    while (!TAILQ_EMPTY(&worker->undecided) && worker->replica.number == hub_published(worker->hub))
        connection_decide(TAILQ_FIRST(&worker->undecided));
}

static void free_closed(struct worker *worker)
{
    while (!LIST_EMPTY(&worker->closed)) {
        struct connection *connection = LIST_FIRST(&worker->closed);

        LIST_REMOVE(connection, all);
        free(connection);
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

static void turn(struct worker *worker)
{
    worker_take_inbox(worker);
    decide_requests(worker);
    replica_run_timeouts(&worker->replica);
    if (replica_flush(&worker->replica) || !TAILQ_EMPTY(&worker->undecided))
        ev_idle_start(worker->loop, &worker->more);
    else
        ev_idle_stop(worker->loop, &worker->more);
    free_closed(worker);
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

/* Hub and worker are on one loop: the turn before the next sleep sees what was put in. */
static void on_notify(void *context)
{
    (void)context;
}

bool worker_init(struct worker *worker, struct ev_loop *loop, const struct settings *settings, struct hub *hub, struct event_id start,
                 size_t max_clients)
{
    uint64_t seed;

    *worker = (struct worker){.loop = loop, .settings = settings, .hub = hub, .max_clients = max_clients};
    worker->scratch = malloc(WORKER_READ_BYTES);
    if (!worker->scratch || getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        free(worker->scratch);
        return false;
    }
    worker->limits = (struct fcgi_limits){(size_t)settings->fastcgi_max_body, (unsigned)max_clients};
    LIST_INIT(&worker->connections);
    LIST_INIT(&worker->closed);
    TAILQ_INIT(&worker->undecided);
    TAILQ_INIT(&worker->idle);
    inbox_init(&worker->inbox, INBOX_LIMIT, on_notify, worker);
    decoder_init(&worker->decoder);
    replica_init(&worker->replica, settings, &worker_io, &worker->metrics, start, seed);
    worker->replica.now_ms = clock_monotonic_ms();
    ev_prepare_init(&worker->turn, on_turn);
    worker->turn.data = worker;
    ev_prepare_start(loop, &worker->turn);
    ev_idle_init(&worker->more, on_more);
    ev_timer_init(&worker->timer, on_timer, 0., 0.);
    return true;
}

void worker_finish(struct worker *worker)
{
    while (!LIST_EMPTY(&worker->connections))
        connection_close(LIST_FIRST(&worker->connections));
    free_closed(worker);
    ev_prepare_stop(worker->loop, &worker->turn);
    ev_idle_stop(worker->loop, &worker->more);
    ev_timer_stop(worker->loop, &worker->timer);
    inbox_finish(&worker->inbox);
    replica_finish(&worker->replica);
    decoder_finish(&worker->decoder);
    free(worker->scratch);
}

void worker_close_idle(struct worker *worker)
{
    struct connection *connection;

    TAILQ_FOREACH(connection, &worker->idle, waiting)
        if (connection_is_silent(connection)) {
            connection_close(connection);
            return;
        }
}

void worker_drain(struct worker *worker)
{
    struct connection *connection, *next;

    worker_take_inbox(worker);
    (void)replica_flush(&worker->replica);
    worker->is_draining = true;
    for (connection = LIST_FIRST(&worker->connections); connection; connection = next) {
        next = LIST_NEXT(connection, all);
        if (connection->state == CONNECTION_RESPONDING)
            subscriber_end(&worker->replica, &connection->subscriber);
        else
            connection_drain(connection);
    }
}

void worker_reload(struct worker *worker)
{
    worker->limits.body_bytes = (size_t)worker->settings->fastcgi_max_body;
    worker->replica.now_ms = clock_monotonic_ms();
    replica_reload(&worker->replica);
}
