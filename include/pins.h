/*
 * pins: buffers that half-written connections hold. One that is in history costs nothing more; one that history has let go (or never had)
 * is counted, so that slow clients cannot keep more than history.pinned_bytes alive.
 */
#ifndef PINS_H
#define PINS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

struct buffer;
struct pin;
TAILQ_HEAD(pin_queue, pin);

/* What a pin costs but for its buffer and the allocator's own. */
enum { PIN_BYTES = 112 };

struct pins {
    struct pin *table;       /* by buffer */
    struct pin_queue counted; /* the longest counted first */
    size_t bytes;            /* of the counted */
};

void pins_init(struct pins *pins);
/* Every holder has let go before. */
void pins_finish(struct pins *pins);

/* One more connection stands in the middle of `buffer`. False: no memory. */
bool pins_hold(struct pins *pins, struct buffer *buffer, bool in_history) __attribute__((warn_unused_result));
/* It got to the end, or is closed. Whoever holds no pin may call it too. */
void pins_let_go(struct pins *pins, const struct buffer *buffer);
/* History let `buffer` go: from now on it is counted, if a connection holds it. NULL is fine. */
void pins_evicted(struct pins *pins, const struct buffer *buffer);
/* The buffer that is counted for the longest time, or NULL. */
const struct buffer *pins_oldest(const struct pins *pins);

#endif
