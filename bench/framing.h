/*
 * framing: takes one answer after the other out of a connection's bytes, in pieces of any size: FastCGI records of request 1,
 * or HTTP/1.1 with chunks, a length, or an end with the connection. Without I/O; keeps the current header line only.
 */
#ifndef FRAMING_H
#define FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FRAMING_LINE_KEPT = 128 };
enum framing_kind { FRAMING_FASTCGI, FRAMING_HTTP };

struct framing {
    enum framing_kind kind;
    uint8_t state;
    bool is_chunked, is_ended;
    uint64_t body_left; /* of the body or the chunk */
    /* of the current FastCGI record */
    uint16_t content_left;
    uint8_t padding_left;
    uint8_t header_size;
    unsigned char header[8];
    /* of the current line of the head or of a chunk's frame */
    uint32_t line_size;
    char line[FRAMING_LINE_KEPT];
};

/* Whoever takes the parts; pointers are valid during the call only. */
struct framing_sink {
    void (*on_header)(void *context, const char *line); /* status line and header lines, without their end; long ones cut */
    void (*on_body)(void *context, const char *bytes, size_t size);
    void (*on_head_end)(void *context);
    void (*on_end)(void *context);                   /* of one answer; the next may follow */
    void (*on_bad)(void *context, const char *what); /* static text */
};

/* Zeroes all but the kind. */
void framing_init(struct framing *framing, enum framing_kind kind);

void framing_feed(struct framing *framing, const struct framing_sink *sink, void *context, const char *bytes, size_t size);

#endif
