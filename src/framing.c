#include "framing.h"

#include "buffer.h"
#include "fcgi.h"
#include "text.h"

#include <sys/uio.h>

static struct buffer *fastcgi_records(uint16_t request_id, struct span headers, struct span body, bool end)
{
    struct text content = TEXT_EMPTY;
    struct buffer *buffer = NULL;

    text_append(&content, headers);
    if (headers.size > 0)
        text_append_string(&content, "\r\n");
    text_append(&content, body);
    if (!content.failed)
        buffer = buffer_create(fcgi_stdout_size(content.size) + (end ? FCGI_HEADER_BYTES + FCGI_END_BYTES : 0));
    if (buffer) {
        char *next = fcgi_put_stdout(buffer->bytes, request_id, text_span(&content));

        if (end) {
            fcgi_put_header(next, FCGI_STDOUT, request_id, 0);
            fcgi_put_end(next + FCGI_HEADER_BYTES, request_id);
        }
    }
    text_finish(&content);
    return buffer;
}

static struct buffer *fastcgi_start(uint16_t request_id, struct span headers, struct span body)
{
    return fastcgi_records(request_id, headers, body, false);
}

static size_t content_size(struct span records)
{
    struct span content;
    size_t offset = 0, size = 0;

    while (fcgi_next_content(records, &offset, &content))
        size += content.size;
    return size;
}

static char *put_content(char *out, struct span records)
{
    struct span content;
    size_t offset = 0;

    while (fcgi_next_content(records, &offset, &content))
        out = mempcpy(out, content.bytes, content.size);
    return out;
}

static struct buffer *fastcgi_messages(uint16_t request_id, const struct iovec *encoded, int count)
{
    struct buffer *buffer;
    size_t size = 0;
    char *out;

    for (int i = 0; i < count; i++)
        size += content_size((struct span){encoded[i].iov_base, encoded[i].iov_len});
    buffer = buffer_create(fcgi_stdout_size(size));
    if (!buffer)
        return NULL;
    out = buffer->bytes + buffer->size - size;
    for (int i = 0; i < count; i++)
        out = put_content(out, (struct span){encoded[i].iov_base, encoded[i].iov_len});
    fcgi_frame_in_place(buffer->bytes, request_id, size);
    return buffer;
}

static struct buffer *fastcgi_body(uint16_t request_id, struct span body)
{
    return fastcgi_records(request_id, (struct span){0}, body, false);
}

static struct buffer *fastcgi_end(uint16_t request_id)
{
    return fastcgi_records(request_id, (struct span){0}, (struct span){0}, true);
}

static struct buffer *fastcgi_whole(uint16_t request_id, struct span headers, struct span body)
{
    struct text all = TEXT_EMPTY;
    struct buffer *buffer = NULL;

    text_append(&all, headers);
    if (body.size > 0)
        text_append_format(&all, "Content-Length: %zu\r\n", body.size);
    if (!all.failed)
        buffer = fastcgi_records(request_id, text_span(&all), body, true);
    text_finish(&all);
    return buffer;
}

const struct framing framing_fastcgi = {
    .start = fastcgi_start,
    .messages = fastcgi_messages,
    .body = fastcgi_body,
    .end = fastcgi_end,
    .whole = fastcgi_whole,
};

const struct framing *const framings[] = {[FRAMING_FASTCGI] = &framing_fastcgi};
