/* snapshot_fixture: snapshots by hand, as messages and as bytes. Include it after cmocka. */
#ifndef SNAPSHOT_FIXTURE_H
#define SNAPSHOT_FIXTURE_H

#include "message.h"
#include "snapshot.h"
#include "snapshot_form.h"
#include "snapshot_reader.h"
#include "snapshot_writer.h"
#include "sse.h"

#include <stdlib.h>

static const uint64_t SAVED_WALL_MS = 1763899200000;
enum { SAVED_MS = 5000000 };

struct saying {
    const char *channel, *event, *except, *data;
    int64_t age_ms, left_ms; /* left 0: it never expires */
};

static inline struct message *make_message(struct event_id id, const struct saying *saying, int64_t now_ms)
{
    struct message_names names = {span_of(saying->channel), span_of(saying->event), span_of(saying->except)};
    struct message *message = sse_encode_message(id, &names, span_of(saying->data));

    assert_non_null(message);
    message->ingest_ms = now_ms - saying->age_ms;
    if (saying->left_ms > 0)
        message->expires_ms = now_ms + saying->left_ms;
    return message;
}

static inline struct event_id saved_id(uint64_t seq)
{
    return (struct event_id){SAVED_WALL_MS, seq};
}

static const struct saying sayings[] = {
    {"news", "", "", "one", 3600000, 0},
    {"orders/7", "paid", "ann", "two\nlines and\n\n a blank", 1000, 60000},
    {"news", "", "bob", "", 0, 0},
};
enum { SAYINGS = sizeof sayings / sizeof *sayings };

/* With all that there is but marks. */
static inline struct snapshot *make_snapshot(void)
{
    struct snapshot *snapshot = snapshot_create(SAVED_WALL_MS, SAVED_MS);
    struct snapshot_key keys[] = {{saved_id(1), SAVED_MS - 5000, span_of("news"), span_of("k1")},
                                  {saved_id(2), SAVED_MS - 10, span_of("orders/7"), span_of("another key")}};

    assert_non_null(snapshot);
    snapshot->newest = saved_id(100);
    for (uint64_t i = 0; i < SAYINGS; i++)
        snapshot_add_message_take(snapshot, make_message(saved_id(i + 1), &sayings[i], SAVED_MS));
    snapshot_add_channel(snapshot, span_of("news"), saved_id(0));
    snapshot_add_channel(snapshot, span_of("gone"), EVENT_ID_ZERO);
    for (int i = 0; i < 2; i++)
        snapshot_add_key(snapshot, &keys[i]);
    assert_false(snapshot->failed);
    return snapshot;
}

/* The caller's: text_finish. */
static inline struct text bytes_of(const struct snapshot *snapshot)
{
    struct snapshot_writer writer;
    struct text text = TEXT_EMPTY;

    snapshot_writer_init(&writer, snapshot);
    while (snapshot_write(&writer, &text))
        ;
    assert_false(text.failed);
    return text;
}

/* As a file is read, in pieces of `step` bytes. `*snapshot` is the caller's after SNAPSHOT_WHOLE, else NULL. */
static inline enum snapshot_result read_bytes(struct span bytes, size_t step, uint64_t wall_ms, int64_t now_ms, struct snapshot **snapshot)
{
    enum snapshot_result result = SNAPSHOT_MORE;
    struct snapshot_reader reader;
    size_t start = 0, end = 0, used;

    assert_true(snapshot_reader_init(&reader, wall_ms, now_ms));
    while (end < bytes.size && (result == SNAPSHOT_MORE || result == SNAPSHOT_WHOLE)) {
        end = bytes.size - end < step ? bytes.size : end + step;
        result = snapshot_read(&reader, (struct span){bytes.bytes + start, end - start}, &used);
        assert_true(used <= end - start);
        start += used;
    }
    if (result == SNAPSHOT_BAD)
        assert_true(reader.reason && reader.reason[0]);
    *snapshot = result == SNAPSHOT_WHOLE ? snapshot_reader_take(&reader) : NULL;
    snapshot_reader_finish(&reader);
    return result;
}

#endif
