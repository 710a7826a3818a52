/*
 * fcgi: FastCGI 1.0 records, without I/O. The scanner sees every record that comes in first, answers what is not a plain
 * responder request itself, and collects the records of the one request, ready for libfcgi to decode. The writers make
 * answers: padding is always 0 (with padding, nginx holds response headers back until a body byte comes).
 * The protocol's own numbers (FCGI_STDOUT, …) are those of libfcgi's <fastcgi.h>.
 */
#ifndef FCGI_H
#define FCGI_H

#include "span.h"
#include "text.h"

#include <fastcgi.h>
#include <stdint.h>

enum {
    FCGI_HEADER_BYTES = 8,
    FCGI_CONTENT_MAX = 65535,
    FCGI_END_BYTES = 16,       /* a whole FCGI_END_REQUEST record */
    FCGI_PARAMS_LIMIT = 65536, /* ours: PARAMS bytes of one request */
    FCGI_PARTIAL_MAX = 64,     /* ours: content that is looked at: BEGIN_REQUEST has 8, GET_VALUES for all that there is 48 */
    FCGI_REPLY_MAX = 96,       /* bytes of one `reply`: FCGI_GET_VALUES_RESULT with three values takes at most 77 */
};

enum fcgi_event {
    FCGI_MORE,      /* all input used, nothing to do yet */
    FCGI_REQUEST,   /* one whole request: see `records`, `request_id`, `keep`, `refusal`. Now it is running. With 413 it can be answered,
                       but its body still comes */
    FCGI_BODY_OVER, /* what was left of the body of such a request is read */
    FCGI_REPLY,     /* send `reply` (`reply_size` bytes) between two records of other answers, then go on scanning */
    FCGI_ABORT,     /* the peer gave the request up, whole or not; told once: send fcgi_put_end for `request_id`, then reset */
    FCGI_BAD,       /* not FastCGI, or against its rules: close the connection */
    FCGI_NO_MEMORY, /* close the connection */
};

enum fcgi_state { FCGI_WAITING, FCGI_IN_PARAMS, FCGI_IN_STDIN, FCGI_RUNNING, FCGI_GIVEN_UP };

/* What scanners share; borrowed by them. */
struct fcgi_limits {
    size_t body_bytes;    /* STDIN bytes of one request that are kept; more, also as CONTENT_LENGTH says, are refused */
    unsigned connections; /* what FCGI_GET_VALUES is told: so many at once, one request each */
};

/*
 * One per connection while bytes come. The caller reads the fields of the first part, the others are the scanner's.
 * From FCGI_REQUEST until fcgi_scanner_reset the request is running: a second id is refused with FCGI_CANT_MPX_CONN,
 * a BEGIN_REQUEST of the same id is FCGI_BAD, late records of the running id and all of other ids are passed over.
 */
struct fcgi_scanner {
    struct text records;  /* the request: BEGIN_REQUEST, PARAMS, STDIN, with few headers and no padding. The caller may take it or
                             finish it once the request is whole. Empty when there is a refusal */
    uint16_t request_id;
    uint16_t refusal;     /* 0, or the HTTP status of a request that was too large: 431 (PARAMS), 413 (STDIN) */
    bool keep;            /* FCGI_KEEP_CONN */
    uint8_t reply_size;
    char reply[FCGI_REPLY_MAX];

    uint8_t state;        /* enum fcgi_state */
    uint8_t header_size;  /* bytes of `header` that are here; 0 between two records */
    uint8_t partial_size;
    uint8_t padding_left;
    uint16_t content_left;
    unsigned char header[FCGI_HEADER_BYTES];
    unsigned char partial[FCGI_PARTIAL_MAX]; /* the start of the content of a record that is not kept */
    size_t stream_size;   /* bytes of PARAMS, later of STDIN, that are in `records` */
    const struct fcgi_limits *limits;
};

/* `limits` must outlive the scanner. */
void fcgi_scanner_init(struct fcgi_scanner *scanner, const struct fcgi_limits *limits);
/*
 * The same for a connection whose scanner was finished while its request was running and fcgi_scanner_is_idle: it goes on as if
 * it had never been away, except that `keep` is not set. A connection that only waits needs no scanner until its peer sends.
 */
void fcgi_scanner_init_running(struct fcgi_scanner *scanner, const struct fcgi_limits *limits, uint16_t request_id);
void fcgi_scanner_finish(struct fcgi_scanner *scanner);
/* The request was answered, or its end after FCGI_ABORT sent: the next may begin. Frees `records`. */
void fcgi_scanner_reset(struct fcgi_scanner *scanner);
/* A request was told that is refused with 413, and its body is not over. */
bool fcgi_scanner_is_discarding(const struct fcgi_scanner *scanner);
/* Between two records, with no request begun and not yet whole. */
bool fcgi_scanner_is_idle(const struct fcgi_scanner *scanner);
/*
 * Takes bytes from `input` until something is to be done; `*used` says how many. After FCGI_REQUEST, FCGI_REPLY and FCGI_ABORT
 * call again with the rest; after FCGI_BAD and FCGI_NO_MEMORY the scanner can only be finished.
 */
enum fcgi_event fcgi_scan(struct fcgi_scanner *scanner, struct span input, size_t *used) __attribute__((warn_unused_result));

/* Size of `content` bytes as STDOUT records, each with its header; 0 for 0 (an empty record would be the end of the stream). */
size_t fcgi_stdout_size(size_t content);
/* One record header, padding 0; `content` is at most FCGI_CONTENT_MAX bytes. */
void fcgi_put_header(char out[FCGI_HEADER_BYTES], unsigned type, uint16_t request_id, size_t content);
/*
 * Writes `content` as STDOUT records to `out` (fcgi_stdout_size bytes), a record for each FCGI_CONTENT_MAX bytes.
 * Returns the end of what was written.
 */
char *fcgi_put_stdout(char *out, uint16_t request_id, struct span content);
/* The same for content that lies at the end of the room for its records: `size` bytes at the end of fcgi_stdout_size(size). */
void fcgi_frame_in_place(char *records, uint16_t request_id, size_t size);
/* FCGI_END_REQUEST with FCGI_REQUEST_COMPLETE (FCGI_END_BYTES). Returns the end of what was written. */
char *fcgi_put_end(char *out, uint16_t request_id);

/*
 * Walks over records as the writers make them: the content of the record at `*offset`, which moves behind it.
 * False at the end.
 */
bool fcgi_next_content(struct span records, size_t *offset, struct span *content);

#endif
