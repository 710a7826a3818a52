#include "fcgi_request.h"

#include "record.h"

#include <err.h>
#include <stdio.h>
#include <string.h>

/* FastCGI 1.0, 3.4: a length is one byte, or four with the highest bit set. */
static size_t take_length(const unsigned char **at)
{
    size_t length = *(*at)++;

    if (length < 128)
        return length;
    length = (length & 127) << 24 | (size_t)(*at)[0] << 16 | (size_t)(*at)[1] << 8 | (*at)[2];
    *at += 3;
    return length;
}

static void take_channel(struct fcgi_request *request, const char *value, size_t size)
{
    const char *end = memchr(value, '&', size);

    snprintf(request->channel, sizeof request->channel, "%.*s", (int)(end ? (size_t)(end - value) : size), value);
}

static void take_query(struct fcgi_request *request, const char *query, size_t size)
{
    if (size > strlen("channel=") && memcmp(query, "channel=", strlen("channel=")) == 0 && !*request->channel)
        take_channel(request, query + strlen("channel="), size - strlen("channel="));
    request->has_cursor = memmem(query, size, "cursor=", strlen("cursor=")) != NULL;
}

static bool is_named(const char *name, size_t size, const char *wanted)
{
    return size == strlen(wanted) && memcmp(name, wanted, size) == 0;
}

static void take_parameters(struct fcgi_request *request, const unsigned char *at, const unsigned char *end)
{
    while (at < end) {
        size_t name_size = take_length(&at), size = take_length(&at);
        const char *name = (const char *)at, *value = name + name_size;

        if (is_named(name, name_size, "SIDECAST_CHANNELS"))
            take_channel(request, value, size);
        else if (is_named(name, name_size, "QUERY_STRING"))
            take_query(request, value, size);
        else if (is_named(name, name_size, "HTTP_ACCEPT"))
            request->is_poll = memmem(value, size, "application/json", strlen("application/json")) != NULL;
        at += name_size + size;
    }
}

void fcgi_request_take(struct fcgi_request *request, const unsigned char *at, size_t size)
{
    const unsigned char *end = at + size;

    while (end - at >= RECORD_HEADER) {
        const unsigned char *content = at + RECORD_HEADER;
        size_t content_size = (size_t)at[4] << 8 | at[5];

        if (content + content_size > end)
            break;
        if (at[1] == 1)
            request->is_kept = content[2] & 1;
        else if (at[1] == 4)
            take_parameters(request, content, content + content_size);
        else if (at[1] == 5 && content_size == 0)
            return;
        at = content + content_size + at[6];
    }
    errx(1, "a request did not come whole");
}
