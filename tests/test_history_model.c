/*
 * Clients with all kinds of cursors join, block, take bytes, break and come back, while messages come, time passes, permissions end, memory lacks and
 * policy changes; what each got is held against a model that remembers everything (history_model.h).
 * SIDECAST_MODEL_SEED is the first seed (1), SIDECAST_MODEL_SEEDS how many there are (12).
 */
#include "history_model.h"

enum { STEPS = 3000 };

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

/* --- the other steps --- */

static void step_publish(void)
{
    static char data[1 << 17];
    size_t count = one_in(30) ? 1 + below(600) : 1 + below(4);
    uint64_t before;

    for (; count > 0 && model.count < RECORDS; count--) {
        struct record *record = &model.records[model.count];
        int64_t ttl_ms = one_in(8) ? 1000 * (1 + (int64_t)below(4)) : 0;

        *record = (struct record){
            .ingest_ms = fixture.replica.now_ms,
            .expires_ms = ttl_ms ? fixture.replica.now_ms + ttl_ms : INT64_MAX,
            .size = one_in(100) ? below(100000) : below(60),
            .channel = (int)below(one_in(3) ? 2 : CHANNELS),
            .come = model.moment,
            .except = one_in(6) ? (int)below(3) : -1,
            .gone = NEVER,
            .store = !one_in(8),
        };
        size_t head = (size_t)sprintf(data, "m%zu ", model.count);
        memset(data + head, '.', record->size);
        model.of_channel[record->channel][model.channel_count[record->channel]++] = model.count;
        /* Known before it is applied: what history lets go meanwhile is seen with it. */
        record->id = event_id_next(fixture.last, FIXTURE_START.ms + (uint64_t)(fixture.replica.now_ms - FIXTURE_START_MS));
        record->number = fixture.replica.number + 1;
        model.count++;
        before = fixture.metrics.dropped_no_memory;
        begin_shortage(1); /* the first is the message */
        publish_with(&fixture, (struct publication){
                                   .channel = channel_names[record->channel],
                                   .data = {data, head + record->size},
                                   .except = record->except < 0 ? NULL : client_names[record->except],
                                   .ttl_ms = ttl_ms,
                                   .transient = !record->store,
                               });
        end_shortage();
        if (fixture.metrics.dropped_no_memory > before) {
            record->is_lost = true;
            record->gone = model.moment;
        }
        assert_true(!record->store || record->is_lost || fixture.replica.bytes <= (size_t)fixture.settings.history_bytes);
    }
}

static struct session *any_session(void)
{
    struct session *session = &model.sessions[below(SESSIONS)];

    return session->in_use && !session->client.has_left ? session : NULL;
}

static void step_socket(void)
{
    struct session *session = any_session();

    if (!session)
        return;
    if (session->client.wants_write) {
        client_takes(&fixture, &session->client, one_in(2) ? SIZE_MAX : below(3000));
    } else if (one_in(2)) {
        session->was_slow = true;
        session->client.budget = one_in(3) ? 0 : below(2000);
    }
}

static void step_leave(void)
{
    struct session *session = any_session();

    if (!session)
        return;
    switch (below(3)) {
    case 0: leave(&fixture, &session->client); break;
    case 1: session->client.is_broken = true; break;
    default: subscriber_end(&fixture.replica, &session->client.subscriber);
    }
}

static void step_time(void)
{
    const struct settings *settings = &fixture.settings;
    bool is_long = one_in(10);

    /* A worker does not sleep while somebody who takes bytes has more to come. */
    turn(&fixture);
    pass_ms(&fixture, is_long ? (int64_t)below((size_t)settings->history_age * 2) : (int64_t)below(40));
    see_evictions();
    check_kept();
    assert_true(fixture.replica.pins.bytes <= (size_t)settings->history_pinned_bytes);
    assert_true(fixture.replica.bytes <= (size_t)settings->history_bytes);
    /* Where channels were, there are marks. */
    for (size_t i = is_long ? below(4) : 0; i > 0; i--)
        step_join();
}

/* Each of its own, all with the general values but for the policy. */
static void choose_policies(void)
{
    static char *names[CHANNELS];
    static struct channel_rule rules[CHANNELS];
    const struct settings *settings = &fixture.settings;

    for (int c = 0; c < CHANNELS; c++) {
        names[c] = (char *)(uintptr_t)channel_names[c];
        rules[c] = (struct channel_rule){
            .match = {&names[c], 1},
            .policy = {settings->history_messages, settings->history_age, settings->history_keep, settings->hub_pace, model.policies[c]},
        };
    }
    fixture.settings.rules = rules;
    fixture.settings.rule_count = CHANNELS;
}

static void choose_settings(void)
{
    struct settings *settings = &fixture.settings;

    settings->history_messages = 1 + (int64_t)below(one_in(2) ? 5 : 100);
    settings->history_age = 100 + (int64_t)below(one_in(2) ? 3000 : 60000);
    settings->history_keep = one_in(2) ? 0 : (int64_t)below(10000);
    settings->hub_pace = one_in(3) ? 0 : (int64_t)below(30);
    choose_policies();
}

/* Everybody takes all there is; long-polls are answered at the latest when their time is over. */
static void drain(void)
{
    for (int i = 0; i < SESSIONS; i++) {
        struct client *client = &model.sessions[i].client;

        client->is_broken = false;
        client->per_call = client->budget = SIZE_MAX;
        if (model.sessions[i].in_use && client->wants_write && !client->has_left)
            client_takes(&fixture, client, SIZE_MAX);
    }
    pass_ms(&fixture, 40);
    assert_true(TAILQ_EMPTY(&fixture.replica.ready) && TAILQ_EMPTY(&fixture.replica.blocked));
    for (int i = 0; i < SESSIONS; i++)
        if (model.sessions[i].in_use && !model.sessions[i].wish.poll)
            end_session(&model.sessions[i], !model.sessions[i].client.has_left);
    pass_ms(&fixture, fixture.settings.poll_timeout);
    for (int i = 0; i < SESSIONS; i++)
        if (model.sessions[i].in_use) {
            assert_true(model.sessions[i].client.has_left);
            end_session(&model.sessions[i], true);
        }
}

/* --- restarts --- */

/* A snapshot as at an interval, over several steps. */
static void step_collect(void)
{
    if (!model.collecting)
        model.collecting = begin_collecting();
    if (collect_messages(&fixture.replica, model.collecting, 1 + below(100)))
        return;
    text_finish(&model.saved);
    model.saved = take_bytes(model.collecting);
    model.collecting = NULL;
}

static void forget_collecting(void)
{
    snapshot_destroy(model.collecting);
    model.collecting = NULL;
}

static bool is_there(const struct record *record)
{
    const struct channel *channel = channel_find(&fixture.replica, span_of(channel_names[record->channel]));
    uint32_t index = channel ? history_after(&channel->history, event_id_before(record->id)) : 0;

    return channel && index < channel->history.count &&
           event_id_compare(history_at(&channel->history, index)->message->id, record->id) == 0;
}

/* After a crash messages are gone wherever they lay, and some that had gone are there again. */
static void see_crash(void)
{
    for (size_t i = 0; i < model.count; i++) {
        struct record *record = &model.records[i];

        if (is_there(record))
            record->gone = NEVER;
        else if (record->gone == NEVER)
            record->gone = model.moment;
    }
    memset(model.channel_gone, 0, sizeof model.channel_gone);
    model.crashed = fixture.replica.newest;
    model.crashes++;
}

/* The end of a life, with all clients gone by then, and the next one. Who was cut comes back with the cursor that it had. */
static void step_restart(void)
{
    bool is_crash = model.saved.size > 0 && one_in(2);
    int64_t away_ms = one_in(2) ? 0 : (int64_t)below((size_t)fixture.settings.history_age);

    if (one_in(2))
        drain();
    for (int i = 0; i < SESSIONS; i++)
        if (model.sessions[i].in_use)
            end_session(&model.sessions[i], false);
    forget_collecting();
    turn(&fixture);
    see_evictions();
    model.moment++;
    if (is_crash) {
        restart_with(model.saved, away_ms);
        model.saved = TEXT_EMPTY;
        see_crash();
    } else {
        text_finish(&model.saved);
        restart_with(save(true), away_ms);
    }
    fixture.replica.io = &model_io;
    model.restarts++;
    see_evictions();
    /* All come back at once; and what was kept for them may be too much now. */
    for (size_t i = below(10); i > 0; i--)
        step_join();
    if (one_in(2)) {
        choose_settings();
        replica_reload(&fixture.replica);
    }
    see_evictions();
}

/* Of a worker that has more to take in: some may have more to come. */
static void step_busy(void)
{
    replica_run_timeouts(&fixture.replica);
    (void)replica_flush(&fixture.replica);
}

static void step_short(size_t choice)
{
    begin_shortage(0);
    if (choice < 47)
        turn(&fixture);
    else if (choice < 55)
        step_busy();
    else if (choice < 95)
        step_socket();
    else
        step_leave();
    end_shortage();
}

static void step(void)
{
    size_t choice = below(100);

    model.moment++;
    if (one_in(300))
        step_restart();
    if (model.collecting ? one_in(3) : one_in(100))
        step_collect();
    if (choice < 40)
        step_publish();
    else if (choice < 65 && choice >= 55)
        step_time();
    else if (choice < 80 && choice >= 65)
        step_join();
    else
        step_short(choice);
    see_evictions();
    if (one_in(500)) {
        choose_settings();
        replica_reload(&fixture.replica);
    }
    see_evictions();
    for (int i = 0; i < SESSIONS; i++)
        if (model.sessions[i].in_use && model.sessions[i].client.has_left)
            end_session(&model.sessions[i], false);
}

static void begin(uint64_t seed)
{
    fixture_start(&fixture);
    fixture.replica.io = &model_io;
    model.seed = model.random = seed;
    model.count = model.cursor_count = 0;
    model.moment = 0;
    model.crashed = EVENT_ID_ZERO;
    memset(model.channel_count, 0, sizeof model.channel_count);
    memset(model.channel_gone, 0, sizeof model.channel_gone);
    for (int c = 0; c < CHANNELS; c++)
        model.policies[c] = one_in(2) ? SLOW_CATCH_UP : one_in(4) ? SLOW_CLOSE : SLOW_LATEST;
    choose_settings();
    fixture.settings.subscribe_max_matched = one_in(2) ? CHANNELS : 1 + (int64_t)below(3);
    fixture.settings.poll_max_messages = 1 + (int64_t)below(one_in(2) ? 5 : 100);
    fixture.settings.poll_max_bytes = 1 + (int64_t)below(one_in(2) ? 2000 : 100000);
    fixture.settings.sse_open_event = !one_in(4);
    model.is_ample = one_in(2);
    model.is_short = one_in(3);
    model.was_short = false;
    fixture.settings.history_bytes = model.is_ample ? INT64_C(1) << 40 : 5000 + (int64_t)below(400000);
    fixture.settings.history_pinned_bytes = 1000 + (int64_t)below(one_in(2) ? 5000 : 500000);
}

static void run(uint64_t seed)
{
    begin(seed);
    for (int i = 0; i < STEPS; i++)
        step();
    drain();
    forget_collecting();
    text_finish(&model.saved);
    /* Channels without subscribers and history are gone. */
    pass_ms(&fixture, 2 * 60000);
    assert_null(fixture.replica.channels);
    model.shared += fixture.metrics.writes_shared;
    model.left += fixture.metrics.pattern_links_left;
    model.polls_shared += fixture.metrics.poll_answers_shared;
    assert_int_equal(fixture.metrics.pattern_links, 0);
    assert_int_equal(fixture.metrics.patterns, 0);
    fixture_finish(&fixture);
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void every_client_gets_every_message_once_in_order_or_is_told_of_a_gap(void **state)
{
    uint64_t first = number_from("SIDECAST_MODEL_SEED", 1), count = number_from("SIDECAST_MODEL_SEEDS", 12);

    (void)state;
    model.records = calloc(RECORDS, sizeof *model.records);
    for (int c = 0; c < CHANNELS; c++)
        model.of_channel[c] = calloc(RECORDS, sizeof *model.of_channel[c]);
    print_message("seeds %llu to %llu\n", (unsigned long long)first, (unsigned long long)(first + count - 1));
    for (uint64_t seed = first; seed < first + count; seed++)
        run(seed);
    print_message("%zu clients checked, %zu messages delivered, %zu of them by patterns, %zu losses told, %zu skipped, %zu writes and %zu answers shared, "
                  "%zu links left, %zu permissions ended, %zu shortages of memory, %zu restarts, %zu of them crashes\n", model.checked, model.delivered,
                  model.by_pattern, model.excused, model.skipped, model.shared, model.polls_shared, model.left, model.expired, model.failures,
                  model.restarts, model.crashes);
    /* The seeds are such that all of it happens. */
    assert_true(model.checked > 100 * count && model.delivered > 1000 * count && model.excused > 10 * count && model.skipped > 100 * count &&
                model.shared > 10 * count && model.by_pattern > 500 * count && model.left > 10 * count && model.polls_shared > 10 * count &&
                model.expired > 2 * count && model.failures > 10 * count && model.crashes > count && model.restarts > 2 * model.crashes);
    free(model.records);
    for (int c = 0; c < CHANNELS; c++)
        free(model.of_channel[c]);
}

/* After a failure: the seed to run it again with. */
static int tell_seed(void **state)
{
    (void)state;
    print_message("the last seed was %llu\n", (unsigned long long)model.seed);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_client_gets_every_message_once_in_order_or_is_told_of_a_gap, tell_seed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
