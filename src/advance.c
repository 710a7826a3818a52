/*
 * Advance: what is half written goes first, then the gap if there is one, then messages in the order of their ids, then the end (batch.h). What the socket
 * takes of it moves the cursor; the one buffer in whose middle it stops is kept with an offset. Nothing else of a slow client is kept.
 */
#include "advance.h"

#include "answers.h"
#include "batch.h"
#include "buffer.h"
#include "framing.h"
#include "latest.h"
#include "message.h"
#include "poll.h"
#include "replica.h"
#include "sse.h"
#include "text.h"
#include "watch.h"

#include <assert.h>

bool advance_is_visible(const struct replica *replica, const struct link *link, const struct entry *entry)
{
    const struct message *message = entry->message;
    const char *client = link->subscriber->client;

    if (entry->number < link->floor || message->expires_ms <= replica->now_ms)
        return false;
    if (!message->store && entry->number <= link->subscriber->joined)
        return false;
    return !(message->except_size > 0 && client && span_equal(message_except(message), span_of(client)));
}

/* --- gaps --- */

bool advance_link_has_gap(const struct link *link, struct event_id cursor)
{
    return event_id_less(cursor, link->channel->lost_through) && link->told != link->channel->losses;
}

static bool has_gap(const struct subscriber *subscriber, struct event_id cursor)
{
    struct link *link = NULL;

    if (watch_has_gap(subscriber, cursor))
        return true;
    while ((link = subscriber_next_link(subscriber, link)) != NULL)
        if (advance_link_has_gap(link, cursor))
            return true;
    return false;
}

static const struct message *first_visible(struct replica *replica, const struct subscriber *subscriber, struct event_id cursor)
{
    struct merge_head *head;

    merge_start(replica, subscriber, cursor);
    for (; (head = merge_first(&replica->merge)) != NULL; merge_pass(&replica->merge))
        if (advance_is_visible(replica, head->link, head->entry))
            return head->entry->message;
    return NULL;
}

static void append_gap_channel(struct text *data, const char **separator, struct span name)
{
    text_append_string(data, *separator);
    text_append_json(data, name);
    *separator = ",";
}

/* Where something may be lost, in the client's own words: a pattern stands for all its channels, there may be thousands. */
static void append_gap_channels(struct text *data, const struct subscriber *subscriber, struct event_id cursor, bool everything)
{
    const char *separator = "";
    struct link *link = NULL;
    bool by_pattern = everything || watch_has_gap(subscriber, cursor);

    while ((link = subscriber_next_link(subscriber, link)) != NULL) {
        if (!everything && !advance_link_has_gap(link, cursor))
            continue;
        if (watch_is_match(link))
            by_pattern = true;
        else
            append_gap_channel(data, &separator, channel_name(link->channel));
    }
    for (uint32_t i = 0; by_pattern && subscriber->is_watcher && i < subscriber->watcher->count; i++)
        append_gap_channel(data, &separator, interest_pattern(subscriber->watcher->shares[i].interest));
}

static void append_gap_data(struct text *data, const struct subscriber *subscriber, struct event_id cursor, const char *after,
                            bool everything, const struct message *first)
{
    char oldest[EVENT_ID_TEXT];

    text_append_string(data, "{\"after\":");
    if (after)
        text_append_json(data, span_of(after));
    else
        text_append_string(data, "null");
    if (first)
        event_id_format(first->id, oldest);
    text_append_format(data, first ? ",\"oldest\":\"%s\",\"channels\":[" : ",\"oldest\":null,\"channels\":[", oldest);
    append_gap_channels(data, subscriber, cursor, everything);
    text_append_string(data, "]}");
}

bool advance_find_gap(struct replica *replica, const struct subscriber *subscriber, struct event_id *cursor, const char *after,
                      bool everything, struct text *text)
{
    struct text data = TEXT_EMPTY;
    const struct message *first;
    struct event_id id;

    if (!everything && !has_gap(subscriber, *cursor))
        return false;
    first = first_visible(replica, subscriber, *cursor);
    id = event_id_max(*cursor, first ? event_id_before(first->id) : replica->newest);
    if (text) {
        append_gap_data(&data, subscriber, *cursor, after, everything, first);
        sse_append_event(text, id, span_of("sidecast.gap"), text_span(&data));
        text->failed |= data.failed;
        text_finish(&data);
    }
    *cursor = id;
    return true;
}

void advance_gap_told(struct replica *replica, struct subscriber *subscriber)
{
    struct link *link = NULL;

    while ((link = subscriber_next_link(subscriber, link)) != NULL)
        link->told = link->channel->losses;
    if (subscriber->is_watcher)
        subscriber->watcher->untold = EVENT_ID_ZERO;
    replica->metrics->gaps++;
}

static void gather_gap(struct replica *replica, struct subscriber *subscriber, struct batch *batch)
{
    struct text text = TEXT_EMPTY;
    struct event_id cursor = subscriber->cursor;
    char after[EVENT_ID_TEXT];

    if (!has_gap(subscriber, cursor))
        return;
    event_id_format(cursor, after);
    (void)advance_find_gap(replica, subscriber, &cursor, after, false, &text);
    batch_add_take(batch, (struct piece){
                              .buffer = text.failed ? NULL : framings[subscriber->framing]->body(subscriber->request_id, text_span(&text)),
                              .cursor = cursor,
                              .is_own = true,
                              .is_gap = true,
                          });
    text_finish(&text);
}

/* --- gather --- */

/* The message as this subscriber gets it, before framing. */
static struct buffer *encoding(struct replica *replica, const struct subscriber *subscriber, struct entry *entry)
{
    if (!subscriber->is_envelope)
        return entry->message->encoded;
    if (!entry->envelope && (entry->envelope = poll_encode_envelope(entry->message)))
        history_count_bytes(replica, buffer_memory(entry->envelope));
    return entry->envelope;
}

/* True: all there are, with room for the end of the response behind them. */
static bool gather_messages(struct replica *replica, struct subscriber *subscriber, struct batch *batch)
{
    struct merge_head *head;
    int first = batch->count;
    bool is_full;

    merge_start(replica, subscriber, batch->cursor);
    for (; !batch_is_full(batch) && !batch->failed && (head = merge_first(&replica->merge)) != NULL; merge_pass(&replica->merge)) {
        if (advance_is_visible(replica, head->link, head->entry)) {
            batch_add_message(batch, head, encoding(replica, subscriber, head->entry));
        } else {
            audience_hide(&batch->audience, replica, head->entry);
            batch->cursor = head->entry->message->id;
        }
    }
    is_full = batch_is_full(batch);
    batch->has_latest = replica->merge.has_latest;
    /* What is not for one of the others may be behind the end, and change what comes before it. */
    batch->audience.is_private |= is_full && batch->has_latest;
    batch_frame_messages(batch, subscriber, first);
    return !is_full && !batch->failed;
}

/* Told and over in one piece: a client that has the half of it must not be told again. */
static struct buffer *expired_end(const struct subscriber *subscriber, struct event_id cursor)
{
    const struct framing *framing = framings[subscriber->framing];
    struct text text = TEXT_EMPTY;
    struct buffer *told = NULL, *end = framing->end(subscriber->request_id), *both = NULL;

    sse_append_cursor(&text, "sidecast.expired", cursor);
    if (end && !text.failed && (told = framing->body(subscriber->request_id, text_span(&text))) != NULL)
        both = buffer_create(told->size + end->size);
    if (both) {
        memcpy(both->bytes, told->bytes, told->size);
        memcpy(both->bytes + told->size, end->bytes, end->size);
    }
    buffer_unref(told);
    buffer_unref(end);
    text_finish(&text);
    return both;
}

static void gather_end(struct batch *batch, struct buffer *end)
{
    batch_add_take(batch, (struct piece){.buffer = end, .cursor = batch->cursor, .is_own = true, .is_last = true});
}

static void gather(struct replica *replica, struct subscriber *subscriber, struct batch *batch)
{
    batch_forget(batch);
    batch_start(batch, subscriber);
    if (subscriber->is_last || subscriber->is_poll)
        return;
    /* What comes after the end of its permission is not for it; what it lacks from before it gets with a new one. */
    if (subscriber_has_expired(replica, subscriber)) {
        gather_end(batch, subscriber->ends_early ? framings[subscriber->framing]->end(subscriber->request_id) : expired_end(subscriber, batch->cursor));
        return;
    }
    gather_gap(replica, subscriber, batch);
    if (!batch->failed && gather_messages(replica, subscriber, batch) && subscriber->is_ending)
        gather_end(batch, framings[subscriber->framing]->end(subscriber->request_id));
    batch_share(batch, replica, subscriber);
}

/* --- write and commit --- */

static void drop_half(struct replica *replica, struct subscriber *subscriber)
{
    if (subscriber->is_pinned)
        pins_let_go(&replica->pins, subscriber->half);
    buffer_unref(subscriber->half);
    subscriber->half = NULL;
    subscriber->half_offset = 0;
    subscriber->is_pinned = false;
}

static void commit_piece(struct replica *replica, struct subscriber *subscriber, const struct piece *piece)
{
    subscriber->cursor = piece->cursor;
    replica->metrics->deliveries += piece->messages;
    if (piece->is_gap)
        advance_gap_told(replica, subscriber);
}

/* Who holds the oldest pins is closed at the end of the turn (replica.c). Within one nobody holds more than twice of what is allowed. */
static bool pins_are_full(const struct replica *replica)
{
    return replica->pins.bytes / 2 >= (size_t)replica->settings->history_pinned_bytes;
}

static bool hold(struct replica *replica, struct subscriber *subscriber, bool in_history)
{
    return (in_history || !pins_are_full(replica)) && pins_hold(&replica->pins, subscriber->half, in_history);
}

/* The socket stopped in the middle of `piece`: it is kept. False: no memory, or too much is kept so. */
static bool keep_half(struct replica *replica, struct subscriber *subscriber, const struct piece *piece, bool is_half, size_t written)
{
    if (is_half) {
        subscriber->half_offset += (uint32_t)written;
    } else {
        assert(piece->buffer->size <= UINT32_MAX);
        commit_piece(replica, subscriber, piece);
        subscriber->half = buffer_ref(piece->buffer);
        subscriber->half_offset = (uint32_t)written;
        subscriber->is_last = piece->is_last;
    }
    if (!subscriber->is_pinned)
        subscriber->is_pinned = hold(replica, subscriber, !is_half && !piece->is_own);
    return subscriber->is_pinned;
}

enum commit { COMMIT_ALL, COMMIT_PART, COMMIT_LAST, COMMIT_NO_ROOM };

static enum commit commit(struct replica *replica, struct subscriber *subscriber, const struct batch *batch, size_t written)
{
    for (int i = 0; i < batch->count; i++) {
        const struct piece *piece = &batch->pieces[i];
        size_t size = batch->parts[i].iov_len;
        bool is_half = i == 0 && batch->has_half;

        if (written < size) {
            bool begun = is_half || written > 0;

            return !begun || keep_half(replica, subscriber, piece, is_half, written) ? COMMIT_PART : COMMIT_NO_ROOM;
        }
        written -= size;
        commit_piece(replica, subscriber, piece);
        if (is_half)
            drop_half(replica, subscriber);
        if (piece->is_last)
            return COMMIT_LAST;
    }
    subscriber->cursor = batch->cursor;
    return COMMIT_ALL;
}

/* All that was gathered is written. The end of the stream, if it is wanted, had no room in the batch. */
static void settle(struct replica *replica, struct subscriber *subscriber)
{
    bool more = subscriber_has_more(subscriber) || subscriber->is_ending;

    subscriber_set_state(replica, subscriber, more ? SUBSCRIBER_READY : SUBSCRIBER_IDLE);
}

static void write_batch(struct replica *replica, struct subscriber *subscriber, const struct batch *batch)
{
    ssize_t written = replica->io->write(subscriber, batch->parts, batch->count);
    struct event_id before = subscriber->cursor;
    enum commit result;

    replica->metrics->writes++;
    if (written < 0) {
        subscriber_leave(replica, subscriber, LEAVE_BROKEN);
        return;
    }
    if (written > 0)
        subscriber->wrote_ms = replica->now_ms;
    result = commit(replica, subscriber, batch, (size_t)written);
    if (batch->has_latest)
        replica->metrics->messages_skipped += latest_skipped(replica, subscriber, before, subscriber->cursor);
    switch (result) {
    case COMMIT_ALL:
        settle(replica, subscriber);
        break;
    case COMMIT_PART:
        subscriber_set_state(replica, subscriber, SUBSCRIBER_BLOCKED);
        break;
    case COMMIT_LAST:
        subscriber_leave(replica, subscriber, LEAVE_DONE);
        break;
    case COMMIT_NO_ROOM:
        subscriber_leave(replica, subscriber, pins_are_full(replica) ? LEAVE_SLOW : LEAVE_NO_MEMORY);
        break;
    }
}

/* A waiting long-poll: its answer, once there is something to tell. */
static bool answer_poll(struct replica *replica, struct subscriber *subscriber)
{
    bool empty;
    struct buffer *answer;

    /* What history had no memory for is lost also for who takes bytes. */
    if (advance_find_gap(replica, subscriber, &subscriber->cursor, NULL, false, NULL)) {
        subscriber->poll_gap = true;
        advance_gap_told(replica, subscriber);
    }
    answer = answers_get(replica, subscriber, subscriber->is_ending, &empty);
    if (answer)
        subscriber_write_next_take(subscriber, answer, true);
    else if (empty)
        settle(replica, subscriber);
    else
        subscriber_leave(replica, subscriber, LEAVE_NO_MEMORY);
    return answer != NULL;
}

void advance(struct replica *replica, struct subscriber *subscriber)
{
    struct batch *batch = &replica->batch;

    if (subscriber->state == SUBSCRIBER_BLOCKED || subscriber->state == SUBSCRIBER_OUT)
        return;
    /* Also for who was blocked when it did. */
    if (subscriber_has_expired(replica, subscriber))
        subscriber->is_ending = true;
    if (!subscriber->is_single)
        channel_mark_news(replica);
    if (subscriber->is_watcher)
        watch_tidy(subscriber);
    if (batch_is_for(batch, replica, subscriber)) {
        replica->metrics->writes_shared++;
    } else {
        if (subscriber->is_poll && !subscriber->half && !answer_poll(replica, subscriber))
            return;
        gather(replica, subscriber, batch);
    }
    if (batch->count > 0) {
        write_batch(replica, subscriber, batch);
    } else if (batch->failed) {
        subscriber_leave(replica, subscriber, LEAVE_NO_MEMORY);
    } else {
        subscriber->cursor = batch->cursor;
        settle(replica, subscriber);
    }
    if (!batch->channel)
        batch_forget(batch);
}
