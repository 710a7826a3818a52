/*
 * The load generator: opens clients that subscribe, publishes, reads everything and checks it while it measures: nothing lost,
 * doubled, out of order. Prints one line of key=value (modes.h); exit status 1 when something was wrong.
 *
 *     load --listen ADDRESS --publish ENDPOINT --pid PID [--pid PID …] [--own-pid PID …] [--mode measure|ramp|ingest|burst]
 *          [--framing fastcgi | --framing http --path PATH%s [--poll json|headers]] [--ids-rise]
 *          [--clients 1000] [--unanswered 256] [--stuck 0] [--channels 1] [--per-client 1] [--idle 0]
 *          [--rate 5] [--size 200] [--messages 20] [--warm 5] [--publishers N] [--step 1.5] [--seconds 2] [--bursts 9]
 *
 * ADDRESS is a unix socket or 127.0.0.1:PORT, ENDPOINT as in publisher.h, PATH has %s for the channel. --pid: all processes of
 * the server's side; --own-pid: those of them that are not nginx. A rate of 0 publishes all at once. The first `warm` messages
 * are not measured. Messages go to the channels in turn; see subscribers.h for who listens to which. The server has to be up:
 * its memory is measured first. One thread (and ZeroMQ's own): publishing and reading take turns.
 */
#include "connect.h"
#include "modes.h"
#include "options.h"
#include "process.h"
#include "publisher.h"
#include "schedule.h"
#include "subscribers.h"

#include <sys/resource.h>
#include <unistd.h>

enum { LIMIT_SECONDS = 300 }; /* of the whole program */

static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void warm_up(struct schedule *schedule)
{
    const struct options *options = schedule->subscribers->options;

    schedule_run(schedule, options->warm, options->rate);
    subscribers_read_rest(schedule->subscribers, SILENCE_SECONDS * SECOND_NS);
}

static void measure(struct schedule *schedule, const struct memory *before)
{
    switch (schedule->subscribers->options->mode) {
    case MODE_MEASURE: mode_measure(schedule, before); return;
    case MODE_RAMP: mode_ramp(schedule); return;
    case MODE_INGEST: mode_ingest(schedule); return;
    case MODE_BURST: mode_burst(schedule); return;
    }
}

int main(int argc, char **argv)
{
    static struct options options;
    static struct subscribers subscribers;
    struct schedule schedule = {.subscribers = &subscribers};
    struct memory before;

    options_parse(&options, argc, argv);
    alarm(LIMIT_SECONDS);
    raise_descriptor_limit();
    subscribers_init(&subscribers, &options);
    schedule.publisher =
        publisher_open(options.publish, (unsigned)options.publishers, subscribers.epoll, subscribers_fault, &subscribers);
    before = (struct memory){process_pss_bytes(&options.server), process_pss_bytes(&options.own)};
    subscribers_open(&subscribers);
    if (options.mode != MODE_INGEST)
        warm_up(&schedule);
    measure(&schedule, &before);
    return subscribers.faults > 0;
}
