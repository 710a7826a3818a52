/* Fuzz target: frames, 0x1e between them. What is handed out keeps the contract; a value's own bytes are JSON again. */
#include "text.h"
#include "wire.h"

#include <assert.h>
#include <jansson.h>

enum { JSON_FLAGS = JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check_publication(void *context, const struct publication *p)
{
    const struct span *json = context; /* of a one-frame message, else empty */

    assert(text_is_channel(p->channel) && text_is_label(p->event) && text_is_label(p->except) && text_is_label(p->key));
    assert(p->data.size <= 4096 && text_is_utf8(p->data) && (p->ttl_ms == 0 || p->ttl_ms >= 1000));
    bool own = p->data.bytes >= json->bytes && p->data.bytes < json->bytes + json->size;
    json_t *value = own ? json_loadb(p->data.bytes, p->data.size, JSON_FLAGS, NULL) : NULL;
    assert(!own || (value && !json_is_string(value) && p->data.bytes[0] > ' ' && p->data.bytes[p->data.size - 1] > ' '));
    json_decref(value);
}

static void check_fault(void *context, enum wire_error error, const char *reason)
{
    assert(context && error <= WIRE_NO_MEMORY && reason[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct span frames[5] = {{(const char *)bytes, 0}};
    size_t last = 0;

    for (size_t i = 0; i < size; i++)
        if (bytes[i] == 0x1e && last < 4)
            frames[++last] = (struct span){(const char *)bytes + i + 1, 0};
        else
            frames[last].size++;
    struct span json = {frames[0].bytes, last == 0 ? size : 0};
    wire_decode(frames, last + 1, &(struct wire_limits){.max_bytes = 4096, .channel_key = "channel", .max_batch = 1000, .max_batch_bytes = 65536},
                &(struct wire_sink){check_publication, check_fault, &json});
    return 0;
}
