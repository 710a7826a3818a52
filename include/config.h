/*
 * config: the settings from a file, the command line, and their defaults. An error names file and line (or the argument)
 * and what was expected.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include "settings.h"

#include <stdio.h>

struct config_error {
    char message[512];
};

/* inih cuts longer lines and section names in silence, so they are errors here. */
enum { CONFIG_LINE_BYTES = 198, CONFIG_SECTION_BYTES = 49 };

/*
 * Fills `settings` (whatever they held is overwritten) with the defaults, then `file` (NULL: none; `name` is for messages),
 * then `overrides`: NULL or NULL-terminated `--section.option=value`, which win (a list given there replaces all the file's
 * values of it). False: `error` says why, settings are finished. Also checks patterns, groups, the forms of addresses, and
 * what concerns several options: TCP beyond loopback, publish.max_frame_bytes against publish.max_bytes.
 * `file` stays the caller's.
 */
bool config_read(struct settings *settings, FILE *file, const char *name, char *const *overrides, struct config_error *error)
    __attribute__((warn_unused_result));

/* The same with the file at `path`; NULL: none. One that cannot be opened is an error, too. */
bool config_load(struct settings *settings, const char *path, char *const *overrides, struct config_error *error)
    __attribute__((warn_unused_result));

/* Frees what the settings own; fine for zeroed and for finished ones. */
void config_finish(struct settings *settings);

/*
 * Takes over what may change in a running process from `fresh`; calls `report` for each option that differs and needs a
 * restart. `fresh` is finished.
 * What channel_policy and pointers into `settings` gave before is no longer valid. log_set_level is the caller's to call.
 */
void config_reload_take(struct settings *settings, struct settings *fresh,
                        void (*report)(void *context, const char *section, const char *name), void *context);

/* --help: usage, and every option with its default, range and meaning. */
void config_print_help(FILE *out);

#endif
