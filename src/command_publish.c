/*
 * One request to publish.confirm_listen. The message is handed to libzmq only when there is a connection (ZMQ_IMMEDIATE), so that "nothing was sent" can be
 * told from "nobody answered".
 */
#include "command_publish.h"

#include "address.h"
#include "clock.h"
#include "curve.h"
#include "span.h"
#include "text.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

enum { PIECE_BYTES = 65536 };

static const char USAGE[] =
    "Usage: sidecast publish [OPTION ...] CHANNEL DATA\n"
    "       sidecast publish [OPTION ...] CHANNEL -      (data from standard input)\n"
    "\n"
    "Publishes one message at a sidecast that runs, and prints its id.\n"
    "\n"
    "  --endpoint=ENDPOINT        one of its publish.confirm_listen (ipc:///run/sidecast/confirm.sock)\n"
    "  --event=NAME               the event's name\n"
    "  --key=KEY                  idempotency key: sent again, it is answered with the first id\n"
    "  --ttl=SECONDS              who has not got it by then does not get it\n"
    "  --no-store                 only for those who are connected now\n"
    "  --except=CLIENT            the client that does not get it\n"
    "  --timeout=TIME             wait so long for connection and answer, as 500ms or 2s (2s)\n"
    "  --server-key=KEY           CURVE: the server's public key, or a file with it\n"
    "  --client-secret-file=FILE  CURVE: our own key, from `sidecast keygen`; without it, one is made up\n"
    "  --help                     print this text\n"
    "\n"
    "Data that starts with a dash comes behind the channel, or from standard input.\n"
    "Exit codes: 0 published, 1 refused (the reason is printed), 2 wrong arguments, 4 not connected in time (nothing was sent),\n"
    "5 sent and not answered in time (it may be published: send it again with the same --key).\n";

struct request {
    const char *endpoint, *event, *key, *except, *ttl, *server_key, *client_secret_file;
    bool no_store;
    bool wants_help;
    long timeout_ms;
    const char *channel;
    struct text data;
    struct text options; /* JSON; empty: none */
};

static int complain(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int complain(int code, const char *format, ...)
{
    va_list arguments;

    fputs("sidecast publish: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return code;
}

/* --- what is asked for --- */

/* `500ms`, `2s` or `1min`. */
static bool read_time(const char *text, long *ms)
{
    char *unit;

    errno = 0;
    *ms = strtol(text, &unit, 10);
    if (unit == text || errno != 0 || *ms < 1 || *ms > 86400000)
        return false;
    if (strcmp(unit, "s") == 0)
        *ms *= 1000;
    else if (strcmp(unit, "min") == 0)
        *ms *= 60000;
    else if (strcmp(unit, "ms") != 0)
        return false;
    return *ms <= 86400000;
}

/* JSON would take what strtod does not, and the other way round; the server checks the value. */
static bool is_number(const char *text)
{
    return *text && text[strspn(text, "0123456789.")] == '\0';
}

static int take_option(struct request *request, int option)
{
    switch (option) {
    case 'n': request->endpoint = optarg; break;
    case 'e': request->event = optarg; break;
    case 'k': request->key = optarg; break;
    case 'x': request->except = optarg; break;
    case 's': request->no_store = true; break;
    case 'h': request->wants_help = true; break;
    case 'K': request->server_key = optarg; break;
    case 'C': request->client_secret_file = optarg; break;
    case 't':
        request->ttl = optarg;
        return is_number(optarg) ? 0 : complain(PUBLISH_USAGE, "--ttl=%s: expected a number of seconds", optarg);
    case 'w':
        return read_time(optarg, &request->timeout_ms) ? 0 : complain(PUBLISH_USAGE, "--timeout=%s: expected a time as 500ms, 2s or 1min", optarg);
    default: /* getopt has said what is wrong */
        return PUBLISH_USAGE;
    }
    return 0;
}

static const struct option OPTIONS[] = {
    {"endpoint", required_argument, NULL, 'n'}, {"event", required_argument, NULL, 'e'},
    {"key", required_argument, NULL, 'k'}, {"ttl", required_argument, NULL, 't'},
    {"no-store", no_argument, NULL, 's'}, {"except", required_argument, NULL, 'x'},
    {"timeout", required_argument, NULL, 'w'}, {"server-key", required_argument, NULL, 'K'},
    {"client-secret-file", required_argument, NULL, 'C'}, {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int read_data(struct text *data, const char *argument)
{
    size_t got = 1;

    if (strcmp(argument, "-") != 0) {
        text_append_string(data, argument);
        return 0;
    }
    while (got > 0 && !data->failed) {
        char *end = text_reserve(data, PIECE_BYTES);

        got = end ? fread(end, 1, PIECE_BYTES, stdin) : 0;
        data->size += got;
    }
    return ferror(stdin) ? complain(PUBLISH_USAGE, "standard input: %s", strerror(errno)) : 0;
}

static int read_arguments(struct request *request, int argc, char **argv)
{
    int option, code = 0;

    while (code == 0 && (option = getopt_long(argc, argv, "+h", OPTIONS, NULL)) != -1)
        code = take_option(request, option);
    if (code != 0 || request->wants_help)
        return code;
    if (argc - optind != 2)
        return complain(PUBLISH_USAGE, "expected CHANNEL and DATA (or - for standard input)");
    if (address_of_endpoint(request->endpoint) == ADDRESS_BAD)
        return complain(PUBLISH_USAGE, "--endpoint=%s: expected ipc:///path or tcp://host:port", request->endpoint);
    if (request->client_secret_file && !request->server_key)
        return complain(PUBLISH_USAGE, "--client-secret-file: expected --server-key, too");
    request->channel = argv[optind];
    return read_data(&request->data, argv[optind + 1]);
}

/* --- options as JSON --- */

static void start_member(struct text *json, const char *name)
{
    text_append_format(json, "%s\"%s\":", json->size == 0 ? "{" : ",", name);
}

static bool add_label(struct text *json, const char *name, const char *value)
{
    if (!value)
        return true;
    if (!text_is_label(span_of(value))) {
        complain(PUBLISH_USAGE, "--%s: expected at most 255 bytes of UTF-8 without control characters", name);
        return false;
    }
    start_member(json, name);
    text_append_json(json, span_of(value));
    return true;
}

static int write_options(struct request *request)
{
    struct text *json = &request->options;

    if (!add_label(json, "event", request->event) || !add_label(json, "key", request->key) || !add_label(json, "except", request->except))
        return PUBLISH_USAGE;
    if (request->ttl) {
        start_member(json, "ttl");
        text_append_string(json, request->ttl);
    }
    if (request->no_store) {
        start_member(json, "store");
        text_append_string(json, "false");
    }
    if (json->size > 0)
        text_append_string(json, "}");
    return json->failed || request->data.failed ? complain(PUBLISH_UNREACHABLE, "no memory") : 0;
}

/* --- CURVE --- */

static bool read_secret(const struct request *request, char public[CURVE_TEXT], char secret[CURVE_TEXT], char *error, size_t size)
{
    if (!request->client_secret_file)
        return zmq_curve_keypair(public, secret) == 0;
    return curve_read_secret(request->client_secret_file, secret, error, size) && curve_public_of(secret, public);
}

static int set_keys(const struct request *request, void *socket)
{
    char server[CURVE_TEXT], public[CURVE_TEXT], secret[CURVE_TEXT], error[PATH_MAX + 256] = "this libzmq is built without CURVE";
    bool done;

    if (!request->server_key)
        return 0;
    /* A path may look like a key, and a key is hardly ever a path that is there. */
    if (curve_is_key(request->server_key) && access(request->server_key, F_OK) < 0)
        memcpy(server, request->server_key, CURVE_TEXT);
    else if (!curve_read_public(request->server_key, server, error, sizeof error))
        return complain(PUBLISH_USAGE, "--server-key: expected a key of 40 characters, or a file: %s", error);
    done = read_secret(request, public, secret, error, sizeof error);
    done = done && zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server, CURVE_TEXT) == 0 &&
           zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, public, CURVE_TEXT) == 0 &&
           zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret, CURVE_TEXT) == 0;
    explicit_bzero(secret, sizeof secret);
    return done ? 0 : complain(PUBLISH_USAGE, "%s", error);
}

/* --- the request --- */

/* What the system says about an ipc endpoint that nobody could be reached at. */
static const char *why_unreachable(const char *endpoint)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd, result;

    if (address_of_endpoint(endpoint) != ADDRESS_UNIX)
        return "no connection, or a wrong key";
    snprintf(name.sun_path, sizeof name.sun_path, "%s", endpoint + strlen("ipc://"));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    result = connect(fd, (const struct sockaddr *)&name, sizeof name);
    if (fd >= 0)
        close(fd);
    return result < 0 ? strerror(errno) : "it does not speak with us";
}

static bool wait_until(void *socket, short event, int64_t end_ms)
{
    zmq_pollitem_t item = {.socket = socket, .events = event};
    int result;

    do {
        int64_t left_ms = end_ms - clock_monotonic_ms();

        result = zmq_poll(&item, 1, left_ms > 0 ? left_ms : 0);
    } while (result < 0 && errno == EINTR);
    return result > 0;
}

/* `ok <id>` or `error <code> <message>`. */
static int read_answer(void *socket)
{
    zmq_msg_t frame;
    const char *text;
    int size, code = PUBLISH_REFUSED;

    zmq_msg_init(&frame);
    size = zmq_msg_recv(&frame, socket, 0);
    text = zmq_msg_data(&frame);
    if (size > 3 && memcmp(text, "ok ", 3) == 0) {
        printf("%.*s\n", size - 3, text + 3);
        code = PUBLISH_DONE;
    } else if (size > 6 && memcmp(text, "error ", 6) == 0) {
        complain(code, "%.*s", size - 6, text + 6);
    } else {
        code = complain(PUBLISH_UNANSWERED, "the answer is not one of a sidecast");
    }
    zmq_msg_close(&frame);
    return code;
}

static void send_request(const struct request *request, void *socket)
{
    struct span options = text_span(&request->options), data = text_span(&request->data);

    zmq_send(socket, request->channel, strlen(request->channel), ZMQ_SNDMORE);
    zmq_send(socket, data.bytes, data.size, options.size > 0 ? ZMQ_SNDMORE : 0);
    if (options.size > 0)
        zmq_send(socket, options.bytes, options.size, 0);
}

static int ask(const struct request *request, void *socket)
{
    int64_t end_ms = clock_monotonic_ms() + request->timeout_ms;
    int on = 1, none = 0, code;

    zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(socket, ZMQ_IMMEDIATE, &on, sizeof on);
    code = set_keys(request, socket);
    if (code != 0)
        return code;
    if (zmq_connect(socket, request->endpoint) < 0)
        return complain(PUBLISH_UNREACHABLE, "%s: %s", request->endpoint, zmq_strerror(errno));
    if (!wait_until(socket, ZMQ_POLLOUT, end_ms))
        return complain(PUBLISH_UNREACHABLE, "%s: no sidecast answers there within %ld ms (%s); nothing was sent", request->endpoint,
                        request->timeout_ms, why_unreachable(request->endpoint));
    send_request(request, socket);
    if (!wait_until(socket, ZMQ_POLLIN, end_ms))
        return complain(PUBLISH_UNANSWERED, "%s: no answer within %ld ms; the message may be published, or not", request->endpoint,
                        request->timeout_ms);
    return read_answer(socket);
}

static int send_and_wait(const struct request *request)
{
    void *zmq = zmq_ctx_new(), *socket = zmq ? zmq_socket(zmq, ZMQ_REQ) : NULL;
    int code = socket ? ask(request, socket) : complain(PUBLISH_UNREACHABLE, "cannot start ZeroMQ: %s", zmq_strerror(errno));

    if (socket)
        zmq_close(socket);
    if (zmq)
        zmq_ctx_term(zmq);
    return code;
}

int command_publish_run(int argc, char **argv)
{
    struct request request = {.endpoint = "ipc:///run/sidecast/confirm.sock", .timeout_ms = 2000};
    static char name[] = "sidecast publish";
    int code;

    argv[0] = name; /* getopt's complaints begin with it */
    code = read_arguments(&request, argc, argv);
    if (code == 0 && request.wants_help)
        fputs(USAGE, stdout);
    else if (code == 0 && (code = write_options(&request)) == 0)
        code = send_and_wait(&request);
    text_finish(&request.data);
    text_finish(&request.options);
    return code;
}
