#include "schedule.h"
#include "connect.h"
#include "publisher.h"
#include "subscribers.h"

#include <sched.h>

enum { AT_ONCE = 64 }; /* messages that may be published before reading has its turn */

void schedule_publish(struct schedule *schedule)
{
    static char payload[CHECK_PAYLOAD_MAX];
    struct subscribers *subscribers = schedule->subscribers;
    size_t size = subscribers->options->size;
    uint64_t number = schedule->published++;
    char channel[32];

    schedule->overlaps += subscribers->awaited > 0;
    check_write_payload(payload, size, number / subscribers->groups, now_ns());
    subscribers_channel(subscribers, number, channel);
    subscribers->awaited += subscribers->readers[subscribers_group(subscribers, number)];
    publisher_send(schedule->publisher, 0, channel, payload, size);
}

/* How many of `messages` are due: the first one interval after the start, as any other follows the one before it. */
static uint64_t due_now(const struct schedule *schedule, uint64_t messages, double rate)
{
    uint64_t due = rate > 0 ? (uint64_t)((double)(now_ns() - schedule->start_ns) / 1e9 * rate) : messages;

    return due < messages ? due : messages;
}

static uint64_t time_of(const struct schedule *schedule, uint64_t message, double rate)
{
    return schedule->start_ns + (rate > 0 ? (uint64_t)((double)message * 1e9 / rate) : 0);
}

/*
 * While something is awaited it looks without sleeping: else the server would pay for waking it, the more often the faster it
 * reads. A front end under load does not sleep there either. Between two messages it does.
 */
static void read_until(struct schedule *schedule, uint64_t due_ns)
{
    struct subscribers *subscribers = schedule->subscribers;
    bool is_awaiting = subscribers->awaited > 0 || publisher_waiting(schedule->publisher) > 0;

    if (!subscribers_read(subscribers, is_awaiting ? 0 : due_ns) && is_awaiting)
        sched_yield();
}

void schedule_run(struct schedule *schedule, uint64_t messages, double rate)
{
    uint64_t done = 0;

    schedule->start_ns = now_ns();
    schedule->overlaps = 0;
    while (done < messages && schedule->subscribers->faults == 0) {
        uint64_t due = due_now(schedule, messages, rate);

        for (int i = 0; done < due && i < AT_ONCE; i++, done++)
            schedule_publish(schedule);
        schedule->lag_ns = now_ns() - time_of(schedule, done, rate);
        if (done < messages)
            read_until(schedule, done < due ? 0 : time_of(schedule, done + 1, rate));
    }
}
