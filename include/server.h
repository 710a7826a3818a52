/* server: the running daemon: one loop with hub, ingest, acceptor and worker; signals; start, reload, stop. */
#ifndef SERVER_H
#define SERVER_H

#include "settings.h"

/* Exit codes of the program. */
enum { EXIT_OK = 0, EXIT_USAGE = 2, EXIT_CONFIG = 3, EXIT_START = 4 };

/* Reads the configuration anew: fills `settings`, or logs why not and returns false. */
typedef bool server_read_config(struct settings *settings, void *context);

/*
 * Runs until SIGTERM or SIGINT: streams are ended, all that was published before is delivered, at the latest after hub.stop_timeout. SIGHUP reads the
 * configuration anew; SIGUSR1 logs the metrics. Returns the exit code.
 */
int server_run(struct settings *settings, server_read_config *read_config, void *context);

#endif
