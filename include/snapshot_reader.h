/*
 * snapshot_reader: a snapshot from bytes (snapshot_form.h) as they come. They are input like any other: whatever is not as the form says, to the last
 * bit, is SNAPSHOT_BAD. any thread, one at a time
 */
#ifndef SNAPSHOT_READER_H
#define SNAPSHOT_READER_H

#include "snapshot.h"

#include <sodium.h>

enum snapshot_result {
    SNAPSHOT_MORE,  /* give it what follows `*used` again, with more behind it */
    SNAPSHOT_WHOLE, /* all read, and nothing behind it in this input */
    SNAPSHOT_BAD,   /* `reason` says what was expected */
    SNAPSHOT_NO_MEMORY,
};

struct snapshot_reader {
    struct snapshot *snapshot; /* owned */
    const char *reason;
    crypto_generichash_state hash;
    bool has_begun;
    bool has_head;
    bool is_whole;
};

/*
 * `wall_ms`, `now_ms`: the moment of reading on both clocks. The time that passed since it was written adds to the ages; none if the clock stepped back.
 * False: no memory.
 */
bool snapshot_reader_init(struct snapshot_reader *reader, uint64_t wall_ms, int64_t now_ms) __attribute__((warn_unused_result));
void snapshot_reader_finish(struct snapshot_reader *reader);
/* Takes whole records, which have at most SNAPSHOT_CONTENT_MAX bytes of content. */
enum snapshot_result snapshot_read(struct snapshot_reader *reader, struct span input, size_t *used) __attribute__((warn_unused_result));
/* After SNAPSHOT_WHOLE: the caller's. */
struct snapshot *snapshot_reader_take(struct snapshot_reader *reader);

#endif
