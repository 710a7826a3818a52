#include "hub.h"

#include "buffer.h"
#include "config.h"
#include "message.h"
#include "sse.h"
#include "table.h"
#include "text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { INBOXES = 2, INBOX_LIMIT = 10 };

static const uint64_t WALL_MS = 1763899200000;

struct fixture {
    struct settings settings;
    struct inbox inbox[INBOXES];
    struct inbox *inboxes[INBOXES];
    struct hub hub;
};

/* --- memory that lacks once --- */

static int fail_after = -1; /* so many messages can be made, then one cannot; -1: all can */

struct message *__real_message_create(struct event_id id, const struct message_names *names, size_t encoded_size);
struct message *__wrap_message_create(struct event_id id, const struct message_names *names, size_t encoded_size);

struct message *__wrap_message_create(struct event_id id, const struct message_names *names, size_t encoded_size)
{
    if (fail_after < 0 || fail_after-- > 0)
        return __real_message_create(id, names, encoded_size);
    return NULL;
}

static void ignore(void *context)
{
    (void)context;
}

static int make(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct config_error error;

    if (!config_read(&fixture->settings, NULL, "defaults", NULL, &error))
        return -1;
    for (int i = 0; i < INBOXES; i++) {
        inbox_init(&fixture->inbox[i], INBOX_LIMIT, ignore, NULL);
        fixture->inboxes[i] = &fixture->inbox[i];
    }
    hub_init(&fixture->hub, &fixture->settings, (struct event_id){WALL_MS, 0}, fixture->inboxes, INBOXES);
    fixture->hub.wall_ms = WALL_MS;
    fixture->hub.now_ms = 5000;
    *state = fixture;
    return 0;
}

static int finish(void **state)
{
    struct fixture *fixture = *state;

    hub_finish(&fixture->hub);
    for (int i = 0; i < INBOXES; i++)
        inbox_finish(&fixture->inbox[i]);
    config_finish(&fixture->settings);
    free(fixture);
    return 0;
}

/* --- what the hub is given --- */

static void take(struct fixture *fixture, const char *json)
{
    struct span frame = span_of(json);

    hub_take_frames(&fixture->hub, &frame, 1, NULL);
}

static enum hub_result publish_keyed(struct fixture *fixture, const char *channel, const char *key, struct event_id *id)
{
    struct publication publication = {.channel = span_of(channel), .data = span_of("x"), .key = span_of(key), .store = true};

    return hub_publish(&fixture->hub, &publication, id);
}

/* What the receipts say: `ok` and sequences of ids, or `code`; one line each. */
static void note_answer(void *context, const struct hub_answer *answer)
{
    struct text *out = context;

    assert_true(answer->id_count > 0 ? !answer->code && !answer->reason : answer->code && strlen(answer->reason) > 10);
    text_append_string(out, answer->id_count > 0 ? "ok" : answer->code);
    for (size_t i = 0; i < answer->id_count; i++) {
        assert_int_equal(answer->ids[i].ms, WALL_MS);
        text_append_format(out, " %d", (int)answer->ids[i].seq);
    }
    text_append_string(out, "\n");
}

static void assert_answers(struct fixture *fixture, const struct span *frames, size_t count, const char *wanted)
{
    struct text out = TEXT_EMPTY;
    struct hub_receipt receipt = {note_answer, &out};

    hub_take_frames(&fixture->hub, frames, count, &receipt);
    hub_flush(&fixture->hub);
    text_append(&out, (struct span){"", 1});
    assert_string_equal(out.bytes, wanted);
    text_finish(&out);
}

static void assert_answer(struct fixture *fixture, const char *json, const char *wanted)
{
    struct span frame = span_of(json);

    assert_answers(fixture, &frame, 1, wanted);
}

/* --- what it hands on --- */

/* The next message of an inbox; the caller's. */
static struct message *next(struct fixture *fixture, int inbox)
{
    struct inbox_item item;

    hub_flush(&fixture->hub);
    assert_int_equal(inbox_take(&fixture->inbox[inbox], &item, 1), 1);
    assert_non_null(item.message);
    return item.message;
}

/* The next message of the first inbox is `channel` and `data`; the second has the very same one. */
static struct event_id assert_next(struct fixture *fixture, const char *channel, const char *data)
{
    struct message *message = next(fixture, 0), *second = next(fixture, 1);
    struct event_id id = message->id;
    struct text text = TEXT_EMPTY;

    assert_ptr_equal(message, second);
    sse_append_data(&text, message->encoded);
    assert_true(span_equal(message_channel(message), span_of(channel)));
    assert_true(span_equal(text_span(&text), span_of(data)));
    text_finish(&text);
    message_unref(message);
    message_unref(second);
    return id;
}

static void assert_no_more(struct fixture *fixture)
{
    struct inbox_item item;

    hub_flush(&fixture->hub);
    for (int i = 0; i < INBOXES; i++)
        assert_int_equal(inbox_take(&fixture->inbox[i], &item, 1), 0);
}

/* --- ids --- */

static void ids_rise_within_a_millisecond_and_with_the_clock(void **state)
{
    struct fixture *fixture = *state;
    struct event_id id;

    take(fixture, "{\"channel\":\"c\",\"data\":\"a\"}");
    take(fixture, "{\"channel\":\"d\",\"data\":\"b\"}");
    id = assert_next(fixture, "c", "a");
    assert_int_equal(event_id_compare(id, (struct event_id){WALL_MS, 1}), 0);
    id = assert_next(fixture, "d", "b");
    assert_int_equal(event_id_compare(id, (struct event_id){WALL_MS, 2}), 0);
    fixture->hub.wall_ms++;
    take(fixture, "{\"channel\":\"c\",\"data\":\"c\"}");
    id = assert_next(fixture, "c", "c");
    assert_int_equal(event_id_compare(id, (struct event_id){WALL_MS + 1, 0}), 0);
}

static void ids_rise_also_when_the_clock_steps_back(void **state)
{
    struct fixture *fixture = *state;
    struct event_id before = fixture->hub.newest, id;

    for (int i = 0; i < 100; i++) {
        fixture->hub.wall_ms = WALL_MS - (uint64_t)(i * 3600000);
        take(fixture, "{\"channel\":\"c\",\"data\":\"a\"}");
        id = assert_next(fixture, "c", "a");
        assert_true(event_id_less(before, id));
        before = id;
    }
}

static void a_dropped_publication_uses_up_no_id(void **state)
{
    struct fixture *fixture = *state;

    take(fixture, "{");
    take(fixture, "{\"channel\":\"c\",\"data\":\"a\"}");
    assert_int_equal(assert_next(fixture, "c", "a").seq, 1);
    assert_int_equal(hub_published(&fixture->hub), 1);
}

/* --- frames --- */

static void two_and_three_frames_are_one_publication(void **state)
{
    struct fixture *fixture = *state;
    struct span frames[] = {span_of("news"), span_of("line"), span_of("{\"event\":\"e\",\"ttl\":2,\"store\":false,\"except\":\"me\"}")};
    struct message *message;

    hub_take_frames(&fixture->hub, frames, 2, NULL);
    assert_next(fixture, "news", "line");
    hub_take_frames(&fixture->hub, frames, 3, NULL);
    message = next(fixture, 0);
    assert_true(span_equal(message_event(message), span_of("e")));
    assert_true(span_equal(message_except(message), span_of("me")));
    assert_false(message->store);
    assert_int_equal(message->ingest_ms, 5000);
    assert_int_equal(message->expires_ms, 7000);
    message_unref(message);
}

static void channels_gives_one_message_with_an_id_each_in_list_order(void **state)
{
    struct fixture *fixture = *state;
    struct event_id first, second;

    take(fixture, "{\"channels\":[\"b\",\"a\"],\"data\":\"x\"}");
    first = assert_next(fixture, "b", "x");
    second = assert_next(fixture, "a", "x");
    assert_true(event_id_less(first, second));
    assert_no_more(fixture);
}

static void a_batch_is_taken_item_by_item(void **state)
{
    struct fixture *fixture = *state;

    take(fixture, "[{\"channel\":\"a\",\"data\":\"1\"},{\"channel\":\"*\",\"data\":\"2\"},{\"channel\":\"b\",\"data\":\"3\"},7,"
                  "{\"channel\":\"c\",\"data\":\"4\",\"shout\":true},{\"channel\":\"d\",\"data\":0.10}]");
    assert_next(fixture, "a", "1");
    assert_next(fixture, "b", "3");
    assert_next(fixture, "d", "0.10");
    assert_no_more(fixture);
    assert_int_equal(fixture->hub.metrics.messages_published, 3);
    assert_int_equal(fixture->hub.metrics.dropped_bad_channel, 1);
    assert_int_equal(fixture->hub.metrics.dropped_bad_json, 1);
    assert_int_equal(fixture->hub.metrics.dropped_bad_option, 1);
}

static void a_batch_larger_than_an_inbox_is_taken_whole(void **state)
{
    struct fixture *fixture = *state;
    struct text batch = TEXT_EMPTY;

    assert_true(hub_has_room(&fixture->hub));
    for (int i = 0; i < 3 * INBOX_LIMIT; i++)
        text_append_format(&batch, "%c{\"channel\":\"c\",\"data\":\"%d\"}", i == 0 ? '[' : ',', i);
    text_append(&batch, (struct span){"]", 2});
    take(fixture, batch.bytes);
    text_finish(&batch);
    assert_false(hub_has_room(&fixture->hub));
    for (int i = 0; i < 3 * INBOX_LIMIT; i++) {
        char data[16];

        snprintf(data, sizeof data, "%d", i);
        assert_next(fixture, "c", data);
    }
    assert_true(hub_has_room(&fixture->hub));
}

/* --- room --- */

static void one_full_inbox_is_no_room(void **state)
{
    struct fixture *fixture = *state;

    for (int i = 0; i < INBOX_LIMIT; i++) {
        assert_true(hub_has_room(&fixture->hub));
        take(fixture, "{\"channel\":\"c\",\"data\":\"a\"}");
    }
    assert_false(hub_has_room(&fixture->hub));
    message_unref(next(fixture, 0));
    assert_false(hub_has_room(&fixture->hub));
    message_unref(next(fixture, 1));
    assert_true(hub_has_room(&fixture->hub));
}

/* What waits for its batch is no more in sight of an inbox. */
static void large_messages_are_no_room_before_their_batch_is_full(void **state)
{
    struct fixture *fixture = *state;
    struct text large = TEXT_EMPTY;

    text_append_string(&large, "{\"channel\":\"c\",\"data\":\"");
    memset(text_reserve(&large, 1000000), 'x', 1000000);
    large.size += 1000000;
    text_append(&large, (struct span){"\"}", 3});
    for (int i = 0; i < 9; i++) {
        assert_true(hub_has_room(&fixture->hub));
        take(fixture, large.bytes);
    }
    assert_false(hub_has_room(&fixture->hub));
    text_finish(&large);
    hub_flush(&fixture->hub);
}

/* --- keys --- */

static void a_key_that_was_seen_is_answered_with_the_first_id(void **state)
{
    struct fixture *fixture = *state;
    struct event_id first, second;

    assert_int_equal(publish_keyed(fixture, "c", "k", &first), HUB_PUBLISHED);
    fixture->hub.wall_ms += 1000;
    assert_int_equal(publish_keyed(fixture, "c", "k", &second), HUB_DUPLICATE);
    assert_int_equal(event_id_compare(first, second), 0);
    assert_next(fixture, "c", "x");
    assert_no_more(fixture);
    assert_int_equal(fixture->hub.metrics.messages_duplicate, 1);
    assert_int_equal(publish_keyed(fixture, "d", "k", &second), HUB_PUBLISHED);
    assert_int_equal(publish_keyed(fixture, "c", "", &second), HUB_PUBLISHED);
    assert_int_equal(publish_keyed(fixture, "c", "", &second), HUB_PUBLISHED);
}

static void a_key_holds_for_its_window_and_no_longer(void **state)
{
    struct fixture *fixture = *state;
    int64_t start_ms = fixture->hub.now_ms;
    struct event_id id;

    assert_int_equal(publish_keyed(fixture, "c", "k", &id), HUB_PUBLISHED);
    fixture->hub.now_ms = start_ms + fixture->settings.publish_key_window;
    assert_int_equal(publish_keyed(fixture, "c", "k", &id), HUB_DUPLICATE);
    fixture->hub.now_ms++;
    assert_int_equal(publish_keyed(fixture, "c", "k", &id), HUB_PUBLISHED);
}

static void above_max_keys_the_oldest_is_forgotten(void **state)
{
    struct fixture *fixture = *state;
    struct event_id id;

    fixture->settings.publish_max_keys = 2;
    publish_keyed(fixture, "c", "k1", &id);
    publish_keyed(fixture, "c", "k2", &id);
    publish_keyed(fixture, "c", "k3", &id);
    assert_int_equal(publish_keyed(fixture, "c", "k2", &id), HUB_DUPLICATE);
    assert_int_equal(publish_keyed(fixture, "c", "k3", &id), HUB_DUPLICATE);
    assert_int_equal(publish_keyed(fixture, "c", "k1", &id), HUB_PUBLISHED);
    assert_true(fixture->hub.keys.count <= 3);
}

static void a_key_in_a_list_of_channels_counts_for_each(void **state)
{
    struct fixture *fixture = *state;

    take(fixture, "{\"channels\":[\"a\",\"b\"],\"data\":\"1\",\"key\":\"k\"}");
    take(fixture, "{\"channels\":[\"b\",\"c\"],\"data\":\"2\",\"key\":\"k\"}");
    assert_next(fixture, "a", "1");
    assert_next(fixture, "b", "1");
    assert_next(fixture, "c", "2");
    assert_no_more(fixture);
}

/* --- drops --- */

static void every_drop_is_counted_by_its_reason(void **state)
{
    struct fixture *fixture = *state;
    struct metrics *metrics = &fixture->hub.metrics;
    struct span four[] = {span_of("c"), span_of("d"), span_of("{}"), span_of("e")};
    struct span not_utf8[] = {span_of("c"), span_of("\xff")};
    struct span too_large[] = {span_of("c"), span_of("12345678901")};
    struct {
        const struct span *frames;
        size_t count;
        const uint64_t *counter;
    } rows[] = {
        {four, 4, &metrics->dropped_bad_frames},
        {&(struct span){"{", 1}, 1, &metrics->dropped_bad_json},
        {(struct span[]){span_of("c"), span_of("d"), span_of("{\"ttl\":0}")}, 3, &metrics->dropped_bad_option},
        {(struct span[]){span_of("c d"), span_of("d")}, 2, &metrics->dropped_bad_channel},
        {not_utf8, 2, &metrics->dropped_bad_data},
        {too_large, 2, &metrics->dropped_too_large},
    };

    fixture->settings.publish_max_bytes = 10;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(*rows[i].counter, 0);
        hub_take_frames(&fixture->hub, rows[i].frames, rows[i].count, NULL);
        assert_int_equal(*rows[i].counter, 1);
    }
    assert_no_more(fixture);
    assert_int_equal(metrics->messages_published, 0);
    assert_int_equal(hub_published(&fixture->hub), 0);
}

static void the_channel_key_is_that_of_the_configuration(void **state)
{
    struct fixture *fixture = *state;

    free(fixture->settings.publish_channel_key);
    fixture->settings.publish_channel_key = strdup("category");
    take(fixture, "{\"category\":\"kittens\",\"title\":\"t\"}");
    assert_next(fixture, "kittens", "{\"category\":\"kittens\",\"title\":\"t\"}");
}

/* --- receipts --- */

static void each_item_is_answered_with_its_id_or_its_fault_in_order(void **state)
{
    struct fixture *fixture = *state;

    assert_answers(fixture, (struct span[]){span_of("a"), span_of("1")}, 2, "ok 1\n");
    assert_answer(fixture, "[{\"channel\":\"a\",\"data\":2},{\"channel\":\"*\",\"data\":3},7,{\"channel\":\"b\",\"data\":4}]",
                  "ok 2\nbad_channel\nbad_json\nok 3\n");
    assert_next(fixture, "a", "1");
    assert_next(fixture, "a", "2");
    assert_next(fixture, "b", "4");
    assert_no_more(fixture);
}

static void an_item_for_several_channels_is_answered_once_with_all_ids(void **state)
{
    struct fixture *fixture = *state;

    assert_answer(fixture, "[{\"channels\":[\"b\",\"a\",\"c\"],\"data\":\"x\"},{\"channels\":[\"a\",7],\"data\":\"x\"},"
                           "{\"channels\":[\"d\"],\"data\":\"x\"}]",
                  "ok 1 2 3\nbad_channel\nok 4\n");
}

static void a_repeated_key_is_answered_with_the_first_id(void **state)
{
    struct fixture *fixture = *state;

    assert_answer(fixture, "{\"channel\":\"a\",\"data\":\"x\",\"key\":\"k\"}", "ok 1\n");
    assert_answer(fixture, "{\"channels\":[\"b\",\"a\"],\"data\":\"x\",\"key\":\"k\"}", "ok 2 1\n");
}

static void every_fault_has_its_word(void **state)
{
    struct fixture *fixture = *state;

    fixture->settings.publish_max_bytes = 10;
    assert_answers(fixture, (struct span[]){span_of("c"), span_of("d"), span_of("{}"), span_of("e")}, 4, "bad_frames\n");
    assert_answer(fixture, "{", "bad_json\n");
    assert_answers(fixture, (struct span[]){span_of("c"), span_of("d"), span_of("{\"ttl\":0}")}, 3, "bad_option\n");
    assert_answers(fixture, (struct span[]){span_of("c d"), span_of("d")}, 2, "bad_channel\n");
    assert_answers(fixture, (struct span[]){span_of("c"), span_of("\xff")}, 2, "bad_data\n");
    assert_answers(fixture, (struct span[]){span_of("c"), span_of("12345678901")}, 2, "too_large\n");
    assert_int_equal(fixture->hub.metrics.dropped_too_large, 1);
}

static void an_empty_batch_is_answered_and_nothing_is_dropped(void **state)
{
    struct fixture *fixture = *state;

    assert_answer(fixture, "[]", "bad_json\n");
    assert_int_equal(fixture->hub.metrics.dropped_bad_json, 0);
}

static void an_item_whose_messages_cannot_all_be_made_is_answered_with_no_memory(void **state)
{
    struct fixture *fixture = *state;

    fail_after = 1;
    assert_answer(fixture, "[{\"channels\":[\"a\",\"b\",\"c\"],\"data\":\"x\"},{\"channel\":\"d\",\"data\":\"y\"}]", "no_memory\nok 3\n");
    assert_int_equal(fixture->hub.metrics.dropped_no_memory, 1);
    assert_next(fixture, "a", "x");
    assert_next(fixture, "c", "x");
    assert_next(fixture, "d", "y");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, finish)
        TEST(ids_rise_within_a_millisecond_and_with_the_clock),
        TEST(ids_rise_also_when_the_clock_steps_back),
        TEST(a_dropped_publication_uses_up_no_id),
        TEST(two_and_three_frames_are_one_publication),
        TEST(channels_gives_one_message_with_an_id_each_in_list_order),
        TEST(a_batch_is_taken_item_by_item),
        TEST(a_batch_larger_than_an_inbox_is_taken_whole),
        TEST(one_full_inbox_is_no_room),
        TEST(large_messages_are_no_room_before_their_batch_is_full),
        TEST(a_key_that_was_seen_is_answered_with_the_first_id),
        TEST(a_key_holds_for_its_window_and_no_longer),
        TEST(above_max_keys_the_oldest_is_forgotten),
        TEST(a_key_in_a_list_of_channels_counts_for_each),
        TEST(every_drop_is_counted_by_its_reason),
        TEST(the_channel_key_is_that_of_the_configuration),
        TEST(each_item_is_answered_with_its_id_or_its_fault_in_order),
        TEST(an_item_for_several_channels_is_answered_once_with_all_ids),
        TEST(a_repeated_key_is_answered_with_the_first_id),
        TEST(every_fault_has_its_word),
        TEST(an_empty_batch_is_answered_and_nothing_is_dropped),
        TEST(an_item_whose_messages_cannot_all_be_made_is_answered_with_no_memory),
    };

    log_set_level(LOG_ERROR);
    if (!table_init())
        return 1;
    return cmocka_run_group_tests_name("hub", tests, NULL, NULL);
}
