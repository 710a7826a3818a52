#include "stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* FastCGI 1.0, 3.3 and 8 */
enum { RECORD_END_REQUEST = 3, RECORD_STDOUT = 6 };

void stream_write_payload(char *payload, size_t size, uint64_t number, uint64_t sent_ns)
{
    char start[48];
    int length = snprintf(start, sizeof start, "%" PRIu64 " %" PRIu64 " ", number, sent_ns);

    memset(payload, 'x', size);
    memcpy(payload, start, (size_t)length);
}

static void take_id(struct stream *stream, const struct stream_check *check, const char *text)
{
    char *end;
    uint64_t ms = strtoull(text, &end, 10);
    uint64_t seq = *end == '-' ? strtoull(end + 1, &end, 10) : 0;

    if (ms < stream->id_ms || (ms == stream->id_ms && seq <= stream->id_seq))
        check->on_fault(check->context, stream, "an id does not rise");
    stream->id_ms = ms;
    stream->id_seq = seq;
    stream->has_id = true;
}

static void take_data(struct stream *stream, const struct stream_check *check, const char *text)
{
    char *end;

    stream->number = strtoull(text, &end, 10);
    stream->sent_ns = strtoull(end, &end, 10);
    if (stream->line_size - strlen("data: ") != check->payload_bytes)
        check->on_fault(check->context, stream, "a payload has not its size");
    stream->has_data = true;
}

static void take_message(struct stream *stream, const struct stream_check *check)
{
    if (!stream->has_id)
        check->on_fault(check->context, stream, "an event has no id");
    if (stream->number < stream->expected)
        check->on_fault(check->context, stream, "a message came twice, or after a later one");
    if (stream->number > stream->expected)
        check->on_fault(check->context, stream, "a message is missing");
    stream->expected = stream->number + 1;
    check->on_message(check->context, stream->sent_ns);
}

static void take_blank_line(struct stream *stream, const struct stream_check *check)
{
    if (stream->has_data && !stream->is_foreign)
        take_message(stream, check);
    stream->has_id = stream->has_data = stream->is_foreign = false;
}

static void take_header_line(struct stream *stream, const struct stream_check *check)
{
    if (strncmp(stream->line, "Status:", 7) == 0 && !strstr(stream->line, "200"))
        check->on_fault(check->context, stream, "the request was refused");
    if (strcmp(stream->line, "\r") != 0)
        return;
    stream->is_open = true;
    check->on_open(check->context);
}

static void take_line(struct stream *stream, const struct stream_check *check)
{
    size_t kept = stream->line_size < STREAM_LINE_KEPT - 1 ? stream->line_size : STREAM_LINE_KEPT - 1;

    stream->line[kept] = 0;
    if (!stream->is_open)
        take_header_line(stream, check);
    else if (stream->line_size == 0)
        take_blank_line(stream, check);
    else if (strncmp(stream->line, "id: ", 4) == 0)
        take_id(stream, check, stream->line + 4);
    else if (strncmp(stream->line, "event: ", 7) == 0)
        stream->is_foreign = true;
    else if (strncmp(stream->line, "data: ", 6) == 0 && !stream->is_foreign)
        take_data(stream, check, stream->line + 6);
    if (strcmp(stream->line, "event: sidecast.gap") == 0)
        check->on_fault(check->context, stream, "a gap was told");
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

static void take_content(struct stream *stream, const struct stream_check *check, const char *bytes, size_t size)
{
    while (size > 0) {
        const char *end = memchr(bytes, '\n', size);
        size_t used = end ? (size_t)(end - bytes) : size;

        keep(stream, bytes, used);
        if (!end)
            return;
        take_line(stream, check);
        bytes += used + 1;
        size -= used + 1;
    }
}

static void take_header(struct stream *stream, const struct stream_check *check)
{
    stream->content_left = (uint16_t)(stream->header[4] << 8 | stream->header[5]);
    stream->padding_left = stream->header[6];
    stream->is_ended |= stream->header[1] == RECORD_END_REQUEST;
    if (stream->header[0] != 1 || (stream->header[1] != RECORD_STDOUT && !stream->is_ended))
        check->on_fault(check->context, stream, "a record is not one of an answer");
}

/* Passes over what is left of something; how many bytes of `size` that takes. */
static size_t part(size_t left, size_t size)
{
    return left < size ? left : size;
}

void stream_feed(struct stream *stream, const struct stream_check *check, const char *bytes, size_t size)
{
    while (size > 0) {
        size_t used;

        if (stream->header_size < sizeof stream->header) {
            used = part(sizeof stream->header - stream->header_size, size);
            memcpy(stream->header + stream->header_size, bytes, used);
            stream->header_size = (uint8_t)(stream->header_size + used);
            if (stream->header_size == sizeof stream->header)
                take_header(stream, check);
        } else if (stream->content_left > 0) {
            used = part(stream->content_left, size);
            if (!stream->is_ended)
                take_content(stream, check, bytes, used);
            stream->content_left = (uint16_t)(stream->content_left - used);
        } else {
            used = part(stream->padding_left, size);
            stream->padding_left = (uint8_t)(stream->padding_left - used);
        }
        if (stream->header_size == sizeof stream->header && stream->content_left == 0 && stream->padding_left == 0)
            stream->header_size = 0;
        bytes += used;
        size -= used;
    }
}
