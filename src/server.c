#include "server.h"

#include "acceptor.h"
#include "activation.h"
#include "clock.h"
#include "config.h"
#include "crew.h"
#include "hub.h"
#include "ingest.h"
#include "keyfile.h"
#include "log.h"
#include "notify.h"
#include "offers.h"
#include "saver.h"
#include "state.h"
#include "table.h"
#include "wire.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { DESCRIPTOR_RESERVE = 256 }; /* for everything but clients and publishers */

static const char READY[] = "READY=1\nSTATUS=messages are taken in, clients served";

struct server {
    struct settings *settings;
    server_read_config *read_config;
    void *context;
    struct ev_loop *loop;
    struct activation passed;
    struct notify notify;
    struct state state;
    struct saver saver;
    struct hub hub;
    struct crew crew;
    struct keyring keyring;
    struct acceptor acceptor;
    struct ingest ingest;
    struct offers offers;
    int64_t ending_ms;   /* monotonic clock: when the end was asked for; 0: it was not */
    bool is_stopping;
    ev_io place; /* a worker closed a connection, or has one that became idle */
    ev_signal terminate, interrupt, hangup, user;
    ev_timer drain_timer, stop_timer;
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
    server->hub.metrics.connections_refused = server->acceptor.refused;
    metrics_log(&server->hub.metrics);
    metrics_log(&sum);
}

/* When it is not, the close of a connection is told. */
static bool is_empty(struct server *server)
{
    bell_await(&server->crew.place);
    return crew_open_count(&server->crew) == 0;
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
    int64_t end_ms = server->ending_ms + server->settings->hub_stop_timeout, timeout_ms = end_ms - clock_monotonic_ms();

    ev_timer_stop(server->loop, &server->drain_timer);
    acceptor_stop(&server->acceptor);
    ingest_drain(&server->ingest, wait_for_room, &server->crew, timeout_ms / 4);
    offers_drain(&server->offers, wait_for_room, &server->crew, timeout_ms / 4);
    timeout_ms = end_ms - clock_monotonic_ms();
    server->is_stopping = true;
    crew_order(&server->crew, WORKER_DRAIN);
    ev_now_update(server->loop);
    ev_timer_set(&server->stop_timer, timeout_ms > 0 ? (double)timeout_ms / 1000 : 0., 0.);
    ev_timer_start(server->loop, &server->stop_timer);
    if (is_empty(server))
        ev_break(server->loop, EVBREAK_ALL);
}

/* Messages are taken in and delivered meanwhile. Whoever comes waits for the next server where that can be, and is refused where it cannot. */
static void drain(struct server *server)
{
    acceptor_leave_passed(&server->acceptor);
    crew_order(&server->crew, WORKER_SPREAD);
    ev_now_update(server->loop);
    ev_timer_set(&server->drain_timer, (double)server->settings->hub_drain / 1000, 0.);
    ev_timer_start(server->loop, &server->drain_timer);
}

static void on_drained(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    stop(watcher->data);
}

/* A connection was closed. What is left of the time need not pass when there is none. */
static void go_on_ending(struct server *server)
{
    if (server->ending_ms == 0 || !is_empty(server))
        return;
    if (server->is_stopping)
        ev_break(server->loop, EVBREAK_ALL);
    else
        stop(server);
}

/* A further signal skips what is left of the time. */
static void on_terminate(struct ev_loop *loop, ev_signal *watcher, int events)
{
    struct server *server = watcher->data;

    (void)events;
    if (server->is_stopping) {
        ev_break(loop, EVBREAK_ALL);
    } else if (server->ending_ms > 0) {
        stop(server);
    } else {
        server->ending_ms = clock_monotonic_ms();
        log_write(LOG_NOTICE, "stop: clients=%zu", crew_open_count(&server->crew));
        notify_send(&server->notify, "STOPPING=1\nSTATUS=streams are ended, the last messages taken in");
        if (server->settings->hub_drain == 0 || is_empty(server))
            stop(server);
        else
            drain(server);
    }
}

/* --- places for clients --- */

static void on_place(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct server *server = watcher->data;

    (void)loop;
    (void)events;
    bell_hear(&server->crew.place);
    acceptor_go_on(&server->acceptor);
    go_on_ending(server);
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

static void reload(struct server *server)
{
    struct settings fresh;
    struct keyring keyring;
    char error[512];
    bool has_keys;

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

static void on_hangup(struct ev_loop *loop, ev_signal *watcher, int events)
{
    struct server *server = watcher->data;
    char lines[64];

    (void)loop;
    (void)events;
    if (server->ending_ms > 0)
        return; /* READY would take STOPPING back */
    snprintf(lines, sizeof lines, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_monotonic_ms() * 1000);
    notify_send(&server->notify, lines);
    reload(server);
    notify_send(&server->notify, READY);
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
    ev_timer_init(&server->drain_timer, on_drained, 0., 0.);
    server->drain_timer.data = server;
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
    wire_library_init();
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

/* What the process was started with. */
static bool read_environment(struct server *server, char *error, size_t size)
{
    struct activation_environment passed = {getenv("LISTEN_PID"), getenv("LISTEN_FDS"), getenv("LISTEN_FDNAMES")};
    struct notify_environment told = {getenv("NOTIFY_SOCKET"), getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID")};

    notify_init(&server->notify, &told, getpid());
    return activation_read(&server->passed, &passed, getpid(), ACTIVATION_FIRST, error, size) &&
           activation_is_allowed(&server->passed, server->settings, error, size);
}

static bool is_crew_alive(void *context)
{
    return crew_is_alive(context);
}

/* Until it is told to end. */
static void serve(struct server *server)
{
    log_write(LOG_NOTICE, "sidecast %s is ready", SIDECAST_VERSION);
    notify_send(&server->notify, READY);
    notify_watch(&server->notify, server->loop, is_crew_alive, &server->crew);
    ev_run(server->loop, 0);
    crew_stop(&server->crew);
    saver_end(&server->saver);
    log_metrics(server);
}

/* With what the life before has left; `start` is above all of its ids. */
static bool read_state(struct server *server, struct event_id *start, char *error, size_t size)
{
    const struct settings *settings = server->settings;

    if (!read_environment(server, error, size) || !read_keys(settings, &server->keyring, error, size) ||
        !saver_open(&server->saver, settings, error, size) ||
        !state_init(&server->state, settings->hub_state_dir, clock_wall_ms(), start, error, size))
        return false;
    saver_load(&server->saver, start);
    return true;
}

/* The gate of ingest stands between the workers' loops and the kernel, so it is there before them and after them. */
static bool start_and_serve(struct server *server, char *error, size_t size)
{
    if (!crew_start(&server->crew)) {
        snprintf(error, size, "cannot start the threads of hub.workers: %s", strerror(errno));
        return false;
    }
    /* The last: a start that fails has not used up what the life before has left. */
    if (!saver_begin(&server->saver, server->loop, error, size)) {
        crew_stop(&server->crew);
        return false;
    }
    serve(server);
    return true;
}

static bool open_and_serve(struct server *server, size_t max_clients, char *error, size_t size)
{
    const struct settings *settings = server->settings;
    struct crew *crew = &server->crew;
    bool done = false;

    if (!ingest_init(&server->ingest, server->loop, settings, &server->passed, &server->hub, &crew->room, &server->state, error, size))
        return false;
    if (acceptor_init(&server->acceptor, server->loop, settings, &server->passed, crew->inboxes, crew->count, max_clients + ACCEPTOR_REFUSAL_ROOM, error, size)) {
        watch_places(server);
        done = start_and_serve(server, error, size);
        ev_io_stop(server->loop, &server->place);
        acceptor_finish(&server->acceptor);
    }
    ingest_finish(&server->ingest);
    return done;
}

static bool make_and_serve(struct server *server, size_t max_clients, struct event_id start, char *error, size_t size)
{
    const struct settings *settings = server->settings;
    struct crew *crew = &server->crew;
    bool done = false;

    if (!crew_init(crew, server->loop, settings, &server->hub, start, max_clients)) {
        snprintf(error, size, "cannot make hub.workers workers: %s", strerror(errno));
        return false;
    }
    crew_set_keyring(crew, &server->keyring);
    hub_init(&server->hub, settings, start, crew->inboxes, crew->count);
    if (offers_init(&server->offers, server->loop, &server->hub, &crew->room, &server->state)) {
        crew_set_offers(crew, &server->offers);
        saver_restore(&server->saver, &server->hub, crew);
        done = open_and_serve(server, max_clients, error, size);
    } else {
        snprintf(error, size, "cannot make a bell: %s", strerror(errno));
    }
    crew_finish(crew);
    offers_finish(&server->offers); /* connections know its offers */
    hub_finish(&server->hub);
    return done;
}

static int run(struct server *server, size_t max_clients)
{
    struct event_id start;
    char error[512] = "no memory";
    bool done = read_state(server, &start, error, sizeof error) && make_and_serve(server, max_clients, start, error, sizeof error);

    notify_finish(&server->notify);
    saver_close(&server->saver);
    keyring_finish(&server->keyring);
    if (!done)
        log_write(LOG_ERROR, "start: %s", error);
    ev_loop_destroy(server->loop);
    return done ? EXIT_OK : EXIT_START;
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
    errno = 0;
    if (!init_libraries(&server)) {
        log_write(LOG_ERROR, "start: the libraries cannot be initialized: %s", errno ? strerror(errno) : "no memory or descriptor");
        return EXIT_START;
    }
    return run(&server, max_clients);
}
