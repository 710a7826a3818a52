#include "address.h"
#include "option.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char *tickers[] = {"ticker/*", "rates/**"};
static char *everything[] = {"**"};

static void the_first_rule_with_a_matching_pattern_holds(void **state)
{
    struct channel_rule rules[] = {
        {.match = {tickers, 2}, .policy = {10, 1000, 100, 50, SLOW_LATEST}},
        {.match = {everything, 1}, .policy = {20, 2000, 200, 60, SLOW_CLOSE}},
    };
    struct settings settings = {.rules = rules, .rule_count = 2};

    (void)state;
    assert_int_equal(settings_channel_policy(&settings, span_of("ticker/1")).messages, 10);
    assert_int_equal(settings_channel_policy(&settings, span_of("rates/eu/usd")).pace_ms, 50);
    assert_int_equal(settings_channel_policy(&settings, span_of("ticker/1/2")).messages, 20);
    assert_int_equal(settings_channel_policy(&settings, span_of("news")).age_ms, 2000);
    assert_int_equal(settings_channel_policy(&settings, span_of("ticker/1")).slow, SLOW_LATEST);
}

static void without_a_rule_the_general_options_hold(void **state)
{
    struct settings settings = {.history_messages = 1, .history_age = 2, .history_keep = 3, .hub_pace = 4, .slow_policy = SLOW_CLOSE};
    struct channel_policy policy = settings_channel_policy(&settings, span_of("news"));

    (void)state;
    assert_int_equal(policy.messages, 1);
    assert_int_equal(policy.age_ms, 2);
    assert_int_equal(policy.keep_ms, 3);
    assert_int_equal(policy.pace_ms, 4);
    assert_int_equal(policy.slow, SLOW_CLOSE);
}

static void a_list_matches_when_one_pattern_does(void **state)
{
    (void)state;
    assert_true(settings_list_matches(&(struct string_list){tickers, 2}, span_of("rates/a/b")));
    assert_false(settings_list_matches(&(struct string_list){tickers, 2}, span_of("news")));
    assert_false(settings_list_matches(&(struct string_list){NULL, 0}, span_of("news")));
}

static void values_take_their_units(void **state)
{
    static const struct {
        enum option_id id;
        const char *value;
        int64_t result; /* -1: refused */
    } rows[] = {
        {OPTION_history_bytes, "65536", 65536},
        {OPTION_history_bytes, "65536B", 65536},
        {OPTION_history_bytes, "64KiB", 65536},
        {OPTION_history_bytes, "2GiB", INT64_C(2147483648)},
        {OPTION_history_bytes, "1024GiB", INT64_C(1099511627776)},
        {OPTION_history_bytes, "1025GiB", -1},
        {OPTION_history_bytes, "65535", -1},
        {OPTION_history_bytes, "64KB", -1},
        {OPTION_history_bytes, "64kib", -1},
        {OPTION_history_bytes, "64 MiB", -1},
        {OPTION_history_bytes, "9223372036854775807GiB", -1},
        {OPTION_history_bytes, "9223372036854775808", -1},
        {OPTION_history_bytes, "", -1},
        {OPTION_history_bytes, "MiB", -1},
        {OPTION_history_bytes, "-1", -1},
        {OPTION_history_bytes, "+70000", -1},
        {OPTION_hub_pace, "0", 0},
        {OPTION_hub_pace, "0ms", 0},
        {OPTION_hub_pace, "10ms", 10},
        {OPTION_hub_pace, "60s", 60000},
        {OPTION_hub_pace, "1min", 60000},
        {OPTION_hub_pace, "60001ms", -1},
        {OPTION_hub_pace, "10", -1},
        {OPTION_hub_pace, "1.5s", -1},
        {OPTION_hub_pace, "10 ms", -1},
        {OPTION_hub_pace, "1m", -1},
        {OPTION_history_age, "365d", INT64_C(31536000000)},
        {OPTION_history_age, "24h", 86400000},
        {OPTION_history_age, "0", -1},
        {OPTION_fastcgi_mode, "0660", 0660},
        {OPTION_fastcgi_mode, "777", 0777},
        {OPTION_fastcgi_mode, "1777", -1},
        {OPTION_fastcgi_mode, "0668", -1},
        {OPTION_fastcgi_mode, "rw", -1},
        {OPTION_fastcgi_insecure, "yes", 1},
        {OPTION_fastcgi_insecure, "no", 0},
        {OPTION_fastcgi_insecure, "true", -1},
        {OPTION_fastcgi_insecure, "", -1},
        {OPTION_poll_max_messages, "100", 100},
        {OPTION_poll_max_messages, "0", -1},
        {OPTION_poll_max_messages, "10001", -1},
        {OPTION_poll_max_messages, "0x10", -1},
        {OPTION_poll_max_messages, "1e3", -1},
        {OPTION_log_level, "debug", LOG_DEBUG},
        {OPTION_log_level, "loud", -1},
        {OPTION_slow_policy, "catch-up", SLOW_CATCH_UP},
        {OPTION_slow_policy, "latest", SLOW_LATEST},
        {OPTION_slow_policy, "close", SLOW_CLOSE},
        {OPTION_slow_policy, "Latest", -1},
        {OPTION_slow_policy, "", -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t result = -2;
        bool good = option_parse(&options[rows[i].id], rows[i].value, &result);

        if (good != (rows[i].result >= 0) || (good && result != rows[i].result))
            fail_msg("`%s`: %s %lld", rows[i].value, good ? "read as" : "refused", (long long)result);
    }
}

static void an_option_says_what_it_expects(void **state)
{
    static const struct {
        enum option_id id;
        const char *expected;
    } rows[] = {
        {OPTION_sse_heartbeat, "a time of 1ms to 1d with its unit (ms, s, min, h, d)"},
        {OPTION_history_bytes, "a size of 64KiB to 1024GiB (units B, KiB, MiB, GiB)"},
        {OPTION_publish_mode, "an octal mode of 0000 to 0777"},
        {OPTION_hub_workers, "a number of 1 to 64"},
        {OPTION_sse_open_event, "yes or no"},
        {OPTION_log_level, "error, warning, notice, info or debug"},
        {OPTION_slow_policy, "catch-up, latest or close"},
    };
    char text[OPTION_TEXT_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        option_describe(&options[rows[i].id], text);
        assert_string_equal(text, rows[i].expected);
    }
}

static void every_description_is_whole(void **state)
{
    char text[OPTION_TEXT_BYTES];

    (void)state;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        option_describe(&options[i], text);
        assert_true(strlen(text) < OPTION_TEXT_BYTES - 1);
    }
}

static void the_nearest_option_is_found_or_none(void **state)
{
    static const struct {
        const char *section, *name, *nearest;
    } rows[] = {
        {"sse", "hartbeat", "sse.heartbeat"},
        {"sse", "timeout", "poll.timeout"},
        {"se", "retry", "sse.retry"},
        {"publish", "max_byte", "publish.max_bytes"},
        {"pole", "max_bytes", "poll.max_bytes"},
        {"history", "colour", NULL},
        {"", "", NULL},
        {"sse", "a_name_that_is_longer_than_any_option_there_is_or_will_be", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct option *nearest = option_nearest(span_of(rows[i].section), span_of(rows[i].name));
        char dotted[64] = "";

        if (nearest)
            snprintf(dotted, sizeof dotted, "%s.%s", nearest->section, nearest->name);
        assert_string_equal(dotted, rows[i].nearest ? rows[i].nearest : "");
    }
}

#define BYTES_100 "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"

static void addresses_are_told_apart(void **state)
{
    static const struct {
        const char *text;
        enum address_kind kind;
    } rows[] = {
        {"/run/s.sock", ADDRESS_UNIX},
        {"/" BYTES_100 "012345", ADDRESS_UNIX}, /* 107 bytes */
        {"/" BYTES_100 "0123456", ADDRESS_BAD},
        {"/", ADDRESS_BAD},
        {"", ADDRESS_BAD},
        {"s.sock", ADDRESS_BAD},
        {"127.0.0.1:9000", ADDRESS_LOOPBACK},
        {"127.255.0.9:0", ADDRESS_LOOPBACK},
        {"[::1]:9000", ADDRESS_LOOPBACK},
        {"[0:0:0:0:0:0:0:1]:9000", ADDRESS_LOOPBACK},
        {"localhost:9000", ADDRESS_LOOPBACK},
        {"*:9000", ADDRESS_BEYOND},
        {"0.0.0.0:9000", ADDRESS_BEYOND},
        {"[::]:9000", ADDRESS_BEYOND},
        {"[::ffff:127.0.0.1]:9000", ADDRESS_BEYOND},
        {"128.0.0.1:9000", ADDRESS_BEYOND},
        {"localhost.example.org:9000", ADDRESS_BEYOND},
        {"127.0.0.1.example.org:9000", ADDRESS_BEYOND},
        {"127.0.0.256:9000", ADDRESS_BAD},
        {"127.1:9000", ADDRESS_BAD},
        {"127.0.0.1:65536", ADDRESS_BAD},
        {"127.0.0.1:", ADDRESS_BAD},
        {"127.0.0.1:http", ADDRESS_BAD},
        {"127.0.0.1", ADDRESS_BAD},
        {":9000", ADDRESS_BAD},
        {"::1:9000", ADDRESS_BAD},
        {"[::1:9000", ADDRESS_BAD},
        {"[]:9000", ADDRESS_BAD},
        {"[:9000", ADDRESS_BAD},
        {"a b:9000", ADDRESS_BAD},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (address_of_fastcgi(rows[i].text) != rows[i].kind)
            fail_msg("`%s` is taken for %d", rows[i].text, (int)address_of_fastcgi(rows[i].text));
    assert_int_equal(address_of_endpoint("ipc:///run/p.sock"), ADDRESS_UNIX);
    assert_int_equal(address_of_endpoint("ipc://p.sock"), ADDRESS_BAD);
    assert_int_equal(address_of_endpoint("ipc://@abstract"), ADDRESS_BAD);
    assert_int_equal(address_of_endpoint("tcp://127.0.0.1:5555"), ADDRESS_LOOPBACK);
    assert_int_equal(address_of_endpoint("tcp://*:5555"), ADDRESS_BEYOND);
    assert_int_equal(address_of_endpoint("udp://127.0.0.1:5555"), ADDRESS_BAD);
    assert_int_equal(address_of_endpoint("/run/p.sock"), ADDRESS_BAD);
    assert_int_equal(address_of_endpoint("tcp://"), ADDRESS_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_rule_with_a_matching_pattern_holds),
        cmocka_unit_test(without_a_rule_the_general_options_hold),
        cmocka_unit_test(a_list_matches_when_one_pattern_does),
        cmocka_unit_test(values_take_their_units),
        cmocka_unit_test(an_option_says_what_it_expects),
        cmocka_unit_test(every_description_is_whole),
        cmocka_unit_test(the_nearest_option_is_found_or_none),
        cmocka_unit_test(addresses_are_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
