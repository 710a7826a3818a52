/*
 * event_id: `<milliseconds since 1970>-<sequence>`, decimal. One total order over all channels of a hub, strictly increasing.
 * Compared as two numbers, never as text.
 */
#ifndef EVENT_ID_H
#define EVENT_ID_H

#include "span.h"

#include <stdint.h>

struct event_id {
    uint64_t ms;
    uint64_t seq;
};

/* Two 64-bit numbers, the dash and the NUL. */
enum { EVENT_ID_TEXT = 20 + 1 + 20 + 1 };

enum event_id_form {
    EVENT_ID_BAD,
    EVENT_ID_TIME, /* digits only: stands just below <ms>-0 */
    EVENT_ID_FULL,
};

#define EVENT_ID_ZERO ((struct event_id){0, 0})

static inline int event_id_compare(struct event_id a, struct event_id b)
{
    if (a.ms != b.ms)
        return a.ms < b.ms ? -1 : 1;
    return a.seq < b.seq ? -1 : a.seq > b.seq;
}

static inline bool event_id_less(struct event_id a, struct event_id b)
{
    return event_id_compare(a, b) < 0;
}

static inline struct event_id event_id_max(struct event_id a, struct event_id b)
{
    return event_id_less(a, b) ? b : a;
}

/*
 * The id that follows `last` at the wall clock `now_ms`; rises also when the clock stands or steps back. The largest id of all is
 * followed by itself.
 */
struct event_id event_id_next(struct event_id last, uint64_t now_ms);

/* The largest id below `id`; zero stays zero. */
struct event_id event_id_before(struct event_id id);

/* Writes the NUL-terminated text and returns its length. */
size_t event_id_format(struct event_id id, char text[EVENT_ID_TEXT]);

/*
 * Reads the whole of `text`: digits, or digits, a dash and digits, each number within 64 bits (leading zeros are fine).
 * EVENT_ID_TIME stores the id just below <ms>-0 (of 0: zero); EVENT_ID_BAD leaves `*id` alone.
 */
enum event_id_form event_id_parse(struct span text, struct event_id *id);

#endif
