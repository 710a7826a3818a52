#include "publisher.h"
#include "check.h"
#include "connect.h"
#include "http_post.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <zmq.h>

enum { SOCKETS_MAX = 8 };

struct publisher {
    struct http_post *post; /* one of these three */
    int datagrams;
    void *sockets[SOCKETS_MAX];
    unsigned socket_count;
    bool is_pushpin;
};

/* Without a high-water mark: a server that falls behind shows in the latency, and not by stopping the load. */
static void open_sockets(struct publisher *publisher, const char *endpoint, unsigned count)
{
    int hwm = 0, linger = 0;
    void *context = zmq_ctx_new();

    if (count > SOCKETS_MAX)
        errx(2, "at most %d publishers by ZeroMQ", SOCKETS_MAX);
    for (unsigned i = 0; i < count; i++) {
        void *socket = zmq_socket(context, ZMQ_PUSH);

        if (!socket || zmq_setsockopt(socket, ZMQ_SNDHWM, &hwm, sizeof hwm) < 0 ||
            zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger) < 0 || zmq_connect(socket, endpoint) < 0)
            errx(1, "%s: %s", endpoint, zmq_strerror(errno));
        publisher->sockets[i] = socket;
    }
    publisher->socket_count = count;
}

struct publisher *publisher_open(const char *endpoint, unsigned connections, int epoll,
                                 void (*on_fault)(void *context, const char *what), void *context)
{
    struct publisher *publisher = calloc(1, sizeof *publisher);

    if (!publisher)
        err(1, "cannot publish");
    if (strncmp(endpoint, "dgram:", 6) == 0) {
        publisher->datagrams = connect_to(endpoint + 6, SOCK_DGRAM);
    } else if (strncmp(endpoint, "packets:", 8) == 0) {
        publisher->datagrams = connect_to(endpoint + 8, SOCK_SEQPACKET);
    } else if (strncmp(endpoint, "http:", 5) == 0) {
        publisher->post = http_post_open(endpoint + 5, connections, epoll, on_fault, context);
    } else {
        publisher->is_pushpin = strncmp(endpoint, "pushpin:", 8) == 0;
        open_sockets(publisher, publisher->is_pushpin ? endpoint + 8 : endpoint, connections);
    }
    return publisher;
}

/* Pushpin's "J" format: the items are the documentation's, "Message format" for http-stream. */
static void send_to_pushpin(void *socket, const char *channel, const char *payload, size_t size)
{
    static uint64_t id;
    static char message[CHECK_PAYLOAD_MAX + 512];
    int length = snprintf(message, sizeof message,
                          "J{\"channel\":\"%s\",\"formats\":{\"http-stream\":{\"content\":\"id: %llu\\ndata: %.*s\\n\\n\"}}}",
                          channel, (unsigned long long)++id, (int)size, payload);

    if (zmq_send(socket, message, (size_t)length, 0) < 0)
        errx(1, "cannot publish: %s", zmq_strerror(errno));
}

void publisher_send(struct publisher *publisher, unsigned lane, const char *channel, const char *payload, size_t size)
{
    void *socket = publisher->socket_count > 0 ? publisher->sockets[lane % publisher->socket_count] : NULL;

    if (publisher->post)
        http_post_send(publisher->post, channel, payload, size);
    else if (publisher->is_pushpin)
        send_to_pushpin(socket, channel, payload, size);
    else if (!socket && send(publisher->datagrams, payload, size, 0) < 0)
        err(1, "cannot publish");
    else if (socket && (zmq_send(socket, channel, strlen(channel), ZMQ_SNDMORE) < 0 || zmq_send(socket, payload, size, 0) < 0))
        errx(1, "cannot publish: %s", zmq_strerror(errno));
}

uint64_t publisher_waiting(const struct publisher *publisher)
{
    return publisher->post ? http_post_waiting(publisher->post) : 0;
}
