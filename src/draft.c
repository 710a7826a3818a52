#include "draft.h"

#include "names.h"

#include "address.h"
#include "pattern.h"
#include "text.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* What can stand in a [channel] section besides `match`; -1 stands for "not given" until draft_end. */
static const struct rule_option {
    enum option_id id;
    size_t offset;
} rule_options[] = {
    {OPTION_history_messages, offsetof(struct channel_policy, messages)},
    {OPTION_history_age, offsetof(struct channel_policy, age_ms)},
    {OPTION_history_keep, offsetof(struct channel_policy, keep_ms)},
    {OPTION_hub_pace, offsetof(struct channel_policy, pace_ms)},
    {OPTION_slow_policy, offsetof(struct channel_policy, slow)},
};
enum { RULE_OPTION_COUNT = sizeof rule_options / sizeof *rule_options };

/* ---- errors ---- */

bool draft_fail(struct draft *draft, const char *format, ...)
{
    va_list arguments;

    if (draft->failed)
        return false;
    draft->failed = true;
    va_start(arguments, format);
    vsnprintf(draft->error->message, sizeof draft->error->message, format, arguments);
    va_end(arguments);
    return false;
}

static bool fail_no_memory(struct draft *draft)
{
    return draft_fail(draft, "no memory for the configuration");
}

/* `name` with its section. */
static bool fail_value(struct draft *draft, struct origin origin, const char *name, const char *expected, const char *value)
{
    if (origin.argument)
        return draft_fail(draft, "%.200s: expected %s", origin.argument, expected);
    if (origin.line == 0)
        return draft_fail(draft, "%s: expected %s, got `%.100s`", name, expected, value);
    return draft_fail(draft, "%s:%d: %s: expected %s, got `%.100s`", draft->file_name, origin.line, name, expected, value);
}

enum { DOTTED_BYTES = 64 };

static void write_dotted(const char *section, const char *name, char dotted[DOTTED_BYTES])
{
    snprintf(dotted, DOTTED_BYTES, "%s.%s", section, name);
}

static bool fail_option(struct draft *draft, struct origin origin, const struct option *option, const char *expected,
                        const char *value)
{
    char dotted[DOTTED_BYTES];

    write_dotted(option->section, option->name, dotted);
    return fail_value(draft, origin, dotted, expected, value);
}

static bool fail_repeated(struct draft *draft, struct origin origin, const char *name, struct origin first)
{
    if (origin.argument)
        return draft_fail(draft, "%.200s: expected one value, got a second one", origin.argument);
    return draft_fail(draft, "%s:%d: %s: expected one value, got a second one (the first is in line %d)", draft->file_name,
                      origin.line, name, first.line);
}

static int shown(struct span text)
{
    return text.size < 60 ? (int)text.size : 60;
}

static bool fail_unknown(struct draft *draft, struct span section, struct span name, struct origin origin)
{
    const struct option *nearest = option_nearest(section, name);
    char hint[DOTTED_BYTES + 16] = "";

    if (nearest)
        snprintf(hint, sizeof hint, " (%s.%s?)", nearest->section, nearest->name);
    if (origin.argument)
        return draft_fail(draft, "%.200s: expected the name of an option%s, got an unknown one", origin.argument, hint);
    return draft_fail(draft, "%s:%d: %.*s.%.*s: expected the name of an option%s, got an unknown one", draft->file_name,
                      origin.line, shown(section), section.bytes, shown(name), name.bytes, hint);
}

/* ---- values ---- */

bool draft_is_plain(struct span text)
{
    for (size_t i = 0; i < text.size; i++)
        if (((unsigned char)text.bytes[i] < 0x20 && text.bytes[i] != '\t') || text.bytes[i] == 0x7f)
            return false;
    return text_is_utf8(text);
}

/* Where it cannot be looked up, whoever needs it says why. */
static bool may_be_group(const char *name)
{
    errno = 0;
    return getgrnam(name) || errno == EMFILE || errno == ENFILE || errno == ENOMEM;
}

/* What a value of `option` must be beyond its type; NULL when it is. */
static const char *unmet_form(const struct option *option, const char *value)
{
    switch ((enum option_id)(option - options)) {
    case OPTION_fastcgi_listen:
        return address_of_fastcgi(value) ? NULL : "/path (of at most 107 bytes) or host:port";
    case OPTION_publish_listen:
    case OPTION_publish_confirm_listen:
        return address_of_endpoint(value) ? NULL : "ipc:///path (of at most 107 bytes) or tcp://host:port";
    case OPTION_fastcgi_group:
    case OPTION_publish_group:
        return !*value || may_be_group(value) ? NULL : "a group of this system";
    case OPTION_access_public:
        return pattern_is_valid(span_of(value)) ? NULL : "a channel pattern";
    case OPTION_token_cookie:
        return value[strcspn(value, " \t=;,\"")] == '\0' ? NULL : "the name of a cookie";
    case OPTION_publish_channel_key:
        return *value && strcmp(value, "data") != 0 && strcmp(value, "channels") != 0
            ? NULL : "a key of at least one byte, neither `data` nor `channels`";
    case OPTION_sse_heartbeat_text:
        return *value == ':' ? NULL : "a line that starts with a colon";
    default:
        return NULL;
    }
}

static bool is_beyond_loopback(const struct option *option, const char *value)
{
    if (option == &options[OPTION_fastcgi_listen])
        return address_of_fastcgi(value) == ADDRESS_BEYOND;
    if (option == &options[OPTION_publish_listen] || option == &options[OPTION_publish_confirm_listen])
        return address_of_endpoint(value) == ADDRESS_BEYOND;
    return false;
}

static bool is_given(struct origin origin)
{
    return origin.line > 0 || origin.argument;
}

/* A second value of the same place needs a list; the command line's first one takes the place of all the file's. */
static bool make_way(struct draft *draft, const struct option *option, struct origin origin)
{
    struct origin *given = &draft->given[option - options];
    bool is_second = is_given(*given) && !given->argument == !origin.argument;
    char dotted[DOTTED_BYTES];

    write_dotted(option->section, option->name, dotted);
    if (is_second)
        return option->type == TYPE_list || fail_repeated(draft, origin, dotted, *given);
    if (is_given(*given)) {
        option_clear(option, draft->settings);
        draft->beyond[option - options] = (struct origin){0};
    }
    *given = origin;
    return true;
}

static bool set_value(struct draft *draft, const struct option *option, const char *value, struct origin origin)
{
    char expected[OPTION_TEXT_BYTES];

    switch (option_set(option, draft->settings, value)) {
    case OPTION_OK:
        return true;
    case OPTION_NO_MEMORY:
        return fail_no_memory(draft);
    case OPTION_BAD:
        break;
    }
    option_describe(option, expected);
    return fail_option(draft, origin, option, expected, value);
}

bool draft_set(struct draft *draft, struct span section, struct span name, const char *value, struct origin origin)
{
    const struct option *option = option_find(section, name);
    const char *unmet;

    if (!option)
        return fail_unknown(draft, section, name, origin);
    if (!make_way(draft, option, origin))
        return false;
    unmet = option->type == TYPE_list && !*value ? NULL : unmet_form(option, value);
    if (unmet)
        return fail_option(draft, origin, option, unmet, value);
    if (is_beyond_loopback(option, value) && !is_given(draft->beyond[option - options]))
        draft->beyond[option - options] = origin;
    return set_value(draft, option, value, origin);
}

/* ---- [channel "name"] ---- */

static int64_t *policy_field(struct channel_policy *policy, const struct rule_option *rule_option)
{
    return (int64_t *)(void *)((char *)policy + rule_option->offset);
}

static const struct rule_option *find_rule_option(const char *name)
{
    char dotted[DOTTED_BYTES];

    for (size_t i = 0; i < RULE_OPTION_COUNT; i++) {
        write_dotted(options[rule_options[i].id].section, options[rule_options[i].id].name, dotted);
        if (strcmp(name, dotted) == 0)
            return &rule_options[i];
    }
    return NULL;
}

static bool add_match(struct draft *draft, const char *pattern, struct origin origin)
{
    if (!pattern_is_valid(span_of(pattern)))
        return fail_value(draft, origin, "channel.match", "a channel pattern", pattern);
    return names_add(&draft->rule->match, span_of(pattern)) || fail_no_memory(draft);
}

bool draft_set_in_rule(struct draft *draft, const char *name, const char *value, int line)
{
    const struct rule_option *rule_option = find_rule_option(name);
    struct origin origin = {.line = line};
    char expected[OPTION_TEXT_BYTES], dotted[2 * DOTTED_BYTES];
    int64_t *field;

    if (strcmp(name, "match") == 0)
        return add_match(draft, value, origin);
    snprintf(dotted, sizeof dotted, "channel.%.60s", name);
    if (!rule_option)
        return fail_value(draft, origin, dotted, "match, history.messages, history.age, history.keep, hub.pace or slow.policy", name);
    field = policy_field(&draft->rule->policy, rule_option);
    if (*field >= 0)
        return draft_fail(draft, "%s:%d: %s: expected one value, got a second one", draft->file_name, line, dotted);
    if (option_parse(&options[rule_option->id], value, field))
        return true;
    option_describe(&options[rule_option->id], expected);
    return fail_value(draft, origin, dotted, expected, value);
}

/* A rule without a pattern would never hold. */
bool draft_close_section(struct draft *draft)
{
    struct channel_rule *rule = draft->rule;

    draft->rule = NULL;
    if (!rule || rule->match.count > 0)
        return !draft->failed;
    return draft_fail(draft, "%s:%d: channel.match: expected at least one pattern in [channel \"%s\"], got none",
                      draft->file_name, draft->rule_line, rule->name);
}

static bool open_rule(struct draft *draft, struct span name, int line)
{
    struct settings *settings = draft->settings;
    struct channel_rule *rules;

    for (size_t i = 0; i < settings->rule_count; i++)
        if (span_equal(span_of(settings->rules[i].name), name))
            return draft_fail(draft, "%s:%d: expected a name of its own for each [channel] section, got \"%s\" again",
                              draft->file_name, line, settings->rules[i].name);
    rules = realloc(settings->rules, (settings->rule_count + 1) * sizeof *rules);
    if (!rules)
        return fail_no_memory(draft);
    settings->rules = rules;
    draft->rule = &rules[settings->rule_count];
    *draft->rule = (struct channel_rule){.name = strndup(name.bytes, name.size), .policy = {-1, -1, -1, -1, -1}};
    if (!draft->rule->name) {
        draft->rule = NULL;
        return fail_no_memory(draft);
    }
    settings->rule_count++;
    draft->rule_line = line;
    return true;
}

static bool is_section(struct span section)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (span_equal(span_of(options[i].section), section))
            return true;
    return false;
}

bool draft_open_section(struct draft *draft, struct span section, int line)
{
    static const char channel[] = "channel \"";
    const size_t before = sizeof channel - 1;

    if (!draft_close_section(draft))
        return false;
    if (is_section(section))
        return true;
    if (section.size > before + 1 && memcmp(section.bytes, channel, before) == 0) {
        struct span name = {section.bytes + before, section.size - before - 1};

        if (memchr(name.bytes, '"', name.size + 1) == name.bytes + name.size)
            return open_rule(draft, name, line);
    }
    return draft_fail(draft, "%s:%d: expected the name of a section, or channel \"short-name\", in brackets, got `%.*s`",
                      draft->file_name, line, shown(section), section.bytes);
}

/* ---- the end ---- */

static bool set_defaults(struct draft *draft)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (!is_given(draft->given[i]) && !set_value(draft, &options[i], options[i].default_value, (struct origin){0}))
            return false;
    return true;
}

static bool check_listed(struct draft *draft, const struct option *listen)
{
    return option_list(listen, draft->settings)->count > 0 ||
           fail_option(draft, draft->given[listen - options], listen, "at least one address", "");
}

/* `unless`: what would allow an address beyond loopback, and whether it is so. */
static bool check_loopback(struct draft *draft, const struct option *listen, bool is_allowed, const char *unless)
{
    const struct string_list *list = option_list(listen, draft->settings);
    char expected[128];
    size_t i = 0;

    if (is_allowed || !is_given(draft->beyond[listen - options]))
        return true;
    while (!is_beyond_loopback(listen, list->items[i]))
        i++;
    snprintf(expected, sizeof expected, "a loopback address, unless %s", unless);
    return fail_option(draft, draft->beyond[listen - options], listen, expected, list->items[i]);
}

static bool check_frame_bytes(struct draft *draft)
{
    const struct settings *settings = draft->settings;
    struct origin origin = draft->given[OPTION_publish_max_frame_bytes];
    char expected[128], value[32];

    if (settings->publish_max_frame_bytes >= settings->publish_max_bytes)
        return true;
    if (!is_given(origin))
        origin = draft->given[OPTION_publish_max_bytes];
    snprintf(expected, sizeof expected, "publish.max_frame_bytes to be at least publish.max_bytes (%" PRId64 " bytes)",
             settings->publish_max_bytes);
    snprintf(value, sizeof value, "%" PRId64, settings->publish_max_frame_bytes);
    return fail_option(draft, origin, &options[OPTION_publish_max_frame_bytes], expected, value);
}

static bool check_drain(struct draft *draft)
{
    const struct settings *settings = draft->settings;
    struct origin origin = draft->given[OPTION_hub_drain];
    char expected[96], value[32];

    if (settings->hub_drain < settings->hub_stop_timeout)
        return true;
    if (!is_given(origin))
        origin = draft->given[OPTION_hub_stop_timeout];
    snprintf(expected, sizeof expected, "hub.drain to be below hub.stop_timeout (%" PRId64 "ms)", settings->hub_stop_timeout);
    snprintf(value, sizeof value, "%" PRId64 "ms", settings->hub_drain);
    return fail_option(draft, origin, &options[OPTION_hub_drain], expected, value);
}

static bool check_publishers(struct draft *draft)
{
    const struct settings *settings = draft->settings;
    const struct option *clients = &options[OPTION_publish_curve_clients_file];
    bool has_curve = *settings->publish_curve_secret_file;

    if (*settings->publish_curve_clients_file && !has_curve)
        return fail_option(draft, draft->given[clients - options], clients, "publish.curve_secret_file, too", settings->publish_curve_clients_file);
    for (enum option_id id = OPTION_publish_listen; id <= OPTION_publish_confirm_listen; id++)
        if (!check_loopback(draft, &options[id], settings->publish_insecure || has_curve,
                            "publish.curve_secret_file is given, or publish.insecure = yes"))
            return false;
    return check_listed(draft, &options[OPTION_publish_listen]);
}

static void resolve_rules(struct settings *settings)
{
    struct channel_policy general = {.messages = settings->history_messages,
                                     .age_ms = settings->history_age,
                                     .keep_ms = settings->history_keep,
                                     .pace_ms = settings->hub_pace,
                                     .slow = settings->slow_policy};

    for (size_t i = 0; i < settings->rule_count; i++)
        for (size_t j = 0; j < RULE_OPTION_COUNT; j++) {
            int64_t *field = policy_field(&settings->rules[i].policy, &rule_options[j]);

            if (*field < 0)
                *field = *policy_field(&general, &rule_options[j]);
        }
}

bool draft_end(struct draft *draft)
{
    const struct settings *settings = draft->settings;

    if (!set_defaults(draft) ||
        !check_listed(draft, &options[OPTION_fastcgi_listen]) ||
        !check_loopback(draft, &options[OPTION_fastcgi_listen], settings->fastcgi_insecure, "fastcgi.insecure = yes") ||
        !check_publishers(draft) || !check_frame_bytes(draft) || !check_drain(draft))
        return false;
    resolve_rules(draft->settings);
    return true;
}
