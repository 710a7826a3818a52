/*
 * Ingest. ZMQ_FD is edge-triggered: ZMQ_EVENTS is read before every sleep, and where a turn stops before EAGAIN it keeps the loop awake itself, because
 * the descriptor will not. Listening sockets are made by listener.h and bounded by gate.h; libzmq gets their descriptors.
 */
#include "ingest.h"

#include "clock.h"
#include "gate.h"
#include "state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

enum {
    TURN_MESSAGES = 1024,
    TURN_BYTES = 4 * 1024 * 1024,
    FRAMES_MAX = 3,
    HANDSHAKE_MS = 5000, /* a connection that says nothing gives its place to the next publisher */
    QUIET_MS = 20, /* a publisher that sent nothing for so long has nothing on the way within this machine */
};

static const char MONITOR_ENDPOINT[] = "inproc://publishers";

/* --- reading --- */

enum receive { RECEIVE_MESSAGE, RECEIVE_NONE };

/* A signal interrupts also a call that does not wait; between two frames that must not pass for the end. */
static bool receive_frame(void *socket, zmq_msg_t *frame)
{
    int size;

    do
        size = zmq_msg_recv(frame, socket, ZMQ_DONTWAIT);
    while (size < 0 && errno == EINTR);
    return size >= 0;
}

/* One multipart message; of surplus frames only their number is kept. */
static enum receive receive(struct ingest *ingest, zmq_msg_t frames[FRAMES_MAX + 1], size_t *count)
{
    *count = 0;
    for (;;) {
        size_t at = *count < FRAMES_MAX ? *count : FRAMES_MAX;
        bool more;

        zmq_msg_init(&frames[at]);
        if (!receive_frame(ingest->socket, &frames[at])) {
            zmq_msg_close(&frames[at]);
            return RECEIVE_NONE;
        }
        more = zmq_msg_more(&frames[at]);
        if (at == FRAMES_MAX)
            zmq_msg_close(&frames[at]);
        (*count)++;
        if (!more)
            return RECEIVE_MESSAGE;
    }
}

/* The bytes of one message that was handed on; 0 when there is none. */
static size_t take_message(struct ingest *ingest)
{
    zmq_msg_t frames[FRAMES_MAX + 1];
    struct span spans[FRAMES_MAX];
    size_t count, kept, bytes = 1;

    if (receive(ingest, frames, &count) == RECEIVE_NONE)
        return 0;
    kept = count < FRAMES_MAX ? count : FRAMES_MAX;
    for (size_t i = 0; i < kept; i++) {
        spans[i] = (struct span){zmq_msg_data(&frames[i]), zmq_msg_size(&frames[i])};
        bytes += spans[i].size;
    }
    hub_take_frames(ingest->hub, spans, count, NULL);
    for (size_t i = 0; i < kept; i++)
        zmq_msg_close(&frames[i]);
    return bytes;
}

static void set_time(struct ingest *ingest)
{
    ingest->hub->now_ms = clock_monotonic_ms();
    ingest->hub->wall_ms = clock_wall_ms();
    state_reserve(ingest->state, ingest->hub->newest, ingest->hub->wall_ms);
}

static bool has_messages(struct ingest *ingest)
{
    int events, result;
    size_t size = sizeof events;

    /* A signal is not "no": where a turn left messages behind, nothing would wake us for them. */
    do
        result = zmq_getsockopt(ingest->socket, ZMQ_EVENTS, &events, &size);
    while (result < 0 && errno == EINTR);
    return result == 0 && (events & ZMQ_POLLIN) != 0;
}

/* Whether an inbox is full. Then the worker that makes room rings. */
static bool is_stuck(struct ingest *ingest)
{
    if (hub_has_room(ingest->hub))
        return false;
    bell_await(ingest->room);
    return !hub_has_room(ingest->hub);
}

enum turn { TURN_EMPTY, TURN_MORE, TURN_STUCK };

static enum turn take_messages(struct ingest *ingest)
{
    size_t bytes = 0, taken;

    for (int i = 0; i < TURN_MESSAGES && bytes < TURN_BYTES; i++) {
        if (is_stuck(ingest)) {
            ingest->hub->metrics.ingest_pauses++;
            return TURN_STUCK;
        }
        taken = take_message(ingest);
        if (taken == 0)
            return TURN_EMPTY;
        bytes += taken;
    }
    return TURN_MORE;
}

static enum turn take_turn(struct ingest *ingest)
{
    enum turn turn;

    if (!has_messages(ingest))
        return TURN_EMPTY;
    set_time(ingest);
    turn = take_messages(ingest);
    hub_flush(ingest->hub);
    return turn;
}

/* --- publishers that come and go --- */

static bool receive_event(struct ingest *ingest, unsigned *event)
{
    zmq_msg_t frame;
    uint16_t number = 0;
    bool received;

    zmq_msg_init(&frame);
    received = receive_frame(ingest->monitor, &frame);
    if (received && zmq_msg_size(&frame) >= sizeof number)
        memcpy(&number, zmq_msg_data(&frame), sizeof number);
    while (received && zmq_msg_more(&frame))
        if (!receive_frame(ingest->monitor, &frame))
            break;
    zmq_msg_close(&frame);
    *event = number;
    return received;
}

/* Before every sleep: the monitor's descriptor is edge-triggered too, and what is not read stays in memory. */
static void take_events(struct ingest *ingest)
{
    struct metrics *metrics = &ingest->hub->metrics;
    bool any = false;
    unsigned event;

    while (receive_event(ingest, &event)) {
        any = true;
        metrics->publishers_gone += event == ZMQ_EVENT_DISCONNECTED;
        metrics->publishers_failed += event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL || event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL ||
                                      event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
    }
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

/* Only wakes the loop. */
static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)watcher;
    (void)events;
}

/* --- set-up --- */

static int fd_of(void *socket)
{
    int fd = -1;
    size_t size = sizeof fd;

    (void)zmq_getsockopt(socket, ZMQ_FD, &fd, &size);
    return fd;
}

static bool open_monitor(struct ingest *ingest)
{
    int no_limit = 0;
    int events = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_ACCEPT_FAILED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                 ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

    if (zmq_socket_monitor(ingest->socket, MONITOR_ENDPOINT, events) < 0)
        return false;
    ingest->monitor = zmq_socket(ingest->zmq, ZMQ_PAIR);
    /* Without a limit: libzmq's thread would wait, and take no messages, while nobody reads. */
    return ingest->monitor && zmq_setsockopt(ingest->monitor, ZMQ_RCVHWM, &no_limit, sizeof no_limit) == 0 &&
           zmq_connect(ingest->monitor, MONITOR_ENDPOINT) == 0;
}

static bool open_socket(struct ingest *ingest, const struct settings *settings)
{
    int hwm = (int)settings->publish_receive_hwm, on = 1, handshake_ms = HANDSHAKE_MS;
    int64_t frame_bytes = settings->publish_max_frame_bytes;

    ingest->zmq = zmq_ctx_new();
    if (!ingest->zmq)
        return false;
    ingest->socket = zmq_socket(ingest->zmq, ZMQ_PULL);
    return ingest->socket && zmq_setsockopt(ingest->socket, ZMQ_RCVHWM, &hwm, sizeof hwm) == 0 &&
           zmq_setsockopt(ingest->socket, ZMQ_MAXMSGSIZE, &frame_bytes, sizeof frame_bytes) == 0 &&
           zmq_setsockopt(ingest->socket, ZMQ_HANDSHAKE_IVL, &handshake_ms, sizeof handshake_ms) == 0 &&
           zmq_setsockopt(ingest->socket, ZMQ_TCP_KEEPALIVE, &on, sizeof on) == 0 && open_monitor(ingest);
}

static bool hand_over(struct ingest *ingest, struct ingest_endpoint *endpoint)
{
    int fd = listener_release(&endpoint->listener);

    endpoint->guarded_fd = fd;
    gate_guard(fd);
    if (zmq_setsockopt(ingest->socket, ZMQ_USE_FD, &fd, sizeof fd) == 0 && zmq_bind(ingest->socket, endpoint->endpoint) == 0)
        return true;
    gate_unguard(fd);
    endpoint->listener.fd = fd;
    return false;
}

/* The part of an endpoint behind `ipc://` or `tcp://`. */
static const char *address_part(const char *endpoint)
{
    return strstr(endpoint, "://") + 3;
}

static bool open_endpoint(struct ingest *ingest, const struct settings *settings, const char *name, char *error, size_t size)
{
    struct ingest_endpoint *endpoint = &ingest->endpoints[ingest->endpoint_count];
    struct listener_options options = {settings->publish_mode, settings->publish_group, (int)settings->publish_max_connections};

    if (!listener_open(&endpoint->listener, address_part(name), &options, error, size))
        return false;
    ingest->endpoint_count++;
    snprintf(endpoint->endpoint, sizeof endpoint->endpoint, "%.6s%s", name, endpoint->listener.address);
    if (!hand_over(ingest, endpoint)) {
        snprintf(error, size, "cannot bind %s: %s", name, zmq_strerror(errno));
        return false;
    }
    log_write(LOG_NOTICE, "publish listens on %s", endpoint->endpoint);
    return true;
}

static void start_watchers(struct ingest *ingest)
{
    ev_io_init(&ingest->readable, on_readable, fd_of(ingest->socket), EV_READ);
    ev_io_init(&ingest->monitored, on_readable, fd_of(ingest->monitor), EV_READ);
    ev_io_init(&ingest->made_room, on_room, ingest->room->fd, EV_READ);
    ev_prepare_init(&ingest->turn, on_turn);
    ev_idle_init(&ingest->more, on_more);
    ingest->monitored.data = ingest;
    ingest->made_room.data = ingest;
    ingest->turn.data = ingest;
    /* Before the worker's turn, which then finds the messages in its inbox. */
    ev_set_priority(&ingest->turn, EV_MAXPRI);
    ev_io_start(ingest->loop, &ingest->readable);
    ev_io_start(ingest->loop, &ingest->monitored);
    ev_io_start(ingest->loop, &ingest->made_room);
    ev_prepare_start(ingest->loop, &ingest->turn);
}

bool ingest_init(struct ingest *ingest, struct ev_loop *loop, const struct settings *settings, struct hub *hub, struct bell *room,
                 struct state *state, char *error, size_t size)
{
    const struct string_list *names = &settings->publish_listen;

    *ingest = (struct ingest){.loop = loop, .hub = hub, .room = room, .state = state};
    ingest->endpoints = calloc(names->count, sizeof *ingest->endpoints);
    if (!ingest->endpoints || !gate_init((size_t)settings->publish_max_connections) || !open_socket(ingest, settings)) {
        snprintf(error, size, "cannot start ZeroMQ: %s", zmq_strerror(errno));
        ingest_finish(ingest);
        return false;
    }
    for (size_t i = 0; i < names->count; i++)
        if (!open_endpoint(ingest, settings, names->items[i], error, size)) {
            ingest_finish(ingest);
            return false;
        }
    start_watchers(ingest);
    return true;
}

/* --- stopping --- */

/* `end_ms`: not longer than that. */
static void take_all(struct ingest *ingest, void (*take_inbox)(void *context), void *context, int64_t end_ms)
{
    size_t bytes = 0, taken;

    set_time(ingest);
    while (ingest->hub->now_ms < end_ms && (taken = take_message(ingest)) > 0) {
        bytes += taken;
        if (bytes < TURN_BYTES && hub_has_room(ingest->hub))
            continue;
        hub_flush(ingest->hub);
        take_inbox(context);
        set_time(ingest);
        bytes = 0;
    }
    hub_flush(ingest->hub);
}

/* Until publishers pause (the loop stands still meanwhile): what is still in the kernel's buffers is on its way through ZeroMQ's thread. */
static void take_until_quiet(struct ingest *ingest, void (*take_inbox)(void *context), void *context, int64_t limit_ms)
{
    int64_t end_ms = clock_monotonic_ms() + limit_ms;
    zmq_pollitem_t item = {.socket = ingest->socket, .events = ZMQ_POLLIN};

    do
        take_all(ingest, take_inbox, context, end_ms);
    while (clock_monotonic_ms() < end_ms && zmq_poll(&item, 1, QUIET_MS) > 0);
}

static void close_endpoints(struct ingest *ingest)
{
    for (size_t i = 0; i < ingest->endpoint_count; i++) {
        struct ingest_endpoint *endpoint = &ingest->endpoints[i];

        listener_unlink(&endpoint->listener);
        if (endpoint->guarded_fd > 0 && endpoint->listener.fd < 0) {
            (void)zmq_unbind(ingest->socket, endpoint->endpoint);
            gate_unguard(endpoint->guarded_fd);
        }
        listener_close(&endpoint->listener);
    }
    ingest->endpoint_count = 0;
}

void ingest_drain(struct ingest *ingest, void (*take_inbox)(void *context), void *context, int64_t limit_ms)
{
    for (size_t i = 0; i < ingest->endpoint_count; i++)
        listener_unlink(&ingest->endpoints[i].listener);
    gate_shut_reading();
    take_until_quiet(ingest, take_inbox, context, limit_ms);
    close_endpoints(ingest);
    take_all(ingest, take_inbox, context, INT64_MAX);
}

void ingest_finish(struct ingest *ingest)
{
    int none = 0;

    if (ingest->turn.data) {
        ev_io_stop(ingest->loop, &ingest->readable);
        ev_io_stop(ingest->loop, &ingest->monitored);
        ev_io_stop(ingest->loop, &ingest->made_room);
        ev_prepare_stop(ingest->loop, &ingest->turn);
        ev_idle_stop(ingest->loop, &ingest->more);
    }
    close_endpoints(ingest);
    if (ingest->socket)
        (void)zmq_socket_monitor(ingest->socket, NULL, 0); /* or libzmq's thread could wait for a reader for ever */
    if (ingest->monitor) {
        zmq_setsockopt(ingest->monitor, ZMQ_LINGER, &none, sizeof none);
        zmq_close(ingest->monitor);
    }
    if (ingest->socket)
        zmq_close(ingest->socket);
    if (ingest->zmq)
        zmq_ctx_term(ingest->zmq);
    free(ingest->endpoints);
    gate_finish();
    *ingest = (struct ingest){0};
}
