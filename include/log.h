/*
 * log: one line per event to stderr, `<level> <text with key=value>`. Never payloads or tokens.
 * What a client can provoke goes through log_limited.
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG };

/* At most this many lines a second from one place; the rest is counted and told with the next line that passes. */
enum { LOG_LIMIT_PER_SECOND = 5 };

/* A longer line is cut here. Below PIPE_BUF, so that lines of several threads never mix in a pipe. */
enum { LOG_LINE_BYTES = 2048 };

/* All zero at first. */
struct log_limit {
    int64_t second;
    unsigned lines;
    unsigned long suppressed;
};

/* The least urgent level that is written; `info` at first. any thread */
void log_set_level(enum log_level level);

/* `name` as in the configuration, `error` to `debug`; false, and `level` untouched, when it is none of them. */
bool log_level_parse(const char *name, enum log_level *level);

/* The name that log_level_parse reads; a constant. */
const char *log_level_name(enum log_level level);

/* Control characters in the text are written as `?`: a line stays one line. Keeps errno. any thread */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One thread per `limit`. `now_ms` is the monotonic clock. A line after suppressed ones ends with ` suppressed=<count>`. */
void log_limited(struct log_limit *limit, int64_t now_ms, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
