/*
 * A naive model of history and delivery: an array that remembers every message there was and when history was first seen
 * without it, and for each client what it came with. check_stream and check_answer hold what a client got against it: every
 * message for it exactly once and in order, or a gap that was told after the loss and before anything later.
 */
#ifndef HISTORY_MODEL_H
#define HISTORY_MODEL_H

#include "restart_fixture.h"
#include "failing_memory.h"

#include <jansson.h>

/* The last few channels nobody names, so that they go although patterns match them. */
enum { CHANNELS = 8, NAMED = 5, PATTERNS = 6, SESSIONS = 20, RECORDS = 1 << 16, CURSORS = 64, NEVER = INT32_MAX };

static const char *const channel_names[CHANNELS] = {"a", "b", "c", "d/1", "d/2", "d/e/3", "f/4", "f/5"};
/* What each stands for is written down here by hand. */
static const struct {
    const char *text;
    unsigned channels; /* bits */
} patterns[PATTERNS] = {
    {"**", 0xff}, {"*", 0x07}, {"d/*", 0x18}, {"d/**", 0x38}, {"**/5", 0x80}, {"none/*", 0},
};
static const char *const client_names[] = {"ann", "bob", "eve"};

/* A message as the model knows it. Its data is its index and a filling. */
struct record {
    struct event_id id;
    int64_t ingest_ms;
    int64_t expires_ms;
    uint64_t number;
    size_t size;
    int channel;
    int except; /* index of a client's name, or -1 */
    int come;   /* the moment in which it was published */
    int gone;   /* the moment in which history was seen without it, or NEVER */
    bool store;
    bool is_lost; /* there was no memory for it */
};

struct write_log {
    size_t end; /* bytes received with it */
    int moment;
    int64_t now_ms;
};

struct session {
    struct client client; /* first */
    struct wish wish;
    bool in_use;
    bool was_slow;     /* it did not always take all */
    bool is_newcomer;  /* is given what policy grants, not what follows a cursor */
    bool is_lost;      /* its cursor makes a gap whatever history has */
    bool is_of_before; /* the same, because a crash lies between */
    unsigned channels; /* bits */
    unsigned named;    /* those that it named */
    unsigned patterns; /* bits */
    bool is_crowded;   /* more match than it may have: what it has by patterns may be left, if it is told */
    int name;          /* or -1 */
    int64_t ends_ms;   /* its permission; INT64_MAX: never */
    size_t met;        /* records there were when it came */
    uint64_t number;   /* of the replica then */
    struct event_id newest;
    struct event_id start;
    bool *granted; /* for the records that there were */
    struct write_log *log;
    size_t log_count;
};

/* A gap that a client was told of. */
struct notice {
    unsigned channels;
    int moment;
};

static struct model {
    uint64_t random;
    uint64_t seed;
    struct record *records;
    size_t count;
    size_t *of_channel[CHANNELS];
    size_t channel_count[CHANNELS];
    size_t channel_gone[CHANNELS]; /* how many of them history no longer has */
    struct session sessions[SESSIONS];
    struct event_id cursors[CURSORS]; /* that clients were left with */
    size_t cursor_count;
    int moment;
    struct event_id crashed; /* whoever comes back with a cursor below is told of a gap */
    struct snapshot *collecting; /* NULL: none */
    struct text saved;           /* the last that was collected; empty: none */
    size_t restarts;
    size_t crashes;
    bool is_ample; /* the byte budget is out of reach */
    bool is_short; /* of memory, now and then */
    bool was_short; /* an allocation has failed */
    enum slow_policy policies[CHANNELS];
    size_t excused;
    size_t skipped; /* messages of channels of which the newest is enough */
    size_t delivered;
    size_t checked;
    size_t shared; /* writes of what was gathered for another */
    size_t by_pattern; /* messages delivered because a pattern matched */
    size_t left;       /* links that were left because there were too many */
    size_t polls_shared;
    size_t expired;
    size_t failures; /* of memory */
} model;

static inline uint64_t next_random(void)
{
    uint64_t z = model.random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline size_t below(size_t limit)
{
    return (size_t)(next_random() % limit);
}

static inline bool one_in(size_t n)
{
    return below(n) == 0;
}

/* --- what history has, as seen from outside --- */

/* An eviction must be what policy says; only the byte budget may do more. */
static inline void check_eviction(const struct record *record, size_t later)
{
    const struct settings *settings = &fixture.settings;
    int64_t now_ms = fixture.replica.now_ms;

    if (!model.is_ample || !record->store || record->expires_ms <= now_ms)
        return;
    assert_true(record->ingest_ms + settings->history_keep <= now_ms);
    assert_true(later >= (size_t)settings->history_messages || record->ingest_ms + settings->history_age <= now_ms);
}

static inline void see_evictions(void)
{
    for (int c = 0; c < CHANNELS; c++) {
        const struct channel *channel = channel_find(&fixture.replica, span_of(channel_names[c]));
        struct event_id front = {UINT64_MAX, 0};

        if (channel && channel->history.count > 0)
            front = history_at(&channel->history, 0)->message->id;
        for (; model.channel_gone[c] < model.channel_count[c]; model.channel_gone[c]++) {
            struct record *record = &model.records[model.of_channel[c][model.channel_gone[c]]];
            size_t later = 0;

            if (record->is_lost)
                continue;
            if (!event_id_less(record->id, front))
                break;
            if (record->gone != NEVER)
                continue; /* it went with a crash */
            record->gone = model.moment;
            for (size_t i = model.channel_gone[c] + 1; i < model.channel_count[c]; i++)
                later += model.records[model.of_channel[c][i]].store;
            check_eviction(record, later);
        }
    }
}

static inline void check_kept(void)
{
    const struct settings *settings = &fixture.settings;
    const struct channel *channel, *next;
    int64_t now_ms = fixture.replica.now_ms;

    HASH_ITER (hh, fixture.replica.channels, channel, next) {
        const struct history *history = &channel->history;

        assert_true(history->count > 0 || channel_is_named(channel));
        if (history->count == 0)
            continue;
        const struct message *front = history_at(history, 0)->message;

        assert_true(front->ingest_ms + settings->history_keep > now_ms ||
                    (history->stored <= settings->history_messages && front->ingest_ms + settings->history_age > now_ms));
    }
}

/* --- what a client must have got --- */

static inline bool is_for(const struct session *session, size_t index)
{
    const struct record *record = &model.records[index];

    if (!(session->channels & 1u << record->channel) || (record->except >= 0 && record->except == session->name))
        return false;
    if (index < session->met)
        return record->store && (session->is_newcomer ? session->granted[index] : event_id_less(session->start, record->id));
    return true;
}

/* At that moment history had a newer message of its channel for this client: `for_sure`, one that nothing but policy takes away. */
static inline bool is_superseded(const struct session *session, size_t index, int moment, int64_t now_ms, bool for_sure)
{
    const struct record *record = &model.records[index];

    if (model.policies[record->channel] != SLOW_LATEST)
        return false;
    for (size_t i = index + 1; i < model.count; i++) {
        const struct record *newer = &model.records[i];

        if (newer->channel == record->channel && newer->come <= moment && newer->gone > moment && newer->expires_ms > now_ms &&
            is_for(session, i) && (!for_sure || newer->store))
            return true;
    }
    return false;
}

/* Its messages may have been passed over while they were there. */
static inline bool is_left(const struct session *session, int channel)
{
    return (session->is_crowded || model.was_short) && !(session->named & 1u << channel);
}

/*
 * A message was passed over at `log`. That is right if it was not for this client, had expired, or could be lost without a
 * word, if there was a newer one and that is enough, or if a gap was told since it went.
 */
static inline void check_missing(const struct session *session, size_t index, const struct write_log *log, const struct notice *notices,
                                 size_t count)
{
    const struct record *record = &model.records[index];
    int64_t now_ms = log->now_ms;

    if (!is_for(session, index) || record->expires_ms <= now_ms || (!record->store && (session->was_slow || model.was_short)))
        return;
    if (is_superseded(session, index, log->moment, now_ms, false)) {
        model.skipped++;
        return;
    }
    for (size_t i = 0; i < count; i++)
        if ((notices[i].channels & 1u << record->channel) &&
            notices[i].moment >= (is_left(session, record->channel) ? record->come : record->gone)) {
            model.excused++;
            return;
        }
    fail_msg("seed %llu, moment %d: message %zu of channel %s (store %d, age %lld ms, gone at %d) is missing for a client with "
             "cursor kind %d, poll %d, slow %d, that came when there were %zu; gaps told: %zu, the last at %d",
             (unsigned long long)model.seed, model.moment, index, channel_names[record->channel], record->store,
             (long long)(now_ms - record->ingest_ms), record->gone, session->wish.cursor, session->wish.poll, session->was_slow,
             session->met, count, count ? notices[count - 1].moment : 0);
}

static inline void check_data(const struct session *session, const struct record *record, struct span data)
{
    static char wanted[1 << 17];
    size_t index = (size_t)(record - model.records);
    size_t head = (size_t)(session->wish.envelope && !session->wish.poll
                               ? sprintf(wanted, "{\"channel\":\"%s\",\"event\":null,\"data\":\"m%zu ",
                                         channel_names[record->channel], index)
                               : sprintf(wanted, "m%zu ", index));

    memset(wanted + head, '.', record->size);
    head += record->size;
    if (session->wish.envelope && !session->wish.poll)
        head += (size_t)sprintf(wanted + head, "\"}");
    assert_int_equal(data.size, head);
    assert_memory_equal(data.bytes, wanted, head);
}

static inline size_t index_of(struct span data)
{
    const char *start = memmem(data.bytes, data.size, "\"data\":\"m", 9);

    start = start ? start + 9 : data.bytes + 1;
    return strtoull(start, NULL, 10);
}

static inline void check_message(struct session *session, size_t index, struct event_id id, struct event_id above,
                                 const struct write_log *log)
{
    assert_true(index < model.count);
    assert_int_equal(event_id_compare(model.records[index].id, id), 0);
    assert_true(event_id_less(above, id));
    assert_true(is_for(session, index));
    assert_true(model.records[index].ingest_ms < session->ends_ms);
    assert_false(is_superseded(session, index, log->moment, log->now_ms, true));
    model.delivered++;
    model.by_pattern += !(session->named & 1u << model.records[index].channel);
}

/* A pattern stands for all its channels, perhaps for none. */
#define IS_PATTERN (1u << CHANNELS)

static inline unsigned read_channels(json_t *names)
{
    unsigned channels = 0;
    size_t i;
    json_t *name;

    json_array_foreach(names, i, name)
    {
        for (int c = 0; c < CHANNELS; c++)
            if (strcmp(channel_names[c], json_string_value(name)) == 0)
                channels |= 1u << c;
        for (int p = 0; p < PATTERNS; p++)
            if (strcmp(patterns[p].text, json_string_value(name)) == 0)
                channels |= patterns[p].channels | IS_PATTERN;
    }
    return channels;
}

static inline unsigned read_gap(const struct session *session, const struct stream_event *event, bool is_first)
{
    json_t *gap = json_loadb(event->data.bytes, event->data.size, JSON_REJECT_DUPLICATES, NULL);
    const char *after = json_string_value(json_object_get(gap, "after"));
    const char *oldest = json_string_value(json_object_get(gap, "oldest"));
    unsigned channels = read_channels(json_object_get(gap, "channels"));
    struct event_id id;

    assert_non_null(gap);
    assert_true(after || (is_first && session->wish.cursor == CURSOR_BAD));
    assert_true(channels != 0 && (channels & ~IS_PATTERN & ~session->channels) == 0);
    assert_true(session->patterns || !(channels & IS_PATTERN));
    if (oldest) {
        assert_int_equal(event_id_parse(span_of(oldest), &id), EVENT_ID_FULL);
        assert_false(event_id_less(event->id, event_id_before(id)));
    }
    json_decref(gap);
    return channels;
}

static inline const struct write_log *log_at(const struct session *session, size_t offset)
{
    size_t i = 0;

    while (i + 1 < session->log_count && session->log[i].end <= offset)
        i++;
    return &session->log[i];
}

/* From which record on something may be for it. */
static inline size_t first_index(const struct session *session)
{
    size_t index = 0;

    while (!session->is_newcomer && index < model.count && !event_id_less(session->start, model.records[index].id))
        index++;
    return index;
}

static inline void keep_cursor(struct event_id id)
{
    model.cursors[model.cursor_count++ % CURSORS] = id;
}

static inline void check_stream(struct session *session, bool is_drained)
{
    struct stream stream = client_read(&session->client);
    struct notice *notices = calloc(stream.count + 1, sizeof *notices);
    struct event_id above = session->is_newcomer ? EVENT_ID_ZERO : session->start;
    size_t index = first_index(session), count = 0, told_events = 0;
    const struct write_log now = {.moment = model.moment, .now_ms = fixture.replica.now_ms};

    for (size_t i = 0; i < stream.count; i++) {
        const struct stream_event *event = &stream.events[i];
        /* What is in the first record was decided when it came, however late it was accepted. */
        const struct write_log *log = event->record == 0 ? &session->log[0] : log_at(session, event->record);

        if (span_equal(event->name, span_of(":")))
            continue;
        told_events++;
        if (span_equal(event->name, span_of("sidecast.open"))) {
            assert_int_equal(told_events, 1);
            assert_true(session->wish.cursor == CURSOR_NONE || session->wish.cursor == CURSOR_LAST);
            assert_int_equal(event_id_compare(event->id, session->start), 0);
            above = event->id;
        } else if (span_equal(event->name, span_of("sidecast.gap"))) {
            assert_false(event_id_less(event->id, above));
            /* Who takes all there is was written to before history moved on. */
            assert_true(event->record == 0 || session->was_slow || model.was_short);
            notices[count++] = (struct notice){read_gap(session, event, told_events == 1), log->moment};
            above = event->id;
            for (; index < model.count && !event_id_less(above, model.records[index].id); index++)
                check_missing(session, index, log, notices, count);
        } else if (span_equal(event->name, span_of("sidecast.expired"))) {
            assert_int_equal(i + 1, stream.count);
            assert_false(event_id_less(event->id, above));
            assert_true((session->client.has_left || !is_drained) && log->now_ms >= session->ends_ms);
            model.expired++;
            above = event->id;
            /* Whoever was given nothing stands where he came in: what that passed over was decided then. */
            if (session->is_newcomer && event_id_compare(above, session->start) == 0)
                log = &session->log[0];
            for (; index < model.count && !event_id_less(above, model.records[index].id); index++)
                check_missing(session, index, log, notices, count);
        } else {
            size_t got = index_of(text_span(&event->data));

            check_message(session, got, event->id, above, log);
            check_data(session, &model.records[got], text_span(&event->data));
            for (; index < got; index++)
                check_missing(session, index, log, notices, count);
            assert_int_equal(index, got);
            index++;
            above = event->id;
        }
    }
    if ((session->is_lost || session->is_of_before) && stream.count > 1)
        assert_true(count > 0);
    if (is_drained)
        for (; index < model.count; index++)
            check_missing(session, index, &now, notices, count);
    if (told_events > 0)
        keep_cursor(above);
    free(notices);
    stream_finish(&stream);
}

static inline void check_answer(struct session *session)
{
    struct stream stream = client_read(&session->client);
    json_t *answer, *messages, *message;
    struct event_id cursor, above = session->is_newcomer ? EVENT_ID_ZERO : session->start;
    size_t index = first_index(session), i;
    const struct write_log *log = &session->log[0];

    assert_true(stream.is_whole);
    answer = json_loadb(stream.body.bytes, stream.body.size, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(answer);
    messages = json_object_get(answer, "messages");
    struct notice gap = {json_is_true(json_object_get(answer, "gap")) ? ~0u : 0, log->moment};
    assert_int_equal(event_id_parse(span_of(json_string_value(json_object_get(answer, "cursor"))), &cursor), EVENT_ID_FULL);
    assert_true(json_array_size(messages) <= (size_t)fixture.settings.poll_max_messages);
    json_array_foreach(messages, i, message)
    {
        const char *data = json_string_value(json_object_get(message, "data"));
        size_t got = index_of(span_of(data));
        struct event_id id;

        assert_int_equal(event_id_parse(span_of(json_string_value(json_object_get(message, "id"))), &id), EVENT_ID_FULL);
        check_message(session, got, id, above, log);
        check_data(session, &model.records[got], span_of(data));
        assert_string_equal(json_string_value(json_object_get(message, "channel")), channel_names[model.records[got].channel]);
        for (; index < got; index++)
            check_missing(session, index, log, &gap, 1);
        index++;
        above = id;
    }
    assert_false(event_id_less(cursor, above));
    for (; index < model.count && !event_id_less(cursor, model.records[index].id); index++)
        check_missing(session, index, log, &gap, 1);
    if (json_array_size(messages) > 0)
        assert_int_equal(event_id_compare(cursor, above), 0);
    assert_true(!(session->is_lost || session->is_of_before) || gap.channels);
    keep_cursor(cursor);
    json_decref(answer);
    stream_finish(&stream);
}

static inline void end_session(struct session *session, bool is_drained)
{
    see_evictions();
    model.checked++;
    if (!session->wish.poll)
        check_stream(session, is_drained);
    else if (session->client.has_left && session->client.reason == LEAVE_DONE)
        check_answer(session);
    if (!session->client.has_left)
        leave(&fixture, &session->client);
    client_finish(&session->client);
    free(session->granted);
    free(session->log);
    *session = (struct session){0};
}

#endif
