#include "modes.h"
#include "connect.h"
#include "process.h"
#include "publisher.h"

#include <inttypes.h>
#include <stdio.h>

/* What the kernel has accounted so far, and when that was. */
struct account {
    uint64_t cpu, own, sleeps;
    uint64_t foreign; /* CPU time of everything but these and this process */
    uint64_t at_ns;
};

static struct account account_now(const struct options *options)
{
    struct account account = {
        .cpu = process_cpu_ns(&options->server),
        .own = process_cpu_ns(&options->own),
        .sleeps = process_sleeps(&options->server),
        .at_ns = now_ns(),
    };

    account.foreign = process_machine_cpu_ns() - account.cpu - process_self_cpu_ns();
    return account;
}

static struct account account_since(const struct options *options, struct account before)
{
    struct account now = account_now(options);

    return (struct account){now.cpu - before.cpu, now.own - before.own, now.sleeps - before.sleeps, now.foreign - before.foreign,
                            now.at_ns - before.at_ns};
}

static double ms_at(const struct subscribers *subscribers, double share)
{
    return (double)histogram_at(&subscribers->latencies, share) / 1e6;
}

static double per(uint64_t sum, uint64_t count)
{
    return count > 0 ? (double)sum / (double)count : 0;
}

static void print_common(const struct subscribers *subscribers, struct account account, double seconds, double rate)
{
    printf("deliveries=%" PRIu64
           " seconds=%.3f rate=%.1f cpu_us=%.3f own_us=%.3f busy=%.3f foreign=%.2f p50_ms=%.3f p99_ms=%.3f p999_ms=%.3f",
           subscribers->received, seconds, rate, per(account.cpu, subscribers->received) / 1e3,
           per(account.own, subscribers->received) / 1e3, (double)account.cpu / 1e9 / seconds,
           (double)(int64_t)account.foreign / (double)account.at_ns, ms_at(subscribers, 0.5), ms_at(subscribers, 0.99),
           ms_at(subscribers, 0.999));
}

static void print_growth(const char *what, uint64_t before, uint64_t after, uint64_t clients)
{
    double bytes = (double)after - (double)before;

    printf(" %s_client=%.0f %s_mib=%.3f", what, bytes / (double)clients, what, bytes / 1048576);
}

void mode_measure(struct schedule *schedule, const struct memory *before)
{
    struct subscribers *subscribers = schedule->subscribers;
    const struct options *options = subscribers->options;
    struct account account = account_now(options);
    double seconds;

    subscribers->is_measured = true;
    subscribers_reset(subscribers);
    schedule_run(schedule, options->messages, options->rate);
    subscribers_read_rest(subscribers, SILENCE_SECONDS * SECOND_NS);
    seconds = (double)(subscribers->last_ns - schedule->start_ns) / 1e9;
    account = account_since(options, account);
    print_common(subscribers, account, seconds, (double)options->messages / seconds);
    printf(" bytes=%.1f polls=%.3f sleeps=%.3f lag_ms=%.1f overlaps=%" PRIu64, per(subscribers->bytes, subscribers->received),
           per(subscribers->answers, subscribers->received), per(account.sleeps, options->messages),
           (double)schedule->lag_ns / 1e6, schedule->overlaps);
    print_growth("pss", before->all, process_pss_bytes(&options->server), options->clients);
    print_growth("own", before->own, process_pss_bytes(&options->own), options->clients);
    printf(" faults=%" PRIu64 "\n", subscribers->faults);
}

/* What a step of a ramp ended with. */
struct step {
    struct account account;
    double rate, seconds;
    struct subscribers result; /* a copy of the figures */
};

static const char *limit_of(const struct schedule *schedule, uint64_t messages, double rate)
{
    const struct subscribers *subscribers = schedule->subscribers;
    uint64_t step_ns = (uint64_t)((double)messages * 1e9 / rate);

    if (subscribers->faults > 0)
        return "lost";
    if (ms_at(subscribers, 0.99) > 1000)
        return "p99";
    if (schedule->lag_ns > step_ns / 10)
        return "load"; /* which could not publish in time */
    if (subscribers->last_ns - schedule->start_ns > step_ns + step_ns / 10)
        return "behind";
    return NULL;
}

/* One step; what ended the ramp with it, or NULL. */
static const char *ramp_once(struct schedule *schedule, double rate, struct step *step)
{
    struct subscribers *subscribers = schedule->subscribers;
    const struct options *options = subscribers->options;
    struct account account = account_now(options);
    uint64_t messages = (uint64_t)(rate * options->seconds);

    subscribers_reset(subscribers);
    schedule_run(schedule, messages, rate);
    subscribers_read_rest(subscribers, SILENCE_SECONDS * SECOND_NS);
    *step = (struct step){account_since(options, account), rate, (double)(subscribers->last_ns - schedule->start_ns) / 1e9,
                          *subscribers};
    return limit_of(schedule, messages, rate);
}

void mode_ramp(struct schedule *schedule)
{
    static struct step best, step;
    struct subscribers *subscribers = schedule->subscribers;
    const struct options *options = subscribers->options;
    const char *limit = NULL;

    subscribers->is_measured = subscribers->is_quiet = true;
    for (double rate = options->rate; !limit; rate *= options->step) {
        limit = ramp_once(schedule, rate, &step);
        /* Other work on this machine can make a step late: only the second time counts. What is lost is lost. */
        if (limit && subscribers->faults == 0)
            limit = ramp_once(schedule, rate, &step);
        if (!limit)
            best = step;
    }
    if (best.seconds > 0)
        print_common(&best.result, best.account, best.seconds, best.rate);
    else
        printf("rate=0");
    printf(" limit=%s faults=0\n", limit);
    subscribers->faults = 0; /* they were looked for */
}
