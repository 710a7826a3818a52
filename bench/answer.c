#include "answer.h"
#include "check.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void keep_value(char kept[ANSWER_CURSOR_KEPT], const char *line)
{
    const char *value = strchr(line, ':') + 1;

    snprintf(kept, ANSWER_CURSOR_KEPT, "%s", value + strspn(value, " "));
}

void answer_take_header(struct answer *answer, const char *line)
{
    if (strncasecmp(line, "Content-Type:", 13) == 0)
        answer->is_json = strstr(line, "application/json") != NULL;
    else if (strncasecmp(line, "Last-Modified:", 14) == 0)
        keep_value(answer->modified, line);
    else if (strncasecmp(line, "Etag:", 5) == 0)
        keep_value(answer->etag, line);
}

void answer_take_body(struct answer *answer, const char *bytes, size_t size)
{
    if (answer->room < answer->size + size + 1) {
        answer->room = 2 * (answer->size + size) + 1;
        answer->body = realloc(answer->body, answer->room);
        if (!answer->body)
            err(1, "an answer of %zu bytes", answer->size + size);
    }
    memcpy(answer->body + answer->size, bytes, size);
    answer->size += size;
}

/* The string after the next `"key":` at or behind `at`; NULL if there is none. Our payloads and ids need no escapes. */
static char *find_string(char *at, const char *key)
{
    char *found = at ? strstr(at, key) : NULL;

    if (!found)
        return NULL;
    found += strlen(key);
    found += strspn(found, ": ");
    return *found == '"' ? found + 1 : NULL;
}

static void take_messages(const struct answer *answer, struct sequence *sequence, const struct check *check)
{
    char *at = strstr(answer->body, "\"messages\"");

    if (strstr(answer->body, "\"gap\": true") || strstr(answer->body, "\"gap\":true"))
        check->on_fault(check->context, sequence, "a gap was told");
    for (;;) {
        char *id = find_string(at, "\"id\"");
        char *data = find_string(id, "\"data\"");

        if (!data)
            return;
        at = data + strcspn(data, "\"");
        check_id(check, sequence, id);
        check_payload(check, sequence, data, (size_t)(at - data));
    }
}

void answer_finish(struct answer *answer, struct sequence *sequence, const struct check *check)
{
    char *cursor;

    answer_take_body(answer, "", 0);
    answer->body[answer->size] = 0;
    if (!answer->is_json) {
        check_payload(check, sequence, answer->body, answer->size);
    } else {
        cursor = find_string(answer->body, "\"cursor\"");
        if (!cursor)
            check->on_fault(check->context, sequence, "an answer has no cursor");
        else
            snprintf(answer->cursor, sizeof answer->cursor, "%.*s", (int)strcspn(cursor, "\""), cursor);
        take_messages(answer, sequence, check);
    }
    answer->size = 0;
}
