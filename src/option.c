#include "option.h"

#include "names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct option options[OPTION_COUNT] = {
#define OPTION_ENTRY(section, name, type, default_value, least, most, reloadable, help)                                \
    {#section, #name, TYPE_##type, default_value, least, most, reloadable, help,                                       \
     offsetof(struct settings, section##_##name), sizeof(settings_##type)},
    SETTINGS(OPTION_ENTRY)
#undef OPTION_ENTRY
};

struct unit {
    const char *name;
    int64_t factor;
};

/* The largest first, as they are tried when a value is written. */
static const struct unit time_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0},
};
static const struct unit size_units[] = {
    {"GiB", 1024 * 1024 * 1024}, {"MiB", 1024 * 1024}, {"KiB", 1024}, {"B", 1}, {NULL, 0},
};

/* ---- finding ---- */

static bool is_named(const struct option *option, struct span section, struct span name)
{
    return span_equal(span_of(option->section), section) && span_equal(span_of(option->name), name);
}

const struct option *option_find(struct span section, struct span name)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (is_named(&options[i], section, name))
            return &options[i];
    return NULL;
}

enum { NEAR_BYTES = 40, NEAR_EDITS = 2 };

static size_t least_of(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

/* How many bytes must be put in, taken out or replaced to make `a` of `b` (Levenshtein); both at most NEAR_BYTES. */
static size_t edits_between(struct span a, struct span b)
{
    size_t row[NEAR_BYTES + 1];

    for (size_t j = 0; j <= b.size; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.size; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            size_t above = row[j];

            row[j] = least_of(above + 1, row[j - 1] + 1, diagonal + (a.bytes[i - 1] != b.bytes[j - 1]));
            diagonal = above;
        }
    }
    return row[b.size];
}

const struct option *option_nearest(struct span section, struct span name)
{
    const struct option *nearest = NULL;
    size_t fewest = NEAR_EDITS + 1;

    if (section.size > NEAR_BYTES || name.size > NEAR_BYTES)
        return NULL;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        size_t in_section = edits_between(section, span_of(options[i].section));
        size_t in_name = edits_between(name, span_of(options[i].name));
        size_t edits = in_section + in_name;

        if (in_name == 0 && edits > NEAR_EDITS)
            edits = NEAR_EDITS; /* the right name in a wrong section */
        if (edits < fewest) {
            fewest = edits;
            nearest = &options[i];
        }
    }
    return nearest;
}

/* ---- parsing ---- */

/* Digits of `base` at the start of `*text`, which moves behind them; false without any or when the number is too large. */
static bool parse_digits(const char **text, int base, int64_t *number)
{
    const char *p = *text;

    *number = 0;
    for (; *p >= '0' && *p < '0' + base; p++)
        if (__builtin_mul_overflow(*number, base, number) || __builtin_add_overflow(*number, *p - '0', number))
            return false;
    if (p == *text)
        return false;
    *text = p;
    return true;
}

static bool parse_units(const char *value, const struct unit *units, bool unit_optional, int64_t *result)
{
    int64_t number;

    if (!parse_digits(&value, 10, &number))
        return false;
    *result = number;
    if (!*value)
        return unit_optional || number == 0;
    for (const struct unit *unit = units; unit->name; unit++)
        if (strcmp(value, unit->name) == 0)
            return !__builtin_mul_overflow(number, unit->factor, result);
    return false;
}

static bool parse_flag(const char *value, int64_t *result)
{
    *result = strcmp(value, "yes") == 0;
    return *result || strcmp(value, "no") == 0;
}

static bool parse_level(const char *value, int64_t *result)
{
    enum log_level level = LOG_ERROR;
    bool known = log_level_parse(value, &level);

    *result = (int64_t)level;
    return known;
}

static bool parse_policy(const char *value, int64_t *result)
{
    static const char *const names[] = {[SLOW_CATCH_UP] = "catch-up", [SLOW_LATEST] = "latest", [SLOW_CLOSE] = "close"};

    for (*result = SLOW_CATCH_UP; *result <= SLOW_CLOSE; ++*result)
        if (strcmp(value, names[*result]) == 0)
            return true;
    return false;
}

static bool parse_whole(const char *value, int base, int64_t *result)
{
    return parse_digits(&value, base, result) && !*value;
}

bool option_parse(const struct option *option, const char *value, int64_t *result)
{
    switch (option->type) {
    case TYPE_flag:
        return parse_flag(value, result);
    case TYPE_level:
        return parse_level(value, result);
    case TYPE_policy:
        return parse_policy(value, result);
    case TYPE_mode:
        return parse_whole(value, 8, result) && *result >= option->least && *result <= option->most;
    case TYPE_number:
        return parse_whole(value, 10, result) && *result >= option->least && *result <= option->most;
    case TYPE_size:
        return parse_units(value, size_units, true, result) && *result >= option->least && *result <= option->most;
    case TYPE_time:
        return parse_units(value, time_units, false, result) && *result >= option->least && *result <= option->most;
    case TYPE_list:
    case TYPE_string:
        break;
    }
    return false;
}

/* ---- the fields ---- */

static void *field_of(const struct option *option, struct settings *settings)
{
    return (char *)settings + option->offset;
}

static const void *field_in(const struct option *option, const struct settings *settings)
{
    return (const char *)settings + option->offset;
}

static enum option_result set_string(settings_string *field, const char *value)
{
    char *copy = strdup(value);

    if (!copy)
        return OPTION_NO_MEMORY;
    free(*field);
    *field = copy;
    return OPTION_OK;
}

static void set_integer(const struct option *option, void *field, int64_t value)
{
    switch (option->type) {
    case TYPE_flag:
        *(settings_flag *)field = value != 0;
        break;
    case TYPE_level:
        *(settings_level *)field = (settings_level)value;
        break;
    case TYPE_policy:
        *(settings_policy *)field = (settings_policy)value;
        break;
    case TYPE_mode:
        *(settings_mode *)field = (settings_mode)value;
        break;
    default:
        *(int64_t *)field = value;
    }
}

enum option_result option_set(const struct option *option, struct settings *settings, const char *value)
{
    void *field = field_of(option, settings);
    int64_t integer;

    if (option->type == TYPE_list)
        return !*value || names_add(field, span_of(value)) ? OPTION_OK : OPTION_NO_MEMORY;
    if (option->type == TYPE_string)
        return set_string(field, value);
    if (!option_parse(option, value, &integer))
        return OPTION_BAD;
    set_integer(option, field, integer);
    return OPTION_OK;
}

void option_clear(const struct option *option, struct settings *settings)
{
    void *field = field_of(option, settings);

    if (option->type == TYPE_list)
        names_finish(field);
    else if (option->type == TYPE_string)
        free(*(settings_string *)field);
    memset(field, 0, option->size);
}

const struct string_list *option_list(const struct option *option, const struct settings *settings)
{
    return field_in(option, settings);
}

static bool lists_equal(const struct string_list *a, const struct string_list *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return true;
}

bool option_equal(const struct option *option, const struct settings *a, const struct settings *b)
{
    const void *in_a = field_in(option, a), *in_b = field_in(option, b);

    if (option->type == TYPE_list)
        return lists_equal(in_a, in_b);
    if (option->type == TYPE_string)
        return strcmp(*(const settings_string *)in_a, *(const settings_string *)in_b) == 0;
    return memcmp(in_a, in_b, option->size) == 0;
}

void option_swap(const struct option *option, struct settings *a, struct settings *b)
{
    char *in_a = field_of(option, a), *in_b = field_of(option, b);

    for (size_t i = 0; i < option->size; i++) {
        char byte = in_a[i];

        in_a[i] = in_b[i];
        in_b[i] = byte;
    }
}

/* ---- describing ---- */

enum { AMOUNT_BYTES = 32 };

/* `value` in the largest unit that divides it. */
static void write_amount(const struct option *option, int64_t value, char text[AMOUNT_BYTES])
{
    const struct unit *unit = option->type == TYPE_time ? time_units : size_units;

    if (option->type == TYPE_mode) {
        snprintf(text, AMOUNT_BYTES, "0%03o", (unsigned)value);
    } else if (value == 0 || option->type == TYPE_number) {
        snprintf(text, AMOUNT_BYTES, "%lld", (long long)value);
    } else {
        while (value % unit->factor != 0)
            unit++;
        snprintf(text, AMOUNT_BYTES, "%lld%s", (long long)(value / unit->factor), unit->name);
    }
}

static bool has_range(const struct option *option)
{
    return option->type == TYPE_mode || option->type == TYPE_number || option->type == TYPE_size || option->type == TYPE_time;
}

void option_range(const struct option *option, char text[OPTION_TEXT_BYTES])
{
    char least[AMOUNT_BYTES], most[AMOUNT_BYTES];

    text[0] = '\0';
    if (!has_range(option))
        return;
    write_amount(option, option->least, least);
    write_amount(option, option->most, most);
    snprintf(text, OPTION_TEXT_BYTES, "%s to %s", least, most);
}

void option_describe(const struct option *option, char text[OPTION_TEXT_BYTES])
{
    static const struct {
        const char *before;
        const char *after;
    } words[] = {
        [TYPE_list] = {"text", ""},
        [TYPE_string] = {"text", ""},
        [TYPE_mode] = {"an octal mode of ", ""},
        [TYPE_flag] = {"yes or no", ""},
        [TYPE_number] = {"a number of ", ""},
        [TYPE_size] = {"a size of ", " (units B, KiB, MiB, GiB)"},
        [TYPE_time] = {"a time of ", " with its unit (ms, s, min, h, d)"},
        [TYPE_level] = {"error, warning, notice, info or debug", ""},
        [TYPE_policy] = {"catch-up, latest or close", ""},
    };
    char range[OPTION_TEXT_BYTES];

    option_range(option, range);
    snprintf(text, OPTION_TEXT_BYTES, "%s%.40s%s", words[option->type].before, range, words[option->type].after);
}
