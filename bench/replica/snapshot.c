/*
 * What a snapshot costs: a history of 64 MiB in a replica alone, without sockets. Usage: snapshot DIRECTORY [BYTES of data, 100] [CHANNELS, 1000]
 * Prints how long a slice of collecting takes (the longest, and on average), all messages at once, writing the file, reading it, and putting it into a replica.
 */
#include "archive.h"
#include "clock.h"
#include "collect.h"
#include "message.h"
#include "replica.h"
#include "snapshot.h"
#include "sse.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static char heartbeat[] = ":";
static const struct settings settings = {
    .history_messages = 10000000,
    .history_age = 3600000,
    .history_keep = 10000,
    .history_bytes = 64 << 20,
    .history_pinned_bytes = 64 << 20,
    .sse_heartbeat_text = heartbeat,
};
static struct replica replica, next;
static struct metrics metrics, next_metrics;
static const struct replica_io io;
static struct event_id last;

/* Of this thread on a processor: others of the machine do not count. */
static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Until the budget has been full for as many messages again, as in a server that has run for a while. */
static void fill(size_t data_bytes, int channels)
{
    char *data = malloc(data_bytes), name[32];
    uint64_t full = 0;

    memset(data, 'x', data_bytes);
    for (int i = 0; full == 0 || replica.number < 2 * full; i = (i + 7919) % channels) {
        struct message_names names = {{name, (size_t)snprintf(name, sizeof name, "channel/%d", i)}, {0}, {0}};

        last = event_id_next(last, clock_wall_ms());
        struct message *message = sse_encode_message(last, &names, (struct span){data, data_bytes});

        if (!message)
            abort();
        message->ingest_ms = replica.now_ms = clock_monotonic_ms();
        replica_apply_take(&replica, message);
        if (full == 0 && metrics.history_evicted > 0)
            full = replica.number;
    }
    free(data);
}

static struct snapshot *begin(void)
{
    struct snapshot *snapshot = snapshot_create(clock_wall_ms(), clock_monotonic_ms());

    if (!snapshot)
        abort();
    snapshot->newest = last;
    snapshot->published = replica.number;
    return snapshot;
}

/* In slices, or all at once. */
static struct snapshot *collect(size_t slice)
{
    struct snapshot *snapshot = begin();
    int64_t start_us = now_us(), longest_us = 0, total_us = 0, took_us;
    int slices = 0;
    bool more = true;

    collect_begin(&replica, snapshot);
    for (; more; slices++) {
        more = collect_messages(&replica, snapshot, slice);
        took_us = now_us() - start_us;
        longest_us = took_us > longest_us ? took_us : longest_us;
        total_us += took_us;
        start_us = now_us();
    }
    printf("%s: %d turns, the longest %.2f ms, on average %.2f ms, all %.1f ms\n", slice == SIZE_MAX ? "at once" : "in slices", slices,
           (double)longest_us / 1000, (double)total_us / 1000 / slices, (double)total_us / 1000);
    return snapshot;
}

int main(int argc, char **argv)
{
    struct archive archive;
    char error[256];
    int64_t start_us;

    if (argc < 2 || !table_init() || !archive_open(&archive, argv[1], error, sizeof error))
        return 1;
    last = (struct event_id){clock_wall_ms(), 0};
    replica_init(&replica, &settings, &io, &metrics, last, 1);
    fill(argc > 2 ? strtoul(argv[2], NULL, 10) : 100, argc > 3 ? atoi(argv[3]) : 1000);
    printf("%llu messages, %.1f MiB of history\n", (unsigned long long)metrics.history_messages, (double)replica.bytes / (1 << 20));
    snapshot_destroy(collect(COLLECT_SLICE));
    snapshot_destroy(collect(SIZE_MAX));
    struct snapshot *snapshot = collect(COLLECT_SLICE);
    start_us = now_us();
    collect_marks(&replica, snapshot);
    printf("marks: %.2f ms\n", (double)(now_us() - start_us) / 1000);
    archive_write_last(&archive, snapshot);
    snapshot_destroy(snapshot);
    snapshot = archive_load(&archive, clock_wall_ms(), clock_monotonic_ms());
    if (!snapshot)
        return 1;
    replica_init(&next, &settings, &io, &next_metrics, event_id_next(last, 0), 1);
    next.now_ms = clock_monotonic_ms();
    start_us = now_us();
    collect_restore(&next, snapshot);
    printf("restored: %llu messages in %.1f ms\n", (unsigned long long)next_metrics.history_messages, (double)(now_us() - start_us) / 1000);
    return next_metrics.history_messages == metrics.history_messages ? 0 : 1;
}
