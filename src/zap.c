/* The questions come from libzmq itself, within the process, so their form is only checked as far as it is used. */
#include "zap.h"

#include "clock.h"
#include "span.h"

#include <errno.h>
#include <stdio.h>
#include <zmq.h>

static const char ENDPOINT[] = "inproc://zeromq.zap.01"; /* RFC 27 */

/* RFC 27: version, request id, domain, address, routing id, mechanism, credentials. */
enum { ASKED_ID = 1, ASKED_ADDRESS = 3, ASKED_KEY = 6, ASKED_FRAMES = 7 };

struct question {
    zmq_msg_t frames[ASKED_FRAMES];
    int count;
};

static struct span frame_of(struct question *question, int index)
{
    zmq_msg_t *frame = &question->frames[index];

    return index < question->count ? (struct span){zmq_msg_data(frame), zmq_msg_size(frame)} : (struct span){"", 0};
}

static void finish_question(struct question *question)
{
    for (int i = 0; i < question->count; i++)
        zmq_msg_close(&question->frames[i]);
}

static bool receive_frame(void *socket, zmq_msg_t *frame)
{
    int size;

    do
        size = zmq_msg_recv(frame, socket, ZMQ_DONTWAIT);
    while (size < 0 && errno == EINTR);
    return size >= 0;
}

static bool receive_question(void *socket, struct question *question)
{
    bool more = true;

    question->count = 0;
    while (more) {
        zmq_msg_t frame;

        zmq_msg_init(&frame);
        if (!receive_frame(socket, &frame)) {
            zmq_msg_close(&frame);
            finish_question(question);
            return false;
        }
        more = zmq_msg_more(&frame);
        if (question->count < ASKED_FRAMES)
            question->frames[question->count++] = frame;
        else
            zmq_msg_close(&frame);
    }
    return true;
}

static void send_frame(void *socket, struct span bytes, bool more)
{
    int size;

    do
        size = zmq_send(socket, bytes.bytes, bytes.size, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0));
    while (size < 0 && errno == EINTR);
}

/*
 * Version, request id, status code and text, user id, metadata. 400 would make libzmq give up for good at the other side: after 300 a publisher comes
 * back by itself when its key has been added.
 */
static void send_answer(void *socket, struct span id, bool is_admitted)
{
    const struct span NOTHING = {"", 0};

    send_frame(socket, span_of("1.0"), true);
    send_frame(socket, id, true);
    send_frame(socket, span_of(is_admitted ? "200" : "300"), true);
    send_frame(socket, span_of(is_admitted ? "OK" : "the key is not in publish.curve_clients_file"), true);
    send_frame(socket, NOTHING, true);
    send_frame(socket, NOTHING, false);
}

/* A public key tells whoever reads the log whom to add. */
static void log_refused(struct zap *zap, struct span address, struct span key)
{
    char text[CURVE_TEXT] = "?";

    if (key.size == CURVE_KEY_BYTES)
        zmq_z85_encode(text, (const uint8_t *)key.bytes, CURVE_KEY_BYTES);
    log_limited(&zap->refused, clock_monotonic_ms(), LOG_WARNING, "publisher refused: its key is not in publish.curve_clients_file key=%s address=%.*s",
                text, (int)address.size, address.bytes);
}

static bool is_admitted(const struct zap *zap, struct span key)
{
    return key.size == CURVE_KEY_BYTES && (zap->is_open_to_all || curve_list_has(&zap->clients, (const uint8_t *)key.bytes));
}

void zap_take(struct zap *zap)
{
    struct question question;

    while (zap->has_more && (zap->has_more = receive_question(zap->socket, &question))) {
        struct span key = frame_of(&question, ASKED_KEY);
        bool admitted = is_admitted(zap, key);

        if (!admitted)
            log_refused(zap, frame_of(&question, ASKED_ADDRESS), key);
        send_answer(zap->socket, frame_of(&question, ASKED_ID), admitted);
        finish_question(&question);
    }
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)events;
    ((struct zap *)watcher->data)->has_more = true;
}

bool zap_open(struct zap *zap, struct ev_loop *loop, void *zmq, const char *path, char *error, size_t size)
{
    int fd = -1, none = 0;
    size_t fd_size = sizeof fd;

    *zap = (struct zap){.loop = loop, .socket = zmq_socket(zmq, ZMQ_REP)};
    if (!zap->socket || zmq_setsockopt(zap->socket, ZMQ_LINGER, &none, sizeof none) < 0 || zmq_bind(zap->socket, ENDPOINT) < 0 ||
        zmq_getsockopt(zap->socket, ZMQ_FD, &fd, &fd_size) < 0) {
        snprintf(error, size, "cannot start ZAP: %s", zmq_strerror(errno));
        return false;
    }
    ev_io_init(&zap->readable, on_readable, fd, EV_READ);
    zap->readable.data = zap;
    zap->has_more = true;
    ev_io_start(loop, &zap->readable);
    return zap_reload(zap, path, error, size);
}

bool zap_reload(struct zap *zap, const char *path, char *error, size_t size)
{
    struct curve_list fresh = {0};

    if (!zap->socket)
        return true;
    if (*path && !curve_read_list(path, &fresh, error, size))
        return false;
    curve_list_finish(&zap->clients);
    zap->clients = fresh;
    zap->is_open_to_all = !*path;
    return true;
}

void zap_close(struct zap *zap)
{
    if (ev_is_active(&zap->readable))
        ev_io_stop(zap->loop, &zap->readable);
    if (zap->socket)
        zmq_close(zap->socket);
    curve_list_finish(&zap->clients);
    *zap = (struct zap){0};
}
