/*
 * sse: text of event streams (HTML Living Standard, 9.2), as ten real clients read it: LF lines, `id:` in every event, at least
 * one `data:` line, no block that holds only a comment or a retry. Encoded messages are FastCGI STDOUT records of request id 1, ready to write.
 */
#ifndef SSE_H
#define SSE_H

#include "event_id.h"
#include "span.h"

struct buffer;
struct message;
struct message_names;
struct text;

/* Appends `id:`, `event:` (the name, unless empty) and one `data:` line per line of `data` (split at LF, CR, CRLF), and the blank line. */
void sse_append_event(struct text *text, struct event_id id, struct span name, struct span data);

/* Appends an event named `event` that tells a cursor, which is its id too. */
void sse_append_cursor(struct text *text, const char *event, struct event_id cursor);

/* An encoded message: the event's text as records of request id 1. NULL when memory lacks. */
struct buffer *sse_encode(struct event_id id, struct span name, struct span data) __attribute__((warn_unused_result));

/* The same as a message's, with one reference, the caller's. */
struct message *sse_encode_message(struct event_id id, const struct message_names *names, struct span data)
    __attribute__((warn_unused_result));

/* Appends the data of an encoded message as EventSource would show it: its lines joined by LF. */
void sse_append_data(struct text *text, const struct buffer *encoded);

#endif
