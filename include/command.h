/* command: what `sidecast NAME …` does besides being the server: tools for the one who administers it. One line in command.c each. */
#ifndef COMMAND_H
#define COMMAND_H

#include <stdio.h>

struct command {
    const char *name;
    const char *help;
    /* `argv[0]` is the name; returns the program's exit code. */
    int (*run)(int argc, char **argv);
};

/* NULL: there is none of this name. */
const struct command *command_find(const char *name);
/* Their names and what they do, for --help. */
void command_print_help(FILE *out);

#endif
