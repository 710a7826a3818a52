/* Snapshots and bytes, both ways: what is written is read again, and nothing else is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guard.h"
#include "snapshot_fixture.h"

/* --- there and back --- */

static void assert_same_bytes(const struct snapshot *snapshot, const struct text *bytes)
{
    struct text again = bytes_of(snapshot);

    assert_int_equal(again.size, bytes->size);
    assert_memory_equal(again.bytes, bytes->bytes, bytes->size);
    text_finish(&again);
}

static void check_message(const struct message *message, const struct saying *saying, int64_t saved_ms)
{
    struct text data = TEXT_EMPTY;

    assert_true(span_equal(message_channel(message), span_of(saying->channel)));
    assert_true(span_equal(message_event(message), span_of(saying->event)));
    assert_true(span_equal(message_except(message), span_of(saying->except)));
    sse_append_data(&data, message->encoded);
    assert_true(span_equal(text_span(&data), span_of(saying->data)));
    assert_int_equal(message->ingest_ms, saved_ms - saying->age_ms);
    assert_int_equal(message->expires_ms, saying->left_ms ? saved_ms + saying->left_ms : INT64_MAX);
    assert_true(message->store);
    text_finish(&data);
}

static void all_that_is_written_is_read_again(void **state)
{
    struct snapshot *snapshot = make_snapshot(), *again;
    struct event_id mark;
    struct span name;
    struct snapshot_key key;
    size_t offset = 0;

    (void)state;
    snapshot_add_marks(snapshot);
    snapshot->marks[0] = saved_id(3);
    snapshot->marks[SNAPSHOT_MARKS - 1] = saved_id(4);
    memset(snapshot->table_key, 7, TABLE_KEY_BYTES);
    struct text bytes = bytes_of(snapshot);
    assert_int_equal(read_bytes(text_span(&bytes), SIZE_MAX, SAVED_WALL_MS, SAVED_MS, &again), SNAPSHOT_WHOLE);

    assert_memory_equal(again->table_key, snapshot->table_key, TABLE_KEY_BYTES);
    assert_int_equal(event_id_compare(again->newest, saved_id(100)), 0);
    assert_memory_equal(again->marks, snapshot->marks, SNAPSHOT_MARKS * sizeof *again->marks);
    assert_int_equal(again->message_count, SAYINGS);
    for (size_t i = 0; i < SAYINGS; i++) {
        assert_int_equal(event_id_compare(again->messages[i]->id, saved_id(i + 1)), 0);
        check_message(again->messages[i], &sayings[i], SAVED_MS);
        assert_int_equal(again->messages[i]->encoded->size, snapshot->messages[i]->encoded->size);
        assert_memory_equal(again->messages[i]->encoded->bytes, snapshot->messages[i]->encoded->bytes, again->messages[i]->encoded->size);
    }
    assert_true(snapshot_next_channel(again, &offset, &name, &mark));
    assert_true(span_equal(name, span_of("news")) && event_id_compare(mark, saved_id(0)) == 0);
    assert_true(snapshot_next_channel(again, &offset, &name, &mark));
    assert_true(span_equal(name, span_of("gone")) && event_id_compare(mark, EVENT_ID_ZERO) == 0);
    assert_false(snapshot_next_channel(again, &offset, &name, &mark));
    offset = 0;
    assert_true(snapshot_next_key(again, &offset, &key) && snapshot_next_key(again, &offset, &key));
    assert_true(span_equal(key.channel, span_of("orders/7")) && span_equal(key.key, span_of("another key")));
    assert_int_equal(event_id_compare(key.id, saved_id(2)), 0);
    assert_int_equal(key.added_ms, SAVED_MS - 10);
    assert_false(snapshot_next_key(again, &offset, &key));
    assert_int_equal(again->key_count, 2);

    assert_same_bytes(again, &bytes);
    text_finish(&bytes);
    snapshot_destroy(again);
    snapshot_destroy(snapshot);
}

static void one_with_nothing_in_it_is_read_again(void **state)
{
    struct snapshot *snapshot = snapshot_create(SAVED_WALL_MS, SAVED_MS), *again;
    struct text bytes = bytes_of(snapshot);

    (void)state;
    assert_int_equal(read_bytes(text_span(&bytes), SIZE_MAX, SAVED_WALL_MS, SAVED_MS, &again), SNAPSHOT_WHOLE);
    assert_int_equal(again->message_count + again->key_count + again->channels.size, 0);
    assert_null(again->marks);
    text_finish(&bytes);
    snapshot_destroy(again);
    snapshot_destroy(snapshot);
}

static void it_is_read_byte_by_byte_and_at_every_split(void **state)
{
    struct snapshot *snapshot = make_snapshot(), *again;
    struct text bytes = bytes_of(snapshot);
    char *guarded = guard_copy(bytes.bytes, bytes.size);

    (void)state;
    for (size_t step = 1; step <= bytes.size; step++) {
        assert_int_equal(read_bytes((struct span){guarded, bytes.size}, step, SAVED_WALL_MS, SAVED_MS, &again), SNAPSHOT_WHOLE);
        assert_same_bytes(again, &bytes);
        snapshot_destroy(again);
    }
    guard_free(guarded, bytes.size);
    text_finish(&bytes);
    snapshot_destroy(snapshot);
}

static void a_large_one_is_written_in_parts(void **state)
{
    struct snapshot *snapshot = snapshot_create(SAVED_WALL_MS, SAVED_MS), *again;
    static char data[10000];
    struct snapshot_writer writer;
    struct text text = TEXT_EMPTY, bytes = TEXT_EMPTY;
    int parts = 1;

    (void)state;
    memset(data, 'x', sizeof data - 1);
    snapshot->newest = saved_id(1000);
    for (uint64_t i = 1; i <= 1000; i++)
        snapshot_add_message_take(snapshot, make_message(saved_id(i), &(struct saying){"a", "", "", data, 0, 0}, SAVED_MS));
    snapshot_writer_init(&writer, snapshot);
    for (; snapshot_write(&writer, &text); parts++) {
        assert_true(text.size < 1100000);
        text_append(&bytes, text_span(&text));
        text_clear(&text);
    }
    text_append(&bytes, text_span(&text));
    assert_int_equal(parts, 10);
    assert_int_equal(read_bytes(text_span(&bytes), 65536, SAVED_WALL_MS, SAVED_MS, &again), SNAPSHOT_WHOLE);
    assert_int_equal(again->message_count, 1000);
    text_finish(&text);
    text_finish(&bytes);
    snapshot_destroy(again);
    snapshot_destroy(snapshot);
}

/* --- time --- */

static void check_ages(uint64_t wall_ms, int64_t now_ms, int64_t elapsed_ms)
{
    struct snapshot *snapshot = make_snapshot(), *again;
    struct text bytes = bytes_of(snapshot);
    struct snapshot_key key;
    size_t offset = 0;

    assert_int_equal(read_bytes(text_span(&bytes), SIZE_MAX, wall_ms, now_ms, &again), SNAPSHOT_WHOLE);
    for (size_t i = 0; i < SAYINGS; i++)
        check_message(again->messages[i], &sayings[i], now_ms - elapsed_ms);
    assert_true(snapshot_next_key(again, &offset, &key));
    assert_int_equal(key.added_ms, now_ms - elapsed_ms - 5000);
    text_finish(&bytes);
    snapshot_destroy(again);
    snapshot_destroy(snapshot);
}

static void the_time_between_adds_to_all_ages(void **state)
{
    (void)state;
    check_ages(SAVED_WALL_MS + 70000, SAVED_MS + 70000, 70000);
}

/* The monotonic clock begins anew: what is older than the machine's start came before it. */
static void ages_hold_over_a_restart_of_the_machine(void **state)
{
    (void)state;
    check_ages(SAVED_WALL_MS + 70000, 9, 70000);
}

static void a_clock_that_stepped_back_adds_nothing(void **state)
{
    (void)state;
    check_ages(SAVED_WALL_MS - 3600000, 9, 0);
}

static void what_came_after_the_moment_has_no_age(void **state)
{
    struct snapshot *snapshot = snapshot_create(SAVED_WALL_MS, SAVED_MS), *again;

    (void)state;
    snapshot->newest = saved_id(1);
    snapshot_add_message_take(snapshot, make_message(saved_id(1), &(struct saying){"a", "", "", "", -500, 0}, SAVED_MS));
    struct text bytes = bytes_of(snapshot);
    assert_int_equal(read_bytes(text_span(&bytes), SIZE_MAX, SAVED_WALL_MS, SAVED_MS, &again), SNAPSHOT_WHOLE);
    assert_int_equal(again->messages[0]->ingest_ms, SAVED_MS);
    text_finish(&bytes);
    snapshot_destroy(again);
    snapshot_destroy(snapshot);
}

/* --- what is not as written --- */

static void no_part_of_it_is_taken_for_the_whole(void **state)
{
    struct snapshot *snapshot = make_snapshot(), *again;
    struct text bytes = bytes_of(snapshot);

    (void)state;
    for (size_t size = 0; size < bytes.size; size++) {
        char *guarded = guard_copy(bytes.bytes, size);

        assert_int_equal(read_bytes((struct span){guarded, size}, SIZE_MAX, SAVED_WALL_MS, SAVED_MS, &again), SNAPSHOT_MORE);
        guard_free(guarded, size);
    }
    text_finish(&bytes);
    snapshot_destroy(snapshot);
}

static void no_bit_can_be_another(void **state)
{
    struct snapshot *snapshot = make_snapshot(), *again;
    struct text bytes = bytes_of(snapshot);

    (void)state;
    for (size_t bit = 0; bit < 8 * bytes.size; bit++) {
        char *guarded = guard_copy(bytes.bytes, bytes.size);

        guarded[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_not_equal(read_bytes((struct span){guarded, bytes.size}, SIZE_MAX, SAVED_WALL_MS, SAVED_MS, &again), SNAPSHOT_WHOLE);
        guard_free(guarded, bytes.size);
    }
    text_finish(&bytes);
    snapshot_destroy(snapshot);
}

static void nothing_may_follow(void **state)
{
    struct snapshot *snapshot = make_snapshot(), *again;
    struct text bytes = bytes_of(snapshot);

    (void)state;
    text_append_string(&bytes, "x");
    assert_int_equal(read_bytes(text_span(&bytes), SIZE_MAX, SAVED_WALL_MS, SAVED_MS, &again), SNAPSHOT_BAD);
    assert_int_equal(read_bytes(text_span(&bytes), 1, SAVED_WALL_MS, SAVED_MS, &again), SNAPSHOT_BAD);
    text_finish(&bytes);
    snapshot_destroy(snapshot);
}

/* --- what the checksum does not tell --- */

static void put_head(struct text *text, uint64_t newest_ms, uint64_t wall_ms)
{
    char *out = snapshot_begin_record(text, SNAPSHOT_HEAD, SNAPSHOT_HEAD_BYTES);

    memset(out, 1, TABLE_KEY_BYTES);
    snapshot_put_u64(snapshot_put_id(out + TABLE_KEY_BYTES, (struct event_id){newest_ms, 9}), wall_ms);
    snapshot_end_record(text, SNAPSHOT_HEAD_BYTES);
}

static struct text begin_file(void)
{
    struct text text = TEXT_EMPTY;
    char version[4];

    text_append_string(&text, SNAPSHOT_MAGIC);
    snapshot_put_u32(version, SNAPSHOT_VERSION);
    text_append(&text, (struct span){version, sizeof version});
    put_head(&text, 100, 1000);
    return text;
}

/* Its end, as it should be; then it is read. */
static enum snapshot_result seal_and_read(struct text *text)
{
    unsigned char hash[SNAPSHOT_HASH_BYTES];
    enum snapshot_result result;
    struct snapshot *snapshot;

    crypto_generichash(hash, sizeof hash, (const unsigned char *)text->bytes, text->size, NULL, 0);
    memcpy(snapshot_begin_record(text, SNAPSHOT_END, sizeof hash), hash, sizeof hash);
    snapshot_end_record(text, sizeof hash);
    assert_false(text->failed);
    result = read_bytes(text_span(text), SIZE_MAX, 2000, 10, &snapshot);
    snapshot_destroy(snapshot);
    text_finish(text);
    return result;
}

static void put_content(struct text *text, enum snapshot_record type, struct span content)
{
    memcpy(snapshot_begin_record(text, type, content.size), content.bytes, content.size);
    snapshot_end_record(text, content.size);
}

struct row {
    enum snapshot_record type;
    uint64_t numbers[4]; /* id, age, and for messages the time left */
    unsigned char sizes[3];
    const char *rest;
    enum snapshot_result result;
};

static enum snapshot_result read_row(struct text *text, const struct row *row)
{
    static const int numbers[] = {[SNAPSHOT_CHANNEL] = 2, [SNAPSHOT_MESSAGE] = 4, [SNAPSHOT_KEY] = 3};
    static const int sizes[] = {[SNAPSHOT_CHANNEL] = 0, [SNAPSHOT_MESSAGE] = 3, [SNAPSHOT_KEY] = 1};
    char content[1000], *end = content;

    for (int i = 0; i < numbers[row->type]; i++)
        end = snapshot_put_u64(end, row->numbers[i]);
    for (int i = 0; i < sizes[row->type]; i++)
        *end++ = (char)row->sizes[i];
    end = mempcpy(end, row->rest, strlen(row->rest));
    put_content(text, row->type, (struct span){content, (size_t)(end - content)});
    return seal_and_read(text);
}

#define FOREVER UINT64_MAX
#define TOO_LONG ((UINT64_C(1) << 50) + 1)

static const struct row rows[] = {
    {SNAPSHOT_CHANNEL, {100, 9}, {0}, "news", SNAPSHOT_WHOLE},
    {SNAPSHOT_CHANNEL, {100, 10}, {0}, "news", SNAPSHOT_BAD},
    {SNAPSHOT_CHANNEL, {1, 0}, {0}, "", SNAPSHOT_BAD},
    {SNAPSHOT_CHANNEL, {1, 0}, {0}, "no blanks", SNAPSHOT_BAD},
    {SNAPSHOT_MESSAGE, {100, 9, 5, FOREVER}, {4, 2, 3}, "newsevexcdata", SNAPSHOT_WHOLE},
    {SNAPSHOT_MESSAGE, {100, 9, TOO_LONG - 1, TOO_LONG - 1}, {4, 0, 0}, "news", SNAPSHOT_WHOLE},
    {SNAPSHOT_MESSAGE, {100, 9, TOO_LONG, FOREVER}, {4, 0, 0}, "news", SNAPSHOT_BAD},
    {SNAPSHOT_MESSAGE, {100, 9, UINT64_MAX, FOREVER}, {4, 0, 0}, "news", SNAPSHOT_BAD},
    {SNAPSHOT_MESSAGE, {100, 9, 0, TOO_LONG}, {4, 0, 0}, "news", SNAPSHOT_BAD},
    {SNAPSHOT_MESSAGE, {100, 9, 0, UINT64_MAX - 1}, {4, 0, 0}, "news", SNAPSHOT_BAD},
    {SNAPSHOT_MESSAGE, {100, 10, 0, FOREVER}, {4, 0, 0}, "news", SNAPSHOT_BAD},
    {SNAPSHOT_MESSAGE, {1, 0, 0, FOREVER}, {4, 0, 0}, "new", SNAPSHOT_BAD},
    {SNAPSHOT_MESSAGE, {1, 0, 0, FOREVER}, {4, 255, 255}, "news", SNAPSHOT_BAD},
    {SNAPSHOT_MESSAGE, {1, 0, 0, FOREVER}, {0, 0, 0}, "news", SNAPSHOT_BAD},
    {SNAPSHOT_MESSAGE, {1, 0, 0, FOREVER}, {4, 0, 0}, "ne,s", SNAPSHOT_BAD},
    {SNAPSHOT_MESSAGE, {1, 0, 0, FOREVER}, {4, 2, 0}, "newse\n", SNAPSHOT_BAD},
    {SNAPSHOT_MESSAGE, {1, 0, 0, FOREVER}, {4, 0, 2}, "newse\n", SNAPSHOT_BAD},
    {SNAPSHOT_MESSAGE, {1, 0, 0, FOREVER}, {4, 0, 0}, "news\xff", SNAPSHOT_BAD},
    {SNAPSHOT_KEY, {100, 9, 0}, {4}, "newsk", SNAPSHOT_WHOLE},
    {SNAPSHOT_KEY, {100, 10, 0}, {4}, "newsk", SNAPSHOT_BAD},
    {SNAPSHOT_KEY, {1, 0, TOO_LONG}, {4}, "newsk", SNAPSHOT_BAD},
    {SNAPSHOT_KEY, {1, 0, 0}, {4}, "news", SNAPSHOT_BAD},
    {SNAPSHOT_KEY, {1, 0, 0}, {5}, "news", SNAPSHOT_BAD},
    {SNAPSHOT_KEY, {1, 0, 0}, {0}, "k", SNAPSHOT_BAD},
    {SNAPSHOT_KEY, {1, 0, 0}, {4}, "news\n", SNAPSHOT_BAD},
};

static void each_record_is_checked(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct text text = begin_file();

        if (read_row(&text, &rows[i]) != rows[i].result)
            fail_msg("row %zu: expected %d", i, rows[i].result);
    }
}

static void no_record_can_be_shorter_than_its_numbers(void **state)
{
    static const char zeros[64];

    (void)state;
    for (int type = 0; type < 10; type++)
        for (size_t size = 0; size < (type == SNAPSHOT_MESSAGE ? 39u : 17u); size++) {
            struct text text = begin_file();

            put_content(&text, (enum snapshot_record)type, (struct span){zeros, size});
            assert_int_equal(seal_and_read(&text), SNAPSHOT_BAD);
        }
}

static void a_head_is_first_and_alone_and_of_this_time(void **state)
{
    struct text text = begin_file();

    (void)state;
    put_head(&text, 100, 1000);
    assert_int_equal(seal_and_read(&text), SNAPSHOT_BAD);
    text = begin_file();
    text.size = SNAPSHOT_BEGIN_BYTES;
    assert_int_equal(read_row(&text, &rows[0]), SNAPSHOT_BAD);
    text = begin_file();
    text.size = SNAPSHOT_BEGIN_BYTES;
    put_head(&text, UINT64_C(1) << 63, 1000);
    assert_int_equal(seal_and_read(&text), SNAPSHOT_BAD);
    text = begin_file();
    text.size = SNAPSHOT_BEGIN_BYTES;
    put_head(&text, 100, UINT64_MAX);
    assert_int_equal(seal_and_read(&text), SNAPSHOT_BAD);
}

static void another_version_is_refused(void **state)
{
    struct text text = begin_file();

    (void)state;
    snapshot_put_u32(text.bytes + 8, SNAPSHOT_VERSION + 1);
    assert_int_equal(seal_and_read(&text), SNAPSHOT_BAD);
}

static void ids_of_messages_rise(void **state)
{
    static const struct row one = {SNAPSHOT_MESSAGE, {50, 1, 0, FOREVER}, {4, 0, 0}, "news", SNAPSHOT_WHOLE};
    static const struct {
        uint64_t id[2];
        enum snapshot_result result;
    } next[] = {{{50, 0}, SNAPSHOT_BAD}, {{50, 1}, SNAPSHOT_BAD}, {{49, 2}, SNAPSHOT_BAD}, {{50, 2}, SNAPSHOT_WHOLE}, {{51, 0}, SNAPSHOT_WHOLE}};

    (void)state;
    for (size_t i = 0; i < sizeof next / sizeof *next; i++) {
        struct text text = begin_file();
        struct row two = one;
        char content[39];

        memcpy(snapshot_put_u64(snapshot_put_u64(snapshot_put_u64(snapshot_put_u64(content, 50), 1), 0), FOREVER), "\4\0\0news", 7);
        put_content(&text, SNAPSHOT_MESSAGE, (struct span){content, sizeof content});
        memcpy(two.numbers, next[i].id, sizeof next[i].id);
        assert_int_equal(read_row(&text, &two), next[i].result);
    }
}

static void marks_come_once_all_of_them_and_below_the_newest_id(void **state)
{
    static char marks[SNAPSHOT_MARKS * SNAPSHOT_ID_BYTES + 1];
    struct span all = {marks, sizeof marks - 1};
    struct text text = begin_file();

    (void)state;
    put_content(&text, SNAPSHOT_MARKS_RECORD, all);
    assert_int_equal(seal_and_read(&text), SNAPSHOT_WHOLE);
    text = begin_file();
    put_content(&text, SNAPSHOT_MARKS_RECORD, all);
    put_content(&text, SNAPSHOT_MARKS_RECORD, all);
    assert_int_equal(seal_and_read(&text), SNAPSHOT_BAD);
    for (int off = -1; off <= 1; off += 2) {
        text = begin_file();
        put_content(&text, SNAPSHOT_MARKS_RECORD, (struct span){marks, (size_t)((int)all.size + off)});
        assert_int_equal(seal_and_read(&text), SNAPSHOT_BAD);
    }
    text = begin_file();
    snapshot_put_id(marks + sizeof marks - 1 - SNAPSHOT_ID_BYTES, (struct event_id){100, 10});
    put_content(&text, SNAPSHOT_MARKS_RECORD, all);
    assert_int_equal(seal_and_read(&text), SNAPSHOT_BAD);
}

/* Nobody has to hold so much in memory to find out. */
static void a_record_that_says_to_be_too_large_is_refused_at_once(void **state)
{
    struct text text = begin_file();
    struct snapshot *snapshot;
    char head[8];

    (void)state;
    snapshot_put_u32(snapshot_put_u32(head, SNAPSHOT_MESSAGE), SNAPSHOT_CONTENT_MAX + 1);
    text_append(&text, (struct span){head, sizeof head});
    assert_int_equal(read_bytes(text_span(&text), SIZE_MAX, 2000, 10, &snapshot), SNAPSHOT_BAD);
    snapshot_put_u32(text.bytes + text.size - 4, SNAPSHOT_CONTENT_MAX);
    assert_int_equal(read_bytes(text_span(&text), SIZE_MAX, 2000, 10, &snapshot), SNAPSHOT_MORE);
    text_finish(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_is_written_is_read_again),
        cmocka_unit_test(one_with_nothing_in_it_is_read_again),
        cmocka_unit_test(it_is_read_byte_by_byte_and_at_every_split),
        cmocka_unit_test(a_large_one_is_written_in_parts),
        cmocka_unit_test(the_time_between_adds_to_all_ages),
        cmocka_unit_test(ages_hold_over_a_restart_of_the_machine),
        cmocka_unit_test(a_clock_that_stepped_back_adds_nothing),
        cmocka_unit_test(what_came_after_the_moment_has_no_age),
        cmocka_unit_test(no_part_of_it_is_taken_for_the_whole),
        cmocka_unit_test(no_bit_can_be_another),
        cmocka_unit_test(nothing_may_follow),
        cmocka_unit_test(each_record_is_checked),
        cmocka_unit_test(no_record_can_be_shorter_than_its_numbers),
        cmocka_unit_test(a_head_is_first_and_alone_and_of_this_time),
        cmocka_unit_test(another_version_is_refused),
        cmocka_unit_test(ids_of_messages_rise),
        cmocka_unit_test(marks_come_once_all_of_them_and_below_the_newest_id),
        cmocka_unit_test(a_record_that_says_to_be_too_large_is_refused_at_once),
    };

    return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
