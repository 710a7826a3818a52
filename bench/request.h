/* request: what clients send. Without I/O. */
#ifndef REQUEST_H
#define REQUEST_H

#include <stddef.h>

enum { REQUEST_MAX = 65536 };

/* The channels a client listens to: `text` holds their names, separated by commas. A subscription as nginx passes it on. */
size_t request_fastcgi(char out[REQUEST_MAX], const char *text);

/*
 * `path` with one %s for the channel. `headers`: further header lines, each with its CRLF; `query`: appended to the path.
 */
size_t request_get(char out[REQUEST_MAX], const char *path, const char *channel, const char *query, const char *headers);

size_t request_post(char out[REQUEST_MAX], const char *path, const char *channel, const char *body, size_t body_size);

#endif
