#include "acts.h"

#include "clock.h"
#include "folder.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BIG_BYTES = 300000 };

/* --- messages --- */

/* The next one's data, which says its number. */
static const char *data(struct life *life)
{
    static char text[8];

    snprintf(text, sizeof text, "m%02d.", ++life->sent);
    return text;
}

static void push(struct life *life, const char *const *frames)
{
    char path[128];

    life_path(life, "publish.sock", path);
    for (unsigned i = 0; i < life->patience; i++) {
        if (peer_send(&life->push, frames))
            return;
        life->victims += i > 0;
        (void)peer_publisher(&life->push, path, "PUSH");
    }
    life_blame(life, "a publisher is not let in");
}

/* With the key that `frames` hold, until there is an answer. */
static void confirm(struct life *life, const char *const *frames)
{
    char path[128];

    life_path(life, "confirm.sock", path);
    for (unsigned i = 0; i < life->patience; i++) {
        size_t before = life->confirm.out.size;

        if (peer_send(&life->confirm, frames) && peer_await(&life->confirm, " ", before) == HEARD) {
            const char *answer = life->confirm.out.bytes + before + (**frames == '\0'); /* behind the empty frame */

            if (strncmp(answer, "ok ", 3) == 0) {
                life->is_acked[life->sent] = true;
                return;
            }
            if (strncmp(answer, "error no_memory", 15) != 0)
                life_blame(life, "a good message is answered with %.*s", (int)strcspn(answer, "\n"), answer);
        }
        life->victims++;
        (void)peer_publisher(&life->confirm, path, "DEALER");
    }
    life_blame(life, "a publisher gets no answer");
}

/* --- requests --- */

struct request {
    const char *name;
    const char *params[17];
    const char *body;
    const char *wanted; /* of a good answer */
    bool stays;         /* a stream, which is open until the end */
};

/* What a front end or a client takes for: come back later. */
static bool is_refusal(const struct peer *peer)
{
    if (peer->out.size == 0 || peer_has(peer, "Status: 503"))
        return true;
    return peer_has(peer, "Status: 200") && (peer_has(peer, "retry: ") || !peer->is_over);
}

static void ask(struct life *life, const struct request *request)
{
    struct peer peer = PEER_NONE;
    enum heard heard = HEARD_END;
    char path[128];

    life_path(life, "fastcgi.sock", path);
    for (unsigned i = 0; i < life->patience && heard != HEARD; i++) {
        peer_finish(&peer);
        if (!peer_request(&peer, path, request->params, request->body, 0))
            life_blame(life, "%s: nobody listens", request->name);
        heard = peer_await(&peer, request->wanted, 0);
        if (heard == HEARD_LATE)
            life_blame(life, "%s: no answer", request->name);
        life->victims += heard != HEARD;
        if (heard == HEARD_END && !is_refusal(&peer))
            life_blame(life, "%s: the answer is %.*s", request->name, (int)strcspn(peer.out.bytes, "\r\n"), peer.out.bytes);
    }
    if (heard != HEARD)
        life_blame(life, "%s: refused again and again", request->name);
    if (request->stays && heard == HEARD && life->staying_count < LIFE_STAYING) {
        life->staying[life->staying_count++] = peer;
        return;
    }
    if (!peer_await_end(&peer))
        life_blame(life, "%s: the answer does not end", request->name);
    peer_finish(&peer);
}

/* --- acts --- */

static void publish_by_push(struct life *life)
{
    char text[256];
    int number = life->sent + 1, first;

    push(life, (const char *[]){"a", data(life), NULL});
    push(life, (const char *[]){"b", data(life), "{\"event\": \"rain\", \"ttl\": 60, \"except\": \"somebody\"}", NULL});
    snprintf(text, sizeof text, "{\"channel\": \"k/1\", \"data\": \"%s\", \"key\": \"k%d\"}", data(life), life->sent);
    push(life, (const char *[]){text, NULL});
    push(life, (const char *[]){text, NULL}); /* it is known */
    first = life->sent + 1;
    snprintf(text, sizeof text, "[{\"channel\": \"a\", \"data\": \"m%02d.\"}, {\"channels\": [\"c\"], \"data\": \"m%02d.\"}]", first, first + 1);
    life->sent += 2;
    push(life, (const char *[]){text, NULL});
    push(life, (const char *[]){"a b", "no channel", NULL});
    push(life, (const char *[]){"a", "gone", "{\"store\": false}", NULL});
    for (; number <= life->sent; number++)
        life_settle(life, number);
}

static void publish_by_confirm(struct life *life)
{
    char text[256];

    confirm(life, (const char *[]){"c", data(life), "{\"key\": \"k-c\"}", NULL});
    life_settle(life, life->sent);
    snprintf(text, sizeof text, "{\"channels\": [\"h\", \"news/1\"], \"data\": \"%s\", \"key\": \"k-h\"}", data(life));
    confirm(life, (const char *[]){"", text, NULL});
    life_settle(life, life->sent);
}

static void publish_by_http(struct life *life)
{
    struct request raw = {"POST", {"REQUEST_METHOD", "POST", "SIDECAST_ENDPOINT", "publish", "SIDECAST_PUBLISH", "a,k/*", "QUERY_STRING",
                                   "channel=a&key=post-1&event=e", "CONTENT_LENGTH", "4", NULL}, data(life), "Status: 202", false};
    struct request json = {"POST of JSON", {"REQUEST_METHOD", "POST", "SIDECAST_ENDPOINT", "publish", "HTTP_AUTHORIZATION", "Bearer " TOKEN, "QUERY_STRING",
                                            "", "CONTENT_TYPE", "application/json", NULL}, NULL, "Status: 202", false};
    char text[256];

    ask(life, &raw);
    life->is_acked[life->sent] = true;
    life_settle(life, life->sent);
    snprintf(text, sizeof text, "[{\"channel\": \"a\", \"data\": \"%s\", \"key\": \"post-2\"}]", data(life));
    json.body = text;
    ask(life, &json);
    life->is_acked[life->sent] = true;
    life_settle(life, life->sent);
}

static void subscribe(struct life *life)
{
    static const struct request requests[] = {
        {"several channels", {"REQUEST_METHOD", "GET", "SIDECAST_CHANNELS", "a,b,c", "QUERY_STRING", "channel=a&channel=b&cursor=0&client=tab", NULL}, NULL,
         "data: m", true},
        {"a pattern", {"REQUEST_METHOD", "GET", "SIDECAST_PATTERNS", "k/*,news/**", "QUERY_STRING", "channel=k/*&channel=news/**&cursor=0",
                       "SIDECAST_CLIENT", "somebody", "SIDECAST_EXPIRES", "2111182703", NULL}, NULL, "data: ", true},
        {"a token", {"REQUEST_METHOD", "GET", "HTTP_AUTHORIZATION", "Bearer " TOKEN, "QUERY_STRING",
                     "channel=a&channel=private/1&envelope=1&last=2", NULL}, NULL, "\"channel\":\"a\"", true},
        {"a public channel", {"REQUEST_METHOD", "GET", "QUERY_STRING", "channel=news/1", "HTTP_LAST_EVENT_ID", "12345-6", NULL}, NULL, "sidecast.gap", true},
        {"a long-poll", {"REQUEST_METHOD", "GET", "SIDECAST_CHANNELS", "a,b", "QUERY_STRING", "transport=poll&cursor=0", NULL}, NULL, "\"messages\":[{", false},
        {"a long-poll by pattern", {"REQUEST_METHOD", "GET", "SIDECAST_PATTERNS", "k/*", "QUERY_STRING", "channel=k/*&last=3", "HTTP_ACCEPT", "application/json",
                                    NULL}, NULL, "\"messages\":[", false},
        {"health", {"SIDECAST_ENDPOINT", "health", "REQUEST_METHOD", "GET", NULL}, NULL, "ok\n", false},
        {"OPTIONS", {"REQUEST_METHOD", "OPTIONS", NULL}, NULL, "Status: 204", false},
        {"HEAD", {"REQUEST_METHOD", "HEAD", "SIDECAST_CHANNELS", "a", NULL}, NULL, "Status: 200", false},
        {"a bad name", {"REQUEST_METHOD", "GET", "SIDECAST_CHANNELS", "a", "QUERY_STRING", "channel=a%20b", NULL}, NULL, "Status: 400", false},
    };

    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
        ask(life, &requests[i]);
}

/* One that waits, and is answered by a message that comes. */
static void poll_for_news(struct life *life)
{
    struct peer waiting[2] = {PEER_NONE, PEER_NONE};
    const char *params[] = {"REQUEST_METHOD", "GET", "SIDECAST_CHANNELS", "h,c", "QUERY_STRING", NULL, NULL};
    char path[128], query[128] = "transport=poll&cursor=", id[64];

    text_append(&life->heard, text_span(&life->bystander.out));
    text_clear(&life->bystander.out);
    life_last_id(life, id);
    strcat(query, id);
    params[5] = query;
    life_path(life, "fastcgi.sock", path);
    for (int i = 0; i < 2; i++)
        (void)peer_request(&waiting[i], path, params, NULL, 0);
    confirm(life, (const char *[]){"c", data(life), "{\"key\": \"k-poll\"}", NULL});
    for (int i = 0; i < 2; i++) {
        enum heard heard = peer_await(&waiting[i], "\"messages\":[{", 0);

        if (heard == HEARD_LATE)
            life_blame(life, "a waiting long-poll gets no answer");
        if (heard == HEARD_END && !is_refusal(&waiting[i]) && !peer_has(&waiting[i], "\"gap\":true"))
            life_blame(life, "a waiting long-poll is answered with %.200s", waiting[i].out.bytes);
        life->victims += heard == HEARD_END;
        peer_finish(&waiting[i]);
    }
    life_settle(life, life->sent);
}

/* One that takes nothing while large messages come, and then all of it. */
static void be_slow(struct life *life)
{
    struct peer slow = PEER_NONE;
    const char *params[] = {"REQUEST_METHOD", "GET", "SIDECAST_CHANNELS", "slow", "QUERY_STRING", "cursor=0", NULL};
    char path[128], *big = malloc(BIG_BYTES + 1);
    enum heard heard;
    int last;

    life_path(life, "fastcgi.sock", path);
    memset(big, 'x', BIG_BYTES);
    big[BIG_BYTES] = '\0';
    (void)peer_request(&slow, path, params, NULL, 4096);
    for (int i = 0; i < 2; i++) {
        memcpy(big, data(life), 4);
        confirm(life, (const char *[]){"slow", big, i == 0 ? "{\"key\": \"s0\"}" : "{\"key\": \"s1\"}", NULL});
        life_settle(life, life->sent);
    }
    last = life->sent;
    snprintf(big, 32, "data: m%02d.", last);
    heard = peer_await(&slow, big, 0);
    if (heard == HEARD_LATE && !peer_has(&slow, "sidecast.gap")) /* the last may be what is lost */
        life_blame(life, "a slow client gets nothing more");
    if (heard == HEARD_END && !is_refusal(&slow))
        life_blame(life, "a slow client is answered with %.200s", slow.out.bytes);
    life->victims += heard == HEARD_END;
    peer_finish(&slow);
    free(big);
}

static void await_line(struct life *life, const char *line, const char *other)
{
    int64_t end_ms = clock_monotonic_ms() + PEER_WAIT_MS;

    do {
        daemon_listen(&life->daemon, 200);
        if (daemon_said(&life->daemon, line) || daemon_said(&life->daemon, other) || life->daemon.is_over || life_log_is_short(life))
            return;
    } while (clock_monotonic_ms() < end_ms);
    life_blame(life, "it says neither `%s` nor `%s`", line, other);
}

/* A snapshot at an interval, begun and ended by reloads. */
static void save(struct life *life)
{
    for (int i = 0; i < 2; i++) {
        folder_configure(life->folder, life->workers, i == 0 ? "30ms" : "0");
        daemon_signal(&life->daemon, SIGHUP);
        await_line(life, "reload: done", "error ");
        if (i == 0)
            await_line(life, "keys written in", "error ");
        life->daemon.mark = life->daemon.log.size;
    }
    daemon_signal(&life->daemon, SIGUSR1);
}

void acts_play(struct life *life)
{
    void (*const acts[])(struct life *) = {publish_by_push, publish_by_confirm, publish_by_http, subscribe, poll_for_news, be_slow, save, publish_by_push};

    for (size_t i = 0; i < sizeof acts / sizeof *acts && !*life->verdict; i++)
        acts[i](life);
}
