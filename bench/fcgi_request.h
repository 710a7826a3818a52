/*
 * fcgi_request: what the controls want to know of a FastCGI request. Not a parser for what strangers send.
 */
#ifndef FCGI_REQUEST_H
#define FCGI_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

enum { FCGI_REQUEST_MAX = 65536 };

struct fcgi_request {
    char channel[256]; /* SIDECAST_CHANNELS, or the first `channel=` of the query */
    bool is_poll;      /* Accept: application/json */
    bool has_cursor;   /* `cursor=` in the query */
    bool is_kept;      /* the connection is for further requests */
};

/* `bytes` are the records of one request up to the empty STDIN; otherwise the program ends with a line that says so. */
void fcgi_request_take(struct fcgi_request *request, const unsigned char *bytes, size_t size);

#endif
