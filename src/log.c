/*
 * log: a line is put together on the stack and leaves with one write, so that threads need no lock. What cannot be written
 * (a full pipe, no stderr) is lost: a log must not stop the daemon.
 */
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const level_names[] = {"error", "warning", "notice", "info", "debug"};

static atomic_int least_urgent = LOG_INFO;

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&least_urgent, (int)level, memory_order_relaxed);
}

bool log_level_parse(const char *name, enum log_level *level)
{
    for (size_t i = 0; i < sizeof level_names / sizeof *level_names; i++)
        if (strcmp(name, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    return false;
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

static bool is_written(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&least_urgent, memory_order_relaxed);
}

/* How much of the line is used after printf wanted to add `added` to `used`; one byte stays for the newline. */
static size_t line_used(size_t used, int added)
{
    size_t end = used + (added > 0 ? (size_t)added : 0);

    return end < LOG_LINE_BYTES - 1 ? end : LOG_LINE_BYTES - 1;
}

static void write_line(enum log_level level, unsigned long suppressed, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

static void write_line(enum log_level level, unsigned long suppressed, const char *format, va_list arguments)
{
    int saved_errno = errno;
    char line[LOG_LINE_BYTES];
    size_t size = line_used(0, snprintf(line, sizeof line, "%s ", level_names[level]));

    errno = saved_errno; /* for %m */
    size = line_used(size, vsnprintf(line + size, sizeof line - size, format, arguments));
    if (suppressed > 0)
        size = line_used(size, snprintf(line + size, sizeof line - size, " suppressed=%lu", suppressed));
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[size++] = '\n';
    if (poll(&(struct pollfd){.fd = STDERR_FILENO, .events = POLLOUT}, 1, 0) != 0)
        while (write(STDERR_FILENO, line, size) < 0 && errno == EINTR)
            ;
    errno = saved_errno;
}

void log_write(enum log_level level, const char *format, ...)
{
    va_list arguments;

    if (!is_written(level))
        return;
    va_start(arguments, format);
    write_line(level, 0, format, arguments);
    va_end(arguments);
}

void log_limited(struct log_limit *limit, int64_t now_ms, enum log_level level, const char *format, ...)
{
    int64_t second = now_ms / 1000;
    va_list arguments;

    if (!is_written(level))
        return;
    if (limit->second != second) {
        limit->second = second;
        limit->lines = 0;
    }
    if (limit->lines >= LOG_LIMIT_PER_SECOND) {
        limit->suppressed++;
        return;
    }
    limit->lines++;
    va_start(arguments, format);
    write_line(level, limit->suppressed, format, arguments);
    va_end(arguments);
    limit->suppressed = 0;
}
