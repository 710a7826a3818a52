/*
 * subscriber: one client request that waits for messages: a cursor, not a queue. Its state is the list it is on:
 *
 *     join ──► IDLE ──(more than one write)──► READY ──► IDLE
 *               │                                │
 *               └──────(would block)──► BLOCKED ◄┘          leave from each
 *
 * Live delivery, resume, a slow client that catches up and long-poll are one operation, `advance` (advance.h).
 */
#ifndef SUBSCRIBER_H
#define SUBSCRIBER_H

#include "event_id.h"
#include "timeouts.h"

#include <sys/queue.h>

struct buffer;
struct channel;
struct offer;
struct replica;
struct subscriber;
struct watcher;

/* A subscriber listens to a channel. */
struct link {
    LIST_ENTRY(link) of_channel;
    struct channel *channel;
    struct subscriber *subscriber;
    uint64_t floor;        /* entries with a lower number are not for this newcomer; 0: no bound */
    uint32_t told;         /* channel->losses when the client was told of its gap mark */
    uint32_t next_pending; /* 0: not pending; else the place of the next link that is, or PENDING_END */
};

/* Links of several channels are an array; a link's place is its index there + 1. */
#define PENDING_END UINT32_MAX

enum subscriber_state { SUBSCRIBER_OUT, SUBSCRIBER_IDLE, SUBSCRIBER_READY, SUBSCRIBER_BLOCKED };

/* Why a subscriber left. */
enum leave_reason {
    LEAVE_DONE,   /* the response is complete */
    LEAVE_BROKEN, /* the connection is */
    LEAVE_SLOW,   /* it accepted nothing for too long, pinned too much, or fell behind where that is not wanted */
    LEAVE_NO_MEMORY,
};

/* There are many: each byte counts. What every delivery needs stands together, from `cursor` on. */
struct subscriber {
    TAILQ_ENTRY(subscriber) of_state; /* while OUT: its owner's */
    struct timeout timeout;           /* its owner's: reserves room for it before it comes, and clears it after it left */
    int64_t ends_ms;                  /* when the stream ends cleanly, or the long-poll is answered empty */
    uint64_t joined;                  /* the replica's number when it came */
    char *client;                     /* owned, or NULL */
    struct event_id cursor;           /* everything up to here is written or was not for it */
    struct buffer *half;              /* one reference: what is to be written next, from half_offset on, or NULL */
    int64_t wrote_ms;                 /* when bytes were last accepted */
    uint32_t half_offset;
    uint32_t link_count;
    uint32_t first_pending;           /* place of the first link whose channel may have news, 0 or PENDING_END; not used when single */
    uint16_t request_id;
    uint8_t framing;                  /* enum framing_name */
    uint8_t state;                    /* enum subscriber_state */
    bool is_poll : 1;                 /* one answer and the end: a long-poll, or an answer without channels */
    bool is_envelope : 1;
    bool is_ending : 1;               /* the end of the stream is to be written */
    bool may_expire : 1;              /* at ends_ms its permission ends */
    bool ends_early : 1;              /* ends_ms was moved to before that: the server stops */
    bool is_last : 1;                 /* `half` is the end of the response */
    bool is_pinned : 1;               /* `half` is in replica->pins */
    bool poll_gap : 1;                /* the long-poll's answer says "gap": true */
    bool is_single : 1;               /* one link, for good: in `own` */
    bool is_watcher : 1;              /* it listens to patterns: links come and go */
    union {
        struct link own;
        struct {
            struct link *several;     /* owned, or NULL */
            struct watcher *watcher;  /* owned, or NULL */
        };
        struct offer *offer;          /* while OUT: its owner's, or NULL */
    };
};

TAILQ_HEAD(subscriber_queue, subscriber);

/* Writes a whole response that needs no channels: takes the reference to `response` over. It may have left when this returns. */
void subscriber_answer_take(struct replica *replica, struct subscriber *subscriber, struct buffer *response);

/* Takes it, with its links, into the replica and writes what is in `half`. For joining. */
void subscriber_begin(struct replica *replica, struct subscriber *subscriber);
/* Its cursor is behind what its channels take for settled, and it can be written to. */
void subscriber_unsettle(struct subscriber *subscriber);
/* Frees links and client. Its patterns were given up. */
void subscriber_free_parts(struct subscriber *subscriber);

/* Ends the response: an event stream cleanly, a long-poll with an empty answer. */
void subscriber_end(struct replica *replica, struct subscriber *subscriber);

/* Ends it so at `ends_ms`, if that is sooner than it would end anyway. Who is blocked then ends when it is not. */
void subscriber_end_by(struct replica *replica, struct subscriber *subscriber, int64_t ends_ms);

/* Takes it off everything; io->left is called with `reason`. Fine for one that is out. */
void subscriber_leave(struct replica *replica, struct subscriber *subscriber, enum leave_reason reason);

/* The socket takes bytes again. */
void subscriber_writable(struct replica *replica, struct subscriber *subscriber);

/* Its permission has ended, or the server stops and may not wait until it does: nothing more is for it. */
bool subscriber_has_expired(const struct replica *replica, const struct subscriber *subscriber);

/* Its deadline came: heartbeat, end, or too slow. */
void subscriber_timeout(struct replica *replica, struct subscriber *subscriber);

/* One state changes into another here and nowhere else. */
void subscriber_set_state(struct replica *replica, struct subscriber *subscriber, enum subscriber_state state);

/* All its links: `link_count` in a row. */
static inline struct link *subscriber_links(const struct subscriber *subscriber)
{
    return subscriber->is_single ? (struct link *)&subscriber->own : subscriber->several;
}

/* The links that may have news, one after the other; start with NULL. */
static inline struct link *subscriber_next_link(const struct subscriber *subscriber, const struct link *link)
{
    uint32_t place;

    if (subscriber->is_single)
        return link ? NULL : (struct link *)&subscriber->own;
    place = link ? link->next_pending : subscriber->first_pending;
    return place == 0 || place == PENDING_END ? NULL : &subscriber->several[place - 1];
}

void subscriber_mark_pending(struct link *link);
/* Links by their channels' addresses: for qsort and bsearch. */
int subscriber_compare_links(const void *a, const void *b);
/* After a write: links without news leave the pending list. True: some have messages after the cursor, or have lost some. */
bool subscriber_has_more(struct subscriber *subscriber);
/* Sets `half`, the next thing to be written: takes the reference over. There is none. */
void subscriber_write_next_take(struct subscriber *subscriber, struct buffer *buffer, bool is_last);

#endif
