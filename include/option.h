/*
 * option: the table of settings.h at run time: finding, parsing, describing and comparing options. Knows nothing of files and
 * the command line.
 */
#ifndef OPTION_H
#define OPTION_H

#include "settings.h"

#include <stddef.h>

enum option_type {
    TYPE_list,
    TYPE_string,
    TYPE_mode,
    TYPE_flag,
    TYPE_number,
    TYPE_size,
    TYPE_time,
    TYPE_level,
    TYPE_policy,
};

/* The place of an option in `options`: OPTION_fastcgi_listen and so on. */
enum option_id {
#define OPTION_ID(section, name, ...) OPTION_##section##_##name,
    SETTINGS(OPTION_ID)
#undef OPTION_ID
    OPTION_COUNT
};

struct option {
    const char *section;
    const char *name;
    enum option_type type;
    const char *default_value; /* as it would stand in the file */
    int64_t least;
    int64_t most;
    bool reloadable;
    const char *help;
    size_t offset; /* of the field in struct settings */
    size_t size;
};

extern const struct option options[OPTION_COUNT];

enum option_result { OPTION_OK, OPTION_BAD, OPTION_NO_MEMORY };

/* NULL when there is none. */
const struct option *option_find(struct span section, struct span name);

/* The option whose name is most like the unknown `section.name`; NULL when none is. */
const struct option *option_nearest(struct span section, struct span name);

/* The value of an option that is not a list or string; false when `value` is not of its type or out of its range. */
bool option_parse(const struct option *option, const char *value, int64_t *result) __attribute__((warn_unused_result));

/*
 * Sets the field to `value`; a list gets it as one more item, and an empty value adds nothing to it. A field that was never
 * set must be zero.
 */
enum option_result option_set(const struct option *option, struct settings *settings, const char *value)
    __attribute__((warn_unused_result));

/* Frees what the field owns and makes it zero. */
void option_clear(const struct option *option, struct settings *settings);

const struct string_list *option_list(const struct option *option, const struct settings *settings);
bool option_equal(const struct option *option, const struct settings *a, const struct settings *b);
void option_swap(const struct option *option, struct settings *a, struct settings *b);

enum { OPTION_TEXT_BYTES = 96 };

/* `1ms to 1d`, as it would be written in the file; empty for a type without a range. */
void option_range(const struct option *option, char text[OPTION_TEXT_BYTES]);

/* What to write: `a time of 1ms to 1d with a unit (ms, s, min, h, d)`. */
void option_describe(const struct option *option, char text[OPTION_TEXT_BYTES]);

#endif
