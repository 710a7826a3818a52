#include "peer.h"

#include "clock.h"
#include "fcgi.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static bool connect_to(struct peer *peer, const char *path, int receive_bytes)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};

    snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
    peer->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_bytes > 0)
        setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    if (connect(peer->fd, (struct sockaddr *)&name, sizeof name) == 0)
        return true;
    peer_close(peer);
    return false;
}

static bool send_all(struct peer *peer, struct span bytes)
{
    while (bytes.size > 0) {
        ssize_t sent = send(peer->fd, bytes.bytes, bytes.size, MSG_NOSIGNAL);

        if (sent < 0)
            return false;
        bytes.bytes += sent;
        bytes.size -= (size_t)sent;
    }
    return true;
}

void peer_close(struct peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
    text_finish(&peer->raw);
}

void peer_finish(struct peer *peer)
{
    peer_close(peer);
    text_finish(&peer->out);
    *peer = PEER_NONE;
}

/* --- FastCGI --- */

static void append_record(struct text *text, int type, struct span content)
{
    char header[8] = {1, (char)type, 0, 1, (char)(content.size >> 8), (char)content.size, 0, 0};

    text_append(text, (struct span){header, sizeof header});
    text_append(text, content);
}

static void append_length(struct text *text, size_t length)
{
    char bytes[4] = {(char)(length >> 24 | 0x80), (char)(length >> 16), (char)(length >> 8), (char)length};

    text_append(text, length < 128 ? (struct span){bytes + 3, 1} : (struct span){bytes, 4});
}

static void append_params(struct text *text, const char *const *params)
{
    struct text content = TEXT_EMPTY;

    for (; *params; params += 2) {
        append_length(&content, strlen(params[0]));
        append_length(&content, strlen(params[1]));
        text_append_string(&content, params[0]);
        text_append_string(&content, params[1]);
    }
    append_record(text, FCGI_PARAMS, text_span(&content));
    append_record(text, FCGI_PARAMS, (struct span){"", 0});
    text_finish(&content);
}

bool peer_request(struct peer *peer, const char *path, const char *const *params, const char *body, int receive_bytes)
{
    struct text request = TEXT_EMPTY;

    peer_close(peer);
    peer->is_over = peer->is_closed = false;
    if (!connect_to(peer, path, receive_bytes))
        return false;
    append_record(&request, FCGI_BEGIN_REQUEST, (struct span){"\0\1\0\0\0\0\0\0", 8});
    append_params(&request, params);
    for (size_t at = 0, size = body ? strlen(body) : 0; at < size; at += 32768)
        append_record(&request, FCGI_STDIN, (struct span){body + at, size - at < 32768 ? size - at : 32768});
    append_record(&request, FCGI_STDIN, (struct span){"", 0});
    (void)send_all(peer, text_span(&request)); /* who is cut meanwhile finds out when it listens */
    text_finish(&request);
    return true;
}

/* One record of what came; 0: not whole. */
static size_t decode_record(struct peer *peer, struct span raw)
{
    const unsigned char *bytes = (const unsigned char *)raw.bytes;
    size_t size;

    if (raw.size < FCGI_HEADER_BYTES)
        return 0;
    size = (size_t)bytes[4] << 8 | bytes[5];
    if (raw.size < FCGI_HEADER_BYTES + size)
        return 0;
    if (bytes[1] == FCGI_STDOUT)
        text_append(&peer->out, (struct span){raw.bytes + FCGI_HEADER_BYTES, size});
    peer->is_over |= bytes[1] == FCGI_END_REQUEST;
    return FCGI_HEADER_BYTES + size;
}

/* --- ZeroMQ: ZMTP 3.0, rfc.zeromq.org/spec/23 --- */

enum { GREETING_BYTES = 64 };

static size_t decode_frame(struct peer *peer, struct span raw)
{
    const unsigned char *bytes = (const unsigned char *)raw.bytes;
    bool is_long = raw.size > 0 && (bytes[0] & 2) != 0;
    size_t head = is_long ? 9 : 2, size = 0;

    if (raw.size < head)
        return 0;
    for (size_t i = 1; i < head; i++)
        size = size << 8 | bytes[i];
    if (raw.size < head + size)
        return 0;
    if ((bytes[0] & 4) == 0) {
        text_append(&peer->out, (struct span){raw.bytes + head, size});
        text_append_string(&peer->out, "\n");
    }
    return head + size;
}

static void append_frame(struct text *text, int flags, struct span content)
{
    char head[9] = {(char)(flags | (content.size > 255 ? 2 : 0))};

    for (int i = 0; i < 8; i++)
        head[1 + i] = (char)(content.size >> (56 - 8 * i));
    text_append(text, content.size > 255 ? (struct span){head, 9} : (struct span){(char[]){head[0], (char)content.size}, 2});
    text_append(text, content);
}

static bool wait_readable(struct peer *peer, int64_t end_ms)
{
    int64_t left_ms = end_ms - clock_monotonic_ms();

    return left_ms > 0 && poll(&(struct pollfd){.fd = peer->fd, .events = POLLIN}, 1, (int)left_ms) > 0;
}

static bool is_greeted(struct peer *peer)
{
    static const char READY[] = "\5READY";
    int64_t end_ms = clock_monotonic_ms() + PEER_WAIT_MS;
    char bytes[512];

    while (peer->raw.size < GREETING_BYTES + 2 || !memmem(peer->raw.bytes, peer->raw.size, READY, sizeof READY - 1)) {
        ssize_t got = wait_readable(peer, end_ms) ? recv(peer->fd, bytes, sizeof bytes, 0) : -1;

        if (got <= 0)
            return false;
        text_append(&peer->raw, (struct span){bytes, (size_t)got});
    }
    text_clear(&peer->raw); /* nothing comes behind it unasked */
    return true;
}

bool peer_publisher(struct peer *peer, const char *path, const char *type)
{
    char greeting[GREETING_BYTES] = "\377\0\0\0\0\0\0\0\1\177\3\0NULL";
    struct text hello = TEXT_EMPTY, ready = TEXT_EMPTY;
    bool is_in;

    peer_close(peer);
    peer->is_zmq = true;
    peer->is_closed = false;
    text_append(&hello, (struct span){greeting, sizeof greeting});
    text_append(&ready, (struct span){"\5READY\13Socket-Type", 18});
    text_append(&ready, (struct span){(char[]){0, 0, 0, (char)strlen(type)}, 4});
    text_append_string(&ready, type);
    append_frame(&hello, 4, text_span(&ready));
    is_in = connect_to(peer, path, 0) && send_all(peer, text_span(&hello)) && is_greeted(peer);
    text_finish(&hello);
    text_finish(&ready);
    if (!is_in)
        peer_close(peer);
    return is_in;
}

bool peer_send(struct peer *peer, const char *const *frames)
{
    struct text bytes = TEXT_EMPTY;
    bool is_sent;

    for (; *frames; frames++)
        append_frame(&bytes, frames[1] ? 1 : 0, span_of(*frames));
    is_sent = peer->fd >= 0 && send_all(peer, text_span(&bytes));
    text_finish(&bytes);
    return is_sent;
}

/* --- listening --- */

static void decode(struct peer *peer)
{
    size_t at = 0, used;

    do {
        struct span rest = {peer->raw.bytes + at, peer->raw.size - at};

        used = peer->is_zmq ? decode_frame(peer, rest) : decode_record(peer, rest);
        at += used;
    } while (used > 0 && at < peer->raw.size);
    if (at > 0)
        memmove(peer->raw.bytes, peer->raw.bytes + at, peer->raw.size -= at);
}

static void read_some(struct peer *peer)
{
    static char bytes[262144];
    ssize_t got = recv(peer->fd, bytes, sizeof bytes, 0);

    if (got <= 0) {
        peer->is_closed = true;
        return;
    }
    text_append(&peer->raw, (struct span){bytes, (size_t)got});
    decode(peer);
}

bool peer_has(const struct peer *peer, const char *text)
{
    return peer->out.size > 0 && memmem(peer->out.bytes, peer->out.size, text, strlen(text));
}

void peer_look(struct peer *peer)
{
    while (peer->fd >= 0 && !peer->is_closed && poll(&(struct pollfd){.fd = peer->fd, .events = POLLIN}, 1, 0) > 0)
        read_some(peer);
}

enum heard peer_await(struct peer *peer, const char *text, size_t from)
{
    int64_t end_ms = clock_monotonic_ms() + PEER_WAIT_MS;

    while (peer->out.size <= from || !memmem(peer->out.bytes + from, peer->out.size - from, text, strlen(text))) {
        if (peer->fd < 0 || peer->is_over || peer->is_closed)
            return HEARD_END;
        if (!wait_readable(peer, end_ms))
            return HEARD_LATE;
        read_some(peer);
    }
    return HEARD;
}

bool peer_await_end(struct peer *peer)
{
    int64_t end_ms = clock_monotonic_ms() + PEER_WAIT_MS;

    while (peer->fd >= 0 && !peer->is_over && !peer->is_closed) {
        if (!wait_readable(peer, end_ms))
            return false;
        read_some(peer);
    }
    return true;
}
