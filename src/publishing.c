/*
 * Publishing by HTTP. All channels of a request are looked at before it is offered, and what breaks a rule of a publication is for the hub to find and count, as
 * with ZeroMQ; what cannot be a publication at all is counted here, under the same names.
 */
#include "publishing.h"

#include "access.h"
#include "answer.h"
#include "clock.h"
#include "connection.h"
#include "framing.h"
#include "offers.h"
#include "worker.h"

enum { RETRY_MS = 1000, READ_BYTES = 65536 };

/* Of a fault that a rule of publications has. */
static int status_of(const char *code)
{
    if (strcmp(code, "too_large") == 0)
        return 413;
    return strcmp(code, "no_memory") == 0 || strcmp(code, "unavailable") == 0 ? 503 : 400;
}

/* --- who may --- */

static bool may_publish(void *context, struct span channel)
{
    return access_may_publish(context, channel);
}

static bool not_allowed(const struct identity *identity, struct problem *problem)
{
    return problem_set(problem, 403, "not_allowed",
                       identity->from_cookie ? "A token in a cookie does not publish: send it in the header Authorization."
                                             : "This request may not publish to one of its channels.");
}

static bool check_allowed(const struct worker *worker, struct post *post, char *const *params, struct problem *problem)
{
    struct access_rules rules = {ACCESS_PUBLISH, worker->settings, worker->keyring, clock_wall_ms()};
    struct identity identity;
    bool may = access_identify(&identity, params, &rules, problem);

    /* Who may publish nothing has no document read. */
    if (may && (identity.publish.count == 0 || !post_is_allowed(post, worker->settings->publish_channel_key, may_publish, &identity)))
        may = not_allowed(&identity, problem);
    else if (may && post->reason)
        may = problem_set(problem, status_of(post->code), post->code, "%s", post->reason);
    access_finish(&identity);
    return may;
}

/* --- answers --- */

static void refuse(struct connection *connection, const char *message)
{
    connection->worker->metrics.requests_refused++;
    connection_answer_take(connection, answer_unavailable(&framing_fastcgi, connection->subscriber.request_id, RETRY_MS, message));
}

static void answer_problem_of(struct connection *connection, const struct problem *problem)
{
    if (problem->status >= 500)
        refuse(connection, problem->message);
    else
        connection_answer_problem(connection, problem);
}

static void answer(struct connection *connection, const struct offer *offer)
{
    struct text json = TEXT_EMPTY;
    struct problem problem;

    if (offer->published == 0) {
        (void)problem_set(&problem, status_of(offer->code), offer->code, "%s", offer->reason);
        answer_problem_of(connection, &problem);
        return;
    }
    offer_append_answer(&json, offer);
    connection_answer_take(connection, json.failed ? NULL : answer_published(&framing_fastcgi, connection->subscriber.request_id, text_span(&json)));
    text_finish(&json);
}

void publishing_answer_take(struct offer *offer)
{
    struct connection *connection = offer->connection;

    if (connection) {
        timeouts_clear(&connection->worker->replica.timeouts, &connection->subscriber.timeout);
        connection_set_state(connection, CONNECTION_RESPONDING);
        answer(connection, offer);
    }
    offer_destroy(offer);
}

void publishing_give_up(struct connection *connection)
{
    struct offer *offer = connection->subscriber.offer;

    /* Left first: once it is claimed the hub may free it. */
    connection->subscriber.offer = NULL;
    offer->connection = NULL;
    if (!offer_claim(offer)) {
        /* The hub has it: the answer is on its way. */
        offer->connection = connection;
        connection->subscriber.offer = offer;
        connection_set_deadline(connection, connection->worker->settings->fastcgi_request_timeout);
        return;
    }
    connection_set_state(connection, CONNECTION_RESPONDING);
    refuse(connection, "The server is busy and did not publish this: send it again after the seconds in Retry-After.");
}

/* --- requests --- */

/* Counted and logged like the drops of the hub. */
static void count_drop(struct worker *worker, const struct problem *problem)
{
    struct metrics *metrics = &worker->metrics;
    const struct {
        const char *code;
        uint64_t *counter;
    } drops[] = {
        {"no_channel", &metrics->dropped_bad_channel}, {"bad_channel", &metrics->dropped_bad_channel}, {"bad_option", &metrics->dropped_bad_option},
        {"bad_data", &metrics->dropped_bad_data},      {"too_large", &metrics->dropped_too_large},     {"no_memory", &metrics->dropped_no_memory},
        {"bad_json", &metrics->dropped_bad_json},
    };

    for (size_t i = 0; i < sizeof drops / sizeof *drops; i++)
        if (strcmp(drops[i].code, problem->code) == 0) {
            ++*drops[i].counter;
            log_limited(&worker->rejected, worker->replica.now_ms, LOG_WARNING, "publication dropped: %s", problem->message);
        }
}

static bool read_body(struct decoder *decoder, struct text *body)
{
    int size;
    char *end;

    do {
        end = text_reserve(body, READ_BYTES);
        size = end ? FCGX_GetStr(end, READ_BYTES, decoder->request.in) : 0;
        body->size += (size_t)size;
    } while (size == READ_BYTES);
    return end != NULL;
}

static bool read_post(struct connection *connection, char *const *params, struct post *post, struct problem *problem)
{
    struct worker *worker = connection->worker;
    struct text body = TEXT_EMPTY;

    *post = (struct post){0};
    if (!read_body(&worker->decoder, &body)) {
        text_finish(&body);
        return problem_no_memory(problem);
    }
    return post_parse_take(post, params, &body, worker->settings, problem) &&
           check_allowed(worker, post, params, problem);
}

static void offer_post_take(struct connection *connection, struct post *post)
{
    struct worker *worker = connection->worker;
    struct offer *offer = offer_create_take(post, &worker->inbox, connection);

    /* It comes back through the inbox, which this thread takes later. */
    if (offer && offers_put_take(worker->offers, offer)) {
        connection_set_state(connection, CONNECTION_OFFERED);
        connection->subscriber.offer = offer;
        connection_set_deadline(connection, worker->settings->fastcgi_request_timeout);
        return;
    }
    if (!offer)
        log_limited(&worker->lacking, worker->replica.now_ms, LOG_ERROR, "no memory to offer a publication: it is refused for the moment");
    offer_destroy(offer);
    refuse(connection, "The server takes no more at the moment: send it again after the seconds in Retry-After.");
}

void publishing_decide(struct connection *connection, char *const *params)
{
    struct worker *worker = connection->worker;
    struct problem problem;
    struct post post;

    if (worker->is_draining || !worker->offers) {
        refuse(connection, "The server stops: send it again after the seconds in Retry-After.");
        return;
    }
    if (read_post(connection, params, &post, &problem)) {
        offer_post_take(connection, &post);
    } else {
        count_drop(worker, &problem);
        answer_problem_of(connection, &problem);
    }
    post_finish(&post);
}
