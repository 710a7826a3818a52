/*
 * framing: what differs by the protocol that a response goes out in: how it starts, how an encoded message is wrapped, how it ends.
 * Encoded messages are FastCGI records of request id 1, what nginx always uses; other ids get copies of their own.
 * Every function returns a buffer with one reference for the caller, or NULL when memory lacks.
 */
#ifndef FRAMING_H
#define FRAMING_H

#include "span.h"

#include <stdint.h>

struct buffer;
struct iovec;

struct framing {
    /* Header fields (CGI/1.1, RFC 3875, section 6; each with its CRLF) and the first bytes of the body, in one record if they fit. */
    struct buffer *(*start)(uint16_t request_id, struct span headers, struct span body);
    /* Several encoded messages, each whole: a copy in as few pieces of the protocol as they fit into. */
    struct buffer *(*messages)(uint16_t request_id, const struct iovec *encoded, int count);
    struct buffer *(*body)(uint16_t request_id, struct span body);
    struct buffer *(*end)(uint16_t request_id);
    /* A response that is known as a whole: start and end in one buffer; a body that is not empty gets its Content-Length. */
    struct buffer *(*whole)(uint16_t request_id, struct span headers, struct span body);
};

extern const struct framing framing_fastcgi;

enum framing_name { FRAMING_FASTCGI };

/* By enum framing_name. */
extern const struct framing *const framings[];

#endif
