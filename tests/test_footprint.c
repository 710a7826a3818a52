#include "footprint.h"

#include "config.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB (1024. * 1024)

/* The total, or one part of it, of the general configuration with up to three options. */
static double bytes_with(int part, const char *a, const char *b, const char *c)
{
    char *overrides[] = {(char *)a, (char *)(a ? b : NULL), (char *)(a && b ? c : NULL), NULL};
    struct settings settings;
    struct config_error error;
    double bytes;

    if (!config_load(&settings, NULL, overrides, &error))
        fail_msg("%s", error.message);
    bytes = part < FOOTPRINT_PARTS ? footprint_part(&settings, (enum footprint_part)part) : footprint_total(&settings);
    config_finish(&settings);
    return bytes;
}

static double more(int part, const char *option)
{
    return bytes_with(part, option, NULL, NULL) - bytes_with(part, NULL, NULL, NULL);
}

static void assert_near(double is, double expected)
{
    if (fabs(is - expected) > expected / 100)
        fail_msg("%.0f bytes, expected %.0f", is, expected);
}

/* Each limit takes part with what it allows for, and a quarter that the allocator may lose. */
static void each_limit_counts(void **state)
{
    static const struct {
        enum footprint_part part;
        const char *option;
        double bytes;
    } rows[] = {
        {FOOTPRINT_HISTORY, "--history.bytes=164MiB", 100 * MIB},
        {FOOTPRINT_HISTORY, "--history.pinned_bytes=164MiB", 2 * 100 * MIB},
        {FOOTPRINT_PUBLISHERS, "--publish.receive_hwm=1001", 1024 * (16 * MIB + 18472)},
        {FOOTPRINT_PUBLISHERS, "--publish.max_connections=1025", 1001 * (16 * MIB + 18472) + 65536},
        {FOOTPRINT_PUBLISHERS, "--publish.max_frame_bytes=17MiB", 1024. * 1001 * MIB},
        {FOOTPRINT_PUBLICATION, "--publish.max_frame_bytes=17MiB", 87 * MIB},
        {FOOTPRINT_REQUESTS, "--fastcgi.max_body=2MiB", 100064 * 2 * MIB + MIB},
        {FOOTPRINT_SUBSCRIBERS, "--hub.max_clients=100001", 624 + 100 * 615},
        {FOOTPRINT_SUBSCRIBERS, "--subscribe.max_channels=101", 100064 * 615.},
        {FOOTPRINT_PATTERNS, "--subscribe.max_matched=10001", 100064 * 96.},
        {FOOTPRINT_KEYS, "--publish.max_keys=100001", 654},
        {FOOTPRINT_SNAPSHOT, "--hub.state_dir=/var/lib/sidecast", 1.1 * 64 * MIB + 100000 * 654. + 2 * MIB},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_near(more(rows[i].part, rows[i].option), 1.25 * rows[i].bytes);
}

static void each_worker_has_a_history_of_its_own(void **state)
{
    (void)state;
    assert_near(bytes_with(FOOTPRINT_HISTORY, "--hub.workers=3", NULL, NULL), 3 * bytes_with(FOOTPRINT_HISTORY, NULL, NULL, NULL));
    assert_true(more(FOOTPRINT_PROGRAM, "--hub.workers=3") > 0);
}

static void what_is_off_costs_nothing(void **state)
{
    (void)state;
    assert_true(bytes_with(FOOTPRINT_SNAPSHOT, NULL, NULL, NULL) == 0);
    assert_true(bytes_with(FOOTPRINT_PATTERNS, "--subscribe.max_patterns=0", NULL, NULL) == 0);
}

/* 64 KiB hold no hundred channels; each of ten clients can name one. */
static void patterns_match_no_more_channels_than_there_can_be(void **state)
{
    const char *few = "--history.bytes=64KiB", *one = "--subscribe.max_channels=1", *ten = "--hub.max_clients=10";

    (void)state;
    assert_true(bytes_with(FOOTPRINT_PATTERNS, few, one, ten) < 1.25 * (10 + 64) * (10000 + 96 * 200));
}

/* With all at their most it is no sum to be proud of, but one. */
static void the_largest_configuration_has_a_sum(void **state)
{
    double bytes = bytes_with(FOOTPRINT_PARTS, "--publish.max_connections=100000", "--publish.receive_hwm=1000000", "--publish.max_frame_bytes=1GiB");

    (void)state;
    assert_true(isfinite(bytes) && bytes > 1e20);
}

static void the_table_has_a_line_for_each_part_and_their_sum(void **state)
{
    char *overrides[] = {NULL}, *text = NULL, *line, *rest;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    struct settings settings;
    struct config_error error;
    double sum = 0, mib = 0;
    int lines = 0;

    (void)state;
    assert_true(config_load(&settings, NULL, overrides, &error));
    footprint_print(out, &settings);
    fclose(out);
    config_finish(&settings);
    strtok_r(text, "\n", &rest);
    for (; (line = strtok_r(NULL, "\n", &rest)) != NULL; lines++) {
        sum += mib;
        mib = atof(line);
        assert_non_null(strstr(line, " MiB  "));
    }
    assert_int_equal(lines, FOOTPRINT_PARTS + 1);
    assert_true(fabs(mib - sum) <= FOOTPRINT_PARTS);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_limit_counts),
        cmocka_unit_test(each_worker_has_a_history_of_its_own),
        cmocka_unit_test(what_is_off_costs_nothing),
        cmocka_unit_test(patterns_match_no_more_channels_than_there_can_be),
        cmocka_unit_test(the_largest_configuration_has_a_sum),
        cmocka_unit_test(the_table_has_a_line_for_each_part_and_their_sum),
    };

    return cmocka_run_group_tests_name("footprint", tests, NULL, NULL);
}
