#include "framing.h"

#include "buffer.h"
#include "fcgi.h"
#include "text.h"

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

static struct buffer *fastcgi_message(uint16_t request_id, struct buffer *encoded)
{
    struct buffer *copy;

    if (request_id == 1)
        return buffer_ref(encoded);
    copy = buffer_create(encoded->size);
    if (copy) {
        memcpy(copy->bytes, encoded->bytes, encoded->size);
        fcgi_set_request_id(copy->bytes, copy->size, request_id);
    }
    return copy;
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
    .message = fastcgi_message,
    .body = fastcgi_body,
    .end = fastcgi_end,
    .whole = fastcgi_whole,
};

const struct framing *const framings[] = {[FRAMING_FASTCGI] = &framing_fastcgi};
