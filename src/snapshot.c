/*
 * Snapshots in memory. Channels and keys are kept as the records that they are as bytes: to gather one is to append it, and whether it was gathered or read, who
 * uses it walks over them alike.
 */
#include "snapshot.h"

#include "message.h"
#include "snapshot_form.h"

#include <stdlib.h>

struct snapshot *snapshot_create(uint64_t wall_ms, int64_t now_ms)
{
    struct snapshot *snapshot = calloc(1, sizeof *snapshot);

    if (!snapshot)
        return NULL;
    table_get_key(snapshot->table_key);
    snapshot->wall_ms = wall_ms;
    snapshot->now_ms = now_ms;
    return snapshot;
}

void snapshot_destroy(struct snapshot *snapshot)
{
    if (!snapshot)
        return;
    for (size_t i = 0; i < snapshot->message_count; i++)
        message_unref(snapshot->messages[i]);
    free(snapshot->messages);
    free(snapshot->marks);
    text_finish(&snapshot->channels);
    text_finish(&snapshot->keys);
    free(snapshot);
}

void snapshot_reserve_messages(struct snapshot *snapshot, size_t more)
{
    size_t capacity = snapshot->message_count + more;
    struct message **messages;

    if (capacity <= snapshot->message_capacity)
        return;
    messages = realloc(snapshot->messages, capacity * sizeof *messages);
    if (!messages) {
        snapshot->failed = true;
        return;
    }
    snapshot->messages = messages;
    snapshot->message_capacity = capacity;
}

void snapshot_add_message_take(struct snapshot *snapshot, struct message *message)
{
    if (snapshot->message_count == snapshot->message_capacity)
        snapshot_reserve_messages(snapshot, snapshot->message_count > 0 ? snapshot->message_count : 64);
    if (snapshot->message_count == snapshot->message_capacity)
        message_unref(message);
    else
        snapshot->messages[snapshot->message_count++] = message;
}

void snapshot_add_marks(struct snapshot *snapshot)
{
    snapshot->marks = calloc(SNAPSHOT_MARKS, sizeof *snapshot->marks);
    snapshot->failed |= !snapshot->marks;
}

void snapshot_add_channel(struct snapshot *snapshot, struct span name, struct event_id mark)
{
    char *out = snapshot_begin_record(&snapshot->channels, SNAPSHOT_CHANNEL, SNAPSHOT_ID_BYTES + name.size);

    snapshot->failed |= !out;
    if (!out)
        return;
    memcpy(snapshot_put_id(out, mark), name.bytes, name.size);
    snapshot_end_record(&snapshot->channels, SNAPSHOT_ID_BYTES + name.size);
}

bool snapshot_next_channel(const struct snapshot *snapshot, size_t *offset, struct span *name, struct event_id *mark)
{
    struct span content;
    size_t type;

    if (!snapshot_next_record(text_span(&snapshot->channels), offset, &type, &content))
        return false;
    *mark = snapshot_get_id(content.bytes);
    *name = (struct span){content.bytes + SNAPSHOT_ID_BYTES, content.size - SNAPSHOT_ID_BYTES};
    return true;
}

size_t snapshot_key_bytes(size_t count, size_t name_bytes)
{
    return count * (SNAPSHOT_RECORD_BYTES + SNAPSHOT_KEY_BYTES) + name_bytes;
}

void snapshot_add_key(struct snapshot *snapshot, const struct snapshot_key *key)
{
    size_t size = SNAPSHOT_KEY_BYTES + key->channel.size + key->key.size;
    char *out = snapshot_begin_record(&snapshot->keys, SNAPSHOT_KEY, size);

    snapshot->failed |= !out;
    if (!out)
        return;
    out = snapshot_put_u64(snapshot_put_id(out, key->id), snapshot_age(snapshot, key->added_ms));
    *out++ = (char)key->channel.size;
    memcpy(mempcpy(out, key->channel.bytes, key->channel.size), key->key.bytes, key->key.size);
    snapshot_end_record(&snapshot->keys, size);
    snapshot->key_count++;
}

bool snapshot_read_key(const struct snapshot *snapshot, struct span content, struct snapshot_key *key)
{
    if (content.size < SNAPSHOT_KEY_BYTES)
        return false;
    const char *names = content.bytes + SNAPSHOT_KEY_BYTES;
    size_t size = content.size - SNAPSHOT_KEY_BYTES, channel_size = (unsigned char)names[-1];
    uint64_t age_ms = snapshot_get_u64(content.bytes + SNAPSHOT_ID_BYTES);

    if (channel_size > size || age_ms > SNAPSHOT_TIME_MAX)
        return false;
    *key = (struct snapshot_key){
        .id = snapshot_get_id(content.bytes),
        .added_ms = snapshot->now_ms - (int64_t)age_ms,
        .channel = {names, channel_size},
        .key = {names + channel_size, size - channel_size},
    };
    return true;
}

bool snapshot_next_key(const struct snapshot *snapshot, size_t *offset, struct snapshot_key *key)
{
    struct span content;
    size_t type;

    return snapshot_next_record(text_span(&snapshot->keys), offset, &type, &content) && snapshot_read_key(snapshot, content, key);
}

