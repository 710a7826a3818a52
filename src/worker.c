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
        connection_decide(connection_of(TAILQ_FIRST(&worker->undecided)));
}

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
    if (!worker->scratch || getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed ||
        !poller_init(&worker->poller, loop, connection_ready)) {
        free(worker->scratch);
        return false;
    }
    worker->limits = (struct fcgi_limits){(size_t)settings->fastcgi_max_body, (unsigned)max_clients};
    TAILQ_INIT(&worker->idle);
    TAILQ_INIT(&worker->reading);
    TAILQ_INIT(&worker->undecided);
    TAILQ_INIT(&worker->closed);
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
    close_all(&worker->replica.idle);
    close_all(&worker->replica.ready);
    close_all(&worker->replica.blocked);
    free_closed(worker);
    poller_finish(&worker->poller);
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

void worker_drain(struct worker *worker)
{
    struct subscriber *subscriber, *next;

    worker_take_inbox(worker);
    (void)replica_flush(&worker->replica);
    worker->is_draining = true;
    for (subscriber = TAILQ_FIRST(&worker->idle); subscriber; subscriber = next) {
        next = TAILQ_NEXT(subscriber, of_state);
        connection_drain(connection_of(subscriber));
    }
    /* Who is idle may become one of the others. */
    end_all(&worker->replica, &worker->replica.blocked);
    end_all(&worker->replica, &worker->replica.ready);
    end_all(&worker->replica, &worker->replica.idle);
}

void worker_reload(struct worker *worker)
{
    worker->limits.body_bytes = (size_t)worker->settings->fastcgi_max_body;
    worker->replica.now_ms = clock_monotonic_ms();
    replica_reload(&worker->replica);
}
