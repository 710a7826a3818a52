/* Who may read and change a file of keys, in a private directory. */
#include "guarded_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "folder_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void write_file(mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "key", 3), 3);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void assert_opens(enum guarded_file kind)
{
    char text[4] = "";
    int fd = guarded_file_open(path, kind, error, sizeof error);

    if (fd < 0)
        fail_msg("%s", error);
    assert_int_equal(read(fd, text, sizeof text), 3);
    assert_string_equal(text, "key");
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
}

static void assert_refused(enum guarded_file kind, const char *says)
{
    assert_int_equal(guarded_file_open(path, kind, error, sizeof error), -1);
    if (strncmp(error, path, strlen(path)) != 0 || !strstr(error, says))
        fail_msg("got `%s`, expected `%s`", error, says);
}

static void of_a_secret_others_have_nothing_and_its_group_may_read(void **state)
{
    static const mode_t good[] = {0600, 0400, 0640, 0440, 0700},
                        bad[] = {0604, 0602, 0601, 0610, 0620, 0644, 0650, 0660, 0666};

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        unlink(path);
        write_file(good[i]);
        assert_opens(GUARDED_SECRET);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        unlink(path);
        write_file(bad[i]);
        assert_refused(GUARDED_SECRET, ": others can read or change it: expected mode 0600, or 0640");
    }
}

static void a_secret_belongs_to_the_process_or_to_root(void **state)
{
    uid_t before = geteuid();

    (void)state;
    if (before != 0)
        skip();
    write_file(0640);
    assert_opens(GUARDED_SECRET);
    assert_int_equal(chown(path, 65534, (gid_t)-1), 0);
    assert_refused(GUARDED_SECRET, ": it belongs to another user: expected");
    assert_opens(GUARDED_PUBLIC);
    assert_int_equal(chmod(directory, 0711), 0);
    assert_int_equal(seteuid(65534), 0);
    assert_opens(GUARDED_SECRET);
    assert_int_equal(seteuid(before), 0);
}

static void what_is_public_may_be_read_by_all_and_not_written(void **state)
{
    (void)state;
    write_file(0644);
    assert_opens(GUARDED_PUBLIC);
    write_file(0664);
    assert_opens(GUARDED_PUBLIC);
    write_file(0646);
    assert_refused(GUARDED_PUBLIC, ": everybody can write to it");
}

static void what_is_no_file_is_refused_without_waiting(void **state)
{
    (void)state;
    for (enum guarded_file kind = GUARDED_SECRET; kind <= GUARDED_PUBLIC; kind++) {
        assert_refused(kind, ": No such file");
        assert_int_equal(mkfifo(path, 0600), 0);
        assert_refused(kind, ": expected a regular file");
        unlink(path);
        assert_int_equal(mkdir(path, 0700), 0);
        assert_refused(kind, ": expected a regular file");
        rmdir(path);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(of_a_secret_others_have_nothing_and_its_group_may_read),
        TEST(a_secret_belongs_to_the_process_or_to_root),
        TEST(what_is_public_may_be_read_by_all_and_not_written),
        TEST(what_is_no_file_is_refused_without_waiting),
    };

    return cmocka_run_group_tests_name("guarded_file", tests, NULL, NULL);
}
