/* process: what the kernel accounts to the processes of the server side. A set of up to PROCESS_MAX ids. */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdint.h>
#include <sys/types.h>

enum { PROCESS_MAX = 16 };

struct process_set {
    int count;
    pid_t ids[PROCESS_MAX];
};

/* User and system time of all their threads so far; ends the program if one of them is gone. */
uint64_t process_cpu_ns(const struct process_set *set);

/*
 * Their proportional set size in bytes (userland memory; what the kernel holds for sockets is not in it); ends the program on
 * failure.
 */
uint64_t process_pss_bytes(const struct process_set *set);

/* How often their threads went to sleep so far (voluntary context switches). */
uint64_t process_sleeps(const struct process_set *set);

/* User and system time of the whole machine so far, in ticks of 10 ms; and of this process. */
uint64_t process_machine_cpu_ns(void);
uint64_t process_self_cpu_ns(void);

/* Sends a signal to all of them. */
void process_signal(const struct process_set *set, int signal);

#endif
