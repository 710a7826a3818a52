#include "audience.h"

#include "fcgi_request.h"
#include "record.h"

#include <err.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>

struct client {
    int fd;
    bool is_kept;
    struct channel *channel; /* NULL: no request */
    LIST_ENTRY(client) others;
};

LIST_HEAD(client_list, client);

struct channel {
    char *name;
    struct client_list streams, polls;
    char *gathered; /* records to be written */
    size_t size, capacity;
    SLIST_ENTRY(channel) waiting; /* while something is gathered */
    UT_hash_handle hh;
};

static struct channel *channels;
static SLIST_HEAD(, channel) waiting = SLIST_HEAD_INITIALIZER(waiting);
static struct record event;
static unsigned pace_ms;
static uint64_t due_ns; /* when what is gathered is to be written; 0: nothing is */

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* --- clients --- */

static struct channel *channel_of(const char *name)
{
    struct channel *channel;

    HASH_FIND_STR(channels, name, channel);
    if (channel)
        return channel;
    channel = calloc(1, sizeof *channel);
    if (!channel || !(channel->name = strdup(name)))
        err(1, "a channel");
    HASH_ADD_KEYPTR(hh, channels, channel->name, strlen(channel->name), channel);
    return channel;
}

static void leave(struct client *client)
{
    if (client->channel)
        LIST_REMOVE(client, others);
    client->channel = NULL;
}

static void drop(struct client *client)
{
    leave(client);
    close(client->fd);
    free(client);
}

static bool write_whole(const struct client *client, const char *bytes, size_t size)
{
    return write(client->fd, bytes, size) == (ssize_t)size;
}

/* A poll has ended: its connection is closed, or waits for the next request. */
static void answer(struct client *client, const struct record *whole)
{
    leave(client);
    if (!write_whole(client, whole->bytes, whole->size) || !client->is_kept)
        drop(client);
}

static void join(struct client *client, const struct fcgi_request *request)
{
    static struct record first;
    char id[RECORD_ID_TEXT];

    client->is_kept = request->is_kept;
    if (request->is_poll && !request->has_cursor) {
        record_next_id(id);
        record_make_poll_answer(&first, id, request->channel, NULL, 0);
        answer(client, &first);
        return;
    }
    client->channel = channel_of(request->channel);
    LIST_INSERT_HEAD(request->is_poll ? &client->channel->polls : &client->channel->streams, client, others);
    if (!request->is_poll) {
        record_make_start(&first);
        if (!write_whole(client, first.bytes, first.size))
            drop(client);
    }
}

void audience_read(struct client *client)
{
    static unsigned char bytes[FCGI_REQUEST_MAX];
    struct fcgi_request request = {0};
    ssize_t size = recv(client->fd, bytes, sizeof bytes, 0);

    if (size <= 0 || client->channel) {
        drop(client);
        return;
    }
    fcgi_request_take(&request, bytes, (size_t)size);
    join(client, &request);
}

/* --- messages --- */

static void write_streams(struct channel *channel)
{
    struct client *next;

    for (struct client *client = LIST_FIRST(&channel->streams); client; client = next) {
        next = LIST_NEXT(client, others);
        if (!write_whole(client, channel->gathered, channel->size))
            drop(client);
    }
    channel->size = 0;
}

static void answer_polls(struct channel *channel, const char *id, const char *data, size_t size)
{
    static struct record whole;
    struct client *client;

    if (LIST_EMPTY(&channel->polls))
        return;
    record_make_poll_answer(&whole, id, channel->name, data, size);
    while ((client = LIST_FIRST(&channel->polls)) != NULL)
        answer(client, &whole);
}

static void gather(struct channel *channel)
{
    if (channel->size == 0 && pace_ms > 0)
        SLIST_INSERT_HEAD(&waiting, channel, waiting);
    if (channel->size + event.size > channel->capacity) {
        channel->capacity = 2 * (channel->size + event.size);
        channel->gathered = realloc(channel->gathered, channel->capacity);
        if (!channel->gathered)
            err(1, "records");
    }
    memcpy(channel->gathered + channel->size, event.bytes, event.size);
    channel->size += event.size;
    if (due_ns == 0 && pace_ms > 0)
        due_ns = now_ns() + (uint64_t)pace_ms * 1000000;
}

void audience_tell(const char *name, const char *data, size_t size)
{
    struct channel *channel;
    char id[RECORD_ID_TEXT];

    HASH_FIND_STR(channels, name, channel);
    if (!channel)
        return;
    record_next_id(id);
    record_make_event(&event, id, data, size);
    gather(channel);
    if (pace_ms == 0)
        write_streams(channel);
    answer_polls(channel, id, data, size);
}

void audience_write_due(void)
{
    if (due_ns == 0 || now_ns() < due_ns)
        return;
    while (!SLIST_EMPTY(&waiting)) {
        write_streams(SLIST_FIRST(&waiting));
        SLIST_REMOVE_HEAD(&waiting, waiting);
    }
    due_ns = 0;
}

bool audience_wait(struct timespec *wait)
{
    uint64_t now;

    if (due_ns == 0)
        return false;
    now = now_ns();
    *wait = (struct timespec){.tv_nsec = due_ns > now ? (long)(due_ns - now) : 0};
    return true;
}

void audience_pace(unsigned ms)
{
    pace_ms = ms;
}

struct client *audience_add(int fd)
{
    struct client *client = calloc(1, sizeof *client);

    if (!client)
        err(1, "a client");
    client->fd = fd;
    return client;
}
