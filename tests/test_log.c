#include "log.h"
#include "metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* stderr goes into a file while a test runs. */
struct capture {
    int file;
    int stderr_before;
    char text[4 * LOG_LINE_BYTES];
};

static int set_up(void **state)
{
    static struct capture capture;
    FILE *file = tmpfile();

    capture = (struct capture){.file = dup(fileno(file)), .stderr_before = dup(STDERR_FILENO)};
    fclose(file);
    dup2(capture.file, STDERR_FILENO);
    log_set_level(LOG_INFO);
    *state = &capture;
    return 0;
}

static int tear_down(void **state)
{
    struct capture *capture = *state;

    dup2(capture->stderr_before, STDERR_FILENO);
    close(capture->stderr_before);
    close(capture->file);
    return 0;
}

static const char *written(struct capture *capture)
{
    ssize_t size = pread(capture->file, capture->text, sizeof capture->text - 1, 0);

    capture->text[size > 0 ? size : 0] = '\0';
    return capture->text;
}

static void a_line_starts_with_its_level(void **state)
{
    log_write(LOG_WARNING, "fd=%d closed", 7);
    log_write(LOG_INFO, "next");
    assert_string_equal(written(*state), "warning fd=7 closed\ninfo next\n");
}

static void less_urgent_lines_are_not_written(void **state)
{
    log_write(LOG_DEBUG, "unseen");
    log_set_level(LOG_ERROR);
    log_write(LOG_WARNING, "unseen");
    log_write(LOG_ERROR, "seen");
    log_set_level(LOG_DEBUG);
    log_write(LOG_DEBUG, "seen too");
    assert_string_equal(written(*state), "error seen\ndebug seen too\n");
}

static void control_characters_never_make_a_second_line(void **state)
{
    log_write(LOG_INFO, "a\nerror b\r\x1b[31m\x7f ü");
    assert_string_equal(written(*state), "info a?error b??[31m? ü\n");
}

static void a_long_line_is_cut_and_still_ends(void **state)
{
    char text[2 * LOG_LINE_BYTES];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_write(LOG_INFO, "%s", text);
    assert_int_equal(strlen(written(*state)), LOG_LINE_BYTES);
    assert_int_equal(((struct capture *)*state)->text[LOG_LINE_BYTES - 1], '\n');
}

static void errno_is_printed_and_kept(void **state)
{
    errno = ENOENT;
    log_write(LOG_INFO, "%m");
    assert_int_equal(errno, ENOENT);
    assert_string_equal(written(*state), "info No such file or directory\n");
}

static void a_limited_place_tells_how_many_lines_it_kept_back(void **state)
{
    struct log_limit limit = {0};

    for (int i = 0; i < LOG_LIMIT_PER_SECOND + 3; i++)
        log_limited(&limit, 5999, LOG_INFO, "%d", i);
    assert_string_equal(written(*state), "info 0\ninfo 1\ninfo 2\ninfo 3\ninfo 4\n");
    log_limited(&limit, 6000, LOG_INFO, "later");
    log_limited(&limit, 6000, LOG_INFO, "again");
    assert_non_null(strstr(written(*state), "info 4\ninfo later suppressed=3\ninfo again\n"));
}

static void lines_below_the_level_do_not_use_up_the_limit(void **state)
{
    struct log_limit limit = {0};

    for (int i = 0; i < 100; i++)
        log_limited(&limit, 1000, LOG_DEBUG, "unseen");
    log_limited(&limit, 1000, LOG_INFO, "seen");
    assert_string_equal(written(*state), "info seen\n");
}

static void level_names_are_read_and_written(void **state)
{
    enum log_level level = LOG_NOTICE;

    (void)state;
    assert_false(log_level_parse("", &level));
    assert_false(log_level_parse("Info", &level));
    assert_false(log_level_parse("warn", &level));
    assert_int_equal(level, LOG_NOTICE);
    for (int i = LOG_ERROR; i <= LOG_DEBUG; i++) {
        assert_true(log_level_parse(log_level_name((enum log_level)i), &level));
        assert_int_equal(level, i);
    }
}

static void metrics_name_what_is_not_zero(void **state)
{
    struct metrics metrics = {.messages_published = 12, .gaps = UINT64_MAX};

    metrics_log(&metrics);
    assert_string_equal(written(*state), "notice metrics messages_published=12 gaps=18446744073709551615\n");
}

static void all_metrics_fit_in_one_line(void **state)
{
    struct metrics metrics;

    memset(&metrics, 0xff, sizeof metrics);
    metrics_log(&metrics);
    assert_non_null(strstr(written(*state), " pinned_bytes=18446744073709551615\n"));
}

static void a_full_pipe_loses_the_line_and_stops_nobody(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    while (write(ends[1], "x", 1) == 1)
        ;
    assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0); /* as a log reader's pipe is */
    dup2(ends[1], STDERR_FILENO);
    alarm(30);
    log_write(LOG_ERROR, "nobody reads");
    alarm(0);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_starts_with_its_level, set_up, tear_down),
        cmocka_unit_test_setup_teardown(less_urgent_lines_are_not_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(control_characters_never_make_a_second_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_long_line_is_cut_and_still_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(errno_is_printed_and_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_limited_place_tells_how_many_lines_it_kept_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lines_below_the_level_do_not_use_up_the_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(level_names_are_read_and_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(metrics_name_what_is_not_zero, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_pipe_loses_the_line_and_stops_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_metrics_fit_in_one_line, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
