/* command_token: `sidecast token`: signs a token with the server's keys or others. */
#ifndef COMMAND_TOKEN_H
#define COMMAND_TOKEN_H

/* See struct command: 0, EXIT_USAGE for a mistake in the arguments, EXIT_CONFIG for one in configuration or the keys. */
int command_token_run(int argc, char **argv);

#endif
