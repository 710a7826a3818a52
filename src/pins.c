#include "pins.h"

#include "buffer.h"
#include "table.h"

#include <assert.h>
#include <stdlib.h>

struct pin {
    UT_hash_handle hh;
    TAILQ_ENTRY(pin) order;
    const struct buffer *buffer; /* the holders' references keep it */
    unsigned holders;
    bool is_counted;
};

_Static_assert(sizeof(struct pin) + sizeof(UT_hash_bucket) <= PIN_BYTES, "a pin has become larger");

static struct pin *find(const struct pins *pins, const struct buffer *buffer)
{
    struct pin *pin;

    HASH_FIND_PTR(pins->table, &buffer, pin);
    return pin;
}

/* A message that lies in front of it stays as long. */
static size_t bytes_of(const struct buffer *buffer)
{
    return buffer->before + buffer->size;
}

static void count(struct pins *pins, struct pin *pin)
{
    if (pin->is_counted)
        return;
    pin->is_counted = true;
    pins->bytes += bytes_of(pin->buffer);
    TAILQ_INSERT_TAIL(&pins->counted, pin, order);
}

void pins_init(struct pins *pins)
{
    *pins = (struct pins){0};
    TAILQ_INIT(&pins->counted);
}

void pins_finish(struct pins *pins)
{
    assert(!pins->table && pins->bytes == 0);
}

bool pins_hold(struct pins *pins, struct buffer *buffer, bool in_history)
{
    struct pin *pin = find(pins, buffer);

    if (!pin) {
        pin = calloc(1, sizeof *pin);
        if (!pin)
            return false;
        pin->buffer = buffer;
        HASH_ADD_PTR(pins->table, buffer, pin);
        if (!pin->hh.tbl) {
            free(pin);
            return false;
        }
    }
    pin->holders++;
    if (!in_history)
        count(pins, pin);
    return true;
}

void pins_let_go(struct pins *pins, const struct buffer *buffer)
{
    struct pin *pin = find(pins, buffer);

    if (!pin || --pin->holders > 0)
        return;
    if (pin->is_counted) {
        pins->bytes -= bytes_of(buffer);
        TAILQ_REMOVE(&pins->counted, pin, order);
    }
    HASH_DEL(pins->table, pin);
    free(pin);
}

void pins_evicted(struct pins *pins, const struct buffer *buffer)
{
    struct pin *pin = buffer && pins->table ? find(pins, buffer) : NULL;

    if (pin)
        count(pins, pin);
}

const struct buffer *pins_oldest(const struct pins *pins)
{
    return TAILQ_EMPTY(&pins->counted) ? NULL : TAILQ_FIRST(&pins->counted)->buffer;
}
