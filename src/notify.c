/*
 * One datagram for each news, without libsystemd (docs/decisions.md). The address is kept and not connected: whoever listens there may be another one by
 * now. A watchdog's ping never waits, since it comes from the loop that everybody else waits for; one that is lost is followed by the next.
 */
#include "notify.h"

#include "log.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum {
    WAIT_S = 1,
    LOOKS = 10, /* in half of the watchdog's time, while somebody is not alive */
};

static bool set_name(struct notify *notify, const char *path)
{
    size_t size = strlen(path);

    if ((path[0] != '/' && path[0] != '@') || size < 2 || size >= sizeof notify->name.sun_path) {
        log_write(LOG_WARNING, "NOTIFY_SOCKET: expected the path of a unix socket, or @ and an abstract name, got `%.120s`; nobody is told", path);
        return false;
    }
    notify->name.sun_family = AF_UNIX;
    memcpy(notify->name.sun_path, path, size);
    if (path[0] == '@')
        notify->name.sun_path[0] = '\0';
    notify->name_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    return true;
}

static void open_socket(struct notify *notify)
{
    struct timeval patience = {.tv_sec = WAIT_S};

    notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (notify->fd < 0)
        log_write(LOG_WARNING, "NOTIFY_SOCKET: %s; nobody is told", strerror(errno));
    else
        (void)setsockopt(notify->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

static int64_t parse_watchdog_ms(const char *text)
{
    char *end;
    long long microseconds;

    errno = 0;
    microseconds = strtoll(text, &end, 10);
    if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && microseconds >= 2000)
        return microseconds / 1000;
    log_write(LOG_WARNING, "WATCHDOG_USEC: expected a number of microseconds, at least 2000, got `%.60s`; the watchdog is not served", text);
    return 0;
}

/* Without WATCHDOG_PID it is for everybody (sd_watchdog_enabled(3)). */
static bool is_for(const char *pid, pid_t self)
{
    return !pid || strtoll(pid, NULL, 10) == (long long)self;
}

void notify_init(struct notify *notify, const struct notify_environment *environment, pid_t self)
{
    *notify = (struct notify){.fd = -1};
    if (!environment->notify_socket || !set_name(notify, environment->notify_socket))
        return;
    open_socket(notify);
    if (environment->watchdog_usec && is_for(environment->watchdog_pid, self))
        notify->watchdog_ms = parse_watchdog_ms(environment->watchdog_usec);
}

void notify_finish(struct notify *notify)
{
    if (notify->loop)
        ev_timer_stop(notify->loop, &notify->timer);
    if (notify->fd >= 0)
        close(notify->fd);
    *notify = (struct notify){.fd = -1};
}

static bool send_lines(struct notify *notify, const char *lines, int flags)
{
    return sendto(notify->fd, lines, strlen(lines), flags | MSG_NOSIGNAL, (const struct sockaddr *)&notify->name, notify->name_size) >= 0;
}

void notify_send(struct notify *notify, const char *lines)
{
    if (notify->fd >= 0 && !send_lines(notify, lines, 0))
        log_write(LOG_WARNING, "NOTIFY_SOCKET: cannot tell %.*s: %s", (int)strcspn(lines, "\n"), lines, strerror(errno));
}

int64_t notify_look(struct notify *notify)
{
    int64_t pause_ms = notify->watchdog_ms / 2, short_ms = pause_ms / LOOKS > 0 ? pause_ms / LOOKS : 1;
    bool was_silent = notify->is_silent;

    notify->is_silent = !notify->is_alive(notify->context);
    if (notify->is_silent) {
        if (!was_silent)
            log_write(LOG_WARNING, "watchdog: a worker's loop has not turned for %lld ms; the watchdog is not told", (long long)pause_ms);
        return short_ms;
    }
    (void)send_lines(notify, "WATCHDOG=1", MSG_DONTWAIT);
    return pause_ms;
}

static void look_after(struct notify *notify, int64_t after_ms)
{
    ev_timer_set(&notify->timer, (double)after_ms / 1000, 0.);
    ev_timer_start(notify->loop, &notify->timer);
}

static void on_time(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct notify *notify = watcher->data;

    (void)loop;
    (void)events;
    look_after(notify, notify_look(notify));
}

void notify_watch(struct notify *notify, struct ev_loop *loop, bool (*is_alive)(void *context), void *context)
{
    notify->is_alive = is_alive;
    notify->context = context;
    if (notify->fd < 0 || notify->watchdog_ms == 0)
        return;
    notify->loop = loop;
    ev_timer_init(&notify->timer, on_time, 0., 0.);
    notify->timer.data = notify;
    look_after(notify, notify_look(notify));
}
