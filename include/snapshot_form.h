/*
 * snapshot_form: a snapshot as bytes. Integers are little-endian, without padding: `SIDECAST`, a u32 version, then records: u32 type, u32 size, so many bytes.
 * An id is u64 ms, u64 seq; an age is a u64 of milliseconds.
 *
 *     1 head     first       16 bytes key of the hash tables, newest id, u64 wall clock (ms) to which the ages belong
 *     2 marks    0 or 1      SNAPSHOT_MARKS ids: of channels without a record, by hash; then of directories. Without them it is not known what was lost
 *     3 channel  any number  id of its gap mark, name
 *     4 message  ids rise    id, age, time until it expires (all ones: never), u8 sizes of channel, event and except, these, data as EventSource shows it
 *     5 key      oldest 1st  id, age, u8 size of channel, channel, key
 *     6 end      last        32 bytes BLAKE2b of all bytes before this record
 *
 * A message is its publisher's data, to be encoded anew: the form does not depend on how messages are encoded.
 */
#ifndef SNAPSHOT_FORM_H
#define SNAPSHOT_FORM_H

#include "event_id.h"
#include "table.h"
#include "text.h"

#include <endian.h>
#include <stdint.h>

#define SNAPSHOT_MAGIC "SIDECAST"

enum { SNAPSHOT_VERSION = 1 };

enum snapshot_record {
    SNAPSHOT_HEAD = 1,
    SNAPSHOT_MARKS_RECORD,
    SNAPSHOT_CHANNEL,
    SNAPSHOT_MESSAGE,
    SNAPSHOT_KEY,
    SNAPSHOT_END,
};

enum {
    SNAPSHOT_BEGIN_BYTES = 8 + 4,
    SNAPSHOT_RECORD_BYTES = 4 + 4,
    SNAPSHOT_ID_BYTES = 16,
    SNAPSHOT_HEAD_BYTES = TABLE_KEY_BYTES + SNAPSHOT_ID_BYTES + 8,
    SNAPSHOT_MESSAGE_BYTES = SNAPSHOT_ID_BYTES + 8 + 8 + 3, /* without names and data */
    SNAPSHOT_KEY_BYTES = SNAPSHOT_ID_BYTES + 8 + 1,         /* without names */
    SNAPSHOT_HASH_BYTES = 32,
    SNAPSHOT_CONTENT_MAX = 64 * 1024 * 1024 + 4096,         /* of a record: the largest data there can be (settings.h), and names */
};

/* No age, and no time since 1970, is above 35000 years. */
static const uint64_t SNAPSHOT_TIME_MAX = UINT64_C(1) << 50;

/* --- writing: each returns the end of what it wrote --- */

static inline char *snapshot_put_u32(char *out, size_t number)
{
    uint32_t bytes = htole32((uint32_t)number);

    return (char *)mempcpy(out, &bytes, sizeof bytes);
}

static inline char *snapshot_put_u64(char *out, uint64_t number)
{
    uint64_t bytes = htole64(number);

    return (char *)mempcpy(out, &bytes, sizeof bytes);
}

static inline char *snapshot_put_id(char *out, struct event_id id)
{
    return snapshot_put_u64(snapshot_put_u64(out, id.ms), id.seq);
}

/* Room for a record whose content has `size` bytes; where these begin, for the caller to write. NULL: no memory. */
static inline char *snapshot_begin_record(struct text *text, enum snapshot_record type, size_t size)
{
    char *out = text_reserve(text, SNAPSHOT_RECORD_BYTES + size);

    return out ? snapshot_put_u32(snapshot_put_u32(out, type), size) : NULL;
}

static inline void snapshot_end_record(struct text *text, size_t size)
{
    text->size += SNAPSHOT_RECORD_BYTES + size;
}

/* --- reading --- */

static inline size_t snapshot_get_u32(const char *bytes)
{
    uint32_t number;

    memcpy(&number, bytes, sizeof number);
    return le32toh(number);
}

static inline uint64_t snapshot_get_u64(const char *bytes)
{
    uint64_t number;

    memcpy(&number, bytes, sizeof number);
    return le64toh(number);
}

static inline struct event_id snapshot_get_id(const char *bytes)
{
    return (struct event_id){snapshot_get_u64(bytes), snapshot_get_u64(bytes + 8)};
}

/* The record at `*offset`, which moves behind it. False: it is not there, or not whole; what is known of it by then is in `type` and `content->size`. */
static inline bool snapshot_next_record(struct span input, size_t *offset, size_t *type, struct span *content)
{
    const char *bytes = input.bytes + *offset;
    size_t left = input.size - *offset;

    *type = 0;
    *content = (struct span){0};
    if (left < SNAPSHOT_RECORD_BYTES)
        return false;
    *type = snapshot_get_u32(bytes);
    *content = (struct span){bytes + SNAPSHOT_RECORD_BYTES, snapshot_get_u32(bytes + 4)};
    if (content->size > left - SNAPSHOT_RECORD_BYTES)
        return false;
    *offset += SNAPSHOT_RECORD_BYTES + content->size;
    return true;
}

#endif
