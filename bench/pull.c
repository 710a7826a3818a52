/*
 * The control of taking in: a bare loop over libzmq's PULL socket that takes messages of two frames (channel, data) and does
 * nothing with them. Accepts one connection first, answers it with the start of an event stream, and writes to it an event for
 * each message of CHANNEL, as a subscriber of that channel would get it: a message to it at the end tells that all before it on
 * the same socket were taken in.
 *
 *     pull LISTEN ENDPOINT CHANNEL
 */
#include "listener.h"
#include "record.h"

#include <err.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

enum { LIMIT_SECONDS = 600 };

static void *open_pull(const char *endpoint)
{
    void *context = zmq_ctx_new(), *pull = zmq_socket(context, ZMQ_PULL);

    if (!pull || zmq_bind(pull, endpoint) < 0)
        errx(1, "%s: %s", endpoint, zmq_strerror(errno));
    return pull;
}

static void write_record(int fd, const struct record *record)
{
    if (write(fd, record->bytes, record->size) != (ssize_t)record->size)
        err(1, "write");
}

static int accept_client(const char *where)
{
    static struct record start;
    int listener = listener_open(where);
    int client = listener_accept(listener);

    record_make_start(&start);
    write_record(client, &start);
    close(listener);
    return client;
}

static void tell(int client, zmq_msg_t *data)
{
    static struct record event;
    char id[RECORD_ID_TEXT];

    if (zmq_msg_size(data) > RECORD_DATA_MAX)
        errx(1, "a message is too large");
    record_next_id(id);
    record_make_event(&event, id, zmq_msg_data(data), zmq_msg_size(data));
    write_record(client, &event);
}

static void take_frame(void *pull, zmq_msg_t *frame)
{
    if (zmq_msg_recv(frame, pull, 0) < 0)
        errx(1, "zmq_msg_recv: %s", zmq_strerror(errno));
}

int main(int argc, char **argv)
{
    zmq_msg_t channel, data;
    int client;
    void *pull;

    if (argc != 4)
        errx(2, "usage: pull LISTEN ENDPOINT CHANNEL");
    alarm(LIMIT_SECONDS);
    pull = open_pull(argv[2]);
    client = accept_client(argv[1]);
    zmq_msg_init(&channel);
    zmq_msg_init(&data);
    for (;;) {
        take_frame(pull, &channel);
        take_frame(pull, &data);
        if (zmq_msg_size(&channel) == strlen(argv[3]) && memcmp(zmq_msg_data(&channel), argv[3], strlen(argv[3])) == 0)
            tell(client, &data);
    }
}
