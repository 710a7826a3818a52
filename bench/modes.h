/*
 * modes: what load can measure. Each takes opened clients and prints one line of key=value. What a key means:
 *
 *     deliveries seconds      of the measured part
 *     rate                    messages a second, until the last one had been received everywhere (ramp: the highest rate held)
 *     cpu_us own_us           CPU time per delivery: of all processes, of those that are not nginx
 *     busy                    CPU time of all processes, per second
 *     foreign                 the same of all else on the machine (but not of load): it should be near 0
 *     p50_ms p99_ms p999_ms   from publishing to receipt
 *     faults                  what broke the contract
 */
#ifndef MODES_H
#define MODES_H

#include <stdbool.h>

#include "schedule.h"
#include "subscribers.h"

/* Memory before there was a client. */
struct memory {
    uint64_t all, own;
};

/*
 * At a rate. Besides: bytes (per delivery), polls (answers per delivery), sleeps (of the processes, per message), lag_ms (how late the
 * last message was published), overlaps (messages that were published before all before them had arrived), and the growth of the
 * proportional set size since before the first client: pss_client, pss_mib of all processes, own_client, own_mib of those that
 * are not nginx, in bytes per client and in MiB.
 */
void mode_measure(struct schedule *schedule, const struct memory *before);

/*
 * Rate raised step by step until something is lost, p99 passes 1 s, or the last message of a step comes late by more than a
 * tenth of the step, twice in turn: the figures are the last good step's. Besides: limit (what ended it).
 */
void mode_ramp(struct schedule *schedule);

/*
 * Messages that nobody listens to, which lie ready in this process while the server's are stopped; the time is from letting
 * them go on until the client got a last message that was published behind them on each socket. A delivery is a message here.
 */
void mode_ingest(struct schedule *schedule);

/*
 * Bursts of `messages` that lie ready while the server is stopped and that clients read only when it is idle again.
 * wall_ms: median of the bursts, from letting it go on to the end of its work, which is seen by its CPU clock.
 */
void mode_burst(struct schedule *schedule);

#endif
