/* command: what the program does besides serving: `sidecast <command> …`, one line each in command.c. */
#ifndef COMMAND_H
#define COMMAND_H

struct command {
    const char *name;
    /* Returns the program's exit code. `argv[0]` is the command's name. */
    int (*run)(int argc, char **argv);
};

/* NULL when there is none. */
const struct command *command_find(const char *name);

#endif
