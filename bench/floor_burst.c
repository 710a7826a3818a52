/*
 * The control for bursts: what it costs to write the same bytes to as many sockets, by one thread or divided among several.
 * Accepts COUNT connections, answers each with the start of an event stream without reading the request, then takes all messages
 * that are there and writes them to every connection in one `write`, in records as large as sidecast's.
 *
 *     floor_burst LISTEN MESSAGES COUNT THREADS
 *
 * LISTEN is a path or ADDRESS:PORT, MESSAGES the path of a SOCK_SEQPACKET socket that takes one publisher.
 */
#include "listener.h"
#include "record.h"

#include <err.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LIMIT_SECONDS = 600, THREADS_MAX = 16, BURST_BYTES = 256 * 1024, RUN_BYTES = 16 * 1024 };

static int *clients, client_count, thread_count;
static pthread_barrier_t begun, done;
static struct {
    char bytes[BURST_BYTES];
    size_t size, run; /* run: where the last record begins */
} burst;

static void write_whole(int fd, const char *bytes, size_t size)
{
    if (write(fd, bytes, size) != (ssize_t)size)
        err(1, "write");
}

static void write_part(int thread)
{
    for (int i = thread; i < client_count; i += thread_count)
        write_whole(clients[i], burst.bytes, burst.size);
}

static void *run(void *argument)
{
    for (;;) {
        pthread_barrier_wait(&begun);
        write_part((int)(size_t)argument);
        pthread_barrier_wait(&done);
    }
    return NULL;
}

static void start_threads(void)
{
    pthread_t thread;

    pthread_barrier_init(&begun, NULL, (unsigned)thread_count);
    pthread_barrier_init(&done, NULL, (unsigned)thread_count);
    for (int i = 1; i < thread_count; i++)
        if (pthread_create(&thread, NULL, run, (void *)(size_t)i) != 0)
            errx(1, "no thread");
}

static void accept_all(int listener)
{
    static struct record start;

    record_make_start(&start);
    for (int i = 0; i < client_count; i++) {
        clients[i] = listener_accept(listener);
        write_whole(clients[i], start.bytes, start.size);
    }
}

/* To the last record, or a further one if it would become too large. */
static void add(const char *data, size_t size)
{
    static struct record record;
    char id[RECORD_ID_TEXT];

    record_next_id(id);
    record_make_event(&record, id, data, size);
    if (burst.size + record.size > BURST_BYTES)
        errx(1, "a burst is too large");
    if (burst.size == 0 || burst.size - burst.run + record.size - 2 * RECORD_HEADER > RUN_BYTES) {
        burst.run = burst.size;
        burst.size += RECORD_HEADER;
    }
    memcpy(burst.bytes + burst.size, record.bytes + RECORD_HEADER, record.size - RECORD_HEADER);
    burst.size += record.size - RECORD_HEADER;
    record_put_header(burst.bytes + burst.run, RECORD_STDOUT, burst.size - burst.run - RECORD_HEADER);
}

/* False: the publisher is gone. */
static bool take_burst(int messages)
{
    static char data[RECORD_DATA_MAX];
    ssize_t size;

    burst.size = 0;
    for (int flags = 0; (size = recv(messages, data, sizeof data, flags)) > 0; flags = MSG_DONTWAIT)
        add(data, (size_t)size);
    return burst.size > 0;
}

int main(int argc, char **argv)
{
    int listener, messages;

    client_count = argc == 5 ? atoi(argv[3]) : 0;
    thread_count = argc == 5 ? atoi(argv[4]) : 0;
    if (client_count < 1 || thread_count < 1 || thread_count > THREADS_MAX)
        errx(2, "usage: floor_burst LISTEN MESSAGES COUNT THREADS");
    alarm(LIMIT_SECONDS);
    clients = calloc((size_t)client_count, sizeof *clients);
    if (!clients)
        err(1, "clients");
    start_threads();
    messages = listener_open_packets(argv[2]);
    listener = listener_open(argv[1]);
    accept_all(listener);
    messages = listener_accept(messages);
    while (take_burst(messages)) {
        pthread_barrier_wait(&begun);
        write_part(0);
        pthread_barrier_wait(&done);
    }
    return 0;
}
