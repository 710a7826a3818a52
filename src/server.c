#include "server.h"

#include "acceptor.h"
#include "clock.h"
#include "config.h"
#include "crew.h"
#include "hub.h"
#include "ingest.h"
#include "keyfile.h"
#include "log.h"
#include "offers.h"
#include "saver.h"
#include "state.h"
#include "table.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

enum {
    DESCRIPTOR_RESERVE = 256, /* for everything but clients and publishers */
    REFUSAL_ROOM = 64,        /* connections above hub.max_clients, to be refused with an answer */
};

struct server {
    struct settings *settings;
    server_read_config *read_config;
    void *context;
    struct ev_loop *loop;
    struct state state;
    struct saver saver;
    struct hub hub;
    struct crew crew;
    struct keyring keyring;
    struct acceptor acceptor;
    struct ingest ingest;
    struct offers offers;
    bool is_stopping;
    ev_io place; /* a worker closed a connection, or has one that became idle */
    ev_signal terminate, interrupt, hangup, user;
    ev_timer stop_timer;
};

/* --- limits --- */

/* Raises the descriptor limit to the hard limit, which is returned. */
static rlim_t raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 1024;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_max;
}

/* How many clients there can be so that descriptors never run out; 0: none. */
static size_t clamp_clients(const struct settings *settings)
{
    rlim_t descriptors = raise_descriptor_limit();
    int64_t wanted = settings->hub_max_clients;
    int64_t others = DESCRIPTOR_RESERVE + settings->publish_max_connections + CREW_DESCRIPTORS * (settings->hub_workers - 1);
    int64_t possible = descriptors == RLIM_INFINITY ? wanted : (int64_t)descriptors - others;

    if (possible < 1) {
        log_write(LOG_ERROR, "the descriptor limit %llu is too low: expected at least %lld (%d, publish.max_connections, %d per further worker, "
                  "and one per client)", (unsigned long long)descriptors, (long long)others + 1, DESCRIPTOR_RESERVE, CREW_DESCRIPTORS);
        return 0;
    }
    if (possible < wanted)
        log_write(LOG_NOTICE, "hub.max_clients is lowered to %lld: the descriptor limit is %llu", (long long)possible,
                  (unsigned long long)descriptors);
    return (size_t)(possible < wanted ? possible : wanted);
}

/* --- stopping --- */

static void wait_for_room(void *context)
{
    crew_wait_for_room(context);
}

static void log_metrics(struct server *server)
{
    struct metrics sum = {0};

    crew_pause(&server->crew);
    crew_add_metrics(&server->crew, &sum);
    crew_resume(&server->crew);
    metrics_log(&server->hub.metrics);
    metrics_log(&sum);
}

static void break_if_done(struct server *server)
{
    if (!server->is_stopping)
        return;
    bell_await(&server->crew.place);
    if (crew_open_count(&server->crew) == 0)
        ev_break(server->loop, EVBREAK_ALL);
}

static void on_stop_timeout(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct server *server = watcher->data;

    (void)events;
    log_write(LOG_WARNING, "stop: %zu connections did not end within hub.stop_timeout", crew_open_count(&server->crew));
    ev_break(loop, EVBREAK_ALL);
}

static void stop(struct server *server)
{
    int64_t timeout_ms = server->settings->hub_stop_timeout, began_ms = clock_monotonic_ms();

    if (server->is_stopping) {
        ev_break(server->loop, EVBREAK_ALL);
        return;
    }
    log_write(LOG_NOTICE, "stop: clients=%zu", crew_open_count(&server->crew));
    acceptor_take_waiting(&server->acceptor);
    acceptor_finish(&server->acceptor);
    ingest_drain(&server->ingest, wait_for_room, &server->crew, timeout_ms / 4);
    offers_drain(&server->offers, wait_for_room, &server->crew, timeout_ms / 4);
    timeout_ms -= clock_monotonic_ms() - began_ms;
    server->is_stopping = true;
    crew_order(&server->crew, WORKER_DRAIN);
    ev_now_update(server->loop);
    ev_timer_set(&server->stop_timer, timeout_ms > 0 ? (double)timeout_ms / 1000 : 0., 0.);
    ev_timer_start(server->loop, &server->stop_timer);
    break_if_done(server);
}

static void on_terminate(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)loop;
    (void)events;
    stop(watcher->data);
}

/* --- places for clients --- */

static void on_place(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct server *server = watcher->data;

    (void)loop;
    (void)events;
    bell_hear(&server->crew.place);
    acceptor_go_on(&server->acceptor);
    break_if_done(server);
}

static void await_place(void *context)
{
    bell_await(&((struct crew *)context)->place);
}

static void make_place(void *context)
{
    crew_order(context, WORKER_CLOSE_IDLE);
}

/* --- keys for tokens --- */

static bool read_keys(const struct settings *settings, struct keyring *keyring, char *error, size_t size)
{
    struct keyfile_paths paths = {settings->token_secret_file, settings->token_keys_file, settings->token_allow_short_keys};

    return keyfile_read(keyring, &paths, error, size);
}

/* --- reload --- */

static void report_restart(void *context, const char *section, const char *name)
{
    (void)context;
    log_write(LOG_WARNING, "reload: %s.%s needs a restart, the old value stays", section, name);
}

static void on_hangup(struct ev_loop *loop, ev_signal *watcher, int events)
{
    struct server *server = watcher->data;
    struct settings fresh;
    struct keyring keyring;
    char error[512];
    bool has_keys;

    (void)loop;
    (void)events;
    if (!server->read_config(&fresh, server->context))
        return;
    has_keys = read_keys(&fresh, &keyring, error, sizeof error);
    if (!has_keys)
        log_write(LOG_ERROR, "reload: %s; the keys for tokens stay as they were", error);
    crew_pause(&server->crew);
    config_reload_take(server->settings, &fresh, report_restart, NULL);
    if (has_keys) {
        keyring_finish(&server->keyring);
        server->keyring = keyring;
    }
    crew_order(&server->crew, WORKER_RELOAD);
    crew_resume(&server->crew);
    ingest_reload(&server->ingest, server->settings);
    saver_reload(&server->saver);
    log_set_level(server->settings->log_level);
    log_write(LOG_NOTICE, "reload: done");
}

static void on_user(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)loop;
    (void)events;
    log_metrics(watcher->data);
}

/* --- start --- */

static void watch_signal(struct server *server, ev_signal *watcher, void (*handler)(struct ev_loop *, ev_signal *, int), int number)
{
    ev_signal_init(watcher, handler, number);
    watcher->data = server;
    ev_signal_start(server->loop, watcher);
}

static void watch_signals(struct server *server)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of its write */
    watch_signal(server, &server->terminate, on_terminate, SIGTERM);
    watch_signal(server, &server->interrupt, on_terminate, SIGINT);
    watch_signal(server, &server->hangup, on_hangup, SIGHUP);
    watch_signal(server, &server->user, on_user, SIGUSR1);
    ev_timer_init(&server->stop_timer, on_stop_timeout, 0., 0.);
    server->stop_timer.data = server;
}

/* libfcgi takes SIGTERM for itself, until ours is watched: a signal in between waits. */
static bool init_libraries(struct server *server)
{
    sigset_t all, before;
    bool done;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    json_object_seed(0);
    server->loop = ev_default_loop(EVFLAG_AUTO | EVFLAG_NOENV);
    done = server->loop && table_init() && decoder_library_init();
    if (done)
        watch_signals(server);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return done;
}

static void watch_places(struct server *server)
{
    server->acceptor.owner = (struct acceptor_owner){await_place, make_place, &server->crew};
    ev_io_init(&server->place, on_place, server->crew.place.fd, EV_READ);
    server->place.data = server;
    ev_io_start(server->loop, &server->place);
}

static int run(struct server *server, size_t max_clients)
{
    const struct settings *settings = server->settings;
    struct crew *crew = &server->crew;
    struct event_id start;
    char error[512] = "no memory";
    int code = EXIT_START;

    if (!read_keys(settings, &server->keyring, error, sizeof error))
        goto no_state;
    if (!saver_open(&server->saver, settings, error, sizeof error))
        goto no_state;
    if (!state_init(&server->state, settings->hub_state_dir, clock_wall_ms(), &start, error, sizeof error))
        goto no_state;
    saver_load(&server->saver, &start);
    if (!crew_init(crew, server->loop, settings, &server->hub, start, max_clients)) {
        snprintf(error, sizeof error, "cannot make hub.workers workers: %s", strerror(errno));
        goto no_state;
    }
    crew_set_keyring(crew, &server->keyring);
    hub_init(&server->hub, settings, start, crew->inboxes, crew->count);
    if (!offers_init(&server->offers, server->loop, &server->hub, &crew->room, &server->state)) {
        snprintf(error, sizeof error, "cannot make a bell: %s", strerror(errno));
        goto no_ingest;
    }
    crew_set_offers(crew, &server->offers);
    saver_restore(&server->saver, &server->hub, crew);
    if (!ingest_init(&server->ingest, server->loop, settings, &server->hub, &crew->room, &server->state, error, sizeof error))
        goto no_ingest;
    if (!acceptor_init(&server->acceptor, server->loop, settings, crew->inboxes, crew->count, max_clients + REFUSAL_ROOM, error, sizeof error))
        goto no_acceptor;
    watch_places(server);
    if (!saver_begin(&server->saver, server->loop, error, sizeof error))
        goto no_threads;
    /* The gate of ingest stands between the workers' loops and the kernel, so it is there before them and after them. */
    if (!crew_start(crew)) {
        snprintf(error, sizeof error, "cannot start the threads of hub.workers: %s", strerror(errno));
        goto no_threads;
    }
    log_write(LOG_NOTICE, "sidecast %s is ready", SIDECAST_VERSION);
    ev_run(server->loop, 0);
    crew_stop(crew);
    saver_end(&server->saver);
    log_metrics(server);
    code = EXIT_OK;
no_threads:
    ev_io_stop(server->loop, &server->place);
    acceptor_finish(&server->acceptor);
no_acceptor:
    ingest_finish(&server->ingest);
no_ingest:
    crew_finish(crew);
    offers_finish(&server->offers); /* connections know its offers */
    hub_finish(&server->hub);
no_state:
    saver_close(&server->saver);
    keyring_finish(&server->keyring);
    if (code != EXIT_OK)
        log_write(LOG_ERROR, "start: %s", error);
    ev_loop_destroy(server->loop);
    return code;
}

int server_run(struct settings *settings, server_read_config *read_config, void *context)
{
    static struct server server; /* its address is in many watchers; there is one per process */
    size_t max_clients;

    server = (struct server){.settings = settings, .read_config = read_config, .context = context};
    log_set_level(settings->log_level);
    max_clients = clamp_clients(settings);
    if (max_clients == 0)
        return EXIT_START;
    if (!init_libraries(&server)) {
        log_write(LOG_ERROR, "start: the libraries cannot be initialized");
        return EXIT_START;
    }
    return run(&server, max_clients);
}
