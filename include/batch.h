/*
 * batch: what one write takes: pieces, in order. Messages that follow each other leave in one record, a copy; one alone leaves as it was encoded.
 * A batch that others may get as it is stays until something changes: in a fan-out the first subscriber gathers, and the rest only write.
 */
#ifndef BATCH_H
#define BATCH_H

#include "audience.h"

#include <sys/uio.h>

struct merge_head;

enum {
    BATCH_PIECES = 256,       /* buffers of one writev */
    BATCH_BYTES = 256 * 1024, /* more than a socket takes at once */
};

struct piece {
    struct buffer *buffer;
    struct event_id cursor; /* once the piece is begun */
    uint32_t messages;      /* in it */
    bool is_own;            /* the reference is the batch's; else history has it, or it is `half` of the subscriber */
    bool is_gap;
    bool is_last;           /* the end of the response */
};

struct batch {
    int count;
    bool has_half;                 /* the first piece is the subscriber's `half` */
    bool failed;                   /* no memory for the next piece */
    bool has_latest;               /* messages may be skipped on the way (latest.h) */
    size_t bytes;
    struct event_id cursor;        /* once everything is written */
    /* Who may share it; all else is the audience's. */
    const struct channel *channel; /* the only one of which each may have news; NULL: it is not shared */
    uint8_t framing;               /* enum framing_name */
    struct event_id least, below;  /* between them is the cursor of each: from the message before the first of the batch on */
    uint64_t floor;                /* at most, for each */
    int64_t now_ms;
    bool is_envelope;
    struct audience audience;
    struct piece pieces[BATCH_PIECES];
    struct iovec parts[BATCH_PIECES];
};

/* All zero or forgotten before. Begins with what the subscriber is in the middle of. */
void batch_start(struct batch *batch, const struct subscriber *subscriber);
/* It takes no further message: room for the end of the response is kept. */
static inline bool batch_is_full(const struct batch *batch)
{
    return batch->count >= BATCH_PIECES - 1 || batch->bytes >= BATCH_BYTES;
}

/* A piece without a buffer says that memory lacked. Takes the reference over if the piece is the batch's own. */
void batch_add_take(struct batch *batch, struct piece piece);
/* `encoded` is the message at `head` as the subscriber gets it, before framing. History has it. */
void batch_add_message(struct batch *batch, const struct merge_head *head, struct buffer *encoded);
/* The pieces from `first` on are messages, and no more follow: they become what is written. */
void batch_frame_messages(struct batch *batch, const struct subscriber *subscriber, int first);
/* Lets others have it, if they may. It is as it was gathered for `subscriber`, and not written yet. */
void batch_share(struct batch *batch, const struct replica *replica, const struct subscriber *subscriber);
/* Whether the batch is, byte for byte, what would be gathered for the subscriber. */
bool batch_is_for(const struct batch *batch, const struct replica *replica, const struct subscriber *subscriber);
void batch_clear(struct batch *batch);

/* What it depends on changes, or it is written and not shared. */
static inline void batch_forget(struct batch *batch)
{
    if (batch->count > 0 || batch->audience.excepts.size > 0)
        batch_clear(batch);
}

#endif
