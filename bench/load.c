/*
 * The load generator: opens clients that subscribe over FastCGI on a unix socket, publishes at a rate, reads everything and
 * checks it while it measures. Prints one line of key=value; exit status 1 when something was lost, doubled, out of order or
 * late beyond the limit.
 *
 *     load --listen PATH --publish ENDPOINT --pid PID [--pid PID …] [--clients 1000] [--channels 1] [--rate 5] [--size 200]
 *          [--messages 20] [--warm 5]
 *
 * ENDPOINT is one of ZeroMQ's, or `dgram:PATH` for the bare writer. A rate of 0 publishes all at once. The first `warm`
 * messages are not measured. One thread: publishing and reading take turns. Client i listens to channel i modulo the number of
 * channels; messages go to the channels in turn. The server has to be up: its memory is measured first.
 */
#include "histogram.h"
#include "process.h"
#include "stream.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

enum {
    LIMIT_SECONDS = 300,  /* of the whole program */
    SILENCE_SECONDS = 10, /* without a byte although some are awaited */
    EVENTS = 256,
    READ_BYTES = 65536,
    PAYLOAD_MIN = 48,
    PAYLOAD_MAX = 60000,
    FAULTS_SHOWN = 5,
};

#define SECOND_NS UINT64_C(1000000000)

struct options {
    const char *listen, *publish;
    uint64_t clients, channels, size, messages, warm;
    double rate;
    struct process_set server;
};

struct client {
    int fd;
    struct stream stream;
};

struct load {
    struct options options;
    struct client *clients;
    struct client *current; /* whose bytes are being read */
    int epoll;
    struct stream_check check;
    void *zmq, *socket; /* publishes by ZeroMQ, or */
    int datagrams;      /* by datagrams */
    uint64_t opened;
    uint64_t published;
    uint64_t awaited;         /* deliveries still to come */
    uint64_t received, bytes; /* deliveries and bytes in the measured part */
    uint64_t overlaps;        /* measured messages that were published before all before them had arrived */
    uint64_t faults;
    bool is_measured;
    struct histogram latencies;
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

/* --- what the streams tell --- */

static void on_open(void *context)
{
    ((struct load *)context)->opened++;
}

static void on_message(void *context, uint64_t sent_ns)
{
    struct load *load = context;

    if (load->awaited > 0)
        load->awaited--;
    if (!load->is_measured)
        return;
    load->received++;
    histogram_add(&load->latencies, now_ns() - sent_ns);
}

static void on_fault(void *context, const struct stream *stream, const char *what)
{
    struct load *load = context;

    if (load->faults++ < FAULTS_SHOWN)
        warnx("client %td: %s (awaited number %" PRIu64 ", last line: %.60s)", load->current - load->clients, what,
              stream->expected, stream->line);
}

/* --- connecting --- */

static int connect_to(const char *path, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    uint64_t end_ns = now_ns() + SILENCE_SECONDS * SECOND_NS;

    if (strlen(path) >= sizeof address.sun_path)
        errx(1, "%s: too long for a socket", path);
    strcpy(address.sun_path, path);
    for (;;) {
        int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

        if (fd < 0)
            err(1, "socket");
        if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
            return fd;
        /* The server is starting. */
        if ((errno != ENOENT && errno != ECONNREFUSED) || now_ns() > end_ns)
            err(1, "%s", path);
        close(fd);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

static size_t put_record(char *out, int type, const char *content, size_t size)
{
    const unsigned char header[8] = {1, (unsigned char)type, 0, 1, (unsigned char)(size >> 8), (unsigned char)size, 0, 0};

    memcpy(out, header, sizeof header);
    memcpy(out + sizeof header, content, size);
    return sizeof header + size;
}

static size_t put_param(char *out, const char *name, const char *value)
{
    size_t name_size = strlen(name), value_size = strlen(value);

    out[0] = (char)name_size;
    out[1] = (char)value_size;
    memcpy(out + 2, name, name_size);
    memcpy(out + 2 + name_size, value, value_size);
    return 2 + name_size + value_size;
}

/* A subscription as nginx passes it on (FastCGI 1.0, 3.3: BEGIN_REQUEST 1, PARAMS 4, STDIN 5). */
static size_t put_request(char *out, const char *channel)
{
    static const char begin[8] = {0, 1}; /* a responder; the connection is not kept */
    char params[512];
    size_t size = 0, at = 0;

    size += put_param(params + size, "SIDECAST_CHANNELS", channel);
    size += put_param(params + size, "REQUEST_METHOD", "GET");
    size += put_param(params + size, "REQUEST_URI", "/events");
    size += put_param(params + size, "QUERY_STRING", "");
    size += put_param(params + size, "SERVER_PROTOCOL", "HTTP/1.1");
    size += put_param(params + size, "HTTP_HOST", "localhost");
    size += put_param(params + size, "HTTP_ACCEPT", "text/event-stream");
    at += put_record(out + at, 1, begin, sizeof begin);
    at += put_record(out + at, 4, params, size);
    at += put_record(out + at, 4, "", 0);
    at += put_record(out + at, 5, "", 0);
    return at;
}

static void channel_name(char name[32], uint64_t channel)
{
    snprintf(name, 32, "bench/%" PRIu64, channel);
}

static void open_client(struct load *load, uint64_t number)
{
    struct client *client = &load->clients[number];
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    char channel[32], request[1024];
    size_t size;

    channel_name(channel, number % load->options.channels);
    size = put_request(request, channel);
    client->fd = connect_to(load->options.listen, SOCK_STREAM);
    if (write(client->fd, request, size) != (ssize_t)size)
        err(1, "cannot send a request");
    if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, client->fd, &event) < 0)
        err(1, "epoll_ctl");
}

/* --- publishing --- */

static void open_publisher(struct load *load)
{
    const char *endpoint = load->options.publish;
    int hwm = 0, linger = 0;

    if (strncmp(endpoint, "dgram:", 6) == 0) {
        load->datagrams = connect_to(endpoint + 6, SOCK_DGRAM);
        return;
    }
    load->zmq = zmq_ctx_new();
    load->socket = zmq_socket(load->zmq, ZMQ_PUSH);
    if (!load->socket || zmq_setsockopt(load->socket, ZMQ_SNDHWM, &hwm, sizeof hwm) < 0 ||
        zmq_setsockopt(load->socket, ZMQ_LINGER, &linger, sizeof linger) < 0 || zmq_connect(load->socket, endpoint) < 0)
        errx(1, "%s: %s", endpoint, zmq_strerror(errno));
}

static uint64_t clients_of(const struct options *options, uint64_t channel)
{
    return options->clients / options->channels + (channel < options->clients % options->channels);
}

static void publish(struct load *load)
{
    static char payload[PAYLOAD_MAX];
    const struct options *options = &load->options;
    uint64_t channel = load->published % options->channels;
    char name[32];

    load->overlaps += load->is_measured && load->awaited > 0;
    stream_write_payload(payload, options->size, load->published / options->channels, now_ns());
    channel_name(name, channel);
    if (!load->socket) {
        if (send(load->datagrams, payload, options->size, 0) < 0)
            err(1, "cannot publish");
    } else if (zmq_send(load->socket, name, strlen(name), ZMQ_SNDMORE) < 0 ||
               zmq_send(load->socket, payload, options->size, 0) < 0) {
        errx(1, "cannot publish: %s", zmq_strerror(errno));
    }
    load->published++;
    load->awaited += clients_of(options, channel);
}

/* --- reading --- */

static void read_client(struct load *load, struct client *client)
{
    static char bytes[READ_BYTES];
    ssize_t size = recv(client->fd, bytes, sizeof bytes, MSG_DONTWAIT);

    if (size < 0 && errno == EAGAIN)
        return;
    load->current = client;
    if (size <= 0) {
        on_fault(load, &client->stream, "the server closed");
        (void)epoll_ctl(load->epoll, EPOLL_CTL_DEL, client->fd, NULL);
        return;
    }
    if (load->is_measured)
        load->bytes += (uint64_t)size;
    stream_feed(&client->stream, &load->check, bytes, (size_t)size);
}

/* Reads what is there, or waits for it until `until_ns`. False: the wait ended without any. */
static bool read_some(struct load *load, uint64_t until_ns)
{
    struct epoll_event events[EVENTS];
    uint64_t now = now_ns();
    uint64_t wait_ns = until_ns > now ? until_ns - now : 0;
    struct timespec wait = {.tv_sec = (time_t)(wait_ns / SECOND_NS), .tv_nsec = (long)(wait_ns % SECOND_NS)};
    int count = epoll_pwait2(load->epoll, events, EVENTS, &wait, NULL);

    if (count < 0 && errno != EINTR)
        err(1, "epoll_wait");
    for (int i = 0; i < count; i++)
        read_client(load, events[i].data.ptr);
    return count > 0;
}

static void open_clients(struct load *load)
{
    uint64_t clients = load->options.clients;

    for (uint64_t i = 0; i < clients; i++) {
        open_client(load, i);
        if (i % EVENTS == 0)
            (void)read_some(load, 0);
    }
    while (load->opened < clients)
        if (!read_some(load, now_ns() + SILENCE_SECONDS * SECOND_NS))
            errx(1, "only %" PRIu64 " of %" PRIu64 " clients were answered", load->opened, clients);
}

/*
 * While deliveries are awaited it looks for them without sleeping: else the server would pay for waking it, the more often the
 * faster it reads. A front end under load does not sleep there either. Between two messages it does.
 */
static void read_until(struct load *load, uint64_t due_ns)
{
    while (now_ns() < due_ns && load->faults == 0)
        if (!read_some(load, load->awaited > 0 ? 0 : due_ns))
            sched_yield();
}

static void read_rest(struct load *load)
{
    uint64_t end_ns = now_ns() + SILENCE_SECONDS * SECOND_NS;

    while (load->awaited > 0 && load->faults == 0) {
        if (read_some(load, 0)) {
            end_ns = now_ns() + SILENCE_SECONDS * SECOND_NS;
        } else if (now_ns() > end_ns) {
            warnx("%" PRIu64 " deliveries never came", load->awaited);
            load->faults += load->awaited;
        }
        sched_yield();
    }
    /* What came once too often comes now. */
    while (read_some(load, 0))
        ;
}

static void publish_all(struct load *load, uint64_t messages)
{
    uint64_t start = now_ns();

    for (uint64_t i = 1; i <= messages && load->faults == 0; i++) {
        /* The first after one interval as well: it follows the warm-up's last as any other follows its own. */
        read_until(load, load->options.rate > 0 ? start + (uint64_t)((double)i * (double)SECOND_NS / load->options.rate) : start);
        publish(load);
    }
    read_rest(load);
}

/* --- main --- */

static uint64_t number_of(const char *text)
{
    char *end;
    uint64_t number = strtoull(text, &end, 10);

    if (*end || end == text)
        errx(2, "%s: not a number", text);
    return number;
}

static void set_option(struct options *options, int letter, const char *value)
{
    switch (letter) {
    case 'l': options->listen = value; return;
    case 'p': options->publish = value; return;
    case 'c': options->clients = number_of(value); return;
    case 'n': options->channels = number_of(value); return;
    case 'r': options->rate = atof(value); return;
    case 's': options->size = number_of(value); return;
    case 'm': options->messages = number_of(value); return;
    case 'w': options->warm = number_of(value); return;
    case 'i':
        if (options->server.count == PROCESS_MAX)
            errx(2, "too many processes");
        options->server.ids[options->server.count++] = (pid_t)number_of(value);
        return;
    default: exit(2);
    }
}

static void parse(struct options *options, int argc, char **argv)
{
    static const struct option names[] = {
        {"listen", required_argument, NULL, 'l'},   {"publish", required_argument, NULL, 'p'},
        {"pid", required_argument, NULL, 'i'},      {"clients", required_argument, NULL, 'c'},
        {"channels", required_argument, NULL, 'n'}, {"rate", required_argument, NULL, 'r'},
        {"size", required_argument, NULL, 's'},     {"messages", required_argument, NULL, 'm'},
        {"warm", required_argument, NULL, 'w'},     {NULL, 0, NULL, 0},
    };
    int letter;

    *options = (struct options){.clients = 1000, .channels = 1, .rate = 5, .size = 200, .messages = 20, .warm = 5};
    while ((letter = getopt_long(argc, argv, "", names, NULL)) >= 0)
        set_option(options, letter, optarg);
    if (!options->listen || !options->publish || options->server.count == 0 || optind < argc)
        errx(2, "--listen, --publish and --pid are needed");
    if (options->size < PAYLOAD_MIN || options->size > PAYLOAD_MAX || options->channels == 0)
        errx(2, "--size is %d to %d, --channels at least 1", PAYLOAD_MIN, PAYLOAD_MAX);
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static double ms_at(const struct load *load, double share)
{
    return (double)histogram_at(&load->latencies, share) / 1e6;
}

int main(int argc, char **argv)
{
    static struct load load;
    const struct options *options = &load.options;
    uint64_t pss, cpu, began;

    parse(&load.options, argc, argv);
    alarm(LIMIT_SECONDS);
    raise_descriptor_limit();
    load.check = (struct stream_check){options->size, on_open, on_message, on_fault, &load};
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    load.clients = calloc(options->clients, sizeof *load.clients);
    if (load.epoll < 0 || !load.clients)
        err(1, "cannot start");
    open_publisher(&load);
    pss = process_pss_bytes(&options->server);
    open_clients(&load);
    publish_all(&load, options->warm);
    load.is_measured = true;
    cpu = process_cpu_ns(&options->server);
    began = now_ns();
    publish_all(&load, options->messages);
    cpu = process_cpu_ns(&options->server) - cpu;
    printf("deliveries=%" PRIu64 " seconds=%.3f cpu_us=%.3f bytes=%.1f p50_ms=%.3f p99_ms=%.3f p999_ms=%.3f pss_before=%" PRIu64
           " pss_after=%" PRIu64 " overlaps=%" PRIu64 " faults=%" PRIu64 "\n",
           load.received, (double)(now_ns() - began) / 1e9, (double)cpu / 1e3 / (double)load.received,
           (double)load.bytes / (double)load.received, ms_at(&load, 0.5), ms_at(&load, 0.99), ms_at(&load, 0.999), pss,
           process_pss_bytes(&options->server), load.overlaps, load.faults);
    return load.faults > 0;
}
