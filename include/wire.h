/*
 * wire: publications as they come in over ZeroMQ: 1 frame (a JSON object, or an array of them: a batch), 2 (channel, data) or 3 (channel, data,
 * options as a JSON object). What breaks a rule is dropped whole: one publication, or in a batch one item.
 */
#ifndef WIRE_H
#define WIRE_H

#include "span.h"

#include <stdint.h>

struct publication {
    struct span channel;
    struct span data;   /* UTF-8: the string itself, or the publisher's own bytes of another JSON value */
    struct span event;  /* empty: none */
    struct span except; /* empty: none */
    struct span key;    /* empty: none */
    int64_t ttl_ms;     /* 0: none */
    bool store;
    bool more;          /* the same one follows for another of its channels */
};

enum wire_error {
    WIRE_BAD_FRAMES,
    WIRE_BAD_JSON,
    WIRE_BAD_OPTION,
    WIRE_BAD_CHANNEL,
    WIRE_BAD_DATA,
    WIRE_TOO_LARGE,
    WIRE_NO_MEMORY,
};

/* The stable word for it, as `bad_json`. */
const char *wire_error_code(enum wire_error error);

enum { WIRE_MAX_CHANNELS = 1000 }; /* of one publication's "channels" */

struct wire_limits {
    size_t max_bytes;        /* of data */
    const char *channel_key; /* of a JSON publication */
    size_t max_batch;        /* messages of one frame, each of "channels" counted; 0: no limit */
    size_t max_batch_bytes;  /* of their JSON text; with several "channels", of their data once for each; 0: no limit */
};

/* What a decoding hands out. Spans live until the call returns. */
struct wire_sink {
    void (*publish)(void *context, const struct publication *publication);
    /* `reason` is a sentence that says what was expected; it never holds the publisher's bytes. */
    void (*reject)(void *context, enum wire_error error, const char *reason);
    void *context;
};

/* Once for the process, before other threads start: jansson then allocates so that lack of memory can be told from bad JSON. */
void wire_library_init(void);
/* Whether jansson lacked memory in this thread since the last call; then what it says of a text need not be true. */
bool wire_lacked_memory(void);

/*
 * Decodes one multipart message. Each publication in it goes to sink->publish in order, each fault to sink->reject; at least one call is made,
 * except for an empty batch. A publication with "channels" becomes one call per channel,
 * all but the last marked as `more`.
 *  - an object without "data" is itself the data, and then no option is read from it (only the channel key, or "channels");
 *  - data that is a JSON string is its content; any other JSON value keeps the publisher's own bytes;
 *  - options: event, except, ttl (number of seconds >= 1), store (boolean), key. Unknown ones and duplicate keys are faults.
 */
void wire_decode(const struct span *frames, size_t count, const struct wire_limits *limits, const struct wire_sink *sink);

#endif
