#include "process.h"

#include <err.h>
#include <stdio.h>
#include <time.h>

uint64_t process_cpu_ns(const struct process_set *set)
{
    uint64_t sum = 0;

    for (int i = 0; i < set->count; i++) {
        struct timespec time;
        clockid_t clock;

        /* Nanoseconds from the scheduler; /proc/PID/stat counts ticks of 10 ms. */
        if (clock_getcpuclockid(set->ids[i], &clock) != 0 || clock_gettime(clock, &time) < 0)
            errx(1, "process %d is gone", (int)set->ids[i]);
        sum += (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
    }
    return sum;
}

static uint64_t pss_of(pid_t id)
{
    char path[64], line[256];
    unsigned long kib = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)id);
    file = fopen(path, "r");
    if (!file)
        err(1, "%s", path);
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "Pss: %lu kB", &kib) == 1)
            break;
    fclose(file);
    if (kib == 0)
        errx(1, "%s has no Pss", path);
    return (uint64_t)kib * 1024;
}

uint64_t process_pss_bytes(const struct process_set *set)
{
    uint64_t sum = 0;

    for (int i = 0; i < set->count; i++)
        sum += pss_of(set->ids[i]);
    return sum;
}
