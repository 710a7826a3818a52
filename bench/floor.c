/*
 * The control: what it costs to write the same bytes to as many sockets, and nothing else. Accepts COUNT connections, answers
 * each with the start of an event stream without reading the request, then writes the record of each datagram that comes to
 * every connection, one `write` each.
 *
 *     floor LISTEN DATAGRAMS COUNT [drop|double|swap | GROUPS]
 *
 * LISTEN is a path or ADDRESS:PORT. With GROUPS the datagrams go to groups of connections in turn, connection i being of group
 * i modulo their number. A word makes it break the contract once, towards its first client: the load generator must notice. An
 * empty datagram ends it.
 */
#include "listener.h"
#include "record.h"

#include <err.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LIMIT_SECONDS = 600, FAULT_AT = 3 };

static void write_record(int fd, const struct record *record)
{
    /* Blocking: what is short is a connection that went. */
    if (write(fd, record->bytes, record->size) != (ssize_t)record->size)
        err(1, "write");
}

static void accept_all(int listener, int *clients, int count)
{
    static struct record start;

    record_make_start(&start);
    for (int i = 0; i < count; i++) {
        clients[i] = listener_accept(listener);
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
    static char data[RECORD_DATA_MAX];
    int count = argc >= 4 ? atoi(argv[3]) : 0;
    int *clients = count > 0 ? calloc((size_t)count, sizeof *clients) : NULL;
    char id[RECORD_ID_TEXT];
    int groups = argc > 4 && atoi(argv[4]) > 0 ? atoi(argv[4]) : 1;
    const char *fault = argc > 4 && groups == 1 ? argv[4] : "";
    int datagrams, listener;
    ssize_t size;

    if (!clients)
        errx(2, "usage: floor LISTEN DATAGRAMS COUNT [drop|double|swap | GROUPS]");
    alarm(LIMIT_SECONDS);
    datagrams = listener_open_datagrams(argv[2]);
    listener = listener_open(argv[1]);
    accept_all(listener, clients, count);
    for (uint64_t number = 0; (size = recv(datagrams, data, sizeof data, 0)) > 0; number++) {
        struct record *record = &records[number % 2];
        int first = (int)(number % (uint64_t)groups);

        record_next_id(id);
        record_make_event(record, id, data, (size_t)size);
        if (*fault)
            first = break_contract(fault, number, clients[0], record, &records[(number + 1) % 2]);
        for (int i = first; i < count; i += groups)
            write_record(clients[i], record);
    }
    return size < 0;
}
