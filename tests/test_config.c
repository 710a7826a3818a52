#include "config.h"
#include "option.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

enum { OVERRIDES_MOST = 4 };

static FILE *file_of(const char *text, size_t size)
{
    FILE *file = tmpfile();

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    rewind(file);
    return file;
}

static bool read_text(struct settings *settings, const char *text, char *const *overrides, struct config_error *error)
{
    FILE *file = file_of(text, strlen(text));
    bool good = config_read(settings, file, "s.conf", overrides, error);

    fclose(file);
    return good;
}

static void expect_read(struct settings *settings, const char *text, char *const *overrides)
{
    struct config_error error;

    if (!read_text(settings, text, overrides, &error))
        fail_msg("%s", error.message);
}

static void expect_error(const char *text, char *const *overrides, const char *message)
{
    struct settings settings;
    struct config_error error;

    if (read_text(&settings, text, overrides, &error)) {
        config_finish(&settings);
        fail_msg("no error from `%s`, but expected: %s", text, message);
    }
    assert_string_equal(error.message, message);
}

static void expect_list(const struct string_list *list, const char *first, const char *second)
{
    assert_int_equal(list->count, second ? 2 : first ? 1 : 0);
    if (first)
        assert_string_equal(list->items[0], first);
    if (second)
        assert_string_equal(list->items[1], second);
}

static void without_file_and_arguments_the_defaults_hold(void **state)
{
    struct settings settings;
    struct config_error error;

    (void)state;
    assert_true(config_read(&settings, NULL, NULL, NULL, &error));
    expect_list(&settings.fastcgi_listen, "/run/sidecast/fastcgi.sock", NULL);
    expect_list(&settings.publish_listen, "ipc:///run/sidecast/publish.sock", NULL);
    expect_list(&settings.publish_confirm_listen, "ipc:///run/sidecast/confirm.sock", NULL);
    expect_list(&settings.access_public, NULL, NULL);
    assert_int_equal(settings.fastcgi_mode, 0660);
    assert_int_equal(settings.publish_max_bytes, 1048576);
    assert_int_equal(settings.sse_heartbeat, 15000);
    assert_string_equal(settings.sse_heartbeat_text, ":");
    assert_string_equal(settings.publish_channel_key, "channel");
    assert_string_equal(settings.hub_state_dir, "");
    assert_true(settings.sse_open_event);
    assert_false(settings.publish_insecure);
    assert_int_equal(settings.log_level, LOG_INFO);
    assert_int_equal(settings.rule_count, 0);
    config_finish(&settings);
}

static void a_file_is_read_with_its_sections_lists_and_comments(void **state)
{
    struct settings settings;

    (void)state;
    expect_read(&settings,
                "# a comment\n; another\n\n[fastcgi] ; the front end\nlisten = /a/f.sock\n  "
                "listen=127.0.0.1:9000   ; two of them\n"
                "mode = 0600\n[access]\npublic = news/*\npublic = #room;1\n\t[hub]\n\tpace = 0\n[sse]\nheartbeat_text = :a = b\n"
                "[fastcgi]\nbacklog: 16\n",
                NULL);
    expect_list(&settings.fastcgi_listen, "/a/f.sock", "127.0.0.1:9000");
    expect_list(&settings.access_public, "news/*", "#room;1");
    assert_int_equal(settings.fastcgi_mode, 0600);
    assert_int_equal(settings.fastcgi_backlog, 16);
    assert_int_equal(settings.hub_pace, 0);
    assert_string_equal(settings.sse_heartbeat_text, ":a = b");
    config_finish(&settings);
}

static void line_ends_marks_and_a_missing_last_newline_do_not_matter(void **state)
{
    struct settings settings;

    (void)state;
    expect_read(&settings, "\xef\xbb\xbf[sse]\r\nretry = 7s\r\n\r\n[poll]\r\ntimeout = 9s", NULL);
    assert_int_equal(settings.sse_retry, 7000);
    assert_int_equal(settings.poll_timeout, 9000);
    config_finish(&settings);
    expect_read(&settings, "", NULL);
    config_finish(&settings);
}

static void the_longest_line_is_read_whole(void **state)
{
    struct settings settings;
    char text[256];
    static const char *const ends[] = {"", "\n", "\r\n"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        snprintf(text, sizeof text, "[sse]\nheartbeat_text=:%s%s%s%.32s%s", X50, X50, X50, X50, ends[i]);
        expect_read(&settings, text, NULL);
        assert_int_equal(strlen(settings.sse_heartbeat_text), CONFIG_LINE_BYTES - strlen("heartbeat_text="));
        config_finish(&settings);
    }
    snprintf(text, sizeof text, "[sse]\nheartbeat_text=:%s%s%s%.33s\n", X50, X50, X50, X50);
    expect_error(text, NULL, "s.conf:2: expected a line of at most 198 bytes, got 199");
    snprintf(text, sizeof text, ";%s%s%s%.47s\r\nx", X50, X50, X50, X50);
    expect_error(text, NULL, "s.conf:2: expected [section], option = value, or a comment");
    snprintf(text, sizeof text, "\n;%s%s%s%.48s", X50, X50, X50, X50);
    expect_error(text, NULL, "s.conf:2: expected a line of at most 198 bytes, got 199");
}

static void the_longest_section_name_is_read_whole(void **state)
{
    struct settings settings;

    (void)state;
    /* 49 bytes between the brackets */
    expect_read(&settings, "[channel \"123456789 123456789 123456789 123456789\"]\nmatch = a\n", NULL);
    assert_string_equal(settings.rules[0].name, "123456789 123456789 123456789 123456789");
    config_finish(&settings);
    expect_error("\n[channel \"123456789 123456789 123456789 123456789 \"]\nmatch = a\n", NULL,
                 "s.conf:2: expected a section name of at most 49 bytes");
}

struct bad_file {
    const char *text;
    const char *message;
};

static void errors_of_the_file_name_line_option_and_expectation(void **state)
{
    static const struct bad_file rows[] = {
        {"[sse]\nretry = 3\n", "s.conf:2: sse.retry: expected a time of 1ms to 1h with its unit (ms, s, min, h, d), got `3`"},
        {"[sse]\nretry =\n", "s.conf:2: sse.retry: expected a time of 1ms to 1h with its unit (ms, s, min, h, d), got ``"},
        {"[publish]\nmax_bytes = 1MB",
         "s.conf:2: publish.max_bytes: expected a size of 1B to 64MiB (units B, KiB, MiB, GiB), got `1MB`"},
        {"[fastcgi]\nmode = 999", "s.conf:2: fastcgi.mode: expected an octal mode of 0000 to 0777, got `999`"},
        {"[fastcgi]\ninsecure = on", "s.conf:2: fastcgi.insecure: expected yes or no, got `on`"},
        {"[fastcgi]\nlisten = f.sock",
         "s.conf:2: fastcgi.listen: expected /path (of at most 107 bytes) or host:port, got `f.sock`"},
        {"[publish]\nlisten = /f.sock",
         "s.conf:2: publish.listen: expected ipc:///path (of at most 107 bytes) or tcp://host:port, got `/f.sock`"},
        {"[token]\ncookie = a=b", "s.conf:2: token.cookie: expected the name of a cookie, got `a=b`"},
        {"[token]\nleeway = 6min", "s.conf:2: token.leeway: expected a time of 0 to 5min with its unit (ms, s, min, h, d), got `6min`"},
        {"[publish]\nchannel_key =", "s.conf:2: publish.channel_key: expected a key of at least one byte, neither `data` nor `channels`, got ``"},
        {"[publish]\nchannel_key = data", "s.conf:2: publish.channel_key: expected a key of at least one byte, neither `data` nor `channels`, got `data`"},
        {"[publish]\ngroup = no such", "s.conf:2: publish.group: expected a group of this system, got `no such`"},
        {"[access]\npublic = a\npublic = a b", "s.conf:3: access.public: expected a channel pattern, got `a b`"},
        {"[sse]\nheartbeat_text = x", "s.conf:2: sse.heartbeat_text: expected a line that starts with a colon, got `x`"},
        {"[log]\nlevel = loud", "s.conf:2: log.level: expected error, warning, notice, info or debug, got `loud`"},
        {"[sse]\nretry = 1s\n\nretry = 1s",
         "s.conf:4: sse.retry: expected one value, got a second one (the first is in line 2)"},
        {"[sse]\nhartbeat = 1s", "s.conf:2: sse.hartbeat: expected the name of an option (sse.heartbeat?), got an unknown one"},
        {"[sse]\ncolour = 1s", "s.conf:2: sse.colour: expected the name of an option, got an unknown one"},
        {"[sse]\n= 1s", "s.conf:2: sse.: expected the name of an option, got an unknown one"},
        {"retry = 1s", "s.conf:1: expected a [section] before the first option"},
        {"[sse]\nretry", "s.conf:2: expected [section], option = value, or a comment"},
        {"[sse\nretry = 1s", "s.conf:1: expected [section], option = value, or a comment"},
        {"[access]\npublic = a\n  b\n[x]\n", "s.conf:3: expected [section], option = value, or a comment"},
        {"[sse] retry = 1s", "s.conf:1: expected nothing but a comment behind [section]"},
        {"\n[web]", "s.conf:2: expected the name of a section, or channel \"short-name\", in brackets, got `web`"},
        {"[ sse ]", "s.conf:1: expected the name of a section, or channel \"short-name\", in brackets, got ` sse `"},
        {"[]", "s.conf:1: expected the name of a section, or channel \"short-name\", in brackets, got ``"},
        {"[log]\nlevel = info # why", "s.conf:2: expected a comment behind a value to start with ` ;`, got ` #`"},
        {"[log]\nlevel = in\rfo", "s.conf:2: expected UTF-8 text without control characters"},
        {"[log]\n;\xff", "s.conf:2: expected UTF-8 text without control characters"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_error(rows[i].text, NULL, rows[i].message);
}

static void errors_over_several_options_name_the_line_to_change(void **state)
{
    static const struct bad_file rows[] = {
        {"[fastcgi]\nlisten = 127.0.0.1:1\nlisten = 0.0.0.0:1\nlisten = *:2\n",
         "s.conf:3: fastcgi.listen: expected a loopback address, unless fastcgi.insecure = yes, got `0.0.0.0:1`"},
        {"[fastcgi]\ninsecure = yes\n[publish]\nlisten = tcp://*:5555\n",
         "s.conf:4: publish.listen: expected a loopback address, unless publish.curve_secret_file is given, or publish.insecure = yes, got `tcp://*:5555`"},
        {"[publish]\nlisten = tcp://127.0.0.1:1\nconfirm_listen = tcp://10.0.0.1:1\n",
         "s.conf:3: publish.confirm_listen: expected a loopback address, unless publish.curve_secret_file is given, or publish.insecure = yes, got "
         "`tcp://10.0.0.1:1`"},
        {"[publish]\nconfirm_listen = /confirm.sock\n",
         "s.conf:2: publish.confirm_listen: expected ipc:///path (of at most 107 bytes) or tcp://host:port, got `/confirm.sock`"},
        {"[publish]\ncurve_clients_file = /list\n",
         "s.conf:2: publish.curve_clients_file: expected publish.curve_secret_file, too, got `/list`"},
        {"[publish]\nlisten =\n", "s.conf:2: publish.listen: expected at least one address, got ``"},
        {"[publish]\nmax_bytes = 2KiB\nmax_frame_bytes = 1KiB\n",
         "s.conf:3: publish.max_frame_bytes: expected publish.max_frame_bytes to be at least publish.max_bytes "
         "(2048 bytes), got `1024`"},
        {"[publish]\nmax_bytes = 32MiB\n",
         "s.conf:2: publish.max_frame_bytes: expected publish.max_frame_bytes to be at least publish.max_bytes "
         "(33554432 bytes), got `16777216`"},
        {"[hub]\nstop_timeout = 5s\ndrain = 5s\n",
         "s.conf:3: hub.drain: expected hub.drain to be below hub.stop_timeout (5000ms), got `5000ms`"},
        {"[hub]\nstop_timeout = 500ms\n", "s.conf:2: hub.drain: expected hub.drain to be below hub.stop_timeout (500ms), got `1000ms`"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_error(rows[i].text, NULL, rows[i].message);
}

static void insecure_listeners_start_when_told_so(void **state)
{
    struct settings settings;

    (void)state;
    expect_read(&settings, "[fastcgi]\nlisten = *:1\ninsecure = yes\n[publish]\ninsecure = yes\nlisten = tcp://[::]:2\n", NULL);
    assert_true(settings.fastcgi_insecure);
    config_finish(&settings);
}

static void publishers_with_curve_may_come_from_everywhere(void **state)
{
    struct settings settings;

    (void)state;
    expect_read(&settings, "[publish]\nlisten = tcp://*:1\nconfirm_listen = tcp://[::]:2\ncurve_secret_file = /key\n", NULL);
    assert_false(settings.publish_insecure);
    config_finish(&settings);
}

static void answers_can_be_switched_off(void **state)
{
    struct settings settings;

    (void)state;
    expect_read(&settings, "[publish]\nconfirm_listen =\n", NULL);
    assert_int_equal(settings.publish_confirm_listen.count, 0);
    config_finish(&settings);
}

static void bytes_that_end_a_c_string_are_an_error(void **state)
{
    static const char text[] = "[log]\nlevel = info\0more\n";
    FILE *file = file_of(text, sizeof text - 1);
    struct settings settings;
    struct config_error error;

    (void)state;
    assert_false(config_read(&settings, file, "s.conf", NULL, &error));
    assert_string_equal(error.message, "s.conf:2: expected UTF-8 text without control characters");
    fclose(file);
}

static void a_file_that_cannot_be_read_is_an_error(void **state)
{
    FILE *directory = fopen("/", "r");
    struct settings settings;
    struct config_error error;

    (void)state;
    assert_non_null(directory);
    assert_false(config_read(&settings, directory, "/", NULL, &error));
    assert_string_equal(error.message, "/: cannot be read: Is a directory");
    fclose(directory);
}

static void a_file_is_named_by_its_path_or_there_is_none(void **state)
{
    static char quiet[] = "--log.level=error";
    struct settings settings;
    struct config_error error;
    char path[] = "/tmp/sidecast-config-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_int_equal(write(fd, "[poll]\ntimeout = 7s\n", 20), 20);
    close(fd);
    assert_true(config_load(&settings, path, (char *[]){quiet, NULL}, &error));
    assert_int_equal(settings.poll_timeout, 7000);
    assert_int_equal(settings.log_level, LOG_ERROR);
    config_finish(&settings);
    assert_true(config_load(&settings, NULL, NULL, &error));
    assert_int_equal(settings.poll_timeout, 25000);
    config_finish(&settings);
    unlink(path);
    assert_false(config_load(&settings, path, NULL, &error));
    assert_memory_equal(error.message, path, strlen(path));
    assert_string_equal(error.message + strlen(path), ": No such file or directory");
    config_finish(&settings); /* fine after an error, too */
}

static void a_rule_holds_the_general_values_wherever_they_stand(void **state)
{
    struct settings settings;

    (void)state;
    expect_read(&settings,
                "[channel \"tick\"]\nmatch = ticker/*\nmatch = rates/**\nhistory.messages = 0\nhub.pace = 50ms\nslow.policy = latest\n"
                "[channel \"all\"]\nmatch = **\n"
                "[history]\nmessages = 7\nage = 2h\n[slow]\npolicy = close\n",
                (char *[]){"--history.keep=3s", NULL});
    assert_int_equal(settings.rule_count, 2);
    assert_string_equal(settings.rules[0].name, "tick");
    expect_list(&settings.rules[0].match, "ticker/*", "rates/**");
    assert_int_equal(settings.rules[0].policy.messages, 0);
    assert_int_equal(settings.rules[0].policy.age_ms, 7200000);
    assert_int_equal(settings.rules[0].policy.keep_ms, 3000);
    assert_int_equal(settings.rules[0].policy.pace_ms, 50);
    assert_int_equal(settings.rules[1].policy.messages, 7);
    assert_int_equal(settings.rules[0].policy.slow, SLOW_LATEST);
    assert_int_equal(settings.rules[1].policy.pace_ms, 10);
    assert_int_equal(settings.rules[1].policy.slow, SLOW_CLOSE);
    config_finish(&settings);
}

static void errors_of_rules_name_their_line(void **state)
{
    static const struct bad_file rows[] = {
        {"[channel \"a\"]\nhub.pace = 1s\n[log]\n",
         "s.conf:1: channel.match: expected at least one pattern in [channel \"a\"], got none"},
        {"\n[channel \"a\"]", "s.conf:2: channel.match: expected at least one pattern in [channel \"a\"], got none"},
        {"[channel \"a\"]\nmatch ticker/*\n", "s.conf:2: expected [section], option = value, or a comment"},
        {"[channel \"a\"]\nmatch = a,b\n", "s.conf:2: channel.match: expected a channel pattern, got `a,b`"},
        {"[channel \"a\"]\nmatch =\n", "s.conf:2: channel.match: expected a channel pattern, got ``"},
        {"[channel \"a\"]\nmatch = a\n[channel \"a\"]\nmatch = b\n",
         "s.conf:3: expected a name of its own for each [channel] section, got \"a\" again"},
        {"[channel \"a\"]\nmatch = a\nhub.pace = 1s\nhub.pace = 2s\n",
         "s.conf:4: channel.hub.pace: expected one value, got a second one"},
        {"[channel \"a\"]\nmatch = a\nhub.pace = 2\n",
         "s.conf:3: channel.hub.pace: expected a time of 0 to 1min with its unit (ms, s, min, h, d), got `2`"},
        {"[channel \"a\"]\nmatch = a\nsse.retry = 2s\n",
         "s.conf:3: channel.sse.retry: expected match, history.messages, history.age, history.keep, hub.pace or slow.policy, got `sse.retry`"},
        {"[channel \"a\"]\nmatch = a\nslow.policy = newest\n",
         "s.conf:3: channel.slow.policy: expected catch-up, latest or close, got `newest`"},
        {"[channel a]\n", "s.conf:1: expected the name of a section, or channel \"short-name\", in brackets, got `channel a`"},
        {"[channel \"\"]\n",
         "s.conf:1: expected the name of a section, or channel \"short-name\", in brackets, got `channel \"\"`"},
        {"[channel \"]\n", "s.conf:1: expected the name of a section, or channel \"short-name\", in brackets, got `channel \"`"},
        {"[channel \"a\" b\"]\n",
         "s.conf:1: expected the name of a section, or channel \"short-name\", in brackets, got `channel \"a\" b\"`"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_error(rows[i].text, NULL, rows[i].message);
}

static void the_command_line_wins_and_replaces_lists(void **state)
{
    static const char text[] = "[fastcgi]\nlisten = *:1\nlisten = /a\n[access]\npublic = a\n[sse]\nretry = 1s\n";
    struct settings settings;

    (void)state;
    expect_read(&settings, text,
                (char *[]){"--sse.retry=2s", "--fastcgi.listen=/b", "--access.public=", "--fastcgi.listen=/c", NULL});
    assert_int_equal(settings.sse_retry, 2000);
    expect_list(&settings.fastcgi_listen, "/b", "/c");
    expect_list(&settings.access_public, NULL, NULL);
    config_finish(&settings);
}

static void errors_of_the_command_line_name_the_argument(void **state)
{
    static const struct {
        char *overrides[OVERRIDES_MOST];
        const char *message;
    } rows[] = {
        {{"--sse.retry=2"}, "--sse.retry=2: expected a time of 1ms to 1h with its unit (ms, s, min, h, d)"},
        {{"--sse.retry=2s", "--sse.retry=3s"}, "--sse.retry=3s: expected one value, got a second one"},
        {{"--sse.hartbeat=2s"}, "--sse.hartbeat=2s: expected the name of an option (sse.heartbeat?), got an unknown one"},
        {{"--sse.retry"}, "--sse.retry: expected --section.option=value"},
        {{"--retry=a.b"}, "--retry=a.b: expected --section.option=value"},
        {{"sse.retry=2s"}, "sse.retry=2s: expected --section.option=value"},
        {{"--.=2s"}, "--.=2s: expected the name of an option, got an unknown one"},
        {{""}, ": expected --section.option=value"},
        {{"--channel.match=a"}, "--channel.match=a: expected [channel] rules in the file only"},
        {{"--sse.heartbeat_text=:\ndata: x"}, "command line: expected arguments of UTF-8 text without control characters"},
        {{"--fastcgi.listen=/a", "--fastcgi.listen=*:1"},
         "--fastcgi.listen=*:1: expected a loopback address, unless fastcgi.insecure = yes"},
        {{"--publish.max_bytes=32MiB"},
         "--publish.max_bytes=32MiB: expected publish.max_frame_bytes to be at least publish.max_bytes (33554432 bytes)"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_error("", rows[i].overrides, rows[i].message);
}

struct reported {
    char names[256];
};

static void note_report(void *context, const char *section, const char *name)
{
    struct reported *reported = context;
    size_t size = strlen(reported->names);

    snprintf(reported->names + size, sizeof reported->names - size, "%s.%s ", section, name);
}

static void a_reload_takes_what_it_can_and_reports_the_rest(void **state)
{
    struct settings settings, fresh;
    struct reported reported = {""};

    (void)state;
    expect_read(&settings,
                "[access]\npublic = a\n[channel \"x\"]\nmatch = x\n[fastcgi]\nlisten = /a\n[publish]\ngroup = root\n", NULL);
    expect_read(&fresh,
                "[access]\npublic = b\npublic = c\n[channel \"y\"]\nmatch = y\nhub.pace = 1s\n"
                "[fastcgi]\nlisten = /b\nmode = 0600\n"
                "[history]\nmessages = 3\n[log]\nlevel = debug\n",
                NULL);
    config_reload_take(&settings, &fresh, note_report, &reported);
    assert_string_equal(reported.names, "fastcgi.listen fastcgi.mode publish.group ");
    expect_list(&settings.fastcgi_listen, "/a", NULL);
    expect_list(&settings.access_public, "b", "c");
    assert_int_equal(settings.fastcgi_mode, 0660);
    assert_int_equal(settings.history_messages, 3);
    assert_int_equal(settings.log_level, LOG_DEBUG);
    assert_int_equal(settings.rule_count, 1);
    assert_string_equal(settings.rules[0].name, "y");
    config_finish(&settings);
    config_finish(&fresh); /* finished already: nothing twice */
}

static void a_reload_of_the_same_configuration_reports_nothing(void **state)
{
    struct settings settings, fresh;
    struct reported reported = {""};

    (void)state;
    expect_read(&settings, "[publish]\ngroup = root\n", NULL);
    expect_read(&fresh, "[publish]\ngroup = root\n", NULL);
    config_reload_take(&settings, &fresh, note_report, &reported);
    assert_string_equal(reported.names, "");
    config_finish(&settings);
}

static void help_names_every_option(void **state)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    (void)state;
    config_print_help(out);
    fclose(out);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        char wanted[128];

        snprintf(wanted, sizeof wanted, "  --%s.%s=%s", options[i].section, options[i].name, options[i].default_value);
        assert_non_null(strstr(text, wanted));
        assert_non_null(strstr(text, options[i].help));
    }
    assert_non_null(strstr(text, "  --sse.heartbeat=15s (1ms to 1d) *\n"));
    free(text);
}

/* The sample shows each option as `;name = default`: without the `;` it must read as the defaults, plus its rules. */
static void the_sample_file_holds_the_defaults(void **state)
{
    FILE *sample = fopen("docs/sidecast.conf.example", "r"), *plain = tmpfile();
    struct settings settings, defaults;
    struct config_error error;
    char line[256];

    (void)state;
    assert_non_null(sample);
    while (fgets(line, sizeof line, sample))
        fputs(line[0] == ';' ? line + 1 : line, plain);
    rewind(plain);
    if (!config_read(&settings, plain, "sample", NULL, &error))
        fail_msg("%s", error.message);
    assert_true(config_read(&defaults, NULL, NULL, NULL, &error));
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (!option_equal(&options[i], &settings, &defaults))
            fail_msg("%s.%s is not the default", options[i].section, options[i].name);
    assert_int_equal(settings.rule_count, 1);
    config_finish(&settings);
    config_finish(&defaults);
    fclose(plain);
    fclose(sample);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_file_and_arguments_the_defaults_hold),
        cmocka_unit_test(a_file_is_read_with_its_sections_lists_and_comments),
        cmocka_unit_test(line_ends_marks_and_a_missing_last_newline_do_not_matter),
        cmocka_unit_test(the_longest_line_is_read_whole),
        cmocka_unit_test(the_longest_section_name_is_read_whole),
        cmocka_unit_test(errors_of_the_file_name_line_option_and_expectation),
        cmocka_unit_test(errors_over_several_options_name_the_line_to_change),
        cmocka_unit_test(insecure_listeners_start_when_told_so),
        cmocka_unit_test(publishers_with_curve_may_come_from_everywhere),
        cmocka_unit_test(answers_can_be_switched_off),
        cmocka_unit_test(bytes_that_end_a_c_string_are_an_error),
        cmocka_unit_test(a_file_that_cannot_be_read_is_an_error),
        cmocka_unit_test(a_file_is_named_by_its_path_or_there_is_none),
        cmocka_unit_test(a_rule_holds_the_general_values_wherever_they_stand),
        cmocka_unit_test(errors_of_rules_name_their_line),
        cmocka_unit_test(the_command_line_wins_and_replaces_lists),
        cmocka_unit_test(errors_of_the_command_line_name_the_argument),
        cmocka_unit_test(a_reload_takes_what_it_can_and_reports_the_rest),
        cmocka_unit_test(a_reload_of_the_same_configuration_reports_nothing),
        cmocka_unit_test(help_names_every_option),
        cmocka_unit_test(the_sample_file_holds_the_defaults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
