/*
 * Intake. The bell is awaited before the queue is looked at, so what comes after the look wakes the loop. Room in the inboxes is waited for with the bell
 * that ingest hears.
 */
#include "intake.h"

#include "clock.h"
#include "hub.h"
#include "state.h"

enum {
    TURN_OFFERS = 256,
    TURN_BYTES = 4 * 1024 * 1024,
    QUEUE_OFFERS = 1024,
    QUEUE_BYTES = 64 * 1024 * 1024, /* one offer is always let in */
};

/* --- the queue --- */

static bool is_full(const struct intake *intake)
{
    return intake->count >= QUEUE_OFFERS || (intake->count > 0 && intake->bytes >= QUEUE_BYTES);
}

bool intake_offer_take(struct intake *intake, struct offer *offer)
{
    pthread_mutex_lock(&intake->lock);
    bool is_taken = !intake->is_closed && !is_full(intake);
    if (is_taken) {
        STAILQ_INSERT_TAIL(&intake->queue, offer, in_queue);
        intake->count++;
        intake->bytes += post_size(&offer->post);
    }
    pthread_mutex_unlock(&intake->lock);
    if (is_taken)
        bell_ring(&intake->bell);
    return is_taken;
}

/* It stays the first until it is removed: only the hub removes. */
static struct offer *first(struct intake *intake)
{
    pthread_mutex_lock(&intake->lock);
    struct offer *offer = STAILQ_FIRST(&intake->queue);
    pthread_mutex_unlock(&intake->lock);
    return offer;
}

static void remove_first(struct intake *intake, size_t bytes)
{
    pthread_mutex_lock(&intake->lock);
    STAILQ_REMOVE_HEAD(&intake->queue, in_queue);
    intake->count--;
    intake->bytes -= bytes;
    pthread_mutex_unlock(&intake->lock);
}

/* --- turns --- */

static void set_time(struct intake *intake)
{
    intake->hub->now_ms = clock_monotonic_ms();
    intake->hub->wall_ms = clock_wall_ms();
    state_reserve(intake->state, intake->hub->newest, intake->hub->wall_ms);
}

/* Whether an inbox is full. Then the worker that makes room rings. */
static bool is_stuck(struct intake *intake)
{
    if (hub_has_room(intake->hub))
        return false;
    bell_await(intake->room);
    return !hub_has_room(intake->hub);
}

/* False: no memory for its way back; tried again when a worker has taken something. */
static bool publish(struct intake *intake, struct offer *offer)
{
    hub_flush(intake->hub);
    if (!inbox_reserve(offer->inbox, 1)) {
        bell_await(intake->room);
        return false;
    }
    /* From then on it is the worker's, which may free it. */
    remove_first(intake, post_size(&offer->post));
    offer_publish_take(offer, intake->hub);
    return true;
}

/* True: there may be more. */
static bool take_offers(struct intake *intake)
{
    struct offer *offer;
    size_t bytes = 0;

    for (int i = 0; i < TURN_OFFERS && bytes < TURN_BYTES; i++) {
        offer = first(intake);
        if (!offer || is_stuck(intake))
            return false;
        size_t size = post_size(&offer->post);
        if (i == 0)
            set_time(intake);
        if (!publish(intake, offer))
            return false;
        bytes += size;
    }
    return true;
}

static void on_turn(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    struct intake *intake = watcher->data;

    (void)events;
    bell_await(&intake->bell);
    if (take_offers(intake))
        ev_idle_start(loop, &intake->more);
    else
        ev_idle_stop(loop, &intake->more);
}

static void on_offered(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct intake *intake = watcher->data;

    (void)loop;
    (void)events;
    bell_hear(&intake->bell);
}

static void on_more(struct ev_loop *loop, ev_idle *watcher, int events)
{
    (void)loop;
    (void)watcher;
    (void)events;
}

/* --- beginning and end --- */

bool intake_init(struct intake *intake, struct ev_loop *loop, struct hub *hub, struct bell *room, struct state *state)
{
    *intake = (struct intake){.loop = loop, .hub = hub, .room = room, .state = state};
    if (!bell_init(&intake->bell)) {
        intake->loop = NULL;
        return false;
    }
    pthread_mutex_init(&intake->lock, NULL);
    STAILQ_INIT(&intake->queue);
    ev_io_init(&intake->offered, on_offered, intake->bell.fd, EV_READ);
    ev_prepare_init(&intake->turn, on_turn);
    ev_idle_init(&intake->more, on_more);
    intake->offered.data = intake;
    intake->turn.data = intake;
    /* As ingest: before the worker's turn, which then finds the messages in its inbox. */
    ev_set_priority(&intake->turn, EV_MAXPRI);
    ev_io_start(loop, &intake->offered);
    ev_prepare_start(loop, &intake->turn);
    return true;
}

void intake_drain(struct intake *intake, void (*take_inbox)(void *context), void *context, int64_t limit_ms)
{
    int64_t end_ms = clock_monotonic_ms() + limit_ms;

    pthread_mutex_lock(&intake->lock);
    intake->is_closed = true;
    pthread_mutex_unlock(&intake->lock);
    while (first(intake) && clock_monotonic_ms() < end_ms) {
        (void)take_offers(intake);
        take_inbox(context);
    }
}

void intake_finish(struct intake *intake)
{
    struct offer *offer;

    if (!intake->loop)
        return;
    ev_io_stop(intake->loop, &intake->offered);
    ev_prepare_stop(intake->loop, &intake->turn);
    ev_idle_stop(intake->loop, &intake->more);
    while ((offer = STAILQ_FIRST(&intake->queue))) {
        STAILQ_REMOVE_HEAD(&intake->queue, in_queue);
        offer_destroy(offer);
    }
    bell_finish(&intake->bell);
    pthread_mutex_destroy(&intake->lock);
}
