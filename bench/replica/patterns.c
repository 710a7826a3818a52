/*
 * What subscribers by patterns that do not match cost others: a replica alone, without sockets. Each of PATTERNS subscribers has a pattern of its own.
 * Usage: patterns PATTERNS [apart|together]: in directories of their own (users/<n>/), or all in that of the messages (orders/).
 * Prints CPU time per message: ns_old, to a channel with one subscriber; ns_new, each to a channel of its own that there was not before.
 */
#include "buffer.h"
#include "join.h"
#include "message.h"
#include "replica.h"
#include "request.h"
#include "sse.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MESSAGES = 20000, TURN = 50 };

static ssize_t take_all(struct subscriber *subscriber, const struct iovec *parts, int count)
{
    ssize_t size = 0;

    (void)subscriber;
    for (int i = 0; i < count; i++)
        size += (ssize_t)parts[i].iov_len;
    return size;
}

static void want_write(struct subscriber *subscriber, bool wanted)
{
    (void)subscriber;
    (void)wanted;
}

static void left(struct subscriber *subscriber, enum leave_reason reason)
{
    (void)subscriber;
    (void)reason;
}

static void no_timeout(struct timeout *timeout)
{
    (void)timeout;
}

static const struct replica_io io = {take_all, want_write, left, no_timeout};
static char heartbeat[] = ":";
static const struct settings settings = {
    .history_messages = 100,
    .history_age = 3600000,
    .history_bytes = INT64_C(1) << 40,
    .history_pinned_bytes = 64 << 20,
    .subscribe_max_matched = 10000,
    .sse_heartbeat = 86400000,
    .sse_heartbeat_text = heartbeat,
    .sse_retry = 3000,
    .sse_max_age = 86400000,
    .slow_close_after = 86400000,
};
static struct replica replica;
static struct metrics metrics;

static void subscribe(const char *name, bool is_pattern)
{
    char *item = strdup(name);
    struct string_list list = {&item, 1};
    struct request request = {.transport = TRANSPORT_SSE, .cursor_kind = CURSOR_NONE};
    struct subscriber *subscriber = calloc(1, sizeof *subscriber);

    *(is_pattern ? &request.patterns : &request.channels) = list;
    if (!subscriber || !timeouts_reserve(&replica.timeouts, 1) || !join_subscriber(&replica, subscriber, &request, FRAMING_FASTCGI, 1))
        exit(1);
    free(item);
}

static struct message *create(struct event_id id, const char *channel)
{
    struct message_names names = {.channel = span_of(channel)};
    struct message *message = sse_encode_message(id, &names, span_of("a message"));

    if (!message)
        exit(1);
    message->ingest_ms = replica.now_ms;
    return message;
}

static double cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Messages are made before: that is the hub's work. */
static double per_message(bool is_new)
{
    struct message **messages = calloc(MESSAGES, sizeof *messages);
    char channel[64] = "orders/0";
    double begin;

    for (int i = 0; i < MESSAGES; i++) {
        if (is_new)
            snprintf(channel, sizeof channel, "orders/%d", i + 1);
        messages[i] = create((struct event_id){replica.newest.ms + 1, (uint64_t)i}, channel);
    }
    begin = cpu_ns();
    for (int i = 0; i < MESSAGES; i++) {
        replica_apply_take(&replica, messages[i]);
        if (i % TURN == 0)
            (void)replica_flush(&replica);
    }
    free(messages);
    return (cpu_ns() - begin) / MESSAGES;
}

int main(int argc, char **argv)
{
    long patterns = argc > 1 ? atol(argv[1]) : 0;
    bool together = argc > 2 && strcmp(argv[2], "together") == 0;
    char pattern[64];
    double ns_old;

    if (!table_init())
        return 1;
    replica_init(&replica, &settings, &io, &metrics, (struct event_id){1, 0}, 1);
    replica.now_ms = 1000000;
    subscribe("orders/0", false);
    for (long i = 0; i < patterns; i++) {
        snprintf(pattern, sizeof pattern, together ? "orders/x%ld*" : "users/%ld/*", i);
        subscribe(pattern, true);
    }
    (void)per_message(false); /* warms up */
    ns_old = per_message(false);
    printf("ns_old=%.1f ns_new=%.1f\n", ns_old, per_message(true));
    return 0;
}
