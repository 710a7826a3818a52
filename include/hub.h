/*
 * hub: takes publications in, gives them ids, encodes them once, and hands them to every worker. Knows no socket: ingest.h reads them.
 *
 *     ingest ─► wire_decode ─► key seen? ─► next id ─► sse_encode_message ─► batch ─► inbox of each worker
 *
 * Messages go into the inboxes a batch at a time: one lock and one wake-up for all of them. Hub thread only, but for hub_published.
 */
#ifndef HUB_H
#define HUB_H

#include "event_id.h"
#include "inbox.h"
#include "keys.h"
#include "metrics.h"
#include "settings.h"
#include "wire.h"

#include <stdatomic.h>

struct snapshot;

/* Of messages; what is in a batch is not yet in sight of who looks for room in an inbox. */
enum { HUB_BATCH = 256, HUB_BATCH_BYTES = 256 * 1024 };

struct hub {
    const struct settings *settings;
    struct metrics metrics;
    struct event_id newest;
    struct keys keys;
    struct inbox **inboxes;  /* borrowed; one per worker */
    size_t inbox_count;
    struct inbox_item batch[HUB_BATCH]; /* have their ids, and places in every inbox; at most until hub_flush */
    size_t batch_count;
    size_t batch_bytes;
    int64_t now_ms;          /* monotonic; set by the owner before each use */
    uint64_t wall_ms;        /* since 1970; the same */
    struct log_limit rejected;
    atomic_uint_least64_t published; /* messages that are in the inboxes, or on the way into them; workers read it */
};

/* `newest`: ids rise from there. */
void hub_init(struct hub *hub, const struct settings *settings, struct event_id newest, struct inbox **inboxes, size_t inbox_count);
void hub_finish(struct hub *hub);

/* What an earlier life had published is in every replica: its keys count, and so do its messages. Before anything is published. */
void hub_restore(struct hub *hub, const struct snapshot *snapshot);

/* Whether every inbox has room for another multipart message, behind those that hub_flush will put in. */
bool hub_has_room(struct hub *hub);

enum hub_result { HUB_PUBLISHED, HUB_DUPLICATE, HUB_NO_MEMORY };

/* One valid publication; it is in every inbox when this returns. `id`: its id; a duplicate's is that of the first. */
enum hub_result hub_publish(struct hub *hub, const struct publication *publication, struct event_id *id);

/* What became of one item: a publication, one of a batch, or a whole multipart message that cannot be read. Lives until the call returns. */
struct hub_answer {
    const struct event_id *ids; /* of its messages, one for each channel in list order; a duplicate's is that of the first */
    size_t id_count;            /* 0: it is dropped. With several channels some may have been published; with a key it can be sent again */
    const char *code;           /* why: a stable word, as `bad_json` */
    const char *reason;         /* a sentence; it never holds the publisher's bytes */
};

/* Who wants to know. */
struct hub_receipt {
    void (*item)(void *context, const struct hub_answer *answer);
    void *context;
};

/*
 * One multipart message as it came; faults are counted and logged. Its messages are in the inboxes after hub_flush at the latest.
 * `receipt`: told once for each item, in order, at least once; NULL: nobody is.
 */
void hub_take_frames(struct hub *hub, const struct span *frames, size_t count, const struct hub_receipt *receipt);
/* Puts into the inboxes what is not there yet. Before anybody else puts something in, or hears of an id. */
void hub_flush(struct hub *hub);

/* How many messages were published. A worker decides a request only when it has applied as many. any thread */
uint64_t hub_published(struct hub *hub);

#endif
