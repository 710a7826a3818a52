/*
 * stream: one client's view of an event stream inside FastCGI STDOUT records, checked while it is read: ids rise, the numbers
 * in the payloads have no hole and no repetition, every payload has its size. Without I/O; keeps a few dozen bytes of the
 * current line and nothing else.
 */
#ifndef STREAM_H
#define STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STREAM_LINE_KEPT = 64 };

struct stream {
    uint64_t expected;      /* number of the next payload */
    uint64_t id_ms, id_seq; /* of the last event */
    uint64_t number, sent_ns;
    uint32_t line_size;
    uint16_t content_left; /* of the current record */
    uint8_t padding_left;
    uint8_t header_size;
    unsigned char header[8];
    bool is_open;  /* the response's headers are over */
    bool is_ended; /* no more records will come */
    bool has_id, has_data, is_foreign;
    char line[STREAM_LINE_KEPT];
};

/* What all streams of a run share. */
struct stream_check {
    size_t payload_bytes; /* what every payload has */
    void (*on_open)(void *context);
    void (*on_message)(void *context, uint64_t sent_ns);
    /* The stream broke the contract; `what` is static. */
    void (*on_fault)(void *context, const struct stream *stream, const char *what);
    void *context;
};

/*
 * The payload that streams expect: number and monotonic time of sending, filled up to `size` (at least 48) bytes. Not
 * terminated.
 */
void stream_write_payload(char *payload, size_t size, uint64_t number, uint64_t sent_ns);

void stream_feed(struct stream *stream, const struct stream_check *check, const char *bytes, size_t size);

#endif
