/* How clients of the model come: with which channels, cursors and sockets, and what that means for what they are to get. Memory may lack meanwhile. */
#ifndef HISTORY_MODEL_JOIN_H
#define HISTORY_MODEL_JOIN_H

#include "history_model.h"

/* --- lack of memory --- */

/* One of the next allocations may fail, after `least` others at least. */
static void begin_shortage(size_t least)
{
    allocations_left = model.is_short && one_in(8) ? (long)(least + below(one_in(2) ? 4 : 20)) : -1;
    model.failures += allocations_left >= 0;
}

static void end_shortage(void)
{
    model.was_short |= model.is_short; /* it is not known whether one has failed */
    allocations_left = -1;
}

/* What a client keeps of what it got is not what fails. */
static ssize_t write_with_memory(struct subscriber *subscriber, const struct iovec *parts, int count)
{
    long left = allocations_left;
    ssize_t written;

    allocations_left = -1;
    written = client_write(subscriber, parts, count);
    allocations_left = left;
    return written;
}

static const struct replica_io model_io = {write_with_memory, client_want_write, client_left, no_timeout};

/* --- joining --- */

static void on_write(struct client *client, size_t accepted)
{
    struct session *session = (struct session *)client;

    (void)accepted;
    see_evictions();
    if ((session->log_count & (session->log_count - 1)) == 0)
        session->log = realloc(session->log, (session->log_count ? session->log_count * 2 : 1) * sizeof *session->log);
    session->log[session->log_count++] = (struct write_log){client->received.size, model.moment, fixture.replica.now_ms};
    model.moment++;
}

static uint64_t last_number(int c)
{
    const struct channel *channel = channel_find(&fixture.replica, span_of(channel_names[c]));

    return channel && channel->history.count > 0 ? history_at(&channel->history, channel->history.count - 1)->number : 0;
}

/* The channels that it is linked to when it comes: those that it named, and of the others at most so many, those with the newest messages. */
static unsigned linked(const struct session *session)
{
    unsigned channels = session->named;

    for (int c = 0; c < CHANNELS; c++) {
        int newer = 0;

        if (!(session->channels & ~session->named & 1u << c))
            continue;
        for (int other = 0; other < CHANNELS; other++)
            newer += (session->channels & ~session->named & 1u << other) && last_number(other) > last_number(c);
        if (newer < fixture.settings.subscribe_max_matched)
            channels |= 1u << c;
    }
    return channels;
}

/*
 * What policy grants to a newcomer: for each channel the last by count and age, of these the last `last` in the order of all. Where the newest is
 * enough, that one counts; `all`: the others may come as well, should it expire before.
 */
static void grant(struct session *session, size_t last, unsigned given, bool all)
{
    const struct settings *settings = &fixture.settings;
    int64_t now_ms = fixture.replica.now_ms;
    size_t counts[CHANNELS] = {0};
    unsigned newest = 0;

    session->granted = calloc(model.count + 1, sizeof *session->granted);
    session->is_newcomer = true;
    session->start = fixture.replica.newest;
    for (size_t i = model.count; i-- > 0 && last > 0;) {
        const struct record *record = &model.records[i];

        if (!(given & 1u << record->channel) || !record->store || record->expires_ms <= now_ms || record->gone != NEVER ||
            record->ingest_ms < now_ms - settings->history_age || counts[record->channel] == (size_t)settings->history_messages)
            continue;
        counts[record->channel]++;
        session->granted[i] = all || !(newest & 1u << record->channel);
        if (!is_for(session, i) || (newest & 1u << record->channel))
            continue;
        if (model.policies[record->channel] == SLOW_LATEST)
            newest |= 1u << record->channel;
        session->start = event_id_before(record->id);
        last--;
    }
}

static void choose_cursor(struct session *session)
{
    struct wish *wish = &session->wish;

    wish->cursor = (enum request_cursor)below(6);
    wish->last = 1 + (uint32_t)below(one_in(3) ? 200 : 8);
    wish->id = FIXTURE_START;
    if (model.cursor_count > 0)
        wish->id = model.cursors[below(model.cursor_count < CURSORS ? model.cursor_count : CURSORS)];
    if (model.count > 0 && one_in(3))
        wish->id = model.records[model.count - 1 - below(model.count < 300 ? model.count : 300)].id;
    if (wish->cursor == CURSOR_TIME)
        wish->id = event_id_before((struct event_id){wish->id.ms, 0});
    if (wish->cursor == CURSOR_ID && one_in(20))
        wish->id.ms += 1000000;
    /* Resuming is what matters most. */
    if (one_in(2))
        wish->cursor = wish->cursor == CURSOR_TIME ? CURSOR_TIME : CURSOR_ID;
    /* Long-polls of clients that have all: they wait, and may share what they are answered. */
    if (wish->poll && one_in(2)) {
        wish->cursor = CURSOR_ID;
        wish->id = fixture.replica.newest;
    }
}

static void foresee_start(struct session *session)
{
    struct event_id newest = fixture.replica.newest;

    switch (session->wish.cursor) {
    case CURSOR_NONE: session->start = newest; break;
    case CURSOR_LAST: grant(session, session->wish.last, linked(session), false); break;
    case CURSOR_BAD:
    case CURSOR_ZERO:
        session->is_lost = session->wish.cursor == CURSOR_BAD;
        grant(session, SIZE_MAX, ~0u, true);
        break;
    case CURSOR_TIME:
        session->start = event_id_less(newest, session->wish.id) ? newest : session->wish.id;
        session->is_of_before = event_id_less(session->start, model.crashed);
        break;
    case CURSOR_ID:
        session->start = session->wish.id;
        session->is_lost = event_id_less(newest, session->wish.id);
        session->is_of_before = event_id_less(session->start, model.crashed);
        if (session->is_lost)
            grant(session, SIZE_MAX, ~0u, true);
        break;
    }
}

static void choose_channels(struct session *session)
{
    session->named = one_in(3) ? 1u << below(NAMED) : 1 + (unsigned)below((1u << NAMED) - 1);
    if (one_in(2)) {
        session->patterns = 1 + (unsigned)below((1u << PATTERNS) - 1);
        session->patterns &= one_in(2) ? ~0u : 1u << below(PATTERNS);
        session->named &= one_in(2) ? 0 : (unsigned)below(1u << NAMED);
        session->named = session->patterns ? session->named : 1;
    }
    session->channels = session->named;
    for (int p = 0; p < PATTERNS; p++)
        if (session->patterns & 1u << p)
            session->channels |= patterns[p].channels;
    session->is_crowded = fixture.settings.subscribe_max_matched < CHANNELS;
}

static void write_channels(const struct session *session, char *out)
{
    char *begin = out;

    for (int c = 0; c < CHANNELS; c++)
        if (session->named & 1u << c)
            out += sprintf(out, out == begin ? "%s" : ",%s", channel_names[c]);
    for (int p = 0; p < PATTERNS; p++)
        if (session->patterns & 1u << p)
            out += sprintf(out, out == begin ? "%s" : ",%s", patterns[p].text);
}

static struct session *new_session(void)
{
    struct session *session = model.sessions;

    while (session->in_use)
        if (++session == model.sessions + SESSIONS)
            return NULL;
    session->in_use = true;
    client_init(&session->client);
    session->client.on_write = on_write;
    return session;
}

static void begin_session(struct session *session)
{
    char channels[(CHANNELS + PATTERNS) * 8 + 1] = "";
    bool joined;

    write_channels(session, channels);
    session->wish.channels = channels;
    see_evictions();
    session->met = model.count;
    session->number = fixture.replica.number;
    session->newest = fixture.replica.newest;
    session->ends_ms = session->wish.permitted_ms ? fixture.replica.now_ms + session->wish.permitted_ms : INT64_MAX;
    foresee_start(session);
    begin_shortage(1); /* the first is the fixture's own */
    joined = try_join(&fixture, &session->client, session->wish);
    end_shortage();
    session->wish.channels = NULL;
    if (joined)
        return;
    assert_true(model.is_short && session->client.received.size == 0);
    client_finish(&session->client);
    free(session->granted);
    free(session->log);
    *session = (struct session){0};
}

/* Wants the same from the same place on. */
static void begin_twin(const struct session *session)
{
    struct session *twin = new_session();

    if (!twin)
        return;
    twin->channels = session->channels;
    twin->named = session->named;
    twin->patterns = session->patterns;
    twin->is_crowded = session->is_crowded;
    twin->name = (int)below(4) - 1;
    twin->wish = session->wish;
    twin->wish.client = twin->name < 0 ? NULL : client_names[twin->name];
    begin_session(twin);
}

static void step_join(void)
{
    struct session *session = new_session();

    if (!session)
        return;
    choose_channels(session);
    session->name = (int)below(4) - 1;
    session->wish = (struct wish){
        .client = session->name < 0 ? NULL : client_names[session->name],
        .poll = one_in(3),
        .envelope = one_in(4),
        .permitted_ms = one_in(4) ? 1 + (int64_t)below(one_in(2) ? 50 : 5000) : 0,
        .request_id = one_in(4) ? 7 : 1,
    };
    if (one_in(4)) {
        session->was_slow = true;
        session->client.per_call = one_in(2) ? 1 + below(300) : SIZE_MAX;
        session->client.budget = one_in(2) ? below(2000) : SIZE_MAX;
    }
    choose_cursor(session);
    begin_session(session);
    if (session->in_use && session->wish.poll && one_in(2))
        begin_twin(session);
}

#endif
