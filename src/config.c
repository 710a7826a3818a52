/*
 * config: file and command line → settings.
 *
 *     FILE → read_line (refuses what inih would cut or misread) → inih (comments, `name = value`) → take_pair ┐
 *                                                                             command line → take_override ┴→ draft
 *
 * inih tells its handler neither line numbers nor empty sections: read_line counts lines and sees section lines first.
 * Nothing depends on how inih was built: indentation (its continuation lines) and the byte order mark are gone before it
 * sees them. The first error ends the reading.
 */
#include "config.h"

#include "draft.h"
#include "names.h"

#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    struct draft *draft;
    FILE *file;
    int line;
};

/* ---- the file ---- */

static bool fail_line(struct reading *reading, const char *expected)
{
    return draft_fail(reading->draft, "%s:%d: expected %s", reading->draft->file_name, reading->line, expected);
}

/* Reads up to the line's end; `size` counts also what is above `capacity` and not kept. False: the file is at its end. */
static bool read_bytes(FILE *file, char *bytes, size_t capacity, size_t *size)
{
    int byte = getc(file);

    *size = 0;
    if (byte == EOF)
        return false;
    for (; byte != EOF && byte != '\n'; byte = getc(file)) {
        if (*size < capacity)
            bytes[*size] = (char)byte;
        ++*size;
    }
    return true;
}

/* Without indentation and, in the first line, a byte order mark. */
static struct span trim_start(struct span line, bool is_first)
{
    static const char mark[] = "\xef\xbb\xbf";
    const size_t mark_size = sizeof mark - 1;

    if (is_first && line.size >= mark_size && memcmp(line.bytes, mark, mark_size) == 0)
        line = (struct span){line.bytes + mark_size, line.size - mark_size};
    for (; line.size > 0 && (*line.bytes == ' ' || *line.bytes == '\t'); line.size--)
        line.bytes++;
    return line;
}

/* `line` starts behind the `[`. Without a `]` it is inih that reports it. */
static bool take_section(struct reading *reading, const char *line)
{
    const char *end = strchr(line, ']');
    const char *rest;

    if (!end)
        return true;
    if (end - line > CONFIG_SECTION_BYTES)
        return fail_line(reading, "a section name of at most 49 bytes");
    rest = end + 1 + strspn(end + 1, " \t");
    if (*rest && *rest != ';' && *rest != '#')
        return fail_line(reading, "nothing but a comment behind [section]");
    return draft_open_section(reading->draft, (struct span){line, (size_t)(end - line)}, reading->line);
}

static bool check_line(struct reading *reading, struct span line, size_t size, size_t most)
{
    if (size > most)
        return draft_fail(reading->draft, "%s:%d: expected a line of at most %zu bytes, got %zu", reading->draft->file_name,
                          reading->line, most, size);
    return draft_is_plain(line) || fail_line(reading, "UTF-8 text without control characters");
}

/* inih's ini_reader; `capacity` counts a newline and a NUL. */
static char *read_line(char *result, int capacity, void *context)
{
    struct reading *reading = context;
    size_t most = capacity - 2 < CONFIG_LINE_BYTES ? (size_t)capacity - 2 : CONFIG_LINE_BYTES;
    char bytes[CONFIG_LINE_BYTES + 1]; /* with a carriage return */
    size_t size, kept;
    struct span line;

    if (reading->draft->failed || !read_bytes(reading->file, bytes, sizeof bytes, &size))
        return NULL;
    reading->line++;
    kept = size < sizeof bytes ? size : sizeof bytes;
    if (size == kept && kept > 0 && bytes[kept - 1] == '\r')
        size = --kept;
    line = trim_start((struct span){bytes, kept}, reading->line == 1);
    if (!check_line(reading, line, size, most))
        return NULL;
    memcpy(result, line.bytes, line.size);
    result[line.size] = '\0';
    if (result[0] == '[' && !take_section(reading, result + 1))
        return NULL;
    memcpy(result + line.size, "\n", 2);
    return result;
}

/* inih's ini_handler: 0 is an error. Comments and the space around name and value are gone. */
static int take_pair(void *context, const char *section, const char *name, const char *value)
{
    struct reading *reading = context;
    struct draft *draft = reading->draft;

    if (draft->failed)
        return 0;
    if (!name || !value) /* only from an inih that was built to call for such lines too */
        return !name;
    if (!*section)
        return fail_line(reading, "a [section] before the first option");
    if (strstr(value, " #") || strstr(value, "\t#"))
        return fail_line(reading, "a comment behind a value to start with ` ;`, got ` #`");
    if (draft->rule)
        return draft_set_in_rule(draft, name, value, reading->line);
    return draft_set(draft, span_of(section), span_of(name), value, (struct origin){.line = reading->line});
}

static bool read_file(struct draft *draft, FILE *file)
{
    struct reading reading = {.draft = draft, .file = file};
    int bad_line = ini_parse_stream(read_line, &reading, take_pair, &reading);

    if (ferror(file))
        return draft_fail(draft, "%s: cannot be read: %s", draft->file_name, strerror(errno));
    /* inih goes on behind a line it cannot read, so a later error may be ours: the first one counts */
    if (bad_line > 0 && (!draft->failed || bad_line < reading.line)) {
        draft->failed = false;
        reading.line = bad_line;
        return fail_line(&reading, "[section], option = value, or a comment");
    }
    if (bad_line < 0)
        return draft_fail(draft, "no memory for the configuration");
    return draft_close_section(draft);
}

/* ---- the command line ---- */

static bool take_override(struct draft *draft, const char *argument)
{
    struct origin origin = {.argument = argument};
    const char *section = argument + 2, *equals = strchr(argument, '='), *dot;

    if (!draft_is_plain(span_of(argument)))
        return draft_fail(draft, "command line: expected arguments of UTF-8 text without control characters");
    if (strncmp(argument, "--channel", strlen("--channel")) == 0)
        return draft_fail(draft, "%.200s: expected [channel] rules in the file only", argument);
    dot = equals ? memchr(argument, '.', (size_t)(equals - argument)) : NULL;
    if (strncmp(argument, "--", 2) != 0 || !dot)
        return draft_fail(draft, "%.200s: expected --section.option=value", argument);
    return draft_set(draft, (struct span){section, (size_t)(dot - section)}, (struct span){dot + 1, (size_t)(equals - dot - 1)},
                     equals + 1, origin);
}

bool config_read(struct settings *settings, FILE *file, const char *name, char *const *overrides, struct config_error *error)
{
    struct draft draft = {.settings = settings, .error = error, .file_name = name ? name : "configuration"};
    bool good;

    memset(settings, 0, sizeof *settings);
    error->message[0] = '\0';
    good = !file || read_file(&draft, file);
    for (; good && overrides && *overrides; overrides++)
        good = take_override(&draft, *overrides);
    good = good && draft_end(&draft);
    if (!good)
        config_finish(settings);
    return good;
}

bool config_load(struct settings *settings, const char *path, char *const *overrides, struct config_error *error)
{
    FILE *file = path ? fopen(path, "re") : NULL;
    bool good;

    if (path && !file) {
        memset(settings, 0, sizeof *settings);
        snprintf(error->message, sizeof error->message, "%.300s: %s", path, strerror(errno));
        return false;
    }
    good = config_read(settings, file, path, overrides, error);
    if (file)
        fclose(file);
    return good;
}

/* ---- the life of settings ---- */

static void finish_rules(struct settings *settings)
{
    for (size_t i = 0; i < settings->rule_count; i++) {
        free(settings->rules[i].name);
        names_finish(&settings->rules[i].match);
    }
    free(settings->rules);
    settings->rules = NULL;
    settings->rule_count = 0;
}

void config_finish(struct settings *settings)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        option_clear(&options[i], settings);
    finish_rules(settings);
}

void config_reload_take(struct settings *settings, struct settings *fresh,
                        void (*report)(void *context, const char *section, const char *name), void *context)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (options[i].reloadable)
            option_swap(&options[i], settings, fresh);
        else if (!option_equal(&options[i], settings, fresh))
            report(context, options[i].section, options[i].name);
    finish_rules(settings);
    settings->rules = fresh->rules;
    settings->rule_count = fresh->rule_count;
    fresh->rules = NULL;
    fresh->rule_count = 0;
    config_finish(fresh);
}

/* ---- --help ---- */

static const char usage[] =
    "Usage: sidecast [-c FILE] [--section.option=value ...]\n"
    "       sidecast --check-config [-c FILE] [--section.option=value ...]\n"
    "       sidecast --healthcheck [-c FILE] [--section.option=value ...]\n"
    "       sidecast COMMAND ... (listed at the end; each has its own --help)\n"
    "\n"
    "  -c FILE         read the options of FILE; the command line wins over it\n"
    "  --check-config  read the configuration, say what is wrong with it or how much memory it allows for, and exit with 0 or 1\n"
    "  --healthcheck   ask the sidecast that runs with this configuration, and exit with 0 or 1\n"
    "  --version       print the version\n"
    "  --help          print this text\n"
    "\n"
    "Sizes take B, KiB, MiB or GiB (a plain number is bytes), times ms, s, min, h or d.\n"
    "An option marked * can be changed in FILE and reloaded with SIGHUP.\n";

static void print_option(const struct option *option, FILE *out)
{
    char range[OPTION_TEXT_BYTES];

    option_range(option, range);
    fprintf(out, "  --%s.%s=%s%s%s%s%s\n      %s\n", option->section, option->name, option->default_value,
            *range ? " (" : "", range, *range ? ")" : "", option->reloadable ? " *" : "", option->help);
}

void config_print_help(FILE *out)
{
    const char *section = "";

    fputs(usage, out);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (strcmp(section, options[i].section) != 0)
            fprintf(out, "\n[%s]\n", options[i].section);
        section = options[i].section;
        print_option(&options[i], out);
    }
    fputs("\n[channel \"short-name\"] (in FILE only)\n"
          "  match = <pattern>, repeatable; history.messages, history.age, history.keep and hub.pace for its channels\n",
          out);
}
