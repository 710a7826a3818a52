/*
 * draft: settings in the making. Values come one by one with the place they were given at, are checked, and the first error
 * stays, in the words its reader needs. Knows nothing of files: config reads them.
 */
#ifndef DRAFT_H
#define DRAFT_H

#include "config.h"
#include "option.h"

/* Where a value was given: a line of the file, or an argument; neither: nowhere. */
struct origin {
    int line;
    const char *argument;
};

struct draft {
    struct settings *settings;
    struct config_error *error;
    const char *file_name;
    bool failed;
    struct origin given[OPTION_COUNT];  /* the first value of each option */
    struct origin beyond[OPTION_COUNT]; /* the first listener beyond loopback */
    struct channel_rule *rule;          /* the open [channel] section, NULL in the others */
    int rule_line;
};

/* All functions below that return bool: false when the draft has failed. */

/* Keeps the message unless there is one; always false. */
bool draft_fail(struct draft *draft, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* UTF-8 without control characters except the tab: fit for values and for messages. */
bool draft_is_plain(struct span text);

/* `section.name` = `value`, outside of [channel] sections. A value from the command line replaces those of the file. */
bool draft_set(struct draft *draft, struct span section, struct span name, const char *value, struct origin origin);

/* A `[section]` line begins at `line`; the one before it ends. */
bool draft_open_section(struct draft *draft, struct span section, int line);

/* The end of the file. */
bool draft_close_section(struct draft *draft);

/* `name` = `value` in the open [channel] section. */
bool draft_set_in_rule(struct draft *draft, const char *name, const char *value, int line);

/* Defaults for what was not given, the checks over several options, and the general values into the rules. */
bool draft_end(struct draft *draft);

#endif
