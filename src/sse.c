/*
 * Text of event streams. An event's size is computed before it is written, so that an encoded message is one allocation: the
 * text is written where its last record ends and, when there are several records, moved up to make room for the headers
 * between them.
 *
 * Knows nothing of channels, cursors or who reads. Event names are checked before they come here (no CR, LF or NUL).
 */
#include "sse.h"

#include "buffer.h"
#include "fcgi.h"
#include "message.h"
#include "text.h"

#include <assert.h>
#include <stdio.h>

enum { NGINX_REQUEST_ID = 1 };

/* Searched at once; data of nothing but CRs must not be searched for an LF to its end at each. */
enum { SEARCH_BYTES = 256 };

/* Where the first CR or LF is; the size if there is none. */
static size_t line_end(struct span text)
{
    for (size_t at = 0; at < text.size; at += SEARCH_BYTES) {
        const char *start = text.bytes + at;
        size_t size = text.size - at < SEARCH_BYTES ? text.size - at : SEARCH_BYTES;
        const char *lf = memchr(start, '\n', size);
        const char *cr = memchr(start, '\r', lf ? (size_t)(lf - start) : size);

        if (cr || lf)
            return (size_t)((cr ? cr : lf) - text.bytes);
    }
    return text.size;
}

/* Cuts the first line off `rest`; false when nothing ended it: it was the last. */
static bool take_line(struct span *rest, struct span *line)
{
    size_t end = line_end(*rest);

    *line = (struct span){rest->bytes, end};
    if (end == rest->size)
        return false;
    if (rest->bytes[end] == '\r' && end + 1 < rest->size && rest->bytes[end + 1] == '\n')
        end++;
    *rest = (struct span){rest->bytes + end + 1, rest->size - end - 1};
    return true;
}

/* An event about to be written. Data is searched for lines once: what is one line, as most data, is copied as a whole. */
struct event {
    char digits[EVENT_ID_TEXT];
    struct span id, name, data;
    bool is_one_line;
    size_t size;
};

/* A field is `name: value` and LF; without a value there is no space, which would only be bytes. Inline, so that the name's length is a constant. */
static inline size_t field_size(const char *name, struct span value)
{
    return strlen(name) - (value.size == 0) + value.size + 1;
}

static inline char *put_field(char *out, const char *name, struct span value)
{
    out = (char *)mempcpy(out, name, strlen(name)) - (value.size == 0);
    if (value.size > 0)
        out = mempcpy(out, value.bytes, value.size);
    *out++ = '\n';
    return out;
}

static void measure(struct event *event, struct event_id id, struct span name, struct span data)
{
    struct span line;
    bool more;

    event->id = (struct span){event->digits, event_id_format(id, event->digits)};
    event->name = name;
    event->data = data;
    event->size = field_size("id: ", event->id) + (name.size > 0 ? field_size("event: ", name) : 0) + 1;
    do {
        more = take_line(&data, &line);
        event->size += field_size("data: ", line);
    } while (more);
    event->is_one_line = line.size == event->data.size;
}

static char *put_lines(char *out, struct span data)
{
    struct span line;
    bool more;

    do {
        more = take_line(&data, &line);
        out = put_field(out, "data: ", line);
    } while (more);
    return out;
}

static char *put_event(char *out, const struct event *event)
{
    out = put_field(out, "id: ", event->id);
    if (event->name.size > 0)
        out = put_field(out, "event: ", event->name);
    out = event->is_one_line ? put_field(out, "data: ", event->data) : put_lines(out, event->data);
    *out++ = '\n';
    return out;
}

void sse_append_event(struct text *text, struct event_id id, struct span name, struct span data)
{
    struct event event;
    char *out;

    measure(&event, id, name, data);
    out = text_reserve(text, event.size);
    if (!out)
        return;
    put_event(out, &event);
    text->size += event.size;
}

void sse_append_cursor(struct text *text, const char *event, struct event_id cursor)
{
    char data[EVENT_ID_TEXT + 32], id[EVENT_ID_TEXT];

    event_id_format(cursor, id);
    snprintf(data, sizeof data, "{\"cursor\":\"%s\"}", id);
    sse_append_event(text, cursor, span_of(event), span_of(data));
}

/* `encoded` has room for just the records. */
static void put_records(struct buffer *encoded, const struct event *event)
{
    char *end = put_event(encoded->bytes + encoded->size - event->size, event);

    assert(end == encoded->bytes + encoded->size);
    fcgi_frame_in_place(encoded->bytes, NGINX_REQUEST_ID, event->size);
}

struct buffer *sse_encode(struct event_id id, struct span name, struct span data)
{
    struct event event;
    struct buffer *encoded;

    measure(&event, id, name, data);
    encoded = buffer_create(fcgi_stdout_size(event.size));
    if (encoded)
        put_records(encoded, &event);
    return encoded;
}

struct message *sse_encode_message(struct event_id id, const struct message_names *names, struct span data)
{
    struct event event;
    struct message *message;

    measure(&event, id, names->event, data);
    message = message_create(id, names, fcgi_stdout_size(event.size));
    if (message)
        put_records(message->encoded, &event);
    return message;
}

/* Turns the `data` fields of the event text at `bytes` into their values, joined by LF. Returns how many bytes these are. */
static size_t keep_data(char *bytes, size_t size)
{
    struct span rest = {bytes, size};
    struct span line;
    size_t kept = 0;
    bool first = true;

    while (take_line(&rest, &line)) {
        size_t prefix = line.size > strlen("data:") ? strlen("data: ") : strlen("data:");

        if (line.size < prefix || memcmp(line.bytes, "data:", strlen("data:")) != 0)
            continue;
        if (!first)
            bytes[kept++] = '\n';
        first = false;
        memmove(bytes + kept, line.bytes + prefix, line.size - prefix);
        kept += line.size - prefix;
    }
    return kept;
}

void sse_append_data(struct text *text, const struct buffer *encoded)
{
    size_t start = text->size;
    size_t offset = 0;
    struct span content;

    while (fcgi_next_content(buffer_span(encoded), &offset, &content))
        text_append(text, content);
    if (!text->failed)
        text->size = start + keep_data(text->bytes + start, text->size - start);
}
