/*
 * answer: the answers of long-polls, one client's: sidecast's JSON with a cursor, or (nchan) one message as the body, whose
 * Last-Modified and Etag are the cursor. Without I/O; owns the bytes of the current body.
 */
#ifndef ANSWER_H
#define ANSWER_H

#include <stdbool.h>
#include <stddef.h>

struct check;
struct sequence;

enum { ANSWER_CURSOR_KEPT = 64 };

/* Zeroed memory is a client that has not asked. */
struct answer {
    char *body; /* terminated at answer_finish() */
    size_t size, room;
    bool is_json;
    char cursor[ANSWER_CURSOR_KEPT];   /* JSON */
    char modified[ANSWER_CURSOR_KEPT]; /* else */
    char etag[ANSWER_CURSOR_KEPT];
};

void answer_take_header(struct answer *answer, const char *line);

void answer_take_body(struct answer *answer, const char *bytes, size_t size);

/* The answer is whole: checks its messages, keeps its cursor, and is ready for the next. */
void answer_finish(struct answer *answer, struct sequence *sequence, const struct check *check);

#endif
