/* health: asks a running sidecast, over its own FastCGI socket, whether it answers. Blocks; for a process of its own. */
#ifndef HEALTH_H
#define HEALTH_H

#include "settings.h"

/* Asks at the first of fastcgi.listen, waits at most `timeout_ms`. False: `error` says why. */
bool health_check(const struct settings *settings, int timeout_ms, char *error, size_t size) __attribute__((warn_unused_result));

#endif
