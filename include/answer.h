/* answer: responses that are known as a whole: errors, refusals for the moment, health. One reference for the caller; NULL: no memory. */
#ifndef ANSWER_H
#define ANSWER_H

#include "problem.h"
#include "request.h"

struct buffer;
struct framing;

/* {"error": code, "message": text} with the problem's status, or its headers alone. */
struct buffer *answer_problem(const struct framing *framing, uint16_t request_id, const struct problem *problem);
/*
 * A condition that passes. EventSource gives up for good on anything but 200, so an event stream gets 200, `retry:` and its end; a long-poll
 * 503 with Retry-After.
 */
struct buffer *answer_refusal(const struct framing *framing, uint16_t request_id, enum request_transport transport, int64_t retry_ms);
/* 200 and `ok`, which HEAD is spared. */
struct buffer *answer_health(const struct framing *framing, uint16_t request_id, enum request_method method);
/* OPTIONS: 204 with Allow. */
struct buffer *answer_options(const struct framing *framing, uint16_t request_id, enum request_endpoint endpoint);
/* 202: `json` says what became of what was to be published. */
struct buffer *answer_published(const struct framing *framing, uint16_t request_id, struct span json);
/* 503 with Retry-After, for those who are no EventSource. */
struct buffer *answer_unavailable(const struct framing *framing, uint16_t request_id, int64_t retry_ms, const char *message);
/* HEAD: what GET's headers would say. */
struct buffer *answer_head(const struct framing *framing, uint16_t request_id, enum request_transport transport);

#endif
