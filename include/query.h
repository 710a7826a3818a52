/* query: a URL's query string, pair by pair, and its percent-encoding. Pure, without memory of its own. */
#ifndef QUERY_H
#define QUERY_H

#include "span.h"
#include "text.h"

/* A place for one decoded key or value. Nothing that is longer than a name can be is of use: it is cut one byte beyond that. */
struct query_text {
    char bytes[NAME_MAX_BYTES + 1];
    size_t size;
    bool broken; /* the percent-encoding is; the text ends there */
};

/* Up to the next `separator` in `*rest`, which moves behind it; false at the end. `item` lies in `*rest`. */
bool query_next_item(const char **rest, char separator, struct span *item);

/* The next pair of `*rest`, still encoded; a pair without `=` has an empty value. False at the end. */
bool query_next_pair(const char **rest, struct span *key, struct span *value);

/* Decodes `raw` (`%41` and `+`) into `text`; the result lies in `text`. Its size is above NAME_MAX_BYTES when it was cut. */
struct span query_decode(struct span raw, struct query_text *text);

/* The same into `bytes`, until `capacity` is reached; returns the size. */
size_t query_decode_into(struct span raw, char *bytes, size_t capacity, bool *broken);

/* Without blanks and tabs around it. */
struct span query_trim(struct span text);

#endif
