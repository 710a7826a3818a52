/* Snapshots as files: what a start finds after each kind of end, after damage, and when something fails. */
#include "archive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "snapshot_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- calls that fail --- */

static int fail_at = -1; /* the number of the call that fails; -1: none */
static int calls;
static bool is_scripted;
static pthread_mutex_t counting = PTHREAD_MUTEX_INITIALIZER;

static bool is_to_fail(int error)
{
    pthread_mutex_lock(&counting);
    bool fails = is_scripted && calls++ == fail_at;
    pthread_mutex_unlock(&counting);
    if (fails)
        errno = error;
    return fails;
}

#define WRAP(type, name, error, parameters, arguments) \
    type __real_##name parameters; \
    type __wrap_##name parameters; \
    type __wrap_##name parameters \
    { \
        return is_to_fail(error) ? (type)-1 : __real_##name arguments; \
    }

/* Not the log's. */
ssize_t __real_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size);

ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
    return fd > STDERR_FILENO && is_to_fail(ENOSPC) ? -1 : __real_write(fd, bytes, size);
}

WRAP(int, fsync, EIO, (int fd), (fd))
WRAP(int, renameat, EIO, (int from_fd, const char *from, int to_fd, const char *to), (from_fd, from, to_fd, to))
WRAP(int, close, EIO, (int fd), (fd))

int __real_openat(int fd, const char *name, int flags, ...);
int __wrap_openat(int fd, const char *name, int flags, ...);

int __wrap_openat(int fd, const char *name, int flags, ...)
{
    return is_to_fail(ENFILE) ? -1 : __real_openat(fd, name, flags, 0600);
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *context);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *context);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *context)
{
    return is_to_fail(EAGAIN) ? EAGAIN : __real_pthread_create(thread, attributes, run, context);
}

/* --- the folder --- */

struct fixture {
    char folder[64];
    char path[128];
    char error[256];
    struct archive archive;
};

static const char *const names[] = {"history.complete", "history.snapshot", "history.damaged", "history.new", "elsewhere"};

static const char *path_of(struct fixture *fixture, const char *name)
{
    snprintf(fixture->path, sizeof fixture->path, "%s/%s", fixture->folder, name);
    return fixture->path;
}

static bool exists(struct fixture *fixture, const char *name)
{
    return access(path_of(fixture, name), F_OK) == 0;
}

static void open_again(struct fixture *fixture)
{
    archive_close(&fixture->archive);
    assert_true(archive_open(&fixture->archive, fixture->folder, fixture->error, sizeof fixture->error));
}

static int make(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    *state = fixture;
    strcpy(fixture->folder, "/tmp/sidecast-archive.XXXXXX");
    is_scripted = false;
    fail_at = -1;
    return mkdtemp(fixture->folder) && archive_open(&fixture->archive, fixture->folder, fixture->error, sizeof fixture->error) ? 0 : -1;
}

static int finish(void **state)
{
    struct fixture *fixture = *state;
    int left;

    is_scripted = false;
    archive_close(&fixture->archive);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        (void)unlink(path_of(fixture, names[i]));
    left = rmdir(fixture->folder);
    free(fixture);
    return left;
}

static struct snapshot *make_one(uint64_t newest)
{
    struct snapshot *snapshot = make_snapshot();

    snapshot->newest = saved_id(newest);
    snapshot_add_marks(snapshot);
    return snapshot;
}

static void write_last(struct fixture *fixture, uint64_t newest)
{
    struct snapshot *snapshot = make_one(newest);

    archive_write_last(&fixture->archive, snapshot);
    snapshot_destroy(snapshot);
}

static void write_latest(struct fixture *fixture, uint64_t newest)
{
    assert_true(archive_claim(&fixture->archive));
    archive_write_take(&fixture->archive, make_one(newest));
    archive_wait(&fixture->archive);
}

struct found {
    uint64_t newest; /* 0: nothing */
    bool is_complete;
};

static struct found load(struct fixture *fixture)
{
    struct snapshot *snapshot = archive_load(&fixture->archive, SAVED_WALL_MS, SAVED_MS);
    struct found found = {snapshot ? snapshot->newest.seq : 0, snapshot && snapshot->marks};

    assert_true(!snapshot || snapshot->message_count == SAYINGS);
    snapshot_destroy(snapshot);
    return found;
}

static void expect(struct fixture *fixture, uint64_t newest, bool is_complete)
{
    struct found found = load(fixture);

    assert_int_equal(found.newest, newest);
    assert_int_equal(found.is_complete, is_complete);
}

static void use_up(struct fixture *fixture)
{
    assert_true(archive_use_up(&fixture->archive, fixture->error, sizeof fixture->error));
}

/* --- lives --- */

static void the_first_life_finds_nothing(void **state)
{
    expect(*state, 0, false);
    use_up(*state);
}

static void the_last_snapshot_is_complete_for_one_life_only(void **state)
{
    write_last(*state, 5);
    open_again(*state);
    expect(*state, 5, true);
    /* A start that goes no further believes nothing away. */
    open_again(*state);
    expect(*state, 5, true);
    use_up(*state);
    open_again(*state);
    expect(*state, 5, false);
    use_up(*state);
    expect(*state, 5, false);
}

static void one_of_an_interval_is_never_complete(void **state)
{
    write_latest(*state, 5);
    open_again(*state);
    expect(*state, 5, false);
}

static void a_later_one_takes_the_place_of_an_earlier(void **state)
{
    write_last(*state, 5);
    use_up(*state);
    write_latest(*state, 6);
    expect(*state, 6, false);
    write_latest(*state, 7);
    expect(*state, 7, false);
    write_last(*state, 8);
    expect(*state, 8, true);
    assert_false(exists(*state, "history.snapshot"));
    assert_false(exists(*state, "history.new"));
}

static void files_are_for_their_owner_alone(void **state)
{
    struct fixture *fixture = *state;
    mode_t before = umask(0);
    struct stat status;

    write_latest(fixture, 5);
    assert_int_equal(stat(path_of(fixture, "history.snapshot"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    write_last(fixture, 6);
    assert_int_equal(stat(path_of(fixture, "history.complete"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    umask(before);
}

static void what_was_left_of_a_crash_in_the_middle_of_writing_does_no_harm(void **state)
{
    struct fixture *fixture = *state;

    write_latest(fixture, 5);
    assert_int_equal(symlink("elsewhere", path_of(fixture, "history.new")), 0);
    expect(fixture, 5, false);
    write_latest(fixture, 6);
    expect(fixture, 6, false);
    assert_false(exists(fixture, "elsewhere"));
}

static void two_servers_do_not_share_a_folder(void **state)
{
    struct fixture *fixture = *state;
    struct archive other;

    assert_false(archive_open(&other, fixture->folder, fixture->error, sizeof fixture->error));
    assert_non_null(strstr(fixture->error, "another sidecast"));
    archive_close(&other);
}

static void a_folder_that_is_not_there_is_an_error_that_names_it(void **state)
{
    struct fixture *fixture = *state;
    struct archive other;

    assert_false(archive_open(&other, "/nowhere/at/all", fixture->error, sizeof fixture->error));
    assert_non_null(strstr(fixture->error, "/nowhere/at/all"));
}

static void one_is_written_at_a_time(void **state)
{
    struct fixture *fixture = *state;

    assert_true(archive_claim(&fixture->archive));
    assert_false(archive_claim(&fixture->archive));
    archive_give_up(&fixture->archive);
    assert_int_equal(fixture->archive.failed, 1);
    write_latest(fixture, 5);
    write_latest(fixture, 6);
    assert_int_equal(fixture->archive.written, 2);
}

/* --- damage --- */

static void cut(struct fixture *fixture, const char *name, off_t size)
{
    assert_int_equal(truncate(path_of(fixture, name), size), 0);
}

static void a_damaged_file_is_moved_aside(void **state)
{
    struct fixture *fixture = *state;

    for (off_t size = 0; size < 2000; size += 397) {
        write_latest(fixture, 5);
        cut(fixture, "history.snapshot", size);
        expect(fixture, 0, false);
        assert_true(exists(fixture, "history.damaged"));
        assert_false(exists(fixture, "history.snapshot"));
        use_up(fixture);
        write_latest(fixture, 6);
        expect(fixture, 6, false);
    }
}

/* As after a crash between the two names. */
static void behind_a_damaged_complete_one_the_other_is_still_of_use(void **state)
{
    struct fixture *fixture = *state;

    write_last(fixture, 5);
    write_latest(fixture, 4);
    expect(fixture, 5, true);
    cut(fixture, "history.complete", 1000);
    expect(fixture, 4, false);
    assert_true(exists(fixture, "history.damaged"));
    use_up(fixture);
    expect(fixture, 4, false);
}

static void what_is_no_file_is_moved_aside_too(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(mkfifo(path_of(fixture, "history.snapshot"), 0600), 0);
    expect(fixture, 0, false);
    assert_int_equal(symlink("elsewhere", path_of(fixture, "history.snapshot")), 0);
    expect(fixture, 0, false);
    assert_true(!exists(fixture, "history.snapshot"));
    write_latest(fixture, 6);
    expect(fixture, 6, false);
}

/* --- what fails --- */

static int fail_call(int number)
{
    calls = 0;
    fail_at = number;
    is_scripted = true;
    return number;
}

/* Whatever fails, the old one or the new one is there, and never more is believed than is true. */
static void a_snapshot_that_cannot_be_written_leaves_the_old_one(void **state)
{
    struct fixture *fixture = *state;
    uint64_t failures = 0;

    write_latest(fixture, 5);
    for (int i = 0; true; i++) {
        uint64_t before = fixture->archive.failed;

        fail_call(i);
        write_latest(fixture, 6);
        is_scripted = false;
        if (calls <= i)
            break;
        failures += fixture->archive.failed - before;
        struct found found = load(fixture);

        assert_true(found.newest == (fixture->archive.failed > before ? found.newest : 6) && found.newest >= 5 && !found.is_complete);
        assert_false(exists(fixture, "history.new"));
        write_latest(fixture, 5);
    }
    /* open, write, fsync, close, rename, fsync, and the thread */
    assert_int_equal(failures, 7);
}

static void a_last_snapshot_that_cannot_be_written_leaves_the_old_one(void **state)
{
    struct fixture *fixture = *state;
    int tried = 0;

    for (int i = 0; true; i++, tried++) {
        write_latest(fixture, 5);
        fail_call(i);
        write_last(fixture, 6);
        is_scripted = false;
        if (calls <= i)
            break;
        struct found found = load(fixture);

        assert_true((found.newest == 5 && !found.is_complete) || (found.newest == 6 && found.is_complete));
        use_up(fixture);
    }
    assert_int_equal(tried, 6);
    expect(fixture, 6, true);
}

static void a_mark_that_cannot_be_used_up_is_an_error(void **state)
{
    struct fixture *fixture = *state;

    for (int i = 0; i < 2; i++) {
        write_last(fixture, 5);
        fail_call(i);
        assert_false(archive_use_up(&fixture->archive, fixture->error, sizeof fixture->error));
        is_scripted = false;
        assert_non_null(strstr(fixture->error, fixture->folder));
        use_up(fixture);
    }
}

static void one_that_lacks_memory_is_not_written(void **state)
{
    struct snapshot *snapshot = make_one(6);
    struct fixture *fixture = *state;

    write_latest(fixture, 5);
    snapshot->failed = true;
    archive_write_last(&fixture->archive, snapshot);
    snapshot_destroy(snapshot);
    assert_int_equal(fixture->archive.failed, 1);
    expect(fixture, 5, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, finish)
        TEST(the_first_life_finds_nothing),
        TEST(the_last_snapshot_is_complete_for_one_life_only),
        TEST(one_of_an_interval_is_never_complete),
        TEST(a_later_one_takes_the_place_of_an_earlier),
        TEST(files_are_for_their_owner_alone),
        TEST(what_was_left_of_a_crash_in_the_middle_of_writing_does_no_harm),
        TEST(two_servers_do_not_share_a_folder),
        TEST(a_folder_that_is_not_there_is_an_error_that_names_it),
        TEST(one_is_written_at_a_time),
        TEST(a_damaged_file_is_moved_aside),
        TEST(behind_a_damaged_complete_one_the_other_is_still_of_use),
        TEST(what_is_no_file_is_moved_aside_too),
        TEST(a_snapshot_that_cannot_be_written_leaves_the_old_one),
        TEST(a_last_snapshot_that_cannot_be_written_leaves_the_old_one),
        TEST(a_mark_that_cannot_be_used_up_is_an_error),
        TEST(one_that_lacks_memory_is_not_written),
    };

    return cmocka_run_group_tests_name("archive", tests, NULL, NULL);
}
