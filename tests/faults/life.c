#include "life.h"

#include "acts.h"
#include "clock.h"
#include "folder.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void life_blame(struct life *life, const char *format, ...)
{
    va_list arguments;

    if (*life->verdict)
        return; /* the first is the cause */
    va_start(arguments, format);
    vsnprintf(life->verdict, sizeof life->verdict, format, arguments);
    va_end(arguments);
}

void life_prepare(struct life *life, const char *folder, const char *kept, int workers)
{
    *life = (struct life){.bystander = PEER_NONE, .push = PEER_NONE, .confirm = PEER_NONE, .daemon = {.pid = -1}, .workers = workers, .patience = 2};
    for (int i = 0; i < LIFE_STAYING; i++)
        life->staying[i] = PEER_NONE;
    snprintf(life->folder, sizeof life->folder, "%s", folder);
    folder_make(folder, kept, workers);
}

void life_path(const struct life *life, const char *name, char path[128])
{
    snprintf(path, 128, "%s/%s", life->folder, name);
}

/* --- the end of the process --- */

static bool is_there(const struct life *life, const char *name)
{
    char path[128];

    life_path(life, name, path);
    return access(path, F_OK) == 0;
}

static size_t count_lines(const struct life *life, const char *start)
{
    const char *at = life->daemon.log.bytes, *end = at + life->daemon.log.size;
    size_t count = 0;

    while (at && at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));

        count += strncmp(at, start, strlen(start)) == 0;
        at = line_end ? line_end + 1 : NULL;
    }
    return count;
}

static void check_exit(struct life *life, bool may_fail)
{
    static const char *const sockets[] = {"fastcgi.sock", "publish.sock", "confirm.sock"};
    int code;

    if (!daemon_await_end(&life->daemon))
        life_blame(life, "it hangs");
    code = life->daemon.code;
    life->daemon.pid = -1;
    text_append(&life->daemon.log, (struct span){"", 1});
    if (code == DAEMON_SANITIZER || strstr(life->daemon.log.bytes, "Sanitizer"))
        life_blame(life, "a sanitizer reports");
    else if (code == DAEMON_LEAKS_DESCRIPTORS)
        life_blame(life, "a descriptor leaks");
    else if (code < 0)
        life_blame(life, "signal %d ends it", -code);
    else if (code != 0 && !may_fail)
        life_blame(life, "exit code %d", code);
    else if (code != 0 && count_lines(life, "error ") + count_lines(life, "sidecast: ") == 0)
        life_blame(life, "exit code %d without a line that says why", code);
    for (size_t i = 0; i < sizeof sockets / sizeof *sockets; i++)
        if (is_there(life, sockets[i]) && !strstr(life->daemon.log.bytes, "; the file stays"))
            life_blame(life, "%s is left behind", sockets[i]);
}

bool life_log_is_short(const struct life *life)
{
    return life->board && atomic_load(&life->board->is_log_short);
}

/* --- the bystander --- */

static void note_heard(struct life *life)
{
    text_append(&life->heard, text_span(&life->bystander.out));
    text_clear(&life->bystander.out);
}

/* The last line of what was heard that starts with `id: `. */
void life_last_id(const struct life *life, char id[64])
{
    const char *found = NULL, *at = life->heard.bytes, *end = at + life->heard.size;

    id[0] = '\0';
    while (at && (at = memmem(at, (size_t)(end - at), "\nid: ", 5)) && memchr(at + 1, '\n', (size_t)(end - at - 1))) {
        found = at + 5;
        at += 5;
    }
    if (found)
        snprintf(id, 64, "%.*s", (int)strcspn(found, "\n"), found);
}

static bool connect_bystander(struct life *life, const char *id)
{
    const char *params[] = {"REQUEST_METHOD", "GET", "SIDECAST_CHANNELS", "a,b,c,k/1,slow,h", "QUERY_STRING", "", "HTTP_LAST_EVENT_ID", id, NULL};
    char path[128];

    life_path(life, "fastcgi.sock", path);
    if (!*id)
        params[6] = NULL;
    return peer_request(&life->bystander, path, params, NULL, 0);
}

/* It comes back with its cursor as often as it is cut. */
static void come_back(struct life *life)
{
    char id[64];

    note_heard(life);
    life_last_id(life, id);
    if (life->victims++ > 2 * life->patience || !connect_bystander(life, id))
        life_blame(life, "the bystander is cut again and again");
}

static bool has_heard(const struct life *life, const char *text)
{
    return (life->heard.size > 0 && memmem(life->heard.bytes, life->heard.size, text, strlen(text))) || peer_has(&life->bystander, text);
}

/* Whether nobody need wait for the message any more. */
static bool is_settled(struct life *life, int number)
{
    char line[32];

    snprintf(line, sizeof line, "data: m%02d.", number);
    return has_heard(life, line) || has_heard(life, "event: sidecast.gap") ||
           (!life->is_acked[number] && daemon_said(&life->daemon, "publication dropped: not enough memory"));
}

void life_settle(struct life *life, int number)
{
    int64_t end_ms = clock_monotonic_ms() + PEER_WAIT_MS;

    for (;;) {
        struct pollfd items[2] = {{.fd = life->bystander.fd, .events = POLLIN}, {.fd = life->daemon.log_fd, .events = POLLIN}};

        daemon_listen(&life->daemon, 0);
        peer_look(&life->bystander);
        if (is_settled(life, number) || *life->verdict)
            return;
        if (life->daemon.is_over || clock_monotonic_ms() > end_ms) {
            life_blame(life, life->daemon.is_over ? "it ended while it served" : "message %d is neither delivered nor told to be lost", number);
            return;
        }
        if (life->bystander.is_closed || life->bystander.is_over)
            come_back(life);
        (void)poll(items, 2, 200);
    }
}

/* --- phases --- */

static void set_phase(struct life *life, enum phase phase)
{
    if (life->board)
        atomic_store(&life->board->phase, phase);
}

bool life_start(struct life *life)
{
    if (!daemon_start(&life->daemon, life->folder, life->board))
        life_blame(life, "no process");
    if (daemon_await_ready(&life->daemon))
        return true;
    if (!life->daemon.is_over)
        life_blame(life, "it is neither ready nor over");
    check_exit(life, true);
    if (life->daemon.code == 0)
        life_blame(life, "it ends with exit code 0 and was never ready");
    return false;
}

void life_serve(struct life *life)
{
    char path[128];

    if (!connect_bystander(life, "") || peer_await(&life->bystander, "\n\n", 0) != HEARD) {
        life_blame(life, "the bystander is not let in");
        return;
    }
    life_path(life, "publish.sock", path);
    peer_publisher(&life->push, path, "PUSH");
    life_path(life, "confirm.sock", path);
    peer_publisher(&life->confirm, path, "DEALER");
    set_phase(life, PHASE_SERVING);
    acts_play(life);
}

/* --- accounts --- */

static unsigned count_in(const struct text *text, const char *part)
{
    const char *at = text->bytes, *end = at + text->size;
    unsigned count = 0;

    while (at && (at = memmem(at, (size_t)(end - at), part, strlen(part)))) {
        count++;
        at += strlen(part);
    }
    return count;
}

static bool is_before(const char *a, const char *b)
{
    unsigned long long a_ms = 0, a_number = 0, b_ms = 0, b_number = 0;

    sscanf(a, "%llu-%llu", &a_ms, &a_number);
    sscanf(b, "%llu-%llu", &b_ms, &b_number);
    return a_ms < b_ms || (a_ms == b_ms && a_number < b_number);
}

/* The sum of the daemon's own counters of what it refused or lost. */
static unsigned long counted(const struct life *life)
{
    static const char *const names[] = {" dropped_no_memory=", " publishers_refused=", " snapshots_failed=", " connections_refused=", " requests_refused=",
                                        " subscribers_slow_closed=", " connections_cut=", " confirmations_short="};
    unsigned long sum = 0;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (const char *at = life->daemon.log.bytes; at && (at = strstr(at, names[i])); at += strlen(names[i]))
            sum += strtoul(at + strlen(names[i]), NULL, 10);
    return sum;
}

static void check_order(struct life *life)
{
    char before[64] = "0-0", id[64];

    for (const char *at = life->heard.bytes; at && (at = strstr(at, "\nid: ")); at += 5) {
        snprintf(id, sizeof id, "%.*s", (int)strcspn(at + 5, "\n"), at + 5);
        if (is_before(id, before))
            life_blame(life, "the bystander hears %s behind %s", id, before);
        memcpy(before, id, sizeof id);
    }
}

/* What the bystander heard: each message once, but for what was told to be lost. */
static void check_heard(struct life *life)
{
    bool has_gap = count_in(&life->heard, "event: sidecast.gap") > 0;
    char line[32];

    for (int number = 1; number <= life->sent; number++) {
        snprintf(line, sizeof line, "\ndata: m%02d.", number);
        unsigned count = count_in(&life->heard, line);
        if (count > 1)
            life_blame(life, "message %d comes %u times", number, count);
        if (count == 1)
            continue;
        life->drops++;
        if (life->is_acked[number] && !has_gap)
            life_blame(life, "message %d was confirmed and is lost without a gap", number);
        else if (counted(life) == 0)
            life_blame(life, "message %d is lost and not counted", number);
    }
    if (has_gap && counted(life) == 0)
        life_blame(life, "a gap is told and nothing is counted");
}

static void check_told(struct life *life)
{
    if ((life->victims > 0 || life->drops > 0) && !life_log_is_short(life)) {
        if (counted(life) == 0)
            life_blame(life, "somebody is refused and it is not counted");
        if (count_lines(life, "warning ") + count_lines(life, "error ") == 0)
            life_blame(life, "somebody is refused and the log does not say why");
    }
}

void life_end(struct life *life)
{
    set_phase(life, PHASE_END);
    daemon_signal(&life->daemon, SIGTERM);
    if (!peer_await_end(&life->bystander))
        life_blame(life, "the bystander's stream does not end");
    for (int i = 0; i < life->staying_count; i++)
        if (!peer_await_end(&life->staying[i]))
            life_blame(life, "a stream does not end");
    peer_close(&life->push);
    peer_close(&life->confirm);
    check_exit(life, false);
    note_heard(life);
    text_append(&life->heard, (struct span){"", 1});
    if (*life->verdict)
        return;
    check_order(life);
    check_heard(life);
    check_told(life);
}

void life_check_next(struct life *life, const char *id, bool may_gap)
{
    life->board = NULL;
    if (!life_start(life)) {
        life_blame(life, "the next life does not start");
        return;
    }
    if (!connect_bystander(life, id) || peer_await(&life->bystander, "retry: ", 0) != HEARD)
        life_blame(life, "the next life does not let in who comes back");
    else if (!may_gap && peer_has(&life->bystander, "sidecast.gap"))
        life_blame(life, "who comes back after a restart is told of a gap, and the log did not say that something was lost");
    daemon_signal(&life->daemon, SIGTERM);
    if (!peer_await_end(&life->bystander))
        life_blame(life, "the next life: a stream does not end");
    check_exit(life, false);
}

void life_finish(struct life *life)
{
    if (life->daemon.pid > 0) {
        kill(life->daemon.pid, SIGKILL);
        (void)daemon_await_end(&life->daemon);
    }
    peer_finish(&life->bystander);
    peer_finish(&life->push);
    peer_finish(&life->confirm);
    for (int i = 0; i < LIFE_STAYING; i++)
        peer_finish(&life->staying[i]);
    text_finish(&life->heard);
    text_finish(&life->daemon.log);
}
