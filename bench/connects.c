/*
 * What it costs to come: clients that open an event stream, get its first bytes, and leave, a number of them at once, again and
 * again. Prints one line: connects, seconds, rate (a second), cpu_us and own_us (per connect, as modes.h says), faults. Exit
 * status 1 when an answer was no event stream.
 *
 *     connects --listen ADDRESS --path PATH --pid PID [--pid PID …] [--own-pid PID …] [--cookie NAME=VALUE] [--at-once 50]
 *              [--seconds 3]
 */
#include "connect.h"
#include "process.h"
#include "request.h"

#include <err.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LIMIT_SECONDS = 300, AT_ONCE_MAX = 1000, ANSWER_MAX = 4096 };

struct options {
    const char *listen, *path;
    char headers[8192];
    unsigned at_once;
    double seconds;
    struct process_set server, own;
};

static const struct option NAMES[] = {
    {"listen", required_argument, NULL, 'l'}, {"path", required_argument, NULL, 'a'},    {"cookie", required_argument, NULL, 'C'},
    {"pid", required_argument, NULL, 'i'},    {"own-pid", required_argument, NULL, 'O'}, {"at-once", required_argument, NULL, 'n'},
    {"seconds", required_argument, NULL, 't'}, {NULL, 0, NULL, 0},
};

static void add_process(struct process_set *set, const char *text)
{
    if (set->count == PROCESS_MAX)
        errx(2, "too many processes");
    set->ids[set->count++] = (pid_t)atol(text);
}

static void set_cookie(struct options *options, const char *cookie)
{
    if (snprintf(options->headers, sizeof options->headers, "Cookie: %s\r\n", cookie) >= (int)sizeof options->headers)
        errx(2, "the cookie is too long");
}

static void parse(struct options *options, int argc, char **argv)
{
    int letter;

    while ((letter = getopt_long(argc, argv, "", NAMES, NULL)) >= 0)
        switch (letter) {
        case 'l': options->listen = optarg; break;
        case 'a': options->path = optarg; break;
        case 'C': set_cookie(options, optarg); break;
        case 'i': add_process(&options->server, optarg); break;
        case 'O': add_process(&options->own, optarg); break;
        case 'n': options->at_once = (unsigned)atoi(optarg); break;
        case 't': options->seconds = atof(optarg); break;
        default: exit(2);
        }
    if (!options->listen || !options->path || options->server.count == 0 || options->at_once == 0 || options->at_once > AT_ONCE_MAX)
        errx(2, "--listen, --path and --pid are needed, --at-once is 1 to %d", AT_ONCE_MAX);
}

static void send_request(int fd, const char *request, size_t size)
{
    if (send(fd, request, size, MSG_NOSIGNAL) != (ssize_t)size)
        err(1, "send");
}

/* Reads until the stream has begun. False: it was not one. */
static bool has_begun(int fd)
{
    char answer[ANSWER_MAX + 1];
    size_t size = 0;

    while (size < ANSWER_MAX) {
        ssize_t got = recv(fd, answer + size, ANSWER_MAX - size, 0);

        if (got <= 0)
            break;
        size += (size_t)got;
        answer[size] = '\0';
        if (strstr(answer, "\nretry: "))
            return strncmp(answer, "HTTP/1.1 200 ", 13) == 0 && strstr(answer, "\nevent: sidecast.open\n");
    }
    answer[size] = '\0';
    warnx("no event stream: %.300s", answer);
    return false;
}

static uint64_t come_and_go(const struct options *options, const char *request, size_t size)
{
    int fds[AT_ONCE_MAX];
    uint64_t faults = 0;

    for (unsigned i = 0; i < options->at_once; i++) {
        fds[i] = connect_to(options->listen, SOCK_STREAM);
        send_request(fds[i], request, size);
    }
    for (unsigned i = 0; i < options->at_once; i++) {
        faults += !has_begun(fds[i]);
        close(fds[i]);
    }
    return faults;
}

int main(int argc, char **argv)
{
    static struct options options = {.at_once = 50, .seconds = 3};
    static char request[REQUEST_MAX];
    uint64_t start, cpu, own, connects = 0, faults;
    double seconds;
    size_t size;

    parse(&options, argc, argv);
    alarm(LIMIT_SECONDS);
    size = request_get(request, options.path, "bench/0", "", options.headers);
    faults = come_and_go(&options, request, size); /* warms up */
    cpu = process_cpu_ns(&options.server);
    own = process_cpu_ns(&options.own);
    start = now_ns();
    do {
        faults += come_and_go(&options, request, size);
        connects += options.at_once;
        seconds = (double)(now_ns() - start) / 1e9;
    } while (faults == 0 && seconds < options.seconds);
    cpu = process_cpu_ns(&options.server) - cpu;
    own = process_cpu_ns(&options.own) - own;
    printf("deliveries=%" PRIu64 " seconds=%.3f rate=%.1f cpu_us=%.3f own_us=%.3f faults=%" PRIu64 "\n", connects, seconds,
           (double)connects / seconds, (double)cpu / 1e3 / (double)connects, (double)own / 1e3 / (double)connects, faults);
    return faults > 0;
}
