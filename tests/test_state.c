#include "state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

static const uint64_t NOW_MS = 1763899200000;

struct fixture {
    char folder[64];
    char file[80];
    char error[256];
    struct state state;
    struct event_id start;
};

static int make(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    strcpy(fixture->folder, "/tmp/sidecast-state.XXXXXX");
    if (!mkdtemp(fixture->folder))
        return -1;
    snprintf(fixture->file, sizeof fixture->file, "%s/next-id", fixture->folder);
    *state = fixture;
    return 0;
}

static int finish(void **state)
{
    struct fixture *fixture = *state;

    (void)remove(fixture->file);
    (void)rmdir(fixture->folder);
    free(fixture);
    return 0;
}

static void write_file(struct fixture *fixture, const char *text)
{
    FILE *file = fopen(fixture->file, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static bool start(struct fixture *fixture, uint64_t wall_ms)
{
    fixture->error[0] = '\0';
    return state_init(&fixture->state, fixture->folder, wall_ms, &fixture->start, fixture->error, sizeof fixture->error);
}

/* As the hub gives ids: the next of each millisecond that passes, reserved before. */
static struct event_id run(struct fixture *fixture, uint64_t from_ms, uint64_t to_ms)
{
    struct event_id newest = fixture->start;

    for (uint64_t ms = from_ms; ms <= to_ms; ms += 100) {
        state_reserve(&fixture->state, newest, ms);
        newest = event_id_next(newest, ms);
    }
    return newest;
}

static void the_first_life_starts_at_the_clock(void **state)
{
    struct fixture *fixture = *state;

    assert_true(start(fixture, NOW_MS));
    assert_int_equal(fixture->start.ms, NOW_MS);
    assert_int_equal(fixture->start.seq, 0);
}

static void ids_rise_over_a_restart_with_the_clock_stepped_back(void **state)
{
    struct fixture *fixture = *state;
    struct event_id newest;

    for (uint64_t life_ms = 60000; life_ms > 0; life_ms -= 12000) {
        assert_true(start(fixture, NOW_MS));
        newest = run(fixture, NOW_MS, NOW_MS + life_ms);
        assert_true(start(fixture, NOW_MS - 3600000));
        assert_true(event_id_less(newest, event_id_next(fixture->start, NOW_MS - 3600000)));
        assert_true(event_id_less(newest, fixture->start));
    }
}

static void ids_rise_over_many_lives_while_the_clock_stands(void **state)
{
    struct fixture *fixture = *state;
    struct event_id newest = EVENT_ID_ZERO;

    for (int life = 0; life < 20; life++) {
        assert_true(start(fixture, NOW_MS));
        assert_true(event_id_less(newest, fixture->start));
        newest = run(fixture, NOW_MS, NOW_MS);
        state_reserve(&fixture->state, newest, NOW_MS);
    }
}

/* The ids of a life that began far ahead of the clock are reserved as well. */
static void a_life_that_is_ahead_of_the_clock_reserves_ahead_of_its_ids(void **state)
{
    struct fixture *fixture = *state;
    struct event_id newest;

    write_file(fixture, "1763899900000\n");
    assert_true(start(fixture, NOW_MS));
    newest = run(fixture, NOW_MS, NOW_MS + 60000);
    assert_int_equal(newest.ms, 1763899900000);
    assert_true(start(fixture, NOW_MS));
    assert_true(event_id_less(newest, fixture->start));
}

static void the_clock_holds_again_once_it_is_ahead(void **state)
{
    struct fixture *fixture = *state;

    assert_true(start(fixture, NOW_MS));
    assert_true(start(fixture, 2 * NOW_MS));
    assert_int_equal(fixture->start.ms, 2 * NOW_MS);
}

static void the_file_is_not_written_for_every_id(void **state)
{
    struct fixture *fixture = *state;
    struct stat before, after;

    assert_true(start(fixture, NOW_MS));
    assert_int_equal(stat(fixture->file, &before), 0);
    state_reserve(&fixture->state, fixture->start, NOW_MS + 1000);
    assert_int_equal(stat(fixture->file, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    state_reserve(&fixture->state, fixture->start, NOW_MS + 9000);
    assert_int_equal(stat(fixture->file, &after), 0);
    assert_int_not_equal(before.st_ino, after.st_ino);
}

static void without_a_folder_nothing_is_kept(void **state)
{
    struct fixture *fixture = *state;

    assert_true(state_init(&fixture->state, "", NOW_MS, &fixture->start, fixture->error, sizeof fixture->error));
    state_reserve(&fixture->state, fixture->start, 2 * NOW_MS);
    assert_int_equal(access(fixture->file, F_OK), -1);
}

static void a_file_without_a_good_number_is_an_error_that_names_it(void **state)
{
    static const char *const TEXTS[] = {"", "\n", "soon\n", "-5\n", "12x\n", "99999999999999999999999\n", "18446744073709551615\n"};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        write_file(fixture, TEXTS[i]);
        if (start(fixture, NOW_MS))
            print_error("accepted: %s", TEXTS[i]);
        assert_non_null(strstr(fixture->error, fixture->file));
    }
}

static void a_file_that_cannot_be_read_is_an_error_that_names_it(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(mkdir(fixture->file, 0700), 0);
    assert_false(start(fixture, NOW_MS));
    assert_non_null(strstr(fixture->error, fixture->file));
}

static void a_folder_that_is_not_there_is_an_error_that_names_it(void **state)
{
    struct fixture *fixture = *state;

    assert_false(state_init(&fixture->state, "/nowhere/at/all", NOW_MS, &fixture->start, fixture->error, sizeof fixture->error));
    assert_non_null(strstr(fixture->error, "/nowhere/at/all"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, finish)
        TEST(the_first_life_starts_at_the_clock),
        TEST(ids_rise_over_a_restart_with_the_clock_stepped_back),
        TEST(ids_rise_over_many_lives_while_the_clock_stands),
        TEST(a_life_that_is_ahead_of_the_clock_reserves_ahead_of_its_ids),
        TEST(the_clock_holds_again_once_it_is_ahead),
        TEST(the_file_is_not_written_for_every_id),
        TEST(without_a_folder_nothing_is_kept),
        TEST(a_file_without_a_good_number_is_an_error_that_names_it),
        TEST(a_file_that_cannot_be_read_is_an_error_that_names_it),
        TEST(a_folder_that_is_not_there_is_an_error_that_names_it),
    };

    return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
