/* Long-poll answers and envelopes come back out of their JSON as they went in. Input: size of the channel, of the event; channel, event, data. */
#include "buffer.h"
#include "message.h"
#include "poll.h"
#include "sse.h"

#include <assert.h>
#include <jansson.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void expect(struct span json, struct span channel, struct span event, struct span data)
{
    json_t *object = json_loadb(json.bytes, json.size, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    json_t *name = json_object_get(object, "event"), *value = json_object_get(object, "data");

    assert(span_equal(span_of(json_string_value(json_object_get(object, "channel"))), channel));
    assert(event.size > 0 ? span_equal(span_of(json_string_value(name)), event) : json_is_null(name));
    assert(json_is_string(value) && span_equal((struct span){json_string_value(value), json_string_length(value)}, data));
    json_decref(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    size_t names = size < 2 ? size : 2U + bytes[0] + bytes[1];
    struct text data = TEXT_EMPTY, envelope = TEXT_EMPTY;

    if (names >= size)
        return 0;
    struct span channel = {(const char *)bytes + 2, bytes[0]}, event = {channel.bytes + channel.size, bytes[1]};
    struct span rest = {(const char *)bytes + names, size - names};
    if (!text_is_channel(channel) || !text_is_label(event) || !text_is_utf8(rest))
        return 0;
    struct message *message = sse_encode_message((struct event_id){size, 0}, &(struct message_names){.channel = channel, .event = event}, rest);
    struct buffer *answer = poll_encode(message), *enveloped = poll_encode_envelope(message);
    sse_append_data(&data, message->encoded);
    sse_append_data(&envelope, enveloped);
    expect(buffer_span(answer), channel, event, text_span(&data));
    expect(text_span(&envelope), channel, event, text_span(&data));
    buffer_unref(answer);
    buffer_unref(enveloped);
    message_unref(message);
    text_finish(&data);
    text_finish(&envelope);
    return 0;
}
