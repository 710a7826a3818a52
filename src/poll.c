#include "poll.h"

#include "buffer.h"
#include "message.h"
#include "sse.h"

static struct buffer *buffer_of(struct text *text)
{
    struct buffer *buffer = text->failed ? NULL : buffer_create(text->size);

    if (buffer)
        memcpy(buffer->bytes, text->bytes, text->size);
    text_finish(text);
    return buffer;
}

static void append_fields(struct text *text, const struct message *message)
{
    struct text data = TEXT_EMPTY;

    text_append_string(text, "\"channel\":");
    text_append_json(text, message_channel(message));
    text_append_string(text, ",\"event\":");
    if (message->event_size > 0)
        text_append_json(text, message_event(message));
    else
        text_append_string(text, "null");
    text_append_string(text, ",\"data\":");
    sse_append_data(&data, message->encoded);
    text_append_json(text, text_span(&data));
    text->failed |= data.failed;
    text_finish(&data);
    text_append_string(text, "}");
}

struct buffer *poll_encode(const struct message *message)
{
    struct text text = TEXT_EMPTY;
    char id[EVENT_ID_TEXT];

    event_id_format(message->id, id);
    text_append_format(&text, "{\"id\":\"%s\",", id);
    append_fields(&text, message);
    return buffer_of(&text);
}

void poll_append_start(struct text *text, struct event_id cursor, bool gap)
{
    char id[EVENT_ID_TEXT];

    event_id_format(cursor, id);
    text_append_format(text, "{\"cursor\":\"%s\",\"gap\":%s,\"messages\":[", id, gap ? "true" : "false");
}

void poll_append_end(struct text *text)
{
    text_append_string(text, "]}\n");
}

struct buffer *poll_encode_envelope(const struct message *message)
{
    struct text text = TEXT_EMPTY;
    struct buffer *encoded = NULL;

    text_append_string(&text, "{");
    append_fields(&text, message);
    if (!text.failed)
        encoded = sse_encode(message->id, message_event(message), text_span(&text));
    text_finish(&text);
    return encoded;
}
