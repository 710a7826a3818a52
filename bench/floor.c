/*
 * The control: what it costs to write the same bytes to as many sockets, and nothing else. Accepts COUNT connections, answers
 * each with the start of an event stream without reading the request, then writes the record of each datagram that comes to
 * every connection, one `write` each.
 *
 *     floor LISTEN DATAGRAMS COUNT [drop|double|swap]
 *
 * The last argument makes it break the contract once, towards its first client: the load generator must notice. An empty
 * datagram ends it.
 */
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { LIMIT_SECONDS = 600, PAYLOAD_MAX = 60000, HEADER_BYTES = 8, FAULT_AT = 3 };

struct record {
    size_t size;
    char bytes[HEADER_BYTES + PAYLOAD_MAX + 128];
};

static int open_socket(const char *path, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type, 0);

    if (strlen(path) >= sizeof address.sun_path)
        errx(1, "%s: too long for a socket", path);
    strcpy(address.sun_path, path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        err(1, "%s", path);
    return fd;
}

/* FastCGI 1.0, 3.3: a STDOUT record of request 1 without padding. */
static void finish_record(struct record *record, size_t content)
{
    const unsigned char header[HEADER_BYTES] = {1, 6, 0, 1, (unsigned char)(content >> 8), (unsigned char)content, 0, 0};

    memcpy(record->bytes, header, sizeof header);
    record->size = HEADER_BYTES + content;
}

static void make_start(struct record *record)
{
    int size =
        snprintf(record->bytes + HEADER_BYTES, sizeof record->bytes - HEADER_BYTES,
                 "Status: 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n\r\n"
                 ":\nretry: 3000\n");

    finish_record(record, (size_t)size);
}

static void make_event(struct record *record, const char *payload, size_t payload_size)
{
    static unsigned long long last_ms;
    static unsigned seq;
    struct timespec now;
    unsigned long long ms;
    int size;

    clock_gettime(CLOCK_REALTIME, &now);
    ms = (unsigned long long)now.tv_sec * 1000 + (unsigned long long)now.tv_nsec / 1000000;
    seq = ms > last_ms ? 0 : seq + 1;
    last_ms = ms > last_ms ? ms : last_ms;
    size = snprintf(record->bytes + HEADER_BYTES, sizeof record->bytes - HEADER_BYTES, "id: %llu-%u\ndata: %.*s\n\n", last_ms,
                    seq, (int)payload_size, payload);
    finish_record(record, (size_t)size);
}

static void write_record(int fd, const struct record *record)
{
    /* Blocking: what is short is a connection that went. */
    if (write(fd, record->bytes, record->size) != (ssize_t)record->size)
        err(1, "write");
}

static void accept_all(int listener, int *clients, int count)
{
    struct record start;

    make_start(&start);
    for (int i = 0; i < count; i++) {
        clients[i] = accept(listener, NULL, NULL);
        if (clients[i] < 0)
            err(1, "accept");
        write_record(clients[i], &start);
    }
}

/* Returns from which client on the record is to be written as usual. */
static int break_contract(const char *fault, uint64_t number, int client, const struct record *record, const struct record *last)
{
    if (number == FAULT_AT && strcmp(fault, "double") == 0)
        write_record(client, record);
    if (number == FAULT_AT && strcmp(fault, "drop") == 0)
        return 1;
    if (strcmp(fault, "swap") != 0 || (number != FAULT_AT && number != FAULT_AT + 1))
        return 0;
    if (number == FAULT_AT + 1) {
        write_record(client, record);
        write_record(client, last);
    }
    return 1;
}

int main(int argc, char **argv)
{
    static struct record records[2];
    static char payload[PAYLOAD_MAX];
    int count = argc >= 4 ? atoi(argv[3]) : 0;
    int *clients = count > 0 ? calloc((size_t)count, sizeof *clients) : NULL;
    int datagrams, listener;
    ssize_t size;

    if (!clients)
        errx(2, "usage: floor LISTEN DATAGRAMS COUNT [drop|double|swap]");
    alarm(LIMIT_SECONDS);
    datagrams = open_socket(argv[2], SOCK_DGRAM);
    listener = open_socket(argv[1], SOCK_STREAM);
    if (listen(listener, 4096) < 0)
        err(1, "listen");
    accept_all(listener, clients, count);
    for (uint64_t number = 0; (size = recv(datagrams, payload, sizeof payload, 0)) > 0; number++) {
        struct record *record = &records[number % 2];

        make_event(record, payload, (size_t)size);
        for (int i = argc > 4 ? break_contract(argv[4], number, clients[0], record, &records[(number + 1) % 2]) : 0; i < count;
             i++)
            write_record(clients[i], record);
    }
    return size < 0;
}
