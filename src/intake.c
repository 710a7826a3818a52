/*
 * One ZeroMQ socket. libzmq's descriptors are edge-triggered: they tell that something has come since a socket was last read empty. So nobody is asked, at a
 * system call each, who was read empty and has not told anything since: the last that is done to a socket in a turn is the receive that says so. Whatever
 * else is done to it (send, getsockopt) could take the news off the descriptor.
 */
#include "intake.h"

#include "gate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    HANDSHAKE_MS = 5000,     /* a connection that says nothing gives its place to the next publisher */
    LINGER_MS = 1000,        /* for answers that were given when the server stops; less with a short hub.stop_timeout */
    CURVE_OVERHEAD = 33,     /* of a frame, RFC 26: command name, nonce, authentication, flags */
};

/* --- reading --- */

/* A signal interrupts also a call that does not wait; between two frames that must not pass for the end. */
static bool receive_frame(void *socket, zmq_msg_t *frame)
{
    int size;

    do
        size = zmq_msg_recv(frame, socket, ZMQ_DONTWAIT);
    while (size < 0 && errno == EINTR);
    return size >= 0;
}

void intake_message_init(struct intake_message *message)
{
    for (size_t i = 0; i <= INTAKE_FRAMES; i++)
        zmq_msg_init(&message->frames[i]);
}

void intake_message_finish(struct intake_message *message)
{
    for (size_t i = 0; i <= INTAKE_FRAMES; i++)
        zmq_msg_close(&message->frames[i]);
}

bool intake_receive(struct intake *intake, struct intake_message *message)
{
    message->count = 0;
    message->bytes = 1;
    for (;;) {
        size_t at = message->count < INTAKE_FRAMES ? message->count : INTAKE_FRAMES;
        zmq_msg_t *frame = &message->frames[at];

        if (!receive_frame(intake->socket, frame))
            return false;
        if (at < INTAKE_FRAMES) {
            message->spans[at] = (struct span){zmq_msg_data(frame), zmq_msg_size(frame)};
            message->bytes += message->spans[at].size;
        }
        message->count++;
        if (!zmq_msg_more(frame))
            return true;
    }
}

/* --- publishers that come and go --- */

static bool receive_event(struct intake *intake, unsigned *event)
{
    zmq_msg_t frame;
    uint16_t number = 0;
    bool received;

    zmq_msg_init(&frame);
    received = receive_frame(intake->monitor, &frame);
    if (received && zmq_msg_size(&frame) >= sizeof number)
        memcpy(&number, zmq_msg_data(&frame), sizeof number);
    while (received && zmq_msg_more(&frame))
        if (!receive_frame(intake->monitor, &frame))
            break;
    zmq_msg_close(&frame);
    *event = number;
    return received;
}

bool intake_take_events(struct intake *intake, struct metrics *metrics)
{
    bool any = false;
    unsigned event;

    while (intake->has_events && (intake->has_events = receive_event(intake, &event))) {
        any = true;
        metrics->publishers_gone += event == ZMQ_EVENT_DISCONNECTED;
        metrics->publishers_failed += event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL || event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL ||
                                      event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
    }
    return any;
}

/* --- set-up --- */

static bool set_number(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

static bool open_monitor(struct intake *intake, void *zmq)
{
    char endpoint[64];
    int events = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_ACCEPT_FAILED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                 ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

    snprintf(endpoint, sizeof endpoint, "inproc://publishers-%p", (void *)intake);
    if (zmq_socket_monitor(intake->socket, endpoint, events) < 0)
        return false;
    intake->monitor = zmq_socket(zmq, ZMQ_PAIR);
    /* Without a limit: libzmq's thread would wait, and take no messages, while nobody reads. */
    return intake->monitor && set_number(intake->monitor, ZMQ_RCVHWM, 0) && set_number(intake->monitor, ZMQ_LINGER, 0) &&
           zmq_connect(intake->monitor, endpoint) == 0;
}

/* Without a limit: at its high-water mark a ROUTER drops answers without a word, and later ones are taken for those. */
static bool set_answering(struct intake *intake, const struct settings *settings)
{
    int64_t linger_ms = settings->hub_stop_timeout / 4 < LINGER_MS ? settings->hub_stop_timeout / 4 : LINGER_MS;

    return set_number(intake->socket, ZMQ_SNDHWM, 0) && set_number(intake->socket, ZMQ_LINGER, (int)linger_ms);
}

static bool set_options(struct intake *intake, const struct settings *settings, const struct intake_kind *kind)
{
    int64_t frame_bytes = settings->publish_max_frame_bytes + (kind->curve_secret ? CURVE_OVERHEAD : 0);

    if (intake->answers && !set_answering(intake, settings))
        return false;
    if (kind->curve_secret && (!set_number(intake->socket, ZMQ_CURVE_SERVER, 1) ||
                               zmq_setsockopt(intake->socket, ZMQ_CURVE_SECRETKEY, kind->curve_secret, strlen(kind->curve_secret) + 1) < 0))
        return false;
    return set_number(intake->socket, ZMQ_RCVHWM, (int)settings->publish_receive_hwm) &&
           zmq_setsockopt(intake->socket, ZMQ_MAXMSGSIZE, &frame_bytes, sizeof frame_bytes) == 0 &&
           set_number(intake->socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS) && set_number(intake->socket, ZMQ_TCP_KEEPALIVE, 1);
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)events;
    *(bool *)watcher->data = true;
}

/* `has_some` becomes true when the socket may have something. */
static void watch(struct ev_loop *loop, ev_io *watcher, void *socket, bool *has_some)
{
    int fd = -1;
    size_t size = sizeof fd;

    (void)zmq_getsockopt(socket, ZMQ_FD, &fd, &size);
    ev_io_init(watcher, on_readable, fd, EV_READ);
    watcher->data = has_some;
    *has_some = true;
    ev_io_start(loop, watcher);
}

bool intake_open(struct intake *intake, struct ev_loop *loop, void *zmq, const struct settings *settings, const struct intake_kind *kind)
{
    *intake = (struct intake){.loop = loop, .answers = kind->answers};
    intake->socket = zmq_socket(zmq, kind->answers ? ZMQ_ROUTER : ZMQ_PULL);
    if (!intake->socket || !set_options(intake, settings, kind) || !open_monitor(intake, zmq))
        return false;
    watch(loop, &intake->readable, intake->socket, &intake->has_more);
    watch(loop, &intake->monitored, intake->monitor, &intake->has_events);
    return true;
}

static bool hand_over(struct intake *intake, struct intake_endpoint *endpoint)
{
    int fd = listener_release(&endpoint->listener);

    endpoint->guarded_fd = fd;
    gate_guard(fd, intake->answers, endpoint->listener.is_passed);
    if (zmq_setsockopt(intake->socket, ZMQ_USE_FD, &fd, sizeof fd) == 0 && zmq_bind(intake->socket, endpoint->endpoint) == 0)
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

static struct intake_endpoint *add_endpoint(struct intake *intake)
{
    struct intake_endpoint *endpoints = realloc(intake->endpoints, (intake->endpoint_count + 1) * sizeof *endpoints);

    if (!endpoints)
        return NULL;
    intake->endpoints = endpoints;
    return &endpoints[intake->endpoint_count];
}

static bool open_listener(struct listener *listener, const struct settings *settings, const struct activation_place *place, char *error, size_t size)
{
    struct listener_options options = {settings->publish_mode, settings->publish_group, (int)settings->publish_max_connections};

    if (place->fd < 0)
        return listener_open(listener, address_part(place->name), &options, error, size);
    listener_adopt(listener, place->fd, address_part(place->name));
    return true;
}

bool intake_listen(struct intake *intake, const struct settings *settings, const struct activation_place *place, char *error, size_t size)
{
    struct intake_endpoint *endpoint = add_endpoint(intake);

    if (!endpoint) {
        snprintf(error, size, "no memory");
        return false;
    }
    *endpoint = (struct intake_endpoint){0};
    if (!open_listener(&endpoint->listener, settings, place, error, size))
        return false;
    intake->endpoint_count++;
    snprintf(endpoint->endpoint, sizeof endpoint->endpoint, "%.6s%s", place->name, endpoint->listener.address);
    if (!hand_over(intake, endpoint)) {
        snprintf(error, size, "cannot bind %s: %s", place->name, zmq_strerror(errno));
        return false;
    }
    return true;
}

/* --- stopping --- */

void intake_unlink(struct intake *intake)
{
    for (size_t i = 0; i < intake->endpoint_count; i++)
        listener_unlink(&intake->endpoints[i].listener);
}

static bool is_libzmqs(const struct intake_endpoint *endpoint)
{
    return endpoint->guarded_fd > 0 && endpoint->listener.fd < 0;
}

void intake_unbind(struct intake *intake)
{
    for (size_t i = 0; i < intake->endpoint_count; i++) {
        struct intake_endpoint *endpoint = &intake->endpoints[i];

        listener_unlink(&endpoint->listener);
        if (is_libzmqs(endpoint)) {
            (void)zmq_unbind(intake->socket, endpoint->endpoint);
            gate_unguard(endpoint->guarded_fd);
        }
        listener_close(&endpoint->listener);
    }
    intake->endpoint_count = 0;
}

/* One that answers is not unbound: that would lose what is not sent yet. Its listening sockets stay guarded while libzmq closes them. */
static void let_go(struct intake *intake)
{
    if (!intake->answers)
        intake_unbind(intake);
    for (size_t i = 0; i < intake->endpoint_count; i++)
        listener_close(&intake->endpoints[i].listener);
    free(intake->endpoints);
}

void intake_close(struct intake *intake)
{
    if (ev_is_active(&intake->readable))
        ev_io_stop(intake->loop, &intake->readable);
    if (ev_is_active(&intake->monitored))
        ev_io_stop(intake->loop, &intake->monitored);
    let_go(intake);
    if (intake->socket)
        (void)zmq_socket_monitor(intake->socket, NULL, 0); /* or libzmq's thread could wait for a reader for ever */
    if (intake->monitor)
        zmq_close(intake->monitor);
    if (intake->socket)
        zmq_close(intake->socket);
    *intake = (struct intake){0};
}
