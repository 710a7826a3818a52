/*
 * Joining: the place where a subscriber starts, what it is told of it, and the first bytes of its response.
 */
#include "join.h"

#include "advance.h"
#include "answers.h"
#include "framing.h"
#include "latest.h"
#include "message.h"
#include "replica.h"
#include "request.h"
#include "sse.h"
#include "text.h"
#include "watch.h"

#include <stdio.h>
#include <stdlib.h>

static const char STREAM_HEADERS[] = "Status: 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
                                     "X-Accel-Buffering: no\r\n";

static void close_channels(struct replica *replica, struct subscriber *subscriber)
{
    for (uint32_t i = 0; i < subscriber->link_count; i++)
        if (subscriber_links(subscriber)[i].channel)
            channel_close_unused(replica, subscriber_links(subscriber)[i].channel);
}

static bool open_channels(struct replica *replica, struct subscriber *subscriber, const struct string_list *names)
{
    for (size_t i = 0; i < names->count; i++) {
        struct link *link = &subscriber_links(subscriber)[i];

        link->channel = channel_open(replica, span_of(names->items[i]));
        link->subscriber = subscriber;
        if (!link->channel) {
            close_channels(replica, subscriber);
            return false;
        }
    }
    /* One order, whatever the client's: long-polls of the same channels share answers. */
    if (subscriber->link_count > 1)
        qsort(subscriber_links(subscriber), subscriber->link_count, sizeof(struct link), subscriber_compare_links);
    return true;
}

static void link_up(struct subscriber *subscriber)
{
    for (uint32_t i = 0; i < subscriber->link_count; i++) {
        struct link *link = &subscriber_links(subscriber)[i];
        struct channel *channel = link->channel;

        if (subscriber->is_single) {
            LIST_INSERT_HEAD(&channel->solo, link, of_channel);
            continue;
        }
        LIST_INSERT_HEAD(i < watch_named(subscriber) ? &channel->shared : &channel->matched, link, of_channel);
        subscriber_mark_pending(link);
    }
}

/* Room for the links to the channels that it names. */
static bool reserve_links(struct replica *replica, struct subscriber *subscriber, const struct request *request)
{
    size_t count = request->channels.count;

    subscriber->is_single = count == 1 && request->patterns.count == 0;
    if (!subscriber->is_single && count > 0) {
        subscriber->several = calloc(count, sizeof *subscriber->several);
        if (!subscriber->several)
            return false;
    }
    subscriber->link_count = (uint32_t)count;
    return merge_reserve(&replica->merge, count);
}

/* The memory a subscriber needs besides its own. */
static bool equip(struct replica *replica, struct subscriber *subscriber, const struct request *request)
{
    if (request->client)
        subscriber->client = strdup(request->client);
    if ((request->client && !subscriber->client) || !reserve_links(replica, subscriber, request) ||
        (request->patterns.count > 0 && !watch_begin(replica, subscriber, &request->patterns)) ||
        !open_channels(replica, subscriber, &request->channels))
        goto no_memory;
    if (!subscriber->is_watcher || watch_join(replica, subscriber))
        return true;
    close_channels(replica, subscriber);
no_memory:
    watch_end(replica, subscriber);
    subscriber_free_parts(subscriber);
    return false;
}

/* A newcomer is given what history is for; marks from before are no gaps to it. */
static void start_with_history(struct replica *replica, struct subscriber *subscriber)
{
    for (uint32_t i = 0; i < subscriber->link_count; i++) {
        struct link *link = &subscriber_links(subscriber)[i];

        link->floor = history_newcomer_floor(replica, link->channel);
        link->told = link->channel->losses;
    }
    subscriber->cursor = EVENT_ID_ZERO;
}

static int compare_numbers_down(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return left > right ? -1 : left < right;
}

/* The number of the first of the last `last` visible entries in merged order; 0 when there are no more than that. False: no memory. */
static bool find_cutoff(struct replica *replica, const struct subscriber *subscriber, uint32_t last, uint64_t *cutoff)
{
    size_t count = 0, total = 0;
    uint64_t *numbers;

    for (uint32_t i = 0; i < subscriber->link_count; i++)
        total += subscriber_links(subscriber)[i].channel->history.count;
    *cutoff = 0;
    if (total <= last)
        return true;
    numbers = malloc(total * sizeof *numbers);
    if (!numbers)
        return false;
    for (uint32_t i = 0; i < subscriber->link_count; i++) {
        const struct link *link = &subscriber_links(subscriber)[i];
        const struct history *history = &link->channel->history;
        uint32_t most = latest_holds(link->channel) ? 1 : last;

        for (uint32_t n = 0, index = history->count; index-- > 0 && n < most;)
            if (advance_is_visible(replica, link, history_at(history, index))) {
                numbers[count++] = history_at(history, index)->number;
                n++;
            }
    }
    qsort(numbers, count, sizeof *numbers, compare_numbers_down);
    if (count >= last)
        *cutoff = numbers[last - 1];
    free(numbers);
    return true;
}

/* Just below the first of what it is given; where there is nothing it has everything. */
static void stand_before_first(struct replica *replica, struct subscriber *subscriber)
{
    struct merge_head *head;

    subscriber->cursor = replica->newest;
    merge_start(replica, subscriber, EVENT_ID_ZERO);
    for (; (head = merge_first(&replica->merge)) != NULL; merge_pass(&replica->merge))
        if (advance_is_visible(replica, head->link, head->entry)) {
            subscriber->cursor = event_id_before(head->entry->message->id);
            return;
        }
}

static bool start_with_last(struct replica *replica, struct subscriber *subscriber, uint32_t last)
{
    uint64_t cutoff;

    start_with_history(replica, subscriber);
    if (!find_cutoff(replica, subscriber, last, &cutoff))
        return false;
    for (uint32_t i = 0; i < subscriber->link_count; i++)
        if (subscriber_links(subscriber)[i].floor < cutoff)
            subscriber_links(subscriber)[i].floor = cutoff;
    if (subscriber->is_watcher)
        subscriber->watcher->untold = EVENT_ID_ZERO; /* what it may not have is not among the last */
    stand_before_first(replica, subscriber);
    return true;
}

/* Finds the place where the subscriber starts; a gap there goes to `text` (NULL: only to poll_gap). */
static bool find_start(struct replica *replica, struct subscriber *subscriber, const struct request *request, struct text *text)
{
    char asked[EVENT_ID_TEXT];
    const char *after = asked;
    bool is_lost = request->cursor_kind == CURSOR_BAD ||
                   (request->cursor_kind == CURSOR_ID && event_id_less(replica->newest, request->cursor));

    switch (request->cursor_kind) {
    case CURSOR_NONE:
        subscriber->cursor = replica->newest;
        return true;
    case CURSOR_LAST:
        return start_with_last(replica, subscriber, request->last);
    case CURSOR_ZERO:
        /* A gap only if there are more matching channels than it may have. */
        start_with_history(replica, subscriber);
        break;
    case CURSOR_BAD:
        after = NULL;
        break;
    case CURSOR_TIME:
        subscriber->cursor = event_id_less(replica->newest, request->cursor) ? replica->newest : request->cursor;
        break;
    case CURSOR_ID:
        subscriber->cursor = request->cursor;
        break;
    }
    if (text && request->cursor_kind == CURSOR_TIME)
        snprintf(asked, sizeof asked, "%llu", (unsigned long long)request->cursor.ms + 1); /* it stands just below <ms>-0 */
    else if (text && after)
        event_id_format(subscriber->cursor, asked);
    if (is_lost)
        start_with_history(replica, subscriber);
    else if (request->cursor_kind != CURSOR_ZERO)
        watch_take_marks(replica, subscriber);
    subscriber->poll_gap = advance_find_gap(replica, subscriber, &subscriber->cursor, after, is_lost, text);
    if (subscriber->poll_gap)
        advance_gap_told(replica, subscriber);
    else if (request->cursor_kind == CURSOR_ZERO)
        stand_before_first(replica, subscriber); /* 0-0 is a place that nobody can come back to without a gap */
    return true;
}

/* The response's first bytes: they leave in one record with the headers. */
static struct buffer *start_stream(struct replica *replica, struct subscriber *subscriber, const struct request *request,
                                   const struct text *gap)
{
    const struct settings *settings = replica->settings;
    struct text body = TEXT_EMPTY;
    struct buffer *start = NULL;
    bool is_new = request->cursor_kind == CURSOR_NONE || request->cursor_kind == CURSOR_LAST;

    text_append_format(&body, ":\nretry: %lld\n",
                       (long long)replica_jitter(replica, settings->sse_retry / 2, settings->sse_retry * 3 / 2));
    if (is_new && settings->sse_open_event)
        sse_append_cursor(&body, "sidecast.open", subscriber->cursor);
    text_append(&body, text_span(gap));
    if (!body.failed && !gap->failed)
        start = framings[subscriber->framing]->start(subscriber->request_id, span_of(STREAM_HEADERS), text_span(&body));
    text_finish(&body);
    return start;
}

static struct buffer *start_poll(struct replica *replica, struct subscriber *subscriber, const struct request *request,
                                 bool *empty)
{
    bool is_new = request->cursor_kind == CURSOR_NONE || request->cursor_kind == CURSOR_LAST;

    return answers_get(replica, subscriber, is_new, empty);
}

/* When it ends: at its age or timeout, or before that with its permission. The wall clock counts here and no more. */
static void set_end(struct replica *replica, struct subscriber *subscriber, const struct request *request)
{
    const struct settings *settings = replica->settings;
    int64_t lasts_ms = subscriber->is_poll ? settings->poll_timeout
                                           : replica_jitter(replica, settings->sse_max_age * 4 / 5, settings->sse_max_age);
    int64_t permitted_ms = request->expires_ms > replica->wall_ms ? (int64_t)(request->expires_ms - replica->wall_ms) : 0;

    subscriber->may_expire = request->expires_ms > 0 && permitted_ms <= lasts_ms;
    subscriber->ends_ms = replica->now_ms + (subscriber->may_expire ? permitted_ms : lasts_ms);
}

bool join_subscriber(struct replica *replica, struct subscriber *subscriber, const struct request *request,
                     enum framing_name framing, uint16_t request_id)
{
    struct text gap = TEXT_EMPTY;
    struct buffer *start = NULL;
    bool empty = false;

    subscriber->framing = (uint8_t)framing;
    subscriber->request_id = request_id;
    subscriber->is_poll = request->transport == TRANSPORT_POLL;
    subscriber->is_envelope = request->envelope;
    subscriber->joined = replica->number;
    set_end(replica, subscriber, request);
    if (!equip(replica, subscriber, request))
        return false;
    link_up(subscriber);
    if (find_start(replica, subscriber, request, subscriber->is_poll ? NULL : &gap))
        start = subscriber->is_poll ? start_poll(replica, subscriber, request, &empty)
                                    : start_stream(replica, subscriber, request, &gap);
    text_finish(&gap);
    subscriber_unsettle(subscriber);
    if (start)
        subscriber_write_next_take(subscriber, start, subscriber->is_poll);
    subscriber_begin(replica, subscriber);
    if (!start && !empty)
        subscriber_leave(replica, subscriber, LEAVE_NO_MEMORY);
    return true;
}
