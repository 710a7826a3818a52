#include "command.h"

#include "command_keygen.h"
#include "command_publish.h"

#include <stddef.h>
#include <string.h>

static const struct command commands[] = {
    {"keygen", command_keygen_run},
    {"publish", command_publish_run},
};

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}
