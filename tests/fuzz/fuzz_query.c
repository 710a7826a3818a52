/* Query strings: no byte is lost between pairs, and what is decoded, encoded anew and decoded again is the same. */
#include "query.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(struct span raw)
{
    char *bytes = malloc(raw.size + 1);
    struct text encoded = TEXT_EMPTY;
    struct query_text name;
    bool broken;
    struct span text = {bytes, query_decode_into(raw, bytes, raw.size, &broken)}, start = query_decode(raw, &name);

    text_append_string(&encoded, "");
    for (size_t i = 0; i < text.size; i++)
        text_append_format(&encoded, i % 2 ? "%%%02x" : "%%%02X", (unsigned char)text.bytes[i]);
    assert(text.size <= raw.size && (!broken || memchr(raw.bytes, '%', raw.size)));
    for (size_t i = 0; i < raw.size && raw.bytes[i] != '%'; i++)
        assert(bytes[i] == (raw.bytes[i] == '+' ? ' ' : raw.bytes[i]));
    encoded.size = query_decode_into(text_span(&encoded), encoded.bytes, text.size, &broken); /* in its own place */
    assert(span_equal(text_span(&encoded), text) && !broken);
    assert(start.size == (text.size < sizeof name.bytes ? text.size : sizeof name.bytes) && !memcmp(start.bytes, bytes, start.size));
    assert(!memchr(bytes, '\0', text.size) || (!text_is_channel(text) && !text_is_label(text)));
    text_finish(&encoded);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *query = strndup((const char *)data, size), *at = query;
    const char *rest = query;

    for (struct span key, value; query_next_pair(&rest, &key, &value); at += (rest > at && rest[-1] == '&')) {
        assert(key.bytes == at && !memchr(key.bytes, '&', key.size) && !memchr(key.bytes, '=', key.size));
        at += key.size;
        assert(value.size == 0 || (*at == '=' && value.bytes == at + 1));
        at += value.size + (*at == '=');
        check_text(key);
        check_text(value);
    }
    assert(*at == '\0');
    free(query);
    return 0;
}
