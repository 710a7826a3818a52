/* restart_fixture: a replica's end and beginning, with what a snapshot keeps in between, through its bytes. Everybody has left before. */
#ifndef RESTART_FIXTURE_H
#define RESTART_FIXTURE_H

#include "replica_fixture.h"

#include "collect.h"
#include "snapshot_fixture.h"

static inline uint64_t wall_of(void)
{
    return FIXTURE_START.ms + (uint64_t)(fixture.replica.now_ms - FIXTURE_START_MS);
}

static inline struct snapshot *begin_collecting(void)
{
    struct snapshot *snapshot = snapshot_create(wall_of(), fixture.replica.now_ms);

    snapshot->newest = fixture.last;
    snapshot->published = fixture.replica.number;
    collect_begin(&fixture.replica, snapshot);
    return snapshot;
}

/* Its bytes, the caller's; `snapshot` is gone. */
static inline struct text take_bytes(struct snapshot *snapshot)
{
    struct text bytes = bytes_of(snapshot);

    assert_false(snapshot->failed);
    snapshot_destroy(snapshot);
    return bytes;
}

/* Of an interval, or with the marks, of an end. */
static inline struct text save(bool with_marks)
{
    struct snapshot *snapshot = begin_collecting();

    while (collect_messages(&fixture.replica, snapshot, 3))
        ;
    if (with_marks)
        collect_marks(&fixture.replica, snapshot);
    return take_bytes(snapshot);
}

/* The next life, `away_ms` later, with what `bytes` hold: they are gone. */
static inline void restart_with(struct text bytes, int64_t away_ms)
{
    int64_t now_ms = fixture.replica.now_ms + away_ms;
    struct snapshot *snapshot;

    replica_finish(&fixture.replica);
    assert_int_equal(fixture.metrics.history_messages, 0);
    fixture.last = event_id_next(fixture.last, FIXTURE_START.ms + (uint64_t)(now_ms - FIXTURE_START_MS));
    replica_init(&fixture.replica, &fixture.settings, &fixture_io, &fixture.metrics, fixture.last, 1);
    fixture.replica.now_ms = now_ms;
    assert_int_equal(read_bytes(text_span(&bytes), SIZE_MAX, wall_of(), now_ms, &snapshot), SNAPSHOT_WHOLE);
    collect_restore(&fixture.replica, snapshot);
    assert_int_equal(fixture.replica.number, snapshot->message_count);
    assert_int_equal(event_id_compare(fixture.replica.newest, fixture.last), 0);
    snapshot_destroy(snapshot);
    text_finish(&bytes);
}

static inline void restart(bool with_marks)
{
    restart_with(save(with_marks), 0);
}

#endif
