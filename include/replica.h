/*
 * replica: one worker's copy of the channels, their history and its subscribers. All replicas apply the same rules to the same sequence of messages.
 * Knows no descriptor and no clock: what it needs of both comes in through struct replica_io and `now_ms`.
 *
 *     hub ─► inbox ─► replica_apply_take ─► history_append_take ─► channel_notify ─┐
 *                                                                                   │ end of turn, or of the pace interval
 *                                      io->write ◄─ advance ◄─ channel_flush ◄──────┘
 *
 * Worker thread only.
 */
#ifndef REPLICA_H
#define REPLICA_H

#include "batch.h"
#include "channel.h"
#include "history.h"
#include "log.h"
#include "merge.h"
#include "metrics.h"
#include "pins.h"
#include "subscriber.h"
#include "watch.h"

#include <sys/types.h>
#include <sys/uio.h>

struct poll_cache;

/* What the worker does for it. */
struct replica_io {
    /* Bytes accepted, 0 when it would block, -1 when the connection is broken. */
    ssize_t (*write)(struct subscriber *subscriber, const struct iovec *parts, int count);
    /* From now on (not) interested in the socket's taking bytes again. */
    void (*want_write)(struct subscriber *subscriber, bool wanted);
    /* The subscriber is out; its memory is the worker's again. */
    void (*left)(struct subscriber *subscriber, enum leave_reason reason);
    /* A deadline of a kind from TIMEOUT_OTHER on came. */
    void (*timeout)(struct timeout *timeout);
};

enum { REPLICA_MARKS = 4096 };

struct replica {
    const struct settings *settings;
    const struct replica_io *io;
    struct metrics *metrics;
    struct log_limit lost;
    int64_t now_ms;                   /* monotonic; set by the worker before each use */
    uint64_t wall_ms;                 /* the same moment since 1970; set before a subscriber with a permission that ends joins */
    uint64_t random;                  /* state of the jitter */
    struct event_id newest;           /* id of the last message applied */
    uint64_t number;                  /* messages applied: a message's place in the hub's sequence, the same in every replica */
    struct channel *channels;         /* by name */
    struct channel *recent;           /* the one that was looked up last, or NULL: messages of one channel often come in a row */
    struct channel_queue dirty;       /* to be flushed at the end of the turn */
    struct channel *unmarked;         /* the last with news, or NULL: its links are marked when it is flushed, or before anybody is advanced */
    struct subscriber_queue idle;
    struct subscriber_queue ready;
    struct subscriber_queue blocked;
    struct entry_queue order;         /* every entry, the oldest first */
    struct entry *bookmark;           /* the next one for the snapshot that is being collected (collect.h), or NULL */
    struct entry *spare;              /* owned; of the last eviction, for the next message; or NULL */
    size_t bytes;                     /* of history, encodings included */
    struct timeouts timeouts;
    struct pins pins;
    struct merge merge;
    struct batch batch;               /* of the last write, while others may get the same */
    struct poll_cache *answers;       /* shared long-poll answers of this turn, by what they depend on */
    size_t answer_bytes;              /* of these */
    struct interests interests;       /* patterns that somebody listens to */
    struct watcher_queue crowded;     /* who has more links by patterns than subscribe.max_matched */
    uint64_t matching;                /* how many channels were matched against the patterns */
    struct event_id marks[REPLICA_MARKS]; /* gap marks of channels without a record, by hash */
    struct event_id directory_marks[REPLICA_MARKS]; /* the highest of the channels of a directory (interests.h), by its hash */
};

/* `start`: the id from which this life of the hub counts; everything before it is lost. */
void replica_init(struct replica *replica, const struct settings *settings, const struct replica_io *io,
                  struct metrics *metrics, struct event_id start, uint64_t seed);
/* Every subscriber has left before. */
void replica_finish(struct replica *replica);

/* The next message of the sequence. Takes its reference over. */
void replica_apply_take(struct replica *replica, struct message *message);
/* The end of a turn: advances whoever has news. True: some have more to come, so call again after looking at the sockets. */
bool replica_flush(struct replica *replica);
/* Does what is due at `now_ms`. */
void replica_run_timeouts(struct replica *replica);
/* Ends each subscriber cleanly within `window_ms`, at a moment of its own. */
void replica_spread_ends(struct replica *replica, int64_t window_ms);
/* The settings changed: channels take over their policies. */
void replica_reload(struct replica *replica);

/* The channel `name`, which has no record, has lost what it had up to `id`. */
void replica_raise_marks(struct replica *replica, struct span name, struct event_id id);

/* A number from `least` to `most`, evenly. */
int64_t replica_jitter(struct replica *replica, int64_t least, int64_t most);
/* Forgets shared long-poll answers and the shared batch: what they depend on changed. */
void replica_forget_shared(struct replica *replica);

#endif
