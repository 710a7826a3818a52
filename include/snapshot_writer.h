/* snapshot_writer: a snapshot to bytes (snapshot_form.h), a part at a time. any thread, while nobody changes it */
#ifndef SNAPSHOT_WRITER_H
#define SNAPSHOT_WRITER_H

#include "snapshot.h"

#include <sodium.h>

struct snapshot_writer {
    const struct snapshot *snapshot; /* borrowed */
    crypto_generichash_state hash;
    size_t next;                     /* message */
    bool has_begun;
};

void snapshot_writer_init(struct snapshot_writer *writer, const struct snapshot *snapshot);
/* Appends the next part, about 1 MiB or one message. False: that was the last, or memory lacked: `text->failed`. */
bool snapshot_write(struct snapshot_writer *writer, struct text *text) __attribute__((warn_unused_result));

#endif
