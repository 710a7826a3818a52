/*
 * Connections: bytes in through the record scanner, a whole request through libfcgi to a decision, everything out through the subscriber's advance.
 * libfcgi never meets the socket.
 */
#include "connection.h"

#include "access.h"
#include "answer.h"
#include "buffer.h"
#include "clock.h"
#include "fcgi.h"
#include "framing.h"
#include "join.h"
#include "log.h"
#include "offer.h"
#include "publishing.h"
#include "request.h"
#include "worker.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DISCARD_MS = 5000 }; /* how long the rest of a body that is too large is read */

/* --- states and deadlines --- */

static struct subscriber_queue *list_of(struct worker *worker, enum connection_state state)
{
    struct subscriber_queue *const lists[] = {
        [CONNECTION_IDLE] = &worker->idle,       [CONNECTION_READING] = &worker->reading,    [CONNECTION_UNDECIDED] = &worker->undecided,
        [CONNECTION_OFFERED] = &worker->offered, [CONNECTION_DISCARDING] = &worker->reading, [CONNECTION_CLOSED] = &worker->closed,
        [CONNECTION_RESPONDING] = NULL,
    };

    return lists[state];
}

void connection_set_state(struct connection *connection, enum connection_state state)
{
    struct subscriber_queue *from = list_of(connection->worker, connection->state);
    struct subscriber_queue *to = list_of(connection->worker, state);

    assert(connection->state != CONNECTION_CLOSED && connection->subscriber.state == SUBSCRIBER_OUT);
    if (connection->state == CONNECTION_OFFERED) {
        offer_leave(connection->subscriber.offer);
        connection->subscriber.offer = NULL;
    }
    if (from)
        TAILQ_REMOVE(from, &connection->subscriber, of_state);
    if (to)
        TAILQ_INSERT_TAIL(to, &connection->subscriber, of_state);
    connection->state = (uint8_t)state;
}

void connection_set_deadline(struct connection *connection, int64_t after_ms)
{
    struct replica *replica = &connection->worker->replica;
    struct subscriber *subscriber = &connection->subscriber;

    subscriber->ends_ms = replica->now_ms + after_ms;
    subscriber->timeout.kind = TIMEOUT_OTHER;
    timeouts_lower(&replica->timeouts, &subscriber->timeout, subscriber->ends_ms);
}

/* --- opening, closing --- */

static bool make_scanner(struct connection *connection)
{
    struct worker *worker = connection->worker;

    if (connection->scanner)
        return true;
    connection->scanner = malloc(sizeof *connection->scanner);
    if (!connection->scanner)
        return false;
    if (connection->state == CONNECTION_RESPONDING || connection->state == CONNECTION_OFFERED)
        fcgi_scanner_init_running(connection->scanner, &worker->limits, connection->subscriber.request_id);
    else
        fcgi_scanner_init(connection->scanner, &worker->limits);
    return true;
}

static void drop_scanner(struct connection *connection)
{
    if (!connection->scanner)
        return;
    fcgi_scanner_finish(connection->scanner);
    free(connection->scanner);
    connection->scanner = NULL;
}

bool connection_open_take(struct worker *worker, int descriptor)
{
    struct connection *connection = calloc(1, sizeof *connection);

    if (!connection || !timeouts_reserve(&worker->replica.timeouts, 1))
        goto no_memory;
    if (!poller_add(&worker->poller, descriptor, connection))
        goto no_room;
    connection->worker = worker;
    connection->fd = descriptor;
    TAILQ_INSERT_TAIL(&worker->idle, &connection->subscriber, of_state);
    worker->connection_count++;
    worker->metrics.connections++;
    connection_set_deadline(connection, worker->settings->fastcgi_request_timeout);
    return true;

no_room:
    timeouts_release(&worker->replica.timeouts, 1);
no_memory:
    free(connection);
    close(descriptor);
    return false;
}

void connection_close(struct connection *connection)
{
    struct worker *worker = connection->worker;

    if (connection->state == CONNECTION_CLOSED)
        return;
    if (connection->subscriber.state != SUBSCRIBER_OUT) {
        subscriber_leave(&worker->replica, &connection->subscriber, LEAVE_BROKEN); /* which comes back here */
        return;
    }
    connection_set_state(connection, CONNECTION_CLOSED);
    timeouts_clear(&worker->replica.timeouts, &connection->subscriber.timeout);
    timeouts_release(&worker->replica.timeouts, 1);
    drop_scanner(connection);
    close(connection->fd);
    worker->connection_count--;
    worker->metrics.connections--;
    worker->owner.closed_one(worker->owner.context);
}

/* There is no memory to go on with it; its client comes back. */
static void cut(struct connection *connection)
{
    struct worker *worker = connection->worker;

    worker->metrics.connections_cut++;
    log_limited(&worker->lacking, worker->replica.now_ms, LOG_ERROR, "no memory to go on with a connection: it is closed");
    connection_close(connection);
}

void connection_timeout(struct timeout *timeout)
{
    struct connection *connection = connection_of((struct subscriber *)((char *)timeout - offsetof(struct subscriber, timeout)));
    struct replica *replica = &connection->worker->replica;

    if (connection->subscriber.ends_ms > replica->now_ms) {
        timeouts_set(&replica->timeouts, timeout, connection->subscriber.ends_ms);
        return;
    }
    connection->worker->metrics.requests_timed_out += connection->state == CONNECTION_READING;
    if (connection->state == CONNECTION_OFFERED)
        publishing_give_up(connection);
    else
        connection_close(connection);
}

bool connection_is_silent(const struct connection *connection)
{
    char byte;

    return connection_is_idle(connection) && recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

/* --- what the replica asks for --- */

ssize_t connection_write(struct subscriber *subscriber, const struct iovec *parts, int count)
{
    struct msghdr header = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
    int fd = connection_of(subscriber)->fd;
    ssize_t written = count == 1 ? send(fd, parts->iov_base, parts->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL)
                                 : sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ENOBUFS || errno == ENOMEM))
        return 0;
    return written;
}

static void poll_as_wanted(struct connection *connection)
{
    if (connection->polls_write == connection->wants_write)
        return;
    connection->polls_write = connection->wants_write;
    poller_want_write(&connection->worker->poller, connection->fd, connection, connection->wants_write);
}

/* Who is writable and gets more is soon blocked again: the poller is told at the end of the event (connection_ready), if at all. */
void connection_want_write(struct subscriber *subscriber, bool wanted)
{
    struct connection *connection = connection_of(subscriber);

    connection->wants_write = wanted;
    if (wanted)
        poll_as_wanted(connection);
}

/* The next request: the front end keeps the connection. */
static void read_next(struct connection *connection)
{
    connection_set_state(connection, CONNECTION_IDLE);
    if (connection->scanner)
        fcgi_scanner_reset(connection->scanner);
    connection_set_deadline(connection, connection->worker->settings->fastcgi_keep_timeout);
    if (connection->worker->owner.idle_one)
        connection->worker->owner.idle_one(connection->worker->owner.context);
}

static void end_response(struct connection *connection)
{
    if (connection->keep && !connection->worker->is_draining)
        read_next(connection);
    else
        connection_close(connection);
}

void connection_left(struct subscriber *subscriber, enum leave_reason reason)
{
    struct connection *connection = connection_of(subscriber);

    if (connection->state == CONNECTION_CLOSED)
        return;
    connection->subscriber = (struct subscriber){.timeout = connection->subscriber.timeout};
    connection->wants_write = false;
    if (reason == LEAVE_NO_MEMORY) {
        cut(connection);
    } else if (reason != LEAVE_DONE) {
        connection_close(connection);
    } else if (connection->scanner && fcgi_scanner_is_discarding(connection->scanner)) {
        connection_set_state(connection, CONNECTION_DISCARDING);
        connection_set_deadline(connection, DISCARD_MS);
    } else {
        end_response(connection);
    }
}

/* --- deciding --- */

void connection_answer_take(struct connection *connection, struct buffer *answer)
{
    if (answer)
        subscriber_answer_take(&connection->worker->replica, &connection->subscriber, answer);
    else
        cut(connection);
}

void connection_answer_problem(struct connection *connection, const struct problem *problem)
{
    connection->worker->metrics.requests_bad++;
    connection_answer_take(connection, answer_problem(&framing_fastcgi, connection->subscriber.request_id, problem));
}

static const struct problem body_too_large = {413, "body_too_large", NULL, "The request's body must not be above fastcgi.max_body.", false};
static const struct problem params_too_large = {431, "request_too_large", NULL, "The request's headers and parameters must not be above 65536 bytes.", false};

static void refuse(struct connection *connection, enum request_transport transport)
{
    struct worker *worker = connection->worker;
    int64_t least = worker->settings->sse_refused_retry, retry_ms = replica_jitter(&worker->replica, least, 6 * least);

    worker->metrics.requests_refused++;
    connection_answer_take(connection, answer_refusal(&framing_fastcgi, connection->subscriber.request_id, transport, retry_ms));
}

/* 500 would end an EventSource for good. */
static void refuse_for_lack(struct connection *connection, enum request_transport transport)
{
    struct worker *worker = connection->worker;

    log_limited(&worker->lacking, worker->replica.now_ms, LOG_ERROR, "no memory to read a request: it is refused for the moment");
    refuse(connection, transport);
}

static void subscribe(struct connection *connection, const struct request *request)
{
    struct worker *worker = connection->worker;
    uint16_t request_id = connection->subscriber.request_id;

    if (request->method == METHOD_HEAD)
        connection_answer_take(connection, answer_head(&framing_fastcgi, request_id, request->transport));
    else if (worker->is_draining || !worker_take_place(worker))
        refuse(connection, request->transport);
    else if (!join_subscriber(&worker->replica, &connection->subscriber, request, FRAMING_FASTCGI, request_id))
        cut(connection);
}

static bool authorize(struct worker *worker, struct request *request, char *const *params, struct problem *problem)
{
    struct access_rules rules = {ACCESS_LISTEN, worker->settings, worker->keyring, clock_wall_ms()};
    struct identity identity;
    bool is_good = access_identify(&identity, params, &rules, problem) && access_authorize(request, &identity, worker->settings, problem);

    worker->replica.wall_ms = rules.wall_ms;
    access_finish(&identity);
    return is_good;
}

static void decide(struct connection *connection, char *const *params)
{
    struct worker *worker = connection->worker;
    uint16_t request_id = connection->subscriber.request_id;
    struct request request;
    struct problem problem;
    bool is_good = request_parse(&request, params, worker->settings, &problem);
    const char *method = request_param(params, "REQUEST_METHOD");

    if (is_good && request.method == METHOD_OPTIONS)
        connection_answer_take(connection, answer_options(&framing_fastcgi, request_id, request.endpoint));
    else if (is_good && request.endpoint == ENDPOINT_HEALTH)
        connection_answer_take(connection, answer_health(&framing_fastcgi, request_id, request.method));
    else if (is_good && request.endpoint == ENDPOINT_PUBLISH)
        publishing_decide(connection, params);
    else if (is_good && authorize(worker, &request, params, &problem))
        subscribe(connection, &request);
    else if (problem.status >= 500)
        refuse_for_lack(connection, request.transport);
    else {
        problem.without_body = method && strcmp(method, "HEAD") == 0;
        connection_answer_problem(connection, &problem);
    }
    request_finish(&request);
}

static void decode_and_decide(struct connection *connection)
{
    struct decoder *decoder = &connection->worker->decoder;

    switch (decoder_decode(decoder, text_span(&connection->scanner->records))) {
    case DECODER_DONE:
        text_finish(&connection->scanner->records);
        decide(connection, decoder->request.envp);
        decoder_release(decoder);
        return;
    case DECODER_BAD:
        connection->worker->metrics.protocol_errors++;
        break;
    case DECODER_ERROR:
        log_limited(&connection->worker->lacking, connection->worker->replica.now_ms, LOG_ERROR, "libfcgi cannot decode a request: %s", strerror(errno));
        cut(connection);
        return;
    }
    connection_close(connection);
}

static void drop_idle_scanner(struct connection *connection)
{
    bool is_running = connection->state == CONNECTION_RESPONDING || connection->state == CONNECTION_OFFERED;

    if (is_running && connection->scanner && fcgi_scanner_is_idle(connection->scanner))
        drop_scanner(connection);
}

void connection_decide(struct connection *connection)
{
    struct worker *worker = connection->worker;
    uint16_t refusal = connection->scanner->refusal;

    assert(connection->state == CONNECTION_UNDECIDED);
    worker->metrics.requests++;
    connection_set_state(connection, CONNECTION_RESPONDING);
    connection->keep = connection->scanner->keep;
    connection->subscriber.request_id = connection->scanner->request_id;
    if (refusal)
        connection_answer_problem(connection, refusal == 413 ? &body_too_large : &params_too_large);
    else
        decode_and_decide(connection);
    drop_idle_scanner(connection);
}

/* --- reading --- */

/* Answers to management records are small; a peer that does not even take those is closed. */
static bool send_now(struct connection *connection, const char *bytes, size_t size)
{
    if (connection->state == CONNECTION_RESPONDING && connection->subscriber.half)
        return false;
    return send(connection->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size;
}

/* The front end gave its request up. */
static bool abort_request(struct connection *connection)
{
    struct worker *worker = connection->worker;
    char end[FCGI_END_BYTES];

    if (connection->state == CONNECTION_DISCARDING)
        return false;
    fcgi_put_end(end, connection->scanner->request_id);
    if (!send_now(connection, end, sizeof end) || (!connection->scanner->keep && !connection->keep))
        return false;
    connection->keep = true;
    if (connection->state == CONNECTION_RESPONDING)
        subscriber_leave(&worker->replica, &connection->subscriber, LEAVE_DONE);
    else
        end_response(connection);
    return connection->state != CONNECTION_CLOSED;
}

/* False: the connection is to be closed. */
static bool handle(struct connection *connection, enum fcgi_event event)
{
    struct worker *worker = connection->worker;

    switch (event) {
    case FCGI_MORE:
        return true;
    case FCGI_REQUEST:
        connection_set_state(connection, CONNECTION_UNDECIDED);
        return true;
    case FCGI_BODY_OVER:
        if (connection->state == CONNECTION_DISCARDING)
            end_response(connection);
        return connection->state != CONNECTION_CLOSED;
    case FCGI_REPLY:
        return send_now(connection, connection->scanner->reply, connection->scanner->reply_size);
    case FCGI_ABORT:
        return abort_request(connection);
    case FCGI_BAD:
        worker->metrics.protocol_errors++;
        return false;
    case FCGI_NO_MEMORY:
        cut(connection);
        return false;
    }
    return false;
}

/* The first byte of a request starts its clock. */
static void note_request_begins(struct connection *connection)
{
    if (connection->state != CONNECTION_IDLE)
        return;
    connection_set_state(connection, CONNECTION_READING);
    connection_set_deadline(connection, connection->worker->settings->fastcgi_request_timeout);
}

static void take_input(struct connection *connection, struct span input)
{
    enum fcgi_event event;
    size_t used;

    do {
        event = fcgi_scan(connection->scanner, input, &used);
        input.bytes += used;
        input.size -= used;
        if (!handle(connection, event)) {
            connection_close(connection);
            return;
        }
    } while (event != FCGI_MORE);
    /* What follows a request that was given up. */
    if (!fcgi_scanner_is_idle(connection->scanner))
        note_request_begins(connection);
    drop_idle_scanner(connection);
}

static void read_input(struct connection *connection)
{
    struct worker *worker = connection->worker;
    ssize_t size = recv(connection->fd, worker->scratch, WORKER_READ_BYTES, MSG_DONTWAIT);

    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if ((size < 0 && (errno == ENOBUFS || errno == ENOMEM)) || (size > 0 && !make_scanner(connection))) {
        cut(connection);
        return;
    }
    if (size <= 0) {
        connection_close(connection);
        return;
    }
    note_request_begins(connection);
    take_input(connection, (struct span){worker->scratch, (size_t)size});
}

void connection_ready(void *item, bool readable, bool writable)
{
    struct connection *connection = item;
    struct replica *replica = &connection->worker->replica;

    /* Something else of this turn closed it. */
    if (connection->state == CONNECTION_CLOSED)
        return;
    replica->now_ms = clock_monotonic_ms();
    if (readable)
        read_input(connection);
    if (writable && connection->state == CONNECTION_RESPONDING)
        subscriber_writable(replica, &connection->subscriber);
    if (connection->state != CONNECTION_CLOSED)
        poll_as_wanted(connection);
}
