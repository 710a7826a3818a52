#include "process.h"

#include <dirent.h>
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

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

static uint64_t sleeps_of_thread(pid_t id, const char *thread)
{
    char path[96], line[256];
    unsigned long sleeps = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/task/%.20s/status", (int)id, thread);
    file = fopen(path, "r");
    if (!file)
        return 0; /* a thread that ended meanwhile */
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "voluntary_ctxt_switches: %lu", &sleeps) == 1)
            break;
    fclose(file);
    return sleeps;
}

uint64_t process_sleeps(const struct process_set *set)
{
    uint64_t sum = 0;

    for (int i = 0; i < set->count; i++) {
        char path[64];
        struct dirent *entry;
        DIR *threads;

        snprintf(path, sizeof path, "/proc/%d/task", (int)set->ids[i]);
        threads = opendir(path);
        if (!threads)
            err(1, "%s", path);
        while ((entry = readdir(threads)))
            if (entry->d_name[0] != '.')
                sum += sleeps_of_thread(set->ids[i], entry->d_name);
        closedir(threads);
    }
    return sum;
}

uint64_t process_machine_cpu_ns(void)
{
    unsigned long user, nice, system, idle, wait, irq, softirq, steal;
    FILE *file = fopen("/proc/stat", "r");

    if (!file ||
        fscanf(file, "cpu %lu %lu %lu %lu %lu %lu %lu %lu", &user, &nice, &system, &idle, &wait, &irq, &softirq, &steal) != 8)
        errx(1, "/proc/stat cannot be read");
    fclose(file);
    return (uint64_t)(user + nice + system + irq + softirq + steal) * (1000000000 / (uint64_t)sysconf(_SC_CLK_TCK));
}

uint64_t process_self_cpu_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

void process_signal(const struct process_set *set, int signal)
{
    for (int i = 0; i < set->count; i++)
        if (kill(set->ids[i], signal) < 0)
            err(1, "process %d", (int)set->ids[i]);
}
