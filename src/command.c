#include "command.h"

#include "command_keygen.h"
#include "command_publish.h"
#include "command_token.h"

#include <string.h>

static const struct command commands[] = {
    {"keygen", "make a key pair for CURVE", command_keygen_run},
    {"publish", "publish a message and print its id", command_publish_run},
    {"token", "make a token for a client", command_token_run},
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
