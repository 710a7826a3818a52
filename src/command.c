#include "command.h"

#include "command_token.h"

#include <string.h>

static const struct command commands[] = {
    {"token", "make a token for a client", command_token},
    {NULL, NULL, NULL},
};

const struct command *command_find(const char *name)
{
    for (const struct command *command = commands; command->name; command++)
        if (strcmp(command->name, name) == 0)
            return command;
    return NULL;
}

void command_print_help(FILE *out)
{
    fputs("\nCommands (sidecast NAME --help):\n", out);
    for (const struct command *command = commands; command->name; command++)
        fprintf(out, "  %-14s  %s\n", command->name, command->help);
}
