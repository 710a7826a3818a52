/* Snapshots from bytes: record by record, each checked for itself, and all of them by the checksum at the end. Nobody uses one that is not whole. */
#include "snapshot_reader.h"

#include "message.h"
#include "snapshot_form.h"
#include "sse.h"

bool snapshot_reader_init(struct snapshot_reader *reader, uint64_t wall_ms, int64_t now_ms)
{
    *reader = (struct snapshot_reader){.snapshot = snapshot_create(wall_ms, now_ms)};
    crypto_generichash_init(&reader->hash, NULL, 0, SNAPSHOT_HASH_BYTES);
    return reader->snapshot != NULL;
}

void snapshot_reader_finish(struct snapshot_reader *reader)
{
    snapshot_destroy(reader->snapshot);
    reader->snapshot = NULL;
}

struct snapshot *snapshot_reader_take(struct snapshot_reader *reader)
{
    struct snapshot *snapshot = reader->snapshot;

    reader->snapshot = NULL;
    return snapshot;
}

static enum snapshot_result bad(struct snapshot_reader *reader, const char *reason)
{
    reader->reason = reason;
    return SNAPSHOT_BAD;
}

/* What the reader has when memory lacked, or may have been lacking, is of no use. */
static enum snapshot_result result_of(const struct snapshot_reader *reader)
{
    return reader->snapshot->failed ? SNAPSHOT_NO_MEMORY : SNAPSHOT_MORE;
}

static enum snapshot_result read_beginning(struct snapshot_reader *reader, struct span input, size_t *used)
{
    if (input.size < SNAPSHOT_BEGIN_BYTES)
        return SNAPSHOT_MORE;
    if (memcmp(input.bytes, SNAPSHOT_MAGIC, strlen(SNAPSHOT_MAGIC)) != 0)
        return bad(reader, "it does not begin as a snapshot");
    if (snapshot_get_u32(input.bytes + strlen(SNAPSHOT_MAGIC)) != SNAPSHOT_VERSION)
        return bad(reader, "its version is not 1");
    crypto_generichash_update(&reader->hash, (const unsigned char *)input.bytes, SNAPSHOT_BEGIN_BYTES);
    reader->has_begun = true;
    *used = SNAPSHOT_BEGIN_BYTES;
    return SNAPSHOT_MORE;
}

/* The time that has passed since then is part of all ages from now on. */
static enum snapshot_result read_head(struct snapshot_reader *reader, struct span content)
{
    struct snapshot *snapshot = reader->snapshot;
    uint64_t now_ms = snapshot->wall_ms;

    if (reader->has_head || content.size != SNAPSHOT_HEAD_BYTES)
        return bad(reader, "expected one head");
    memcpy(snapshot->table_key, content.bytes, TABLE_KEY_BYTES);
    snapshot->newest = snapshot_get_id(content.bytes + TABLE_KEY_BYTES);
    snapshot->wall_ms = snapshot_get_u64(content.bytes + TABLE_KEY_BYTES + SNAPSHOT_ID_BYTES);
    if (snapshot->newest.ms > INT64_MAX || snapshot->wall_ms > SNAPSHOT_TIME_MAX || now_ms > SNAPSHOT_TIME_MAX)
        return bad(reader, "a time is out of range");
    if (now_ms > snapshot->wall_ms)
        snapshot->now_ms -= (int64_t)(now_ms - snapshot->wall_ms);
    reader->has_head = true;
    return SNAPSHOT_MORE;
}

/* No id in it can be above the newest one. */
static bool is_known(const struct snapshot_reader *reader, struct event_id id)
{
    return !event_id_less(reader->snapshot->newest, id);
}

static enum snapshot_result read_marks(struct snapshot_reader *reader, struct span content)
{
    struct snapshot *snapshot = reader->snapshot;

    if (snapshot->marks || content.size != SNAPSHOT_MARKS * SNAPSHOT_ID_BYTES)
        return bad(reader, "the marks are not as many as expected");
    snapshot_add_marks(snapshot);
    for (size_t i = 0; snapshot->marks && i < SNAPSHOT_MARKS; i++) {
        snapshot->marks[i] = snapshot_get_id(content.bytes + i * SNAPSHOT_ID_BYTES);
        if (!is_known(reader, snapshot->marks[i]))
            return bad(reader, "a mark is above the newest id");
    }
    return result_of(reader);
}

static enum snapshot_result read_channel(struct snapshot_reader *reader, struct span content)
{
    struct span name;

    if (content.size <= SNAPSHOT_ID_BYTES)
        return bad(reader, "a channel is cut short");
    name = (struct span){content.bytes + SNAPSHOT_ID_BYTES, content.size - SNAPSHOT_ID_BYTES};
    if (!text_is_channel(name) || !is_known(reader, snapshot_get_id(content.bytes)))
        return bad(reader, "a channel's name or mark is none");
    snapshot_add_channel(reader->snapshot, name, snapshot_get_id(content.bytes));
    return result_of(reader);
}

struct message_parts {
    struct event_id id;
    uint64_t age_ms;
    uint64_t left_ms; /* UINT64_MAX: it never expires */
    struct message_names names;
    struct span data;
};

/* False: its sizes do not fit. */
static bool split_message(struct span content, struct message_parts *parts)
{
    if (content.size < SNAPSHOT_MESSAGE_BYTES)
        return false;
    const char *at = content.bytes + SNAPSHOT_MESSAGE_BYTES;
    size_t channel = (unsigned char)at[-3], event = (unsigned char)at[-2], except = (unsigned char)at[-1];
    size_t names = channel + event + except, left = content.size - SNAPSHOT_MESSAGE_BYTES;

    if (names > left)
        return false;
    *parts = (struct message_parts){
        .id = snapshot_get_id(content.bytes),
        .age_ms = snapshot_get_u64(content.bytes + SNAPSHOT_ID_BYTES),
        .left_ms = snapshot_get_u64(content.bytes + SNAPSHOT_ID_BYTES + 8),
        .names = {{at, channel}, {at + channel, event}, {at + channel + event, except}},
        .data = {at + names, left - names},
    };
    return true;
}

/* What is wrong with it; NULL: nothing. */
static const char *fault_of(const struct snapshot_reader *reader, const struct message_parts *parts)
{
    const struct snapshot *snapshot = reader->snapshot;
    size_t count = snapshot->message_count;

    if (!text_is_channel(parts->names.channel) || !text_is_label(parts->names.event) || !text_is_label(parts->names.except))
        return "a message's channel, event or except is none";
    if (!text_is_utf8(parts->data))
        return "a message's data is not UTF-8";
    if (parts->age_ms > SNAPSHOT_TIME_MAX || (parts->left_ms != UINT64_MAX && parts->left_ms > SNAPSHOT_TIME_MAX))
        return "a message's age is out of range";
    if (!is_known(reader, parts->id) || (count > 0 && !event_id_less(snapshot->messages[count - 1]->id, parts->id)))
        return "the ids of messages do not rise";
    return NULL;
}

static enum snapshot_result read_message(struct snapshot_reader *reader, struct span content)
{
    struct snapshot *snapshot = reader->snapshot;
    struct message_parts parts;
    struct message *message;
    const char *fault = split_message(content, &parts) ? fault_of(reader, &parts) : "a message is cut short";

    if (fault)
        return bad(reader, fault);
    message = sse_encode_message(parts.id, &parts.names, parts.data);
    if (!message)
        return SNAPSHOT_NO_MEMORY;
    message->ingest_ms = snapshot->now_ms - (int64_t)parts.age_ms;
    if (parts.left_ms != UINT64_MAX)
        message->expires_ms = snapshot->now_ms + (int64_t)parts.left_ms;
    snapshot_add_message_take(snapshot, message);
    return result_of(reader);
}

static enum snapshot_result read_key(struct snapshot_reader *reader, struct span content)
{
    struct snapshot_key key;

    if (!snapshot_read_key(reader->snapshot, content, &key) || !text_is_channel(key.channel) || key.key.size == 0 ||
        !text_is_label(key.key) || !is_known(reader, key.id))
        return bad(reader, "a key is none");
    snapshot_add_key(reader->snapshot, &key);
    return result_of(reader);
}

static enum snapshot_result read_end(struct snapshot_reader *reader, struct span content)
{
    unsigned char hash[SNAPSHOT_HASH_BYTES];

    crypto_generichash_final(&reader->hash, hash, sizeof hash);
    if (content.size != SNAPSHOT_HASH_BYTES || memcmp(content.bytes, hash, sizeof hash) != 0)
        return bad(reader, "its checksum is wrong");
    reader->is_whole = true;
    return SNAPSHOT_WHOLE;
}

static enum snapshot_result read_record(struct snapshot_reader *reader, size_t type, struct span content)
{
    if (!reader->has_head && type != SNAPSHOT_HEAD)
        return bad(reader, "expected a head first");
    if (type != SNAPSHOT_END)
        crypto_generichash_update(&reader->hash, (const unsigned char *)content.bytes - SNAPSHOT_RECORD_BYTES,
                                  SNAPSHOT_RECORD_BYTES + content.size);
    switch (type) {
    case SNAPSHOT_HEAD: return read_head(reader, content);
    case SNAPSHOT_MARKS_RECORD: return read_marks(reader, content);
    case SNAPSHOT_CHANNEL: return read_channel(reader, content);
    case SNAPSHOT_MESSAGE: return read_message(reader, content);
    case SNAPSHOT_KEY: return read_key(reader, content);
    case SNAPSHOT_END: return read_end(reader, content);
    default: return bad(reader, "there is a record of an unknown type");
    }
}

static enum snapshot_result read_records(struct snapshot_reader *reader, struct span input, size_t *used)
{
    enum snapshot_result result = SNAPSHOT_MORE;
    struct span content;
    size_t type;

    while (result == SNAPSHOT_MORE && snapshot_next_record(input, used, &type, &content))
        result = read_record(reader, type, content);
    if (result == SNAPSHOT_MORE && content.size > SNAPSHOT_CONTENT_MAX)
        return bad(reader, "a record is too large");
    return result;
}

enum snapshot_result snapshot_read(struct snapshot_reader *reader, struct span input, size_t *used)
{
    enum snapshot_result result = reader->is_whole ? SNAPSHOT_WHOLE : SNAPSHOT_MORE;

    *used = 0;
    if (!reader->has_begun)
        result = read_beginning(reader, input, used);
    if (result == SNAPSHOT_MORE && reader->has_begun)
        result = read_records(reader, input, used);
    if (result == SNAPSHOT_WHOLE && *used < input.size)
        return bad(reader, "something follows its end");
    return result;
}
