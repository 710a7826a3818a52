/*
 * Clients with all kinds of cursors join, block, take bytes, break and come back, while messages come, time passes, permissions end, memory lacks and
 * policy changes; what each got is held against a model that remembers everything (history_model.h).
 * SIDECAST_MODEL_SEED is the first seed (1), SIDECAST_MODEL_SEEDS how many there are (12).
 */
#include "history_model_join.h"

enum { STEPS = 3000 };

/* --- steps --- */

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
