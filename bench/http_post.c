#include "http_post.h"
#include "connect.h"
#include "framing.h"
#include "request.h"
#include "watcher.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>

struct request {
    STAILQ_ENTRY(request) next;
    size_t size;
    char bytes[];
};

struct connection {
    struct watcher watcher; /* first */
    struct http_post *post;
    SLIST_ENTRY(connection) next; /* while it is free */
    struct framing framing;
    int fd;
};

struct http_post {
    char address[108];
    const char *path;
    SLIST_HEAD(, connection) free;
    STAILQ_HEAD(, request) queue;
    uint64_t waiting;
    void (*on_fault)(void *context, const char *what);
    void *context;
};

static void send_next(struct http_post *post)
{
    while (!SLIST_EMPTY(&post->free) && !STAILQ_EMPTY(&post->queue)) {
        struct connection *connection = SLIST_FIRST(&post->free);
        struct request *request = STAILQ_FIRST(&post->queue);

        SLIST_REMOVE_HEAD(&post->free, next);
        STAILQ_REMOVE_HEAD(&post->queue, next);
        /* Blocking, but nothing else is under way on this connection. */
        if (send(connection->fd, request->bytes, request->size, 0) != (ssize_t)request->size)
            err(1, "cannot publish");
        free(request);
    }
}

static void on_header(void *context, const char *line)
{
    struct connection *connection = context;

    if (strncmp(line, "HTTP/1.", 7) == 0 && (strlen(line) < 12 || line[9] != '2'))
        connection->post->on_fault(connection->post->context, "a publication was refused");
}

static void on_body(void *context, const char *bytes, size_t size)
{
    (void)context, (void)bytes, (void)size;
}

static void on_head_end(void *context)
{
    (void)context;
}

static void on_end(void *context)
{
    struct connection *connection = context;

    connection->post->waiting--;
    SLIST_INSERT_HEAD(&connection->post->free, connection, next);
}

static void on_bad(void *context, const char *what)
{
    struct connection *connection = context;

    connection->post->on_fault(connection->post->context, what);
}

static void on_readable(struct watcher *watcher)
{
    static const struct framing_sink sink = {on_header, on_body, on_head_end, on_end, on_bad};
    struct connection *connection = (struct connection *)watcher;
    char bytes[4096];
    ssize_t size = recv(connection->fd, bytes, sizeof bytes, MSG_DONTWAIT);

    if (size < 0 && errno == EAGAIN)
        return;
    if (size <= 0)
        errx(1, "the server closed a publisher's connection");
    framing_feed(&connection->framing, &sink, connection, bytes, (size_t)size);
    send_next(connection->post);
}

static void add_connection(struct http_post *post, int epoll)
{
    struct connection *connection = calloc(1, sizeof *connection);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};

    if (!connection)
        err(1, "cannot open a publisher");
    connection->watcher.on_readable = on_readable;
    connection->post = post;
    connection->fd = connect_to(post->address, SOCK_STREAM);
    framing_init(&connection->framing, FRAMING_HTTP);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event) < 0)
        err(1, "epoll_ctl");
    SLIST_INSERT_HEAD(&post->free, connection, next);
}

/* A unix path ends at the first ".sock", host and port at the first slash. */
static const char *path_of(const char *target)
{
    const char *end = target[0] == '/' ? strstr(target, ".sock/") : strchr(target, '/');

    if (!end)
        errx(2, "%s: not ADDRESS/PATH", target);
    return target[0] == '/' ? end + strlen(".sock") : end;
}

struct http_post *http_post_open(const char *target, unsigned connections, int epoll,
                                 void (*on_fault)(void *context, const char *what), void *context)
{
    struct http_post *post = calloc(1, sizeof *post);
    size_t size = (size_t)(path_of(target) - target);

    if (!post || size >= sizeof post->address)
        errx(1, "%s: cannot be used", target);
    memcpy(post->address, target, size);
    post->path = path_of(target);
    post->on_fault = on_fault;
    post->context = context;
    SLIST_INIT(&post->free);
    STAILQ_INIT(&post->queue);
    while (connections-- > 0)
        add_connection(post, epoll);
    return post;
}

void http_post_send(struct http_post *post, const char *channel, const char *payload, size_t size)
{
    static char bytes[REQUEST_MAX];
    size_t request_size = request_post(bytes, post->path, channel, payload, size);
    struct request *request = malloc(sizeof *request + request_size);

    if (!request)
        err(1, "cannot publish");
    request->size = request_size;
    memcpy(request->bytes, bytes, request_size);
    STAILQ_INSERT_TAIL(&post->queue, request, next);
    post->waiting++;
    send_next(post);
}

uint64_t http_post_waiting(const struct http_post *post)
{
    return post->waiting;
}
