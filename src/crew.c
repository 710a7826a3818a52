/*
 * The workers and their threads. It owns both, and the two bells by which workers wake the hub. The hub never waits for a worker but in a pause, for the
 * end of the turn that runs; a worker waits for nobody else.
 */
#include "crew.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct member {
    struct worker worker;
    struct crew *crew;
    struct ev_loop *loop; /* owned; NULL: the hub's */
    pthread_t thread;
};

/* --- what workers tell, each on its thread --- */

static void on_closed(void *context)
{
    struct member *member = context;

    atomic_fetch_sub(&member->worker.inbox.open, 1);
    bell_ring(&member->crew->place);
}

static void on_idle(void *context)
{
    struct member *member = context;

    bell_ring(&member->crew->place);
}

static void on_took(void *context)
{
    struct member *member = context;

    bell_ring(&member->crew->room);
}

static void on_collected(void *context)
{
    struct crew *crew = ((struct member *)context)->crew;

    crew->collected(crew->collecting);
}

static void on_stand(void *context)
{
    struct crew *crew = ((struct member *)context)->crew;

    pthread_mutex_lock(&crew->lock);
    crew->standing++;
    pthread_cond_broadcast(&crew->changed);
    while (crew->is_paused)
        pthread_cond_wait(&crew->changed, &crew->lock);
    crew->standing--;
    pthread_cond_broadcast(&crew->changed);
    pthread_mutex_unlock(&crew->lock);
}

/* --- making and ending them --- */

static bool open_member(struct crew *crew, struct member *member, struct ev_loop *loop, const struct settings *settings, struct hub *hub,
                        struct event_id start)
{
    bool has_thread = settings->hub_workers > 1;

    member->crew = crew;
    if (has_thread) {
        loop = member->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
        if (!loop)
            return false;
    }
    if (!worker_init(&member->worker, loop, settings, hub, start, &crew->places)) {
        if (member->loop)
            ev_loop_destroy(member->loop);
        return false;
    }
    member->worker.owner = (struct worker_owner){on_closed, on_idle, on_took, on_stand, on_collected, member};
    member->worker.has_thread = has_thread;
    return true;
}

bool crew_init(struct crew *crew, struct ev_loop *loop, const struct settings *settings, struct hub *hub, struct event_id start,
               size_t max_clients)
{
    size_t count = (size_t)settings->hub_workers;

    *crew = (struct crew){.places = {.limit = max_clients}};
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->changed, NULL);
    crew->members = calloc(count, sizeof *crew->members);
    crew->inboxes = calloc(count, sizeof *crew->inboxes);
    if (!crew->members || !crew->inboxes || !bell_init(&crew->room) || !bell_init(&crew->place))
        goto failed;
    for (; crew->count < count; crew->count++) {
        if (!open_member(crew, &crew->members[crew->count], loop, settings, hub, start))
            goto failed;
        crew->inboxes[crew->count] = &crew->members[crew->count].worker.inbox;
    }
    return true;
failed:
    crew_finish(crew);
    return false;
}

void crew_finish(struct crew *crew)
{
    int error = errno;

    for (size_t i = 0; i < crew->count; i++) {
        struct member *member = &crew->members[i];

        worker_finish(&member->worker);
        if (member->loop)
            ev_loop_destroy(member->loop);
    }
    crew->count = 0;
    bell_finish(&crew->room);
    bell_finish(&crew->place);
    free(crew->inboxes);
    free(crew->members);
    pthread_cond_destroy(&crew->changed);
    pthread_mutex_destroy(&crew->lock);
    errno = error;
}

static void *run(void *context)
{
    struct member *member = context;

    ev_run(member->loop, 0);
    return NULL;
}

bool crew_start(struct crew *crew)
{
    sigset_t all, before;
    int error = 0;

    if (crew->count == 1)
        return true;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    while (error == 0 && crew->running < crew->count) {
        struct member *member = &crew->members[crew->running];

        error = pthread_create(&member->thread, NULL, run, member);
        crew->running += error == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0)
        return true;
    crew_stop(crew);
    errno = error;
    return false;
}

void crew_set_offers(struct crew *crew, struct offers *offers)
{
    for (size_t i = 0; i < crew->count; i++)
        crew_worker(crew, i)->offers = offers;
}

void crew_stop(struct crew *crew)
{
    for (size_t i = 0; i < crew->running; i++)
        worker_order(&crew->members[i].worker, WORKER_STOP);
    for (size_t i = 0; i < crew->running; i++)
        (void)pthread_join(crew->members[i].thread, NULL);
    crew->running = 0;
}

/* --- all of them --- */

void crew_set_keyring(struct crew *crew, const struct keyring *keyring)
{
    for (size_t i = 0; i < crew->count; i++)
        crew->members[i].worker.keyring = keyring;
}

void crew_order(struct crew *crew, enum worker_order order)
{
    for (size_t i = 0; i < crew->count; i++)
        worker_order(&crew->members[i].worker, order);
}

bool crew_is_alive(struct crew *crew)
{
    for (size_t i = 0; i < crew->running; i++)
        if ((atomic_load(&crew_worker(crew, i)->orders) & WORKER_ANSWER) != 0)
            return false;
    for (size_t i = 0; i < crew->running; i++)
        worker_order(crew_worker(crew, i), WORKER_ANSWER);
    return true;
}

static bool has_room(struct crew *crew)
{
    for (size_t i = 0; i < crew->count; i++)
        if (!inbox_has_room(crew->inboxes[i], 1))
            return false;
    return true;
}

void crew_wait_for_room(struct crew *crew)
{
    if (crew->running == 0)
        worker_take_inbox(&crew->members[0].worker);
    while (!has_room(crew)) {
        bell_await(&crew->room);
        if (!has_room(crew))
            bell_sleep(&crew->room, -1);
    }
}

size_t crew_open_count(const struct crew *crew)
{
    size_t count = 0;

    for (size_t i = 0; i < crew->count; i++)
        count += atomic_load(&crew->inboxes[i]->open);
    return count;
}

void crew_pause(struct crew *crew)
{
    if (crew->running == 0)
        return;
    pthread_mutex_lock(&crew->lock);
    crew->is_paused = true;
    pthread_mutex_unlock(&crew->lock);
    crew_order(crew, WORKER_STAND);
    pthread_mutex_lock(&crew->lock);
    while (crew->standing < crew->running)
        pthread_cond_wait(&crew->changed, &crew->lock);
    pthread_mutex_unlock(&crew->lock);
}

/* Waits for all to have gone on, so that the next pause counts none of them twice. */
void crew_resume(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    crew->is_paused = false;
    pthread_cond_broadcast(&crew->changed);
    while (crew->standing > 0)
        pthread_cond_wait(&crew->changed, &crew->lock);
    pthread_mutex_unlock(&crew->lock);
}

void crew_collect(struct crew *crew, struct snapshot *snapshot, void (*collected)(void *context), void *context)
{
    crew->collected = collected;
    crew->collecting = context;
    crew_worker(crew, 0)->snapshot = snapshot;
    worker_order(crew_worker(crew, 0), WORKER_COLLECT);
}

struct worker *crew_worker(struct crew *crew, size_t index)
{
    return &crew->members[index].worker;
}

void crew_add_metrics(struct crew *crew, struct metrics *sum)
{
    for (size_t i = 0; i < crew->count; i++)
        metrics_add(sum, &crew_worker(crew, i)->metrics);
}
