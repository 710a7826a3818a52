#include "keys.h"

#include "snapshot.h"
#include "table.h"
#include "text.h"

#include <stdlib.h>

struct key_record {
    UT_hash_handle hh;
    TAILQ_ENTRY(key_record) order;
    struct event_id id;
    int64_t added_ms;
    unsigned name_size;
    char name[]; /* channel, NUL, key: neither can hold a NUL */
};

_Static_assert(sizeof(struct key_record) + 1 + sizeof(UT_hash_bucket) <= KEY_BYTES, "a key record has become larger");

enum { KEY_NAME_MAX = 2 * NAME_MAX_BYTES + 1 };

static size_t compose(char name[KEY_NAME_MAX], struct span channel, struct span key)
{
    char *end = mempcpy(name, channel.bytes, channel.size);

    *end++ = '\0';
    end = mempcpy(end, key.bytes, key.size);
    return (size_t)(end - name);
}

static void forget(struct keys *keys, struct key_record *record)
{
    if (keys->bookmark == record)
        keys->bookmark = TAILQ_NEXT(record, order);
    TAILQ_REMOVE(&keys->queue, record, order);
    HASH_DEL(keys->table, record);
    keys->count--;
    keys->name_bytes -= record->name_size;
    free(record);
}

void keys_init(struct keys *keys)
{
    *keys = (struct keys){0};
    TAILQ_INIT(&keys->queue);
}

void keys_finish(struct keys *keys)
{
    while (!TAILQ_EMPTY(&keys->queue))
        forget(keys, TAILQ_FIRST(&keys->queue));
}

void keys_trim(struct keys *keys, int64_t since_ms, size_t limit)
{
    struct key_record *oldest;

    while ((oldest = TAILQ_FIRST(&keys->queue)) && (oldest->added_ms < since_ms || keys->count > limit))
        forget(keys, oldest);
}

bool keys_find(const struct keys *keys, struct span channel, struct span key, struct event_id *id)
{
    char name[KEY_NAME_MAX];
    struct key_record *record;

    HASH_FIND(hh, keys->table, name, compose(name, channel, key), record);
    if (record)
        *id = record->id;
    return record != NULL;
}

bool keys_add(struct keys *keys, struct span channel, struct span key, struct event_id id, int64_t now_ms)
{
    char name[KEY_NAME_MAX];
    size_t size = compose(name, channel, key);
    struct key_record *record = calloc(1, sizeof *record + size);

    if (!record)
        return false;
    record->id = id;
    record->added_ms = now_ms;
    record->name_size = (unsigned)size;
    memcpy(record->name, name, size);
    HASH_ADD(hh, keys->table, name, record->name_size, record);
    if (!record->hh.tbl) {
        free(record);
        return false;
    }
    TAILQ_INSERT_TAIL(&keys->queue, record, order);
    keys->count++;
    keys->name_bytes += size;
    return true;
}

void keys_collect_begin(struct keys *keys, struct snapshot *snapshot)
{
    keys->bookmark = TAILQ_FIRST(&keys->queue);
    snapshot->failed |= !text_reserve(&snapshot->keys, snapshot_key_bytes(keys->count, keys->name_bytes));
}

bool keys_collect(struct keys *keys, struct snapshot *snapshot, size_t most)
{
    for (; keys->bookmark && most > 0; most--) {
        const struct key_record *record = keys->bookmark;

        if (event_id_less(snapshot->newest, record->id)) {
            keys->bookmark = NULL;
            break;
        }
        size_t channel_size = strlen(record->name);
        struct snapshot_key key = {
            .id = record->id,
            .added_ms = record->added_ms,
            .channel = {record->name, channel_size},
            .key = {record->name + channel_size + 1, record->name_size - channel_size - 1},
        };

        snapshot_add_key(snapshot, &key);
        keys->bookmark = TAILQ_NEXT(record, order);
    }
    return keys->bookmark != NULL;
}

void keys_restore(struct keys *keys, const struct snapshot *snapshot)
{
    struct snapshot_key key;
    struct event_id id;
    size_t offset = 0;

    while (snapshot_next_key(snapshot, &offset, &key))
        if (!keys_find(keys, key.channel, key.key, &id) && !keys_add(keys, key.channel, key.key, key.id, key.added_ms))
            return;
}
