/*
 * stream: one client's view of an event stream (the body of an answer), checked while it is read. Without I/O; keeps a few
 * dozen bytes of the current line and nothing else.
 */
#ifndef STREAM_H
#define STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct check;
struct sequence;

enum { STREAM_LINE_KEPT = 64 };

/* Zeroed memory is a stream at its start. */
struct stream {
    uint32_t line_size, data_size;
    bool has_id, has_data, is_foreign; /* of the current event */
    char line[STREAM_LINE_KEPT];
    char data[STREAM_LINE_KEPT];
};

void stream_feed(struct stream *stream, struct sequence *sequence, const struct check *check, const char *bytes, size_t size);

#endif
