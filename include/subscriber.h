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
struct framing;
struct replica;
struct subscriber;

/* A subscriber listens to a channel. */
struct link {
    LIST_ENTRY(link) of_channel;
    SLIST_ENTRY(link) of_pending;
    struct channel *channel;
    struct subscriber *subscriber;
    uint64_t floor;        /* entries with a lower number are not for this newcomer; 0: no bound */
    struct event_id told;  /* the channel's gap mark that the client was told of */
    bool pending;
};

enum subscriber_state { SUBSCRIBER_OUT, SUBSCRIBER_IDLE, SUBSCRIBER_READY, SUBSCRIBER_BLOCKED };

/* Why a subscriber left. */
enum leave_reason {
    LEAVE_DONE,   /* the response is complete */
    LEAVE_BROKEN, /* the connection is */
    LEAVE_SLOW,   /* it accepted nothing for too long, or pinned too much */
    LEAVE_NO_MEMORY,
};

struct subscriber {
    TAILQ_ENTRY(subscriber) of_state;
    struct link *links;               /* `own`, or owned */
    SLIST_HEAD(, link) pending;       /* links whose channel may have news; not used with a single link */
    const struct framing *framing;
    char *client;                     /* owned, or NULL */
    struct buffer *half;              /* one reference: what is to be written next, from half_offset on, or NULL */
    size_t half_offset;
    struct event_id cursor;           /* everything up to here is written or was not for it */
    uint64_t joined;                  /* the replica's number when it came */
    int64_t wrote_ms;                 /* when bytes were last accepted */
    int64_t ends_ms;                  /* when the stream ends cleanly, or the long-poll is answered empty */
    struct timeout timeout;
    uint32_t link_count;
    uint16_t request_id;
    uint8_t state;                    /* enum subscriber_state */
    bool is_poll;                     /* one answer and the end: a long-poll, or an answer without channels */
    bool is_envelope;
    bool is_ending;                   /* the end of the stream is to be written */
    bool is_last;                     /* `half` is the end of the response */
    bool is_pinned;                   /* `half` is in replica->pins */
    bool poll_gap;                    /* the long-poll's answer says "gap": true */
    struct link own;
};

TAILQ_HEAD(subscriber_queue, subscriber);

/* Writes a whole response that needs no channels: takes the reference to `response` over. It may have left when this returns. */
void subscriber_answer_take(struct replica *replica, struct subscriber *subscriber, struct buffer *response);

/* Takes it, with its links, into the replica and writes what is in `half`. For joining. */
void subscriber_begin(struct replica *replica, struct subscriber *subscriber);
/* Its cursor is behind what its channels take for settled, and it can be written to. */
void subscriber_unsettle(struct subscriber *subscriber);
/* Frees links and client. */
void subscriber_free_parts(struct subscriber *subscriber);

/* Ends the response: an event stream cleanly, a long-poll with an empty answer. */
void subscriber_end(struct replica *replica, struct subscriber *subscriber);

/* Takes it off everything; io->left is called with `reason`. Fine for one that is out. */
void subscriber_leave(struct replica *replica, struct subscriber *subscriber, enum leave_reason reason);

/* The socket takes bytes again. */
void subscriber_writable(struct replica *replica, struct subscriber *subscriber);

/* Its deadline came: heartbeat, end, or too slow. */
void subscriber_timeout(struct replica *replica, struct subscriber *subscriber);

/* One state changes into another here and nowhere else. */
void subscriber_set_state(struct replica *replica, struct subscriber *subscriber, enum subscriber_state state);

/* The links that may have news, one after the other; start with NULL. */
static inline struct link *subscriber_next_link(const struct subscriber *subscriber, const struct link *link)
{
    if (subscriber->link_count == 1)
        return link ? NULL : subscriber->links;
    return link ? SLIST_NEXT(link, of_pending) : SLIST_FIRST(&subscriber->pending);
}

void subscriber_mark_pending(struct link *link);
/* After a write: links without news leave the pending list. True: some have messages after the cursor. */
bool subscriber_has_more(struct subscriber *subscriber);
/* Sets `half`, the next thing to be written: takes the reference over. There is none. */
void subscriber_write_next_take(struct subscriber *subscriber, struct buffer *buffer, bool is_last);

#endif
