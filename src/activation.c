/*
 * The environment is read by hand: the protocol is three variables and a number (sd_listen_fds(3)), and libsystemd would come with a good deal more. Only
 * sockets that a connect could be waiting at are taken: libzmq ends the process when it gets one that does not listen.
 */
#include "activation.h"

#include "address.h"
#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static const char *const names[ACTIVATION_NAMES] = {"fastcgi", "publish", "confirm"};

enum { SCHEME_BYTES = sizeof "ipc://" - 1 }; /* and of "tcp://" */

/* Digits only. -1: it is no number, or above `most`. */
static long parse_number(const char *text, long most)
{
    char *end;
    long number;

    errno = 0;
    number = strtol(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && number <= most ? number : -1;
}

/* --- one socket --- */

static bool has_option(int fd, int option, int wanted)
{
    int value;
    socklen_t size = sizeof value;

    return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 && value == wanted;
}

/* What is wrong with it; NULL: nothing, and its endpoint is set. */
static const char *take_socket(struct activation_socket *socket)
{
    char address[sizeof socket->endpoint - SCHEME_BYTES];
    int flags = fcntl(socket->fd, F_GETFL);

    if (flags < 0)
        return "there is no such descriptor";
    if (!has_option(socket->fd, SO_TYPE, SOCK_STREAM))
        return "it is no stream socket";
    if (!has_option(socket->fd, SO_ACCEPTCONN, 1))
        return "it does not listen";
    if (!listener_name(socket->fd, address, sizeof address))
        return "it is neither a unix socket with a path nor TCP";
    if (fcntl(socket->fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(socket->fd, F_SETFD, FD_CLOEXEC) < 0)
        return strerror(errno);
    snprintf(socket->endpoint, sizeof socket->endpoint, "%s%s", address[0] == '/' ? "ipc://" : "tcp://", address);
    return NULL;
}

/* --- all of them --- */

static bool parse_name(struct span text, enum activation_name *name)
{
    for (int i = 0; i < ACTIVATION_NAMES; i++)
        if (span_equal(text, span_of(names[i]))) {
            *name = (enum activation_name)i;
            return true;
        }
    return false;
}

static bool read_socket(struct activation *activation, struct span name, int fd, char *error, size_t size)
{
    struct activation_socket *socket = &activation->sockets[activation->count];
    const char *fault;

    *socket = (struct activation_socket){.fd = fd};
    if (!parse_name(name, &socket->name)) {
        snprintf(error, size, "LISTEN_FDNAMES: expected fastcgi, publish or confirm as the name of each socket (FileDescriptorName=), got `%.*s`",
                 name.size < 60 ? (int)name.size : 60, name.bytes);
        return false;
    }
    fault = take_socket(socket);
    if (fault) {
        snprintf(error, size, "LISTEN_FDS: expected descriptor %d (%s) to be a listening stream socket, unix or TCP: %s", fd, names[socket->name], fault);
        return false;
    }
    activation->count++;
    return true;
}

/* systemd always gives names; a number of them that does not fit is a launcher's mistake. */
static bool read_sockets(struct activation *activation, const char *list, long count, int first, char *error, size_t size)
{
    const char *rest = list;
    long found = *list != '\0';

    for (const char *at = list; *at; at++)
        found += *at == ':';
    if (found != count) {
        snprintf(error, size, "LISTEN_FDNAMES: expected %ld names with colons between, one for each socket of LISTEN_FDS, got %ld", count, found);
        return false;
    }
    for (long i = 0; i < count; i++) {
        struct span name = {rest, strcspn(rest, ":")};

        if (!read_socket(activation, name, first + (int)i, error, size))
            return false;
        rest += name.size + 1;
    }
    return true;
}

bool activation_read(struct activation *activation, const struct activation_environment *environment, pid_t self, int first, char *error,
                     size_t size)
{
    long pid, count;

    activation->count = 0;
    if (!environment->listen_pid)
        return true;
    pid = parse_number(environment->listen_pid, LONG_MAX);
    if (pid < 0) {
        snprintf(error, size, "LISTEN_PID: expected a process id, got `%.60s`", environment->listen_pid);
        return false;
    }
    /* It was meant for a process before us, which left it behind. */
    if (pid != (long)self)
        return true;
    count = environment->listen_fds ? parse_number(environment->listen_fds, ACTIVATION_MAX) : 0;
    if (count < 1) {
        snprintf(error, size, "LISTEN_FDS: expected the number of sockets that were passed in, 1 to %d, got `%.60s`", ACTIVATION_MAX,
                 environment->listen_fds ? environment->listen_fds : "");
        return false;
    }
    return read_sockets(activation, environment->listen_fdnames ? environment->listen_fdnames : "", count, first, error, size);
}

static bool is_allowed(const struct activation_socket *socket, const struct settings *settings)
{
    enum address_kind kind = address_of_endpoint(socket->endpoint);

    if (kind == ADDRESS_UNIX || kind == ADDRESS_LOOPBACK)
        return true;
    if (socket->name == ACTIVATION_FASTCGI)
        return settings->fastcgi_insecure;
    return settings->publish_insecure || *settings->publish_curve_secret_file;
}

bool activation_is_allowed(const struct activation *activation, const struct settings *settings, char *error, size_t size)
{
    for (size_t i = 0; i < activation->count; i++) {
        const struct activation_socket *socket = &activation->sockets[i];

        if (is_allowed(socket, settings))
            continue;
        snprintf(error, size, "LISTEN_FDS: expected descriptor %d (%s) to be on a loopback address, unless %s, got %s", socket->fd, names[socket->name],
                 socket->name == ACTIVATION_FASTCGI ? "fastcgi.insecure = yes" : "publish.curve_secret_file is given, or publish.insecure = yes",
                 socket->endpoint + SCHEME_BYTES);
        return false;
    }
    return true;
}

/* --- places --- */

static size_t count_passed(const struct activation *activation, enum activation_name name)
{
    size_t count = 0;

    for (size_t i = 0; activation && i < activation->count; i++)
        count += activation->sockets[i].name == name;
    return count;
}

size_t activation_count(const struct activation *activation, enum activation_name name, const struct string_list *configured)
{
    size_t passed = count_passed(activation, name);

    return passed > 0 ? passed : configured->count;
}

struct activation_place activation_place(const struct activation *activation, enum activation_name name, const struct string_list *configured,
                                         size_t index)
{
    const struct activation_socket *socket;

    if (count_passed(activation, name) == 0)
        return (struct activation_place){configured->items[index], -1};
    for (socket = activation->sockets; socket->name != name || index-- > 0; socket++)
        ;
    return (struct activation_place){socket->endpoint + (name == ACTIVATION_FASTCGI ? SCHEME_BYTES : 0), socket->fd};
}
