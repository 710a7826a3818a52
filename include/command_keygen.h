/* command_keygen: the command that makes keys for CURVE. */
#ifndef COMMAND_KEYGEN_H
#define COMMAND_KEYGEN_H

/* `sidecast keygen …`: 0 made, 1 not made, 2 wrong arguments. */
int command_keygen_run(int argc, char **argv);

#endif
