/* The modes that let messages lie ready: mode_ingest() and mode_burst(), see modes.h. */
#include "connect.h"
#include "modes.h"
#include "process.h"
#include "publisher.h"

#include <err.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

enum {
    BURSTS_MAX = 100,
    SETTLE_NS = 100000000, /* until what was sent lies in sockets, as far as these reach */
    SAMPLE_NS = 200000,
    IDLE_SAMPLES = 250, /* so many of them without work: it is over */
};

static void sleep_ns(long ns)
{
    nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

/* A message on every socket, to the one client: what was sent before on the same socket has been taken in when it comes. */
static void publish_markers(struct schedule *schedule)
{
    struct subscribers *subscribers = schedule->subscribers;
    char payload[CHECK_PAYLOAD_MIN];

    for (unsigned i = 0; i < subscribers->options->publishers; i++) {
        check_write_payload(payload, sizeof payload, schedule->published++, now_ns());
        subscribers->awaited++;
        publisher_send(schedule->publisher, i, "bench/0", payload, sizeof payload);
    }
}

static void publish_unheard(struct schedule *schedule, uint64_t messages)
{
    static char payload[CHECK_PAYLOAD_MAX];
    const struct options *options = schedule->subscribers->options;

    check_write_payload(payload, options->size, 0, now_ns());
    for (uint64_t i = 0; i < messages; i++)
        publisher_send(schedule->publisher, (unsigned)(i % options->publishers), "bench/unheard", payload, options->size);
    publish_markers(schedule);
}

static void await_markers(struct subscribers *subscribers)
{
    while (subscribers->awaited > 0)
        if (!subscribers_read(subscribers, now_ns() + SILENCE_SECONDS * SECOND_NS))
            errx(1, "the last message never came");
}

void mode_ingest(struct schedule *schedule)
{
    struct subscribers *subscribers = schedule->subscribers;
    const struct options *options = subscribers->options;
    uint64_t start, cpu, foreign;
    double seconds;

    subscribers->check.payload_bytes = CHECK_PAYLOAD_MIN;
    subscribers->is_quiet = options->publishers > 1; /* the order of two sockets' markers is open */
    publish_unheard(schedule, options->messages / 10);
    await_markers(subscribers);
    process_signal(&options->server, SIGSTOP);
    publish_unheard(schedule, options->messages);
    sleep_ns(SETTLE_NS);
    cpu = process_cpu_ns(&options->server);
    foreign = process_machine_cpu_ns() - cpu - process_self_cpu_ns();
    start = now_ns();
    process_signal(&options->server, SIGCONT);
    await_markers(subscribers);
    foreign = process_machine_cpu_ns() - process_cpu_ns(&options->server) - process_self_cpu_ns() - foreign;
    cpu = process_cpu_ns(&options->server) - cpu;
    seconds = (double)(subscribers->last_ns - start) / 1e9;
    printf("deliveries=%" PRIu64 " seconds=%.3f rate=%.1f cpu_us=%.3f busy=%.3f foreign=%.2f faults=%" PRIu64 "\n",
           options->messages, seconds, (double)options->messages / seconds, (double)cpu / 1e3 / (double)options->messages,
           (double)cpu / 1e9 / seconds, (double)(int64_t)foreign / 1e9 / seconds,
           subscribers->is_quiet ? 0 : subscribers->faults);
    if (subscribers->is_quiet)
        subscribers->faults = 0;
}

/*
 * Sleeps until the server has worked and stopped working; when that was. It works as long as its CPU clock moves by a fifth of
 * the time between two looks: timers that wake it afterwards are less. A look takes 30 us from the processor that it is on, so
 * there is none in the first `sure_ns`.
 */
static uint64_t await_idle(const struct options *options, uint64_t sure_ns)
{
    uint64_t last = process_cpu_ns(&options->server), ended = 0;

    sleep_ns((long)sure_ns);
    for (int idle = 0; idle < IDLE_SAMPLES || ended == 0; idle++) {
        uint64_t cpu;

        sleep_ns(SAMPLE_NS);
        cpu = process_cpu_ns(&options->server);
        if (cpu - last >= SAMPLE_NS / 5) {
            idle = 0;
            ended = now_ns();
        }
        last = cpu;
        if (idle > SILENCE_SECONDS * (int)(SECOND_NS / SAMPLE_NS))
            errx(1, "the server did nothing");
    }
    return ended;
}

/* How long the server worked; it is known to work for `sure_ns`. */
static uint64_t burst_once(struct schedule *schedule, uint64_t sure_ns)
{
    struct subscribers *subscribers = schedule->subscribers;
    const struct options *options = subscribers->options;
    uint64_t start, end, unread = 0, bytes = subscribers->bytes;

    process_signal(&options->server, SIGSTOP);
    for (uint64_t i = 0; i < options->messages; i++)
        schedule_publish(schedule);
    sleep_ns(SETTLE_NS);
    start = now_ns();
    process_signal(&options->server, SIGCONT);
    end = await_idle(options, sure_ns);
    for (uint64_t i = 0; i < options->clients; i++)
        unread += (uint64_t)subscribers_unread(subscribers, i);
    subscribers_read_rest(subscribers, SILENCE_SECONDS * SECOND_NS);
    if (subscribers->bytes - bytes != unread)
        subscribers_fault(subscribers, "a burst did not fit into the sockets");
    return end - start;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *left = a, *right = b;

    return (*left > *right) - (*left < *right);
}

void mode_burst(struct schedule *schedule)
{
    struct subscribers *subscribers = schedule->subscribers;
    const struct options *options = subscribers->options;
    uint64_t walls[BURSTS_MAX], shortest = 0, cpu = process_cpu_ns(&options->server);
    uint64_t bursts = options->bursts < BURSTS_MAX ? options->bursts : BURSTS_MAX;

    (void)prctl(PR_SET_TIMERSLACK, 1000UL);
    subscribers->is_measured = true;
    for (uint64_t i = 0; i < bursts; i++) {
        walls[i] = burst_once(schedule, shortest / 4 * 3);
        shortest = i == 0 || walls[i] < shortest ? walls[i] : shortest;
    }
    cpu = process_cpu_ns(&options->server) - cpu;
    qsort(walls, bursts, sizeof *walls, compare);
    printf("deliveries=%" PRIu64 " wall_ms=%.3f cpu_us=%.3f bytes=%.1f faults=%" PRIu64 "\n", subscribers->received,
           (double)walls[bursts / 2] / 1e6, (double)cpu / 1e3 / (double)subscribers->received,
           (double)subscribers->bytes / (double)subscribers->received, subscribers->faults);
}
