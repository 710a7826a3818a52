/* Snapshots to bytes. Which thread writes does not matter: messages do not change, and nobody adds to the snapshot meanwhile. */
#include "snapshot_writer.h"

#include "message.h"
#include "snapshot_form.h"
#include "sse.h"

enum { PART_BYTES = 1024 * 1024 };

void snapshot_writer_init(struct snapshot_writer *writer, const struct snapshot *snapshot)
{
    *writer = (struct snapshot_writer){.snapshot = snapshot};
    crypto_generichash_init(&writer->hash, NULL, 0, SNAPSHOT_HASH_BYTES);
}

static void write_marks(const struct snapshot *snapshot, struct text *text)
{
    char *out = snapshot->marks ? snapshot_begin_record(text, SNAPSHOT_MARKS_RECORD, SNAPSHOT_MARKS * SNAPSHOT_ID_BYTES) : NULL;

    if (!out)
        return;
    for (int i = 0; i < SNAPSHOT_MARKS; i++)
        out = snapshot_put_id(out, snapshot->marks[i]);
    snapshot_end_record(text, SNAPSHOT_MARKS * SNAPSHOT_ID_BYTES);
}

static void write_beginning(const struct snapshot *snapshot, struct text *text)
{
    char *out = text_reserve(text, SNAPSHOT_BEGIN_BYTES + SNAPSHOT_RECORD_BYTES + SNAPSHOT_HEAD_BYTES);

    if (!out)
        return;
    out = snapshot_put_u32(mempcpy(out, SNAPSHOT_MAGIC, strlen(SNAPSHOT_MAGIC)), SNAPSHOT_VERSION);
    out = mempcpy(snapshot_put_u32(snapshot_put_u32(out, SNAPSHOT_HEAD), SNAPSHOT_HEAD_BYTES), snapshot->table_key, TABLE_KEY_BYTES);
    snapshot_put_u64(snapshot_put_id(out, snapshot->newest), snapshot->wall_ms);
    text->size += SNAPSHOT_BEGIN_BYTES;
    snapshot_end_record(text, SNAPSHOT_HEAD_BYTES);
    write_marks(snapshot, text);
    text_append(text, text_span(&snapshot->channels));
}

static uint64_t time_left(const struct snapshot *snapshot, const struct message *message)
{
    if (message->expires_ms == INT64_MAX)
        return UINT64_MAX;
    return message->expires_ms > snapshot->now_ms ? (uint64_t)(message->expires_ms - snapshot->now_ms) : 0;
}

/* How many bytes the data has is known when it is there. */
static void write_message(const struct snapshot *snapshot, struct text *text, const struct message *message)
{
    size_t start = text->size, names = (size_t)message->channel_size + message->event_size + message->except_size;
    char *out = snapshot_begin_record(text, SNAPSHOT_MESSAGE, SNAPSHOT_MESSAGE_BYTES + names);

    if (!out)
        return;
    out = snapshot_put_u64(snapshot_put_id(out, message->id), snapshot_age(snapshot, message->ingest_ms));
    out = snapshot_put_u64(out, time_left(snapshot, message));
    *out++ = (char)message->channel_size;
    *out++ = (char)message->event_size;
    *out++ = (char)message->except_size;
    memcpy(out, message->names, names);
    snapshot_end_record(text, SNAPSHOT_MESSAGE_BYTES + names);
    sse_append_data(text, message->encoded);
    if (!text->failed)
        snapshot_put_u32(text->bytes + start + 4, text->size - start - SNAPSHOT_RECORD_BYTES);
}

static void write_end(struct snapshot_writer *writer, struct text *text)
{
    unsigned char hash[SNAPSHOT_HASH_BYTES];
    char *out = snapshot_begin_record(text, SNAPSHOT_END, SNAPSHOT_HASH_BYTES);

    if (!out)
        return;
    crypto_generichash_final(&writer->hash, hash, sizeof hash);
    memcpy(out, hash, sizeof hash);
    snapshot_end_record(text, SNAPSHOT_HASH_BYTES);
}

bool snapshot_write(struct snapshot_writer *writer, struct text *text)
{
    const struct snapshot *snapshot = writer->snapshot;
    size_t start = text->size;
    bool is_last;

    if (!writer->has_begun)
        write_beginning(snapshot, text);
    writer->has_begun = true;
    while (writer->next < snapshot->message_count && text->size - start < PART_BYTES)
        write_message(snapshot, text, snapshot->messages[writer->next++]);
    is_last = writer->next == snapshot->message_count;
    if (is_last)
        text_append(text, text_span(&snapshot->keys));
    if (text->failed)
        return false;
    crypto_generichash_update(&writer->hash, (const unsigned char *)text->bytes + start, text->size - start);
    if (is_last)
        write_end(writer, text);
    return !is_last;
}
