/* poll: JSON of long-poll answers and of envelopes. */
#ifndef POLL_H
#define POLL_H

#include "event_id.h"
#include "text.h"

struct buffer;
struct message;

/* One message of an answer: {"id","channel","event","data"}. NULL when memory lacks. */
struct buffer *poll_encode(const struct message *message) __attribute__((warn_unused_result));

/* An answer: poll_append_start, then each message with its comma, then poll_append_end. */
void poll_append_start(struct text *text, struct event_id cursor, bool gap);
void poll_append_end(struct text *text);

/* The message as an event whose data is {"channel","event","data"}, encoded like a message. NULL when memory lacks. */
struct buffer *poll_encode_envelope(const struct message *message) __attribute__((warn_unused_result));

#endif
