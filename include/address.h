/* address: the forms of the addresses that the configuration lists. No look-ups: what a name stands for is not asked. */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <stdbool.h>

enum address_kind {
    ADDRESS_BAD,
    ADDRESS_UNIX,     /* a unix socket */
    ADDRESS_LOOPBACK, /* TCP on 127.0.0.0/8, ::1 or localhost */
    ADDRESS_BEYOND,   /* TCP on anything else: another address, `*`, or a name */
};

/* Longest path of a unix socket (sun_path is 108 bytes with its NUL). */
enum { ADDRESS_PATH_BYTES = 107 };

/* `/path` or `host:port`; an IPv6 host stands in brackets. */
enum address_kind address_of_fastcgi(const char *text);

/* `ipc:///path` or `tcp://host:port`. */
enum address_kind address_of_endpoint(const char *text);

#endif
