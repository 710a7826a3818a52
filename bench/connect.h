/* connect: sockets to the server's side: a unix path, or 127.0.0.1:PORT. */
#ifndef CONNECT_H
#define CONNECT_H

#include <stdint.h>

#define SECOND_NS UINT64_C(1000000000)

/* Monotonic nanoseconds. */
uint64_t now_ns(void);

/*
 * A connected blocking socket of `type`, owned by the caller. Waits some seconds for a server that is starting; ends the
 * program on any other failure.
 */
int connect_to(const char *address, int type);

#endif
