/* The command line: what is asked for, and with which configuration. */
#include "command.h"
#include "config.h"
#include "footprint.h"
#include "health.h"
#include "log.h"
#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEALTH_TIMEOUT_MS = 3000 };

enum task { TASK_RUN, TASK_CHECK_CONFIG, TASK_HEALTHCHECK, TASK_HELP, TASK_VERSION };

struct command_line {
    enum task task;
    const char *file;   /* NULL: none */
    char **overrides;   /* NULL-terminated; the array is owned */
    size_t override_count;
};

static bool parse(struct command_line *line, int argc, char **argv)
{
    *line = (struct command_line){.overrides = calloc((size_t)argc + 1, sizeof *line->overrides)};
    if (!line->overrides)
        return false;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];

        if (strcmp(word, "-c") == 0 && i + 1 < argc)
            line->file = argv[++i];
        else if (strcmp(word, "--check-config") == 0)
            line->task = TASK_CHECK_CONFIG;
        else if (strcmp(word, "--healthcheck") == 0)
            line->task = TASK_HEALTHCHECK;
        else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
            line->task = TASK_HELP;
        else if (strcmp(word, "--version") == 0)
            line->task = TASK_VERSION;
        else if (strncmp(word, "--", 2) == 0 && strchr(word, '='))
            line->overrides[line->override_count++] = argv[i];
        else {
            fprintf(stderr, "sidecast: %s: expected -c FILE, --section.option=value, --check-config, --healthcheck, --help, --version or a command\n",
                    word);
            return false;
        }
    }
    return true;
}

static bool read_config(struct settings *settings, void *context)
{
    const struct command_line *line = context;
    struct config_error error;

    if (config_load(settings, line->file, line->overrides, &error))
        return true;
    log_write(LOG_ERROR, "%s", error.message);
    return false;
}

static int check_health(const struct settings *settings)
{
    char error[256];

    if (health_check(settings, HEALTH_TIMEOUT_MS, error, sizeof error)) {
        puts("ok");
        return 0;
    }
    fprintf(stderr, "sidecast: %s\n", error);
    return 1;
}

static int tell_checked(const struct settings *settings)
{
    puts("ok");
    footprint_print(stdout, settings);
    return EXIT_OK;
}

static int run(struct command_line *line)
{
    struct settings settings;
    int code = EXIT_OK;

    switch (line->task) {
    case TASK_HELP:
        config_print_help(stdout);
        command_print_help(stdout);
        return EXIT_OK;
    case TASK_VERSION:
        puts("sidecast " SIDECAST_VERSION);
        return EXIT_OK;
    default:
        break;
    }
    if (!read_config(&settings, line))
        return line->task == TASK_RUN ? EXIT_CONFIG : 1;
    if (line->task == TASK_HEALTHCHECK)
        code = check_health(&settings);
    else if (line->task == TASK_RUN)
        code = server_run(&settings, read_config, line);
    else
        code = tell_checked(&settings);
    config_finish(&settings);
    return code;
}

int main(int argc, char **argv)
{
    const struct command *command = argc > 1 ? command_find(argv[1]) : NULL;
    struct command_line line;
    int code;

    if (command)
        return command->run(argc - 1, argv + 1);
    code = parse(&line, argc, argv) ? run(&line) : EXIT_USAGE;
    free(line.overrides);
    return code;
}
