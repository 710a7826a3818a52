/*
 * record: the bytes that the controls write, the same as sidecast's: the start of an event stream and an event with its id, each
 * in one FastCGI STDOUT record. Ids rise over the process.
 */
#ifndef RECORD_H
#define RECORD_H

#include <stddef.h>

enum { RECORD_STDOUT = 6 /* FastCGI 1.0, 8 */, RECORD_HEADER = 8, RECORD_DATA_MAX = 60000, RECORD_ID_TEXT = 32 };

struct record {
    size_t size;
    char bytes[RECORD_HEADER + RECORD_DATA_MAX + 2048];
};

/* FastCGI 1.0, 3.3: the header of a record of request 1 without padding. */
void record_put_header(char *out, int type, size_t content);

/* The id of the next event. */
void record_next_id(char id[RECORD_ID_TEXT]);

void record_make_start(struct record *record);

/* `size` is at most RECORD_DATA_MAX; the data has no line feed in it. */
void record_make_event(struct record *record, const char *id, const char *data, size_t size);

/*
 * The whole answer to a poll with this one message, its end included; with `data` NULL it has none. Neither channel nor data may
 * need JSON's escapes.
 */
void record_make_poll_answer(struct record *record, const char *id, const char *channel, const char *data, size_t size);

#endif
