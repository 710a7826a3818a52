/*
 * Ingest. ZMQ_FD is edge-triggered (intake.c): a socket that told of something is read until it is empty, and where a turn stops before that it keeps the
 * loop awake itself, because the descriptor will not.
 */
#include "ingest.h"

#include "clock.h"
#include "confirm.h"
#include "curve.h"
#include "gate.h"
#include "state.h"

#include <errno.h>
#include <stdio.h>

enum {
    TURN_MESSAGES = 1024,
    TURN_BYTES = 4 * 1024 * 1024,
    QUIET_MS = 20, /* a publisher that sent nothing for so long has nothing on the way within this machine */
};

/* --- the turn --- */

/* The bytes of one message that was handed on; 0 when there is none. */
static size_t take_message(struct ingest *ingest, struct intake *intake, struct intake_message *message)
{
    if (!intake_receive(intake, message))
        return 0;
    if (intake->answers)
        confirm_take(ingest->hub, intake, message);
    else
        hub_take_frames(ingest->hub, message->spans, message->count, NULL);
    return message->bytes;
}

static void set_time(struct ingest *ingest)
{
    ingest->hub->now_ms = clock_monotonic_ms();
    ingest->hub->wall_ms = clock_wall_ms();
    state_reserve(ingest->state, ingest->hub->newest, ingest->hub->wall_ms);
}

/* Whether an inbox is full. Then the worker that makes room rings. */
static bool is_stuck(struct ingest *ingest)
{
    if (hub_has_room(ingest->hub))
        return false;
    bell_await(ingest->room);
    return !hub_has_room(ingest->hub);
}

/* One message of each socket in turns; NULL: all were read empty. */
static struct intake *next_intake(struct ingest *ingest)
{
    for (size_t i = 0; i < ingest->intake_count; i++) {
        struct intake *intake = &ingest->intakes[ingest->next];

        ingest->next = ingest->next + 1 < ingest->intake_count ? ingest->next + 1 : 0;
        if (intake->has_more)
            return intake;
    }
    return NULL;
}

/* The same of the next socket that has one; 0 when none has. */
static size_t take_next(struct ingest *ingest, struct intake_message *message)
{
    struct intake *intake;

    while ((intake = next_intake(ingest))) {
        size_t taken = take_message(ingest, intake, message);

        if (taken > 0)
            return taken;
        intake->has_more = false;
    }
    return 0;
}

enum turn { TURN_EMPTY, TURN_MORE, TURN_STUCK };

static enum turn take_messages(struct ingest *ingest, struct intake_message *message)
{
    size_t bytes = 0, taken;

    for (int i = 0; i < TURN_MESSAGES && bytes < TURN_BYTES; i++) {
        if (is_stuck(ingest)) {
            ingest->hub->metrics.ingest_pauses++;
            return TURN_STUCK;
        }
        taken = take_next(ingest, message);
        if (taken == 0)
            return TURN_EMPTY;
        bytes += taken;
    }
    return TURN_MORE;
}

static enum turn take_turn(struct ingest *ingest)
{
    struct intake_message message;
    enum turn turn;
    bool any = false;

    for (size_t i = 0; i < ingest->intake_count; i++)
        any |= ingest->intakes[i].has_more;
    if (!any)
        return TURN_EMPTY;
    set_time(ingest);
    intake_message_init(&message);
    turn = take_messages(ingest, &message);
    intake_message_finish(&message);
    hub_flush(ingest->hub);
    return turn;
}

static void take_events(struct ingest *ingest)
{
    struct metrics *metrics = &ingest->hub->metrics;
    bool any = false;

    for (size_t i = 0; i < ingest->intake_count; i++)
        any |= intake_take_events(&ingest->intakes[i], metrics);
    if (!any)
        return;
    metrics->publishers = gate_count();
    metrics->publishers_refused = gate_refused();
}

static void on_turn(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    struct ingest *ingest = watcher->data;

    (void)events;
    take_events(ingest);
    zap_take(&ingest->zap);
    if (take_turn(ingest) == TURN_MORE)
        ev_idle_start(loop, &ingest->more);
    else
        ev_idle_stop(loop, &ingest->more);
}

static void on_more(struct ev_loop *loop, ev_idle *watcher, int events)
{
    (void)loop;
    (void)watcher;
    (void)events;
}

/* A worker has taken something out of its inbox. */
static void on_room(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct ingest *ingest = watcher->data;

    (void)loop;
    (void)events;
    bell_hear(ingest->room);
}

/* --- set-up --- */

static bool has_curve(const struct intake_kind *kind, const char *name)
{
    return kind->curve_secret && strncmp(name, "tcp://", strlen("tcp://")) == 0;
}

/* Where publishers of one kind come. */
struct source {
    enum activation_name name;
    const struct string_list *configured;
    const struct activation *passed;
    struct intake_kind kind;
};

/* The socket for those places that are, or are not, to have CURVE, if there are any. */
static bool open_intake(struct ingest *ingest, const struct settings *settings, const struct source *source, bool with_curve, char *error, size_t size)
{
    struct intake *intake = NULL;
    struct intake_kind own = {source->kind.answers, with_curve ? source->kind.curve_secret : NULL};
    size_t count = activation_count(source->passed, source->name, source->configured);

    for (size_t i = 0; i < count; i++) {
        struct activation_place place = activation_place(source->passed, source->name, source->configured, i);

        if (has_curve(&source->kind, place.name) != with_curve)
            continue;
        if (!intake) {
            intake = &ingest->intakes[ingest->intake_count++];
            if (!intake_open(intake, ingest->loop, ingest->zmq, settings, &own)) {
                snprintf(error, size, "cannot start ZeroMQ: %s", zmq_strerror(errno));
                return false;
            }
        }
        if (!intake_listen(intake, settings, &place, error, size))
            return false;
        log_write(LOG_NOTICE, "%s listens on %s%s%s", own.answers ? "publish.confirm" : "publish",
                  intake->endpoints[intake->endpoint_count - 1].endpoint, with_curve ? " with CURVE" : "", place.fd < 0 ? "" : ", which was passed in");
    }
    return true;
}

static bool open_intakes(struct ingest *ingest, const struct settings *settings, const struct activation *passed, const char *curve_secret, char *error,
                         size_t size)
{
    struct source publish = {ACTIVATION_PUBLISH, &settings->publish_listen, passed, {false, curve_secret}};
    struct source confirm = {ACTIVATION_CONFIRM, &settings->publish_confirm_listen, passed, {true, curve_secret}};

    return open_intake(ingest, settings, &publish, false, error, size) && open_intake(ingest, settings, &publish, true, error, size) &&
           open_intake(ingest, settings, &confirm, false, error, size) && open_intake(ingest, settings, &confirm, true, error, size);
}

static bool open_zmq(struct ingest *ingest, const struct settings *settings, char *error, size_t size)
{
    ingest->zmq = zmq_ctx_new();
    if (ingest->zmq && gate_init((size_t)settings->publish_max_connections))
        return true;
    snprintf(error, size, "cannot start ZeroMQ: %s", zmq_strerror(errno));
    return false;
}

/* The secret key is nowhere but in libzmq when this is over. */
static bool open_all(struct ingest *ingest, const struct settings *settings, const struct activation *passed, char *error, size_t size)
{
    char secret[CURVE_TEXT] = "";
    bool is_open, wants_curve = *settings->publish_curve_secret_file;

    if (!open_zmq(ingest, settings, error, size))
        return false;
    if (wants_curve && (!curve_read_secret(settings->publish_curve_secret_file, secret, error, size) ||
                        !zap_open(&ingest->zap, ingest->loop, ingest->zmq, settings->publish_curve_clients_file, error, size)))
        is_open = false;
    else
        is_open = open_intakes(ingest, settings, passed, wants_curve ? secret : NULL, error, size);
    explicit_bzero(secret, sizeof secret);
    return is_open;
}

static void start_watchers(struct ingest *ingest)
{
    ev_io_init(&ingest->made_room, on_room, ingest->room->fd, EV_READ);
    ev_prepare_init(&ingest->turn, on_turn);
    ev_idle_init(&ingest->more, on_more);
    ingest->made_room.data = ingest;
    ingest->turn.data = ingest;
    /* Before the worker's turn, which then finds the messages in its inbox. */
    ev_set_priority(&ingest->turn, EV_MAXPRI);
    ev_io_start(ingest->loop, &ingest->made_room);
    ev_prepare_start(ingest->loop, &ingest->turn);
}

bool ingest_init(struct ingest *ingest, struct ev_loop *loop, const struct settings *settings, const struct activation *passed, struct hub *hub,
                 struct bell *room, struct state *state, char *error, size_t size)
{
    *ingest = (struct ingest){.loop = loop, .hub = hub, .room = room, .state = state};
    if (!open_all(ingest, settings, passed, error, size)) {
        ingest_finish(ingest);
        return false;
    }
    start_watchers(ingest);
    return true;
}

void ingest_reload(struct ingest *ingest, const struct settings *settings)
{
    char error[512];

    if (!zap_reload(&ingest->zap, settings->publish_curve_clients_file, error, sizeof error))
        log_write(LOG_ERROR, "reload: %s, the old list holds", error);
}

/* --- stopping --- */

/* `end_ms`: not longer than that. */
static void take_all(struct ingest *ingest, void (*take_inbox)(void *context), void *context, int64_t end_ms)
{
    struct intake_message message;
    size_t bytes = 0, taken;

    set_time(ingest);
    intake_message_init(&message);
    while (ingest->hub->now_ms < end_ms && (taken = take_next(ingest, &message)) > 0) {
        bytes += taken;
        if (bytes < TURN_BYTES && hub_has_room(ingest->hub))
            continue;
        hub_flush(ingest->hub);
        take_inbox(context);
        set_time(ingest);
        bytes = 0;
    }
    intake_message_finish(&message);
    hub_flush(ingest->hub);
}

static bool wait_for_more(struct ingest *ingest)
{
    zmq_pollitem_t items[INGEST_INTAKES];
    bool any;

    for (size_t i = 0; i < ingest->intake_count; i++)
        items[i] = (zmq_pollitem_t){.socket = ingest->intakes[i].socket, .events = ZMQ_POLLIN};
    any = zmq_poll(items, (int)ingest->intake_count, QUIET_MS) > 0;
    for (size_t i = 0; any && i < ingest->intake_count; i++)
        ingest->intakes[i].has_more = items[i].revents & ZMQ_POLLIN;
    return any;
}

/* Until publishers pause (the loop stands still meanwhile): what is still in the kernel's buffers is on its way through ZeroMQ's thread. */
static void take_until_quiet(struct ingest *ingest, void (*take_inbox)(void *context), void *context, int64_t limit_ms)
{
    int64_t end_ms = clock_monotonic_ms() + limit_ms;

    for (size_t i = 0; i < ingest->intake_count; i++)
        ingest->intakes[i].has_more = true;
    do
        take_all(ingest, take_inbox, context, end_ms);
    while (clock_monotonic_ms() < end_ms && wait_for_more(ingest));
}

/* Those who get answers take them until the end; what they send from now on nobody answers. */
static void let_go(struct ingest *ingest)
{
    for (size_t i = 0; i < ingest->intake_count; i++) {
        struct intake *intake = &ingest->intakes[i];

        if (!intake->answers)
            intake_unbind(intake);
        intake->has_more = !intake->answers;
    }
}

/* They are the last ones. */
static void close_answering(struct ingest *ingest)
{
    size_t kept = 0;

    while (kept < ingest->intake_count && !ingest->intakes[kept].answers)
        kept++;
    for (size_t i = kept; i < ingest->intake_count; i++)
        intake_close(&ingest->intakes[i]);
    ingest->intake_count = kept;
    ingest->next = 0;
}

void ingest_drain(struct ingest *ingest, void (*take_inbox)(void *context), void *context, int64_t limit_ms)
{
    for (size_t i = 0; i < ingest->intake_count; i++)
        intake_unlink(&ingest->intakes[i]);
    gate_shut_reading();
    take_until_quiet(ingest, take_inbox, context, limit_ms);
    let_go(ingest);
    take_all(ingest, take_inbox, context, INT64_MAX);
    close_answering(ingest);
}

void ingest_finish(struct ingest *ingest)
{
    if (ingest->turn.data) {
        ev_io_stop(ingest->loop, &ingest->made_room);
        ev_prepare_stop(ingest->loop, &ingest->turn);
        ev_idle_stop(ingest->loop, &ingest->more);
    }
    for (size_t i = 0; i < ingest->intake_count; i++)
        intake_close(&ingest->intakes[i]);
    zap_close(&ingest->zap);
    if (ingest->zmq)
        zmq_ctx_term(ingest->zmq);
    gate_finish();
    *ingest = (struct ingest){0};
}
