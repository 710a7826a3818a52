/*
 * Offers. The bell is awaited before the queue is looked at, so what comes after the look wakes the loop. Room in the inboxes is waited for with the bell
 * that ingest hears.
 */
#include "offers.h"

#include "clock.h"
#include "hub.h"
#include "state.h"

enum {
    TURN_OFFERS = 256,
    TURN_BYTES = 4 * 1024 * 1024,
};

/* --- the queue --- */

static bool is_full(const struct offers *offers)
{
    return offers->count >= OFFERS_COUNT || (offers->count > 0 && offers->bytes >= OFFERS_BYTES);
}

bool offers_put_take(struct offers *offers, struct offer *offer)
{
    pthread_mutex_lock(&offers->lock);
    bool is_taken = !offers->is_closed && !is_full(offers);
    if (is_taken) {
        STAILQ_INSERT_TAIL(&offers->queue, offer, in_queue);
        offers->count++;
        offers->bytes += post_size(&offer->post);
    }
    pthread_mutex_unlock(&offers->lock);
    if (is_taken)
        bell_ring(&offers->bell);
    return is_taken;
}

/* It stays the first until it is removed: only the hub removes. */
static struct offer *first(struct offers *offers)
{
    pthread_mutex_lock(&offers->lock);
    struct offer *offer = STAILQ_FIRST(&offers->queue);
    pthread_mutex_unlock(&offers->lock);
    return offer;
}

static void remove_first(struct offers *offers, size_t bytes)
{
    pthread_mutex_lock(&offers->lock);
    STAILQ_REMOVE_HEAD(&offers->queue, in_queue);
    offers->count--;
    offers->bytes -= bytes;
    pthread_mutex_unlock(&offers->lock);
}

/* --- turns --- */

static void set_time(struct offers *offers)
{
    offers->hub->now_ms = clock_monotonic_ms();
    offers->hub->wall_ms = clock_wall_ms();
    state_reserve(offers->state, offers->hub->newest, offers->hub->wall_ms);
}

/* Whether an inbox is full. Then the worker that makes room rings. */
static bool is_stuck(struct offers *offers)
{
    if (hub_has_room(offers->hub))
        return false;
    bell_await(offers->room);
    return !hub_has_room(offers->hub);
}

/* False: no memory for its way back; tried again when a worker has taken something. */
static bool publish(struct offers *offers, struct offer *offer)
{
    hub_flush(offers->hub);
    if (!inbox_reserve(offer->inbox, 1)) {
        bell_await(offers->room);
        return false;
    }
    /* From then on it is the worker's, which may free it. */
    remove_first(offers, post_size(&offer->post));
    offer_publish_take(offer, offers->hub);
    return true;
}

/* True: there may be more. */
static bool take_offers(struct offers *offers)
{
    struct offer *offer;
    size_t bytes = 0;

    for (int i = 0; i < TURN_OFFERS && bytes < TURN_BYTES; i++) {
        offer = first(offers);
        if (!offer || is_stuck(offers))
            return false;
        size_t size = post_size(&offer->post);
        if (i == 0)
            set_time(offers);
        if (!publish(offers, offer))
            return false;
        bytes += size;
    }
    return true;
}

static void on_turn(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    struct offers *offers = watcher->data;

    (void)events;
    bell_await(&offers->bell);
    if (take_offers(offers))
        ev_idle_start(loop, &offers->more);
    else
        ev_idle_stop(loop, &offers->more);
}

static void on_offered(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct offers *offers = watcher->data;

    (void)loop;
    (void)events;
    bell_hear(&offers->bell);
}

static void on_more(struct ev_loop *loop, ev_idle *watcher, int events)
{
    (void)loop;
    (void)watcher;
    (void)events;
}

/* --- beginning and end --- */

bool offers_init(struct offers *offers, struct ev_loop *loop, struct hub *hub, struct bell *room, struct state *state)
{
    *offers = (struct offers){.loop = loop, .hub = hub, .room = room, .state = state};
    if (!bell_init(&offers->bell)) {
        offers->loop = NULL;
        return false;
    }
    pthread_mutex_init(&offers->lock, NULL);
    STAILQ_INIT(&offers->queue);
    ev_io_init(&offers->offered, on_offered, offers->bell.fd, EV_READ);
    ev_prepare_init(&offers->turn, on_turn);
    ev_idle_init(&offers->more, on_more);
    offers->offered.data = offers;
    offers->turn.data = offers;
    /* As ingest: before the worker's turn, which then finds the messages in its inbox. */
    ev_set_priority(&offers->turn, EV_MAXPRI);
    ev_io_start(loop, &offers->offered);
    ev_prepare_start(loop, &offers->turn);
    return true;
}

void offers_drain(struct offers *offers, void (*take_inbox)(void *context), void *context, int64_t limit_ms)
{
    int64_t end_ms = clock_monotonic_ms() + limit_ms;

    pthread_mutex_lock(&offers->lock);
    offers->is_closed = true;
    pthread_mutex_unlock(&offers->lock);
    while (first(offers) && clock_monotonic_ms() < end_ms) {
        (void)take_offers(offers);
        take_inbox(context);
    }
}

void offers_finish(struct offers *offers)
{
    struct offer *offer;

    if (!offers->loop)
        return;
    ev_io_stop(offers->loop, &offers->offered);
    ev_prepare_stop(offers->loop, &offers->turn);
    ev_idle_stop(offers->loop, &offers->more);
    while ((offer = STAILQ_FIRST(&offers->queue))) {
        STAILQ_REMOVE_HEAD(&offers->queue, in_queue);
        offer_destroy(offer);
    }
    bell_finish(&offers->bell);
    pthread_mutex_destroy(&offers->lock);
}
