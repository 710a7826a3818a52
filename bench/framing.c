/*
 * States of one answer, for both kinds (FastCGI's body is UNTIL_CLOSE inside the records):
 *
 *     HEAD -> UNTIL_CLOSE
 *          -> LENGTH -> HEAD
 *          -> CHUNK_SIZE -> CHUNK -> CHUNK_END -> CHUNK_SIZE …
 *                        -> TRAILER -> HEAD
 */
#include "framing.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HEAD, UNTIL_CLOSE, LENGTH, CHUNK_SIZE, CHUNK, CHUNK_END, TRAILER };

/* FastCGI 1.0, 3.3 and 8 */
enum { RECORD_END_REQUEST = 3, RECORD_STDOUT = 6 };

/* What one call works with. */
struct feeding {
    struct framing *framing;
    const struct framing_sink *sink;
    void *context;
};

void framing_init(struct framing *framing, enum framing_kind kind)
{
    memset(framing, 0, sizeof *framing);
    framing->kind = kind;
}

static void end_answer(const struct feeding *feeding)
{
    feeding->framing->state = HEAD;
    feeding->framing->is_chunked = false;
    feeding->framing->body_left = 0;
    feeding->sink->on_end(feeding->context);
}

static void end_head(const struct feeding *feeding)
{
    struct framing *framing = feeding->framing;
    bool has_length = framing->body_left > 0;

    framing->state = framing->is_chunked ? CHUNK_SIZE : has_length ? LENGTH : UNTIL_CLOSE;
    framing->body_left -= has_length; /* which take_header raised by one, so that 0 is a length too */
    feeding->sink->on_head_end(feeding->context);
    if (framing->state == LENGTH && framing->body_left == 0)
        end_answer(feeding);
}

static void take_header(const struct feeding *feeding)
{
    struct framing *framing = feeding->framing;

    if (framing->line_size == 0) {
        end_head(feeding);
        return;
    }
    if (framing->kind == FRAMING_HTTP && strncasecmp(framing->line, "Content-Length:", 15) == 0)
        framing->body_left = strtoull(framing->line + 15, NULL, 10) + 1;
    if (strncmp(framing->line, "HTTP/1.1 204", 12) == 0)
        framing->body_left = 1; /* RFC 9112, 6.3: never a body */
    if (framing->kind == FRAMING_HTTP && strncasecmp(framing->line, "Transfer-Encoding: chunked", 26) == 0)
        framing->is_chunked = true;
    feeding->sink->on_header(feeding->context, framing->line);
}

static void take_chunk_size(const struct feeding *feeding)
{
    struct framing *framing = feeding->framing;
    char *end;

    framing->body_left = strtoull(framing->line, &end, 16);
    if (end == framing->line)
        feeding->sink->on_bad(feeding->context, "a chunk has no size");
    framing->state = framing->body_left > 0 ? CHUNK : TRAILER;
}

static void take_line(const struct feeding *feeding)
{
    struct framing *framing = feeding->framing;
    size_t kept = framing->line_size < FRAMING_LINE_KEPT ? framing->line_size : FRAMING_LINE_KEPT - 1;

    /* line_size counts bytes up to LF; a CR before it is not part of the line. */
    if (kept > 0 && kept == framing->line_size && framing->line[kept - 1] == '\r')
        framing->line_size = (uint32_t)--kept;
    framing->line[kept] = 0;
    if (framing->state == HEAD)
        take_header(feeding);
    else if (framing->state == CHUNK_SIZE)
        take_chunk_size(feeding);
    else if (framing->state == CHUNK_END)
        framing->state = CHUNK_SIZE;
    else if (framing->line_size == 0)
        end_answer(feeding);
    framing->line_size = 0;
}

/* Of a part that is made of lines; how many bytes it took. */
static size_t feed_line(const struct feeding *feeding, const char *bytes, size_t size)
{
    struct framing *framing = feeding->framing;
    const char *end = memchr(bytes, '\n', size);
    size_t used = end ? (size_t)(end - bytes) : size;

    if (framing->line_size < FRAMING_LINE_KEPT - 1) {
        size_t room = FRAMING_LINE_KEPT - 1 - framing->line_size;

        memcpy(framing->line + framing->line_size, bytes, used < room ? used : room);
    }
    framing->line_size += (uint32_t)used;
    if (!end)
        return used;
    take_line(feeding);
    return used + 1;
}

static size_t feed_body(const struct feeding *feeding, const char *bytes, size_t size)
{
    struct framing *framing = feeding->framing;
    size_t used = framing->state == UNTIL_CLOSE || size < framing->body_left ? size : (size_t)framing->body_left;

    feeding->sink->on_body(feeding->context, bytes, used);
    if (framing->state == UNTIL_CLOSE)
        return used;
    framing->body_left -= used;
    if (framing->body_left == 0 && framing->state == CHUNK)
        framing->state = CHUNK_END;
    else if (framing->body_left == 0)
        end_answer(feeding);
    return used;
}

static void feed_answer(const struct feeding *feeding, const char *bytes, size_t size)
{
    while (size > 0) {
        uint8_t state = feeding->framing->state;
        bool is_body = state == UNTIL_CLOSE || state == LENGTH || state == CHUNK;
        size_t used = is_body ? feed_body(feeding, bytes, size) : feed_line(feeding, bytes, size);

        bytes += used;
        size -= used;
    }
}

static void take_record_header(const struct feeding *feeding)
{
    struct framing *framing = feeding->framing;
    const unsigned char *header = framing->header;

    framing->content_left = (uint16_t)(header[4] << 8 | header[5]);
    framing->padding_left = header[6];
    framing->is_ended |= header[1] == RECORD_END_REQUEST;
    if (header[0] != 1 || (header[1] != RECORD_STDOUT && !framing->is_ended))
        feeding->sink->on_bad(feeding->context, "a record is not one of an answer");
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t feed_record(const struct feeding *feeding, const char *bytes, size_t size)
{
    struct framing *framing = feeding->framing;
    size_t used;

    if (framing->header_size < sizeof framing->header) {
        used = smaller(sizeof framing->header - framing->header_size, size);
        memcpy(framing->header + framing->header_size, bytes, used);
        framing->header_size = (uint8_t)(framing->header_size + used);
        if (framing->header_size == sizeof framing->header)
            take_record_header(feeding);
    } else if (framing->content_left > 0) {
        used = smaller(framing->content_left, size);
        if (!framing->is_ended)
            feed_answer(feeding, bytes, used);
        framing->content_left = (uint16_t)(framing->content_left - used);
    } else {
        used = smaller(framing->padding_left, size);
        framing->padding_left = (uint8_t)(framing->padding_left - used);
    }
    if (framing->header_size == sizeof framing->header && framing->content_left == 0 && framing->padding_left == 0)
        framing->header_size = 0;
    return used;
}

void framing_feed(struct framing *framing, const struct framing_sink *sink, void *context, const char *bytes, size_t size)
{
    const struct feeding feeding = {framing, sink, context};

    if (framing->kind == FRAMING_HTTP) {
        feed_answer(&feeding, bytes, size);
        return;
    }
    while (size > 0) {
        size_t used = feed_record(&feeding, bytes, size);

        bytes += used;
        size -= used;
    }
}
