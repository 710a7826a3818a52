/*
 * The saver: who does what of a snapshot, and when. It knows neither what is in one (collect.h, keys.h) nor how it is kept (archive.h).
 */
#include "saver.h"

#include "clock.h"
#include "collect.h"
#include "crew.h"
#include "hub.h"
#include "snapshot.h"

#include <assert.h>

/* --- start --- */

bool saver_open(struct saver *saver, const struct settings *settings, char *error, size_t size)
{
    *saver = (struct saver){0};
    if (settings->hub_state_dir[0] == '\0') {
        if (settings->hub_snapshot_interval > 0)
            log_write(LOG_WARNING, "hub.snapshot_interval: expected a hub.state_dir to write to, there is none");
        return true;
    }
    if (!archive_open(&saver->archive, settings->hub_state_dir, error, size))
        return false;
    saver->settings = settings;
    return true;
}

void saver_load(struct saver *saver, struct event_id *start)
{
    if (!saver->settings)
        return;
    saver->snapshot = archive_load(&saver->archive, clock_wall_ms(), clock_monotonic_ms());
    if (!saver->snapshot)
        return;
    *start = event_id_max(*start, event_id_next(saver->snapshot->newest, 0));
    if (saver->snapshot->marks)
        table_set_key(saver->snapshot->table_key);
}

void saver_restore(struct saver *saver, struct hub *hub, struct crew *crew)
{
    saver->hub = hub;
    saver->crew = crew;
    if (!saver->snapshot)
        return;
    for (size_t i = 0; i < crew->count; i++)
        collect_restore(&crew_worker(crew, i)->replica, saver->snapshot);
    hub_restore(hub, saver->snapshot);
    snapshot_destroy(saver->snapshot);
    saver->snapshot = NULL;
}

/* --- at an interval --- */

static void on_collected(void *context)
{
    struct saver *saver = context;
    struct snapshot *snapshot = saver->snapshot;

    saver->snapshot = NULL;
    archive_write_take(&saver->archive, snapshot);
}

static void on_slice(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct saver *saver = watcher->data;

    (void)events;
    if (keys_collect(&saver->hub->keys, saver->snapshot, KEYS_SLICE))
        ev_timer_start(loop, watcher);
    else
        crew_collect(saver->crew, saver->snapshot, on_collected, saver);
}

/* What is taken in from now on does not belong to it: so whatever has a key in it is there, if history still has it. False: no memory; logged. */
static bool begin_snapshot(struct saver *saver)
{
    saver->snapshot = snapshot_create(clock_wall_ms(), clock_monotonic_ms());
    if (!saver->snapshot) {
        log_write(LOG_ERROR, "history: no memory for a snapshot");
        return false;
    }
    saver->snapshot->newest = saver->hub->newest;
    saver->snapshot->published = hub_published(saver->hub);
    keys_collect_begin(&saver->hub->keys, saver->snapshot);
    return true;
}

static void count(struct saver *saver)
{
    saver->hub->metrics.snapshots_written = saver->archive.written;
    saver->hub->metrics.snapshots_failed = saver->archive.failed;
}

static void on_interval(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct saver *saver = watcher->data;

    (void)events;
    if (!archive_claim(&saver->archive)) {
        log_limited(&saver->log_limit, clock_monotonic_ms(), LOG_WARNING, "history: one snapshot is still being written, the next is left out");
        return;
    }
    count(saver);
    if (begin_snapshot(saver))
        ev_timer_start(loop, &saver->slice);
    else
        archive_give_up(&saver->archive);
}

static void set_interval(struct saver *saver)
{
    saver->interval.repeat = (double)saver->settings->hub_snapshot_interval / 1000;
    ev_timer_again(saver->loop, &saver->interval);
}

bool saver_begin(struct saver *saver, struct ev_loop *loop, char *error, size_t size)
{
    if (!saver->settings)
        return true;
    if (!archive_use_up(&saver->archive, error, size))
        return false;
    saver->loop = loop;
    ev_timer_init(&saver->interval, on_interval, 0., 0.);
    ev_timer_init(&saver->slice, on_slice, 0., 0.);
    saver->interval.data = saver->slice.data = saver;
    set_interval(saver);
    return true;
}

void saver_reload(struct saver *saver)
{
    if (saver->loop)
        set_interval(saver);
}

/* --- the end --- */

/* All at once: there is no turn to be kept short, and it has to be of one moment. */
static void collect_all(struct saver *saver)
{
    struct snapshot *snapshot = saver->snapshot;
    struct worker *worker = crew_worker(saver->crew, 0);

    worker_take_inbox(worker);
    assert(worker->replica.number == snapshot->published);
    (void)keys_collect(&saver->hub->keys, snapshot, SIZE_MAX);
    collect_begin(&worker->replica, snapshot);
    (void)collect_messages(&worker->replica, snapshot, SIZE_MAX);
    collect_marks(&worker->replica, snapshot);
}

void saver_end(struct saver *saver)
{
    if (!saver->loop)
        return;
    ev_timer_stop(saver->loop, &saver->interval);
    ev_timer_stop(saver->loop, &saver->slice);
    archive_wait(&saver->archive);
    snapshot_destroy(saver->snapshot); /* one that the end came in the middle of */
    if (begin_snapshot(saver)) {
        collect_all(saver);
        archive_write_last(&saver->archive, saver->snapshot);
    }
    count(saver);
}

void saver_close(struct saver *saver)
{
    if (!saver->settings)
        return;
    archive_close(&saver->archive);
    snapshot_destroy(saver->snapshot);
    *saver = (struct saver){0};
}
