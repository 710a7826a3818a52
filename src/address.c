#include "address.h"

#include <arpa/inet.h>
#include <string.h>

enum { HOST_BYTES = 253 /* RFC 1035, 2.3.4 */, PORT_MOST = 65535 };

static enum address_kind kind_of_path(const char *path)
{
    size_t size = strlen(path);

    return path[0] == '/' && size > 1 && size <= ADDRESS_PATH_BYTES ? ADDRESS_UNIX : ADDRESS_BAD;
}

static bool is_port(const char *text)
{
    long port = 0;
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || digits > 5 || text[digits])
        return false;
    for (; *text; text++)
        port = port * 10 + (*text - '0');
    return port <= PORT_MOST;
}

static enum address_kind kind_of_ipv6(const char *host)
{
    struct in6_addr address;

    if (inet_pton(AF_INET6, host, &address) != 1)
        return ADDRESS_BAD;
    return IN6_IS_ADDR_LOOPBACK(&address) ? ADDRESS_LOOPBACK : ADDRESS_BEYOND;
}

static enum address_kind kind_of_name(const char *host)
{
    struct in_addr address;

    if (inet_pton(AF_INET, host, &address) == 1)
        return ntohl(address.s_addr) >> 24 == 127 ? ADDRESS_LOOPBACK : ADDRESS_BEYOND;
    if (strcmp(host, "localhost") == 0)
        return ADDRESS_LOOPBACK;
    if (strcmp(host, "*") == 0)
        return ADDRESS_BEYOND;
    /* digits and dots alone are a mistyped IPv4 address, not a name */
    if (host[strspn(host, "0123456789.")] == '\0')
        return ADDRESS_BAD;
    return host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")] ? ADDRESS_BAD : ADDRESS_BEYOND;
}

static enum address_kind kind_of_host_port(const char *text)
{
    const char *colon = strrchr(text, ':');
    char host[HOST_BYTES + 1] = "";
    size_t size = colon ? (size_t)(colon - text) : 0;

    if (size == 0 || size > HOST_BYTES || !is_port(colon + 1))
        return ADDRESS_BAD;
    memcpy(host, text, size);
    if (host[0] != '[')
        return kind_of_name(host);
    if (host[size - 1] != ']')
        return ADDRESS_BAD;
    host[size - 1] = '\0';
    return kind_of_ipv6(host + 1);
}

enum address_kind address_of_fastcgi(const char *text)
{
    return text[0] == '/' ? kind_of_path(text) : kind_of_host_port(text);
}

enum address_kind address_of_endpoint(const char *text)
{
    enum { SCHEME_BYTES = sizeof "tcp://" - 1 };

    if (strncmp(text, "ipc://", SCHEME_BYTES) == 0)
        return kind_of_path(text + SCHEME_BYTES);
    if (strncmp(text, "tcp://", SCHEME_BYTES) == 0)
        return kind_of_host_port(text + SCHEME_BYTES);
    return ADDRESS_BAD;
}
