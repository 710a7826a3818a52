/*
 * text: a growing string with a sticky failure: append without checking, ask once at the end.
 * Also the checks that all names in the contract share.
 */
#ifndef TEXT_H
#define TEXT_H

#include "span.h"

#include <stdarg.h>

struct buffer;

struct text {
    char *bytes; /* owned; not NUL-terminated */
    size_t size;
    size_t capacity;
    bool failed; /* memory lacked: the content is not whole */
};

#define TEXT_EMPTY ((struct text){0})

void text_finish(struct text *text);
/* Forgets the content, keeps the memory. */
void text_clear(struct text *text);
/* Room for `more` further bytes, not yet counted in `size`; NULL when memory lacks. */
char *text_reserve(struct text *text, size_t more);
void text_append(struct text *text, struct span bytes);
void text_append_string(struct text *text, const char *string);
void text_append_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Appends `bytes` (valid UTF-8) as a JSON string with its quotes (RFC 8259, section 7). */
void text_append_json(struct text *text, struct span bytes);
static inline struct span text_span(const struct text *text)
{
    return (struct span){text->bytes, text->size};
}

/* Well-formed UTF-8 (Unicode 15, table 3-7): no overlong forms, no surrogates, nothing above U+10FFFF. */
bool text_is_utf8(struct span bytes);

/* base64url without padding (RFC 4648, section 5) of at least one byte. */
bool text_is_base64url(struct span text);

enum { NAME_MAX_BYTES = 255 };

/* A channel name: 1–255 bytes of UTF-8 without control characters, spaces, commas and `*`. */
bool text_is_channel(struct span name);

/* event, key, except, client: at most 255 bytes of UTF-8 without control characters. Empty is allowed. */
bool text_is_label(struct span label);

#endif
