/*
 * Batches. Copies for a record of several messages are small: a slow client holds the piece in whose middle it stands, and one that is not in
 * history counts against history.pinned_bytes. Nothing is copied for who is in the middle of something: a slow client may take so little at a time
 * that most of the copy would be thrown away.
 */
#include "batch.h"

#include "buffer.h"
#include "channel.h"
#include "framing.h"
#include "latest.h"
#include "merge.h"
#include "message.h"
#include "replica.h"
#include "watch.h"

/* Of messages that are copied into one record; larger ones go as they are. */
enum { RECORD_BYTES = 16 * 1024 };

void batch_start(struct batch *batch, const struct subscriber *subscriber)
{
    /* Not all of it: the arrays are 16 KiB. */
    batch->count = 0;
    batch->has_half = subscriber->half != NULL;
    batch->failed = false;
    batch->has_latest = false;
    batch->bytes = 0;
    batch->cursor = subscriber->cursor;
    batch->channel = NULL;
    batch->audience = AUDIENCE_ALL;
    if (!batch->has_half)
        return;
    batch_add_take(batch, (struct piece){.buffer = subscriber->half, .cursor = subscriber->cursor, .is_last = subscriber->is_last});
    batch->parts[0].iov_base = subscriber->half->bytes + subscriber->half_offset;
    batch->parts[0].iov_len -= subscriber->half_offset;
    batch->bytes -= subscriber->half_offset;
}

void batch_add_take(struct batch *batch, struct piece piece)
{
    struct buffer *buffer = piece.buffer;

    if (!buffer) {
        batch->failed = true;
        return;
    }
    batch->parts[batch->count] = (struct iovec){buffer->bytes, buffer->size};
    batch->bytes += buffer->size;
    batch->cursor = piece.cursor;
    batch->pieces[batch->count++] = piece;
}

/* Whose cursor is between the message before the first and the first itself has the same before it; what is skipped makes no difference. */
static void note_first(struct batch *batch, const struct merge_head *head)
{
    const struct history *history = &head->link->channel->history;

    batch->floor = head->entry->number;
    batch->below = head->entry->message->id;
    batch->least = head->index > 0 && !latest_holds(head->link->channel) ? history_at(history, head->index - 1)->message->id : EVENT_ID_ZERO;
}

void batch_add_message(struct batch *batch, const struct merge_head *head, struct buffer *encoded)
{
    if (batch->count == 0)
        note_first(batch, head);
    batch_add_take(batch, (struct piece){.buffer = encoded, .cursor = head->entry->message->id, .messages = 1});
    if (encoded)
        audience_add(&batch->audience, head->entry);
}

/* The end of the messages from `begin` on that one record takes. */
static int end_of_run(const struct batch *batch, int begin, int count)
{
    size_t bytes = batch->parts[begin].iov_len;
    int end = begin + 1;

    while (!batch->has_half && end < count && bytes + batch->parts[end].iov_len <= RECORD_BYTES)
        bytes += batch->parts[end++].iov_len;
    return end;
}

/* Takes the place of pieces from `begin` to before `end`, at the end of those that are ready, which are no more. */
static void add_run(struct batch *batch, const struct subscriber *subscriber, int begin, int end)
{
    struct piece piece = batch->pieces[end - 1];

    if (end - begin > 1 || subscriber->request_id != 1) {
        piece.buffer = framings[subscriber->framing]->messages(subscriber->request_id, &batch->parts[begin], end - begin);
        piece.messages = (uint32_t)(end - begin);
        piece.is_own = true;
    }
    batch_add_take(batch, piece);
}

void batch_frame_messages(struct batch *batch, const struct subscriber *subscriber, int first)
{
    struct event_id cursor = batch->cursor; /* it may be behind the last of them, after what is not for the subscriber */
    int count = batch->count, end;

    if (count - first <= 1 && subscriber->request_id == 1)
        return;
    batch->count = first;
    batch->cursor = first > 0 ? batch->pieces[first - 1].cursor : subscriber->cursor;
    for (int i = first; i < count; i++)
        batch->bytes -= batch->parts[i].iov_len;
    for (; first < count && !batch->failed; first = end) {
        end = end_of_run(batch, first, count);
        add_run(batch, subscriber, first, end);
    }
    if (!batch->failed)
        batch->cursor = cursor;
}

/* The channel, if it is one alone that the subscriber may have news of, and nothing but that is to be written. */
static const struct link *only_link(const struct subscriber *subscriber)
{
    const struct link *link = subscriber_next_link(subscriber, NULL);

    if (!link || subscriber_next_link(subscriber, link) || subscriber->request_id != 1 || subscriber->half || subscriber->is_poll ||
        subscriber->is_ending || watch_has_gap(subscriber, subscriber->cursor))
        return NULL;
    return link;
}

void batch_share(struct batch *batch, const struct replica *replica, const struct subscriber *subscriber)
{
    const struct link *link = only_link(subscriber);

    if (!link || batch->count == 0 || batch->failed)
        return;
    /* Below the mark it depends on what each was told whether there is a gap. */
    batch->least = event_id_max(batch->least, link->channel->lost_through);
    if (event_id_less(subscriber->cursor, batch->least))
        return;
    batch->channel = link->channel;
    batch->framing = subscriber->framing;
    batch->now_ms = replica->now_ms;
    batch->is_envelope = subscriber->is_envelope;
}

bool batch_is_for(const struct batch *batch, const struct replica *replica, const struct subscriber *subscriber)
{
    const struct link *link = batch->channel ? only_link(subscriber) : NULL;

    return link && link->channel == batch->channel && event_id_less(subscriber->cursor, batch->below) &&
           !event_id_less(subscriber->cursor, batch->least) && link->floor <= batch->floor && replica->now_ms == batch->now_ms &&
           subscriber->is_envelope == batch->is_envelope && subscriber->framing == batch->framing &&
           audience_has(&batch->audience, subscriber);
}

void batch_clear(struct batch *batch)
{
    for (int i = 0; i < batch->count; i++)
        if (batch->pieces[i].is_own)
            buffer_unref(batch->pieces[i].buffer);
    batch->count = 0;
    batch->channel = NULL;
    audience_finish(&batch->audience);
}
