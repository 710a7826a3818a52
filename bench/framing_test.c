/* Whether framing finds the same parts in the same bytes, whole, byte by byte and at every split. run.sh calls it first. */
#include "framing.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct vector {
    enum framing_kind kind;
    const char *bytes;
    size_t size;
    const char *parts; /* H header, E end of head, bodies as they are, . end of answer, ! fault */
};

#define VECTOR(kind, bytes, parts) \
    { \
        kind, bytes, sizeof(bytes) - 1, parts \
    }

static const struct vector VECTORS[] = {
    VECTOR(FRAMING_HTTP, "HTTP/1.1 200 OK\r\nA: b\r\n\r\nall\nthat follows", "HHEall\nthat follows"),
    VECTOR(FRAMING_HTTP, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcHTTP/1.1 201 x\r\nContent-Length: 0\r\n\r\n",
           "HHEabc.HHE."),
    VECTOR(FRAMING_HTTP, "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 204 x\r\n\r\n", "HE.HE."),
    VECTOR(
        FRAMING_HTTP,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab\n\r\nA;x=y\r\n0123456789\r\n0\r\nT: u\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx",
        "HHEab\n0123456789.HEx"),
    VECTOR(FRAMING_HTTP, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HHE!"),
    VECTOR(FRAMING_FASTCGI, "\1\6\0\1\0\6\2\0A: b\n\n\0\0\1\6\0\1\0\2\0\0xy\1\3\0\1\0\10\0\0\0\0\0\0\0\0\0\0", "HExy"),
    VECTOR(FRAMING_FASTCGI, "\1\7\0\1\0\0\0\0", "!"),
};

static char found[256];

static void add(const char *text, size_t size)
{
    size_t at = strlen(found);

    assert(at + size < sizeof found);
    memcpy(found + at, text, size);
    found[at + size] = 0;
}

static void on_header(void *context, const char *line)
{
    (void)context, (void)line;
    add("H", 1);
}

static void on_body(void *context, const char *bytes, size_t size)
{
    (void)context;
    add(bytes, size);
}

static void on_head_end(void *context)
{
    (void)context;
    add("E", 1);
}

static void on_end(void *context)
{
    (void)context;
    add(".", 1);
}

static void on_bad(void *context, const char *what)
{
    (void)context, (void)what;
    add("!", 1);
}

static const struct framing_sink SINK = {on_header, on_body, on_head_end, on_end, on_bad};

/* In pieces of `step` bytes, the first of them of `first`. */
static void check(const struct vector *vector, size_t first, size_t step)
{
    struct framing framing;

    found[0] = 0;
    framing_init(&framing, vector->kind);
    for (size_t at = 0, size = first; at < vector->size; at += size, size = step) {
        if (size > vector->size - at)
            size = vector->size - at;
        framing_feed(&framing, &SINK, NULL, vector->bytes + at, size);
    }
    if (strcmp(found, vector->parts) != 0)
        fprintf(stderr, "found %s instead of %s\n", found, vector->parts);
    assert(strcmp(found, vector->parts) == 0);
}

int main(void)
{
    for (size_t i = 0; i < sizeof VECTORS / sizeof *VECTORS; i++) {
        check(&VECTORS[i], 1, 1);
        for (size_t split = 1; split <= VECTORS[i].size; split++)
            check(&VECTORS[i], split, VECTORS[i].size);
    }
    return 0;
}
