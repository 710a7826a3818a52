/* Lives of a hub and its workers, one after the other in one folder: what comes over, and when it is written. */
#include "saver.h"

#include "clock.h"
#include "config.h"
#include "crew.h"
#include "decoder.h"
#include "hub.h"
#include "message.h"
#include "snapshot.h"
#include "table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <unistd.h>

enum { MESSAGES = 3000 };

struct life {
    struct settings settings;
    struct ev_loop *loop;
    struct hub hub;
    struct crew crew;
    struct saver saver;
    struct event_id start;
};

static char folder[64];
static const char *workers;

static void begin(struct life *life, const char *interval)
{
    char state_dir[100], count[40], every[60], error[256];
    char *overrides[] = {state_dir, count, every, "--history.messages=100000", "--publish.max_keys=1000", NULL};
    struct config_error wrong;

    snprintf(state_dir, sizeof state_dir, "--hub.state_dir=%s", folder);
    snprintf(count, sizeof count, "--hub.workers=%s", workers);
    snprintf(every, sizeof every, "--hub.snapshot_interval=%s", interval);
    *life = (struct life){.start = {clock_wall_ms(), 0}};
    life->loop = ev_loop_new(EVFLAG_AUTO);
    assert_true(config_read(&life->settings, NULL, "defaults", overrides, &wrong));
    assert_true(saver_open(&life->saver, &life->settings, error, sizeof error));
    saver_load(&life->saver, &life->start);
    assert_true(crew_init(&life->crew, life->loop, &life->settings, &life->hub, life->start, 10));
    hub_init(&life->hub, &life->settings, life->start, life->crew.inboxes, life->crew.count);
    saver_restore(&life->saver, &life->hub, &life->crew);
    assert_true(crew_start(&life->crew));
    assert_true(saver_begin(&life->saver, life->loop, error, sizeof error));
}

static void end(struct life *life, bool is_orderly)
{
    crew_stop(&life->crew);
    if (is_orderly)
        saver_end(&life->saver);
    crew_finish(&life->crew);
    hub_finish(&life->hub);
    saver_close(&life->saver);
    ev_loop_destroy(life->loop);
    config_finish(&life->settings);
}

static enum hub_result publish(struct life *life, const char *channel, const char *key, struct event_id *id)
{
    struct publication publication = {.channel = span_of(channel), .data = span_of("data"), .key = span_of(key), .store = true};

    life->hub.now_ms = clock_monotonic_ms();
    life->hub.wall_ms = clock_wall_ms();
    crew_wait_for_room(&life->crew);
    return hub_publish(&life->hub, &publication, id);
}

static struct channel *find(struct life *life, size_t worker, const char *channel)
{
    return channel_find(&crew_worker(&life->crew, worker)->replica, span_of(channel));
}

static void clear_folder(void)
{
    DIR *entries = opendir(folder);
    struct dirent *entry;
    char path[400];

    while (entries && (entry = readdir(entries))) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        (void)unlink(path);
    }
    closedir(entries);
}

static int make(const char *count)
{
    workers = count;
    strcpy(folder, "/tmp/sidecast-saver.XXXXXX");
    log_set_level(LOG_ERROR);
    return mkdtemp(folder) ? 0 : -1;
}

static int make_one(void **state)
{
    (void)state;
    return make("1");
}

static int make_two(void **state)
{
    (void)state;
    return make("2");
}

static int finish(void **state)
{
    (void)state;
    clear_folder();
    return rmdir(folder);
}

/* --- lives --- */

static void the_next_life_has_messages_keys_and_higher_ids(void **state)
{
    struct event_id first, again, second;
    struct life life;

    (void)state;
    begin(&life, "0");
    assert_int_equal(publish(&life, "news", "k1", &first), HUB_PUBLISHED);
    end(&life, true);
    begin(&life, "0");
    for (size_t i = 0; i < life.crew.count; i++)
        assert_int_equal(find(&life, i, "news")->history.count, 1);
    assert_int_equal(hub_published(&life.hub), 1);
    assert_int_equal(publish(&life, "news", "k1", &again), HUB_DUPLICATE);
    assert_int_equal(event_id_compare(again, first), 0);
    assert_int_equal(publish(&life, "news", "k2", &second), HUB_PUBLISHED);
    assert_true(event_id_less(first, second));
    end(&life, true);
    begin(&life, "0");
    assert_int_equal(find(&life, 0, "news")->history.count, 2);
    end(&life, false);
}

/* The inbox has what no worker has taken yet. */
static void what_nobody_has_seen_yet_is_in_the_last_snapshot(void **state)
{
    struct event_id id;
    struct life life;

    (void)state;
    begin(&life, "0");
    for (int i = 0; i < 100; i++)
        publish(&life, "news", "", &id);
    end(&life, true);
    begin(&life, "0");
    assert_int_equal(find(&life, 0, "news")->history.count, 100);
    end(&life, false);
}

/* Its thread may be about to change it. */
static uint64_t written(struct life *life)
{
    pthread_mutex_lock(&life->saver.archive.lock);
    uint64_t count = life->saver.archive.written;
    pthread_mutex_unlock(&life->saver.archive.lock);
    return count;
}

static bool is_busy(struct life *life)
{
    pthread_mutex_lock(&life->saver.archive.lock);
    bool busy = life->saver.archive.is_busy;
    pthread_mutex_unlock(&life->saver.archive.lock);
    return busy;
}

static void after_a_crash_every_mark_is_the_start(void **state)
{
    struct event_id id;
    struct life life;

    (void)state;
    begin(&life, "1ms");
    publish(&life, "news", "", &id);
    for (uint64_t seen = written(&life); life.hub.metrics.snapshots_written < seen + 2;)
        ev_run(life.loop, EVRUN_ONCE);
    end(&life, false);
    begin(&life, "0");
    for (size_t i = 0; i < life.crew.count; i++) {
        const struct channel *channel = find(&life, i, "news");

        assert_int_equal(channel->history.count, 1);
        assert_int_equal(event_id_compare(channel->lost_through, life.start), 0);
        assert_true(event_id_less(id, life.start));
    }
    end(&life, false);
}

/* Messages with keys come while snapshots are taken of them. Then no snapshot may have a key without its message. */
static void no_key_is_in_a_snapshot_without_its_message(void **state)
{
    struct life life;
    struct event_id id;
    char name[20];

    (void)state;
    begin(&life, "1ms");
    for (int i = 0; i < MESSAGES; i++) {
        snprintf(name, sizeof name, "k%d", i);
        assert_int_equal(publish(&life, "news", name, &id), HUB_PUBLISHED);
        if (i % 10 == 0)
            ev_run(life.loop, EVRUN_NOWAIT);
    }
    assert_true(written(&life) > 0 || is_busy(&life));
    end(&life, false);
    begin(&life, "0");
    const struct history *history = &find(&life, 0, "news")->history;
    size_t known = 0;

    for (int i = 0; i < MESSAGES; i++) {
        snprintf(name, sizeof name, "k%d", i);
        if (!keys_find(&life.hub.keys, span_of("news"), span_of(name), &id))
            continue;
        known++;
        uint32_t index = history_after(history, event_id_before(id));

        assert_true(index < history->count && event_id_compare(history_at(history, index)->message->id, id) == 0);
    }
    assert_in_range(known, 1, 1000);
    end(&life, false);
}

static void an_end_in_the_middle_of_a_snapshot_is_an_orderly_end(void **state)
{
    struct event_id id;
    struct life life;

    (void)state;
    begin(&life, "1ms");
    for (int i = 0; i < MESSAGES; i++)
        publish(&life, "news", "", &id);
    usleep(2000);
    while (!is_busy(&life))
        ev_run(life.loop, EVRUN_ONCE);
    end(&life, true);
    begin(&life, "0");
    assert_int_equal(find(&life, 0, "news")->history.count, MESSAGES);
    assert_true(event_id_less(find(&life, 0, "news")->lost_through, id));
    end(&life, false);
}

static void without_a_folder_nothing_is_done(void **state)
{
    struct settings settings = {.hub_state_dir = (char[]){""}};
    struct event_id start = {1, 2};
    struct saver saver;
    char error[64];

    (void)state;
    assert_true(saver_open(&saver, &settings, error, sizeof error));
    saver_load(&saver, &start);
    assert_int_equal(event_id_compare(start, (struct event_id){1, 2}), 0);
    assert_true(saver_begin(&saver, NULL, error, sizeof error));
    saver_reload(&saver);
    saver_end(&saver);
    saver_close(&saver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_one, finish), {#name " (2 workers)", name, make_two, finish, NULL}
        TEST(the_next_life_has_messages_keys_and_higher_ids),
        TEST(what_nobody_has_seen_yet_is_in_the_last_snapshot),
        TEST(after_a_crash_every_mark_is_the_start),
        TEST(no_key_is_in_a_snapshot_without_its_message),
        TEST(an_end_in_the_middle_of_a_snapshot_is_an_orderly_end),
        cmocka_unit_test(without_a_folder_nothing_is_done),
    };

    if (!table_init() || !decoder_library_init())
        return 1;
    return cmocka_run_group_tests_name("saver", tests, NULL, NULL);
}
