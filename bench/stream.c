#include "stream.h"
#include "check.h"

#include <string.h>

/* Over at the blank line that ends it. */
static void take_event(struct stream *stream, struct sequence *sequence, const struct check *check)
{
    if (stream->has_data && !stream->is_foreign) {
        if (check->ids_rise && !stream->has_id)
            check->on_fault(check->context, sequence, "an event has no id");
        check_payload(check, sequence, stream->data, stream->data_size);
    }
    stream->has_id = stream->has_data = stream->is_foreign = false;
}

static void take_data(struct stream *stream)
{
    memcpy(stream->data, stream->line + strlen("data: "), STREAM_LINE_KEPT - strlen("data: "));
    stream->data_size = stream->line_size - (uint32_t)strlen("data: ");
    stream->has_data = true;
}

static void take_event_name(struct stream *stream, struct sequence *sequence, const struct check *check)
{
    stream->is_foreign = true;
    if (strcmp(stream->line, "event: sidecast.gap") == 0)
        check->on_fault(check->context, sequence, "a gap was told");
}

static void take_line(struct stream *stream, struct sequence *sequence, const struct check *check)
{
    size_t kept = stream->line_size < STREAM_LINE_KEPT - 1 ? stream->line_size : STREAM_LINE_KEPT - 1;

    stream->line[kept] = 0;
    if (stream->line_size == 0) {
        take_event(stream, sequence, check);
    } else if (strncmp(stream->line, "data: ", 6) == 0) {
        take_data(stream);
    } else if (strncmp(stream->line, "id: ", 4) == 0) {
        check_id(check, sequence, stream->line + 4);
        stream->has_id = true;
    } else if (strncmp(stream->line, "event: ", 7) == 0) {
        take_event_name(stream, sequence, check);
    }
    stream->line_size = 0;
}

static void keep(struct stream *stream, const char *bytes, size_t size)
{
    if (stream->line_size < STREAM_LINE_KEPT - 1) {
        size_t room = STREAM_LINE_KEPT - 1 - stream->line_size;

        memcpy(stream->line + stream->line_size, bytes, size < room ? size : room);
    }
    stream->line_size += (uint32_t)size;
}

void stream_feed(struct stream *stream, struct sequence *sequence, const struct check *check, const char *bytes, size_t size)
{
    while (size > 0) {
        const char *end = memchr(bytes, '\n', size);
        size_t used = end ? (size_t)(end - bytes) : size;

        keep(stream, bytes, used);
        if (!end)
            return;
        take_line(stream, sequence, check);
        bytes += used + 1;
        size -= used + 1;
    }
}
