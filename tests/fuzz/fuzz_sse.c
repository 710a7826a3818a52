/* Fuzz target: first line the event name, the rest data. What comes back of an encoded message encodes to the same bytes. */
#include "buffer.h"
#include "sse.h"
#include "text.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const char *input = (const char *)bytes;
    const char *end = size > 0 ? memchr(input, '\n', size) : NULL;
    struct span event = {input, end ? (size_t)(end - input) : 0};
    struct span data = end ? (struct span){end + 1, size - event.size - 1} : (struct span){input, size};
    struct text shown = TEXT_EMPTY;

    if (!text_is_label(event))
        event.size = 0;
    struct buffer *encoded = sse_encode((struct event_id){size, UINT64_MAX}, event, data);
    sse_append_data(&shown, encoded);
    struct buffer *again = sse_encode((struct event_id){size, UINT64_MAX}, event, text_span(&shown));
    assert(shown.size <= data.size && (shown.size == 0 || !memchr(shown.bytes, '\r', shown.size)));
    assert(span_equal(buffer_span(encoded), buffer_span(again)));
    buffer_unref(encoded);
    buffer_unref(again);
    text_finish(&shown);
    return 0;
}
