#include "request.h"

#include <err.h>
#include <stdio.h>
#include <string.h>

enum { RECORD_BEGIN = 1, RECORD_PARAMS = 4, RECORD_STDIN = 5 }; /* FastCGI 1.0, 8 */

static size_t put_record(char *out, int type, const char *content, size_t size)
{
    const unsigned char header[8] = {1, (unsigned char)type, 0, 1, (unsigned char)(size >> 8), (unsigned char)size, 0, 0};

    memcpy(out, header, sizeof header);
    memcpy(out + sizeof header, content, size);
    return sizeof header + size;
}

/* FastCGI 1.0, 3.4: lengths above 127 take four bytes. */
static size_t put_length(char *out, size_t length)
{
    if (length < 128) {
        out[0] = (char)length;
        return 1;
    }
    out[0] = (char)(0x80 | length >> 24);
    out[1] = (char)(length >> 16);
    out[2] = (char)(length >> 8);
    out[3] = (char)length;
    return 4;
}

static size_t put_param(char *out, const char *name, const char *value)
{
    size_t name_size = strlen(name), value_size = strlen(value), size = 0;

    size += put_length(out + size, name_size);
    size += put_length(out + size, value_size);
    memcpy(out + size, name, name_size);
    memcpy(out + size + name_size, value, value_size);
    return size + name_size + value_size;
}

size_t request_fastcgi(char out[REQUEST_MAX], const char *channels)
{
    static const char begin[8] = {0, 1}; /* a responder; the connection is not kept */
    static char params[REQUEST_MAX];
    size_t size = 0, at = 0;

    if (strlen(channels) > REQUEST_MAX - 1024)
        errx(2, "too many channels for one client");
    size += put_param(params + size, "SIDECAST_CHANNELS", channels);
    size += put_param(params + size, "REQUEST_METHOD", "GET");
    size += put_param(params + size, "REQUEST_URI", "/events");
    size += put_param(params + size, "QUERY_STRING", "");
    size += put_param(params + size, "SERVER_PROTOCOL", "HTTP/1.1");
    size += put_param(params + size, "HTTP_HOST", "localhost");
    size += put_param(params + size, "HTTP_ACCEPT", "text/event-stream");
    at += put_record(out + at, RECORD_BEGIN, begin, sizeof begin);
    at += put_record(out + at, RECORD_PARAMS, params, size);
    at += put_record(out + at, RECORD_PARAMS, "", 0);
    at += put_record(out + at, RECORD_STDIN, "", 0);
    return at;
}

static size_t put_path(char out[REQUEST_MAX], const char *method, const char *path, const char *channel)
{
    const char *place = strstr(path, "%s");

    if (!place || strlen(path) + strlen(channel) > 4096)
        errx(2, "%s: a path has one %%s and is short", path);
    return (size_t)snprintf(out, REQUEST_MAX, "%s %.*s%s%s", method, (int)(place - path), path, channel, place + 2);
}

size_t request_get(char out[REQUEST_MAX], const char *path, const char *channel, const char *query, const char *headers)
{
    size_t size = put_path(out, "GET", path, channel);

    return size + (size_t)snprintf(out + size, REQUEST_MAX - size, "%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", query, headers);
}

size_t request_post(char out[REQUEST_MAX], const char *path, const char *channel, const char *body, size_t body_size)
{
    size_t size = put_path(out, "POST", path, channel);

    size +=
        (size_t)snprintf(out + size, REQUEST_MAX - size,
                         " HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n", body_size);
    if (size + body_size > REQUEST_MAX)
        errx(2, "a body of %zu bytes is too large", body_size);
    memcpy(out + size, body, body_size);
    return size + body_size;
}
