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

/* A field is `name: value` and LF; without a value there is no space, which would only be bytes. */
static size_t field_size(const char *name, struct span value)
{
    return strlen(name) + 1 + (value.size > 0 ? 1 + value.size : 0) + 1;
}

static char *put_field(char *out, const char *name, struct span value)
{
    size_t name_size = strlen(name);

    memcpy(out, name, name_size);
    out += name_size;
    *out++ = ':';
    if (value.size > 0) {
        *out++ = ' ';
        memcpy(out, value.bytes, value.size);
        out += value.size;
    }
    *out++ = '\n';
    return out;
}

static size_t event_size(struct span id, struct span event, struct span data)
{
    size_t size = field_size("id", id) + (event.size > 0 ? field_size("event", event) : 0);
    struct span line;
    bool more;

    do {
        more = take_line(&data, &line);
        size += field_size("data", line);
    } while (more);
    return size + 1;
}

static char *put_event(char *out, struct span id, struct span event, struct span data)
{
    struct span line;
    bool more;

    out = put_field(out, "id", id);
    if (event.size > 0)
        out = put_field(out, "event", event);
    do {
        more = take_line(&data, &line);
        out = put_field(out, "data", line);
    } while (more);
    *out++ = '\n';
    return out;
}

void sse_append_event(struct text *text, struct event_id id, struct span event, struct span data)
{
    char digits[EVENT_ID_TEXT];
    struct span id_text = {digits, event_id_format(id, digits)};
    size_t size = event_size(id_text, event, data);
    char *out = text_reserve(text, size);

    if (!out)
        return;
    put_event(out, id_text, event, data);
    text->size += size;
}

void sse_append_cursor(struct text *text, const char *event, struct event_id cursor)
{
    char data[EVENT_ID_TEXT + 32], id[EVENT_ID_TEXT];

    event_id_format(cursor, id);
    snprintf(data, sizeof data, "{\"cursor\":\"%s\"}", id);
    sse_append_event(text, cursor, span_of(event), span_of(data));
}

struct buffer *sse_encode(struct event_id id, struct span event, struct span data)
{
    char digits[EVENT_ID_TEXT];
    struct span id_text = {digits, event_id_format(id, digits)};
    size_t size = event_size(id_text, event, data);
    struct buffer *encoded = buffer_create(fcgi_stdout_size(size));

    if (!encoded)
        return NULL;
    char *end = put_event(encoded->bytes + encoded->size - size, id_text, event, data);
    assert(end == encoded->bytes + encoded->size);
    fcgi_frame_in_place(encoded->bytes, NGINX_REQUEST_ID, size);
    return encoded;
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
