#include "record.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* FastCGI 1.0, 8 */
enum { END_REQUEST = 3, END_REQUEST_BODY = 8 };

static const char START[] =
    "Status: 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n\r\n"
    ":\nretry: 3000\n";

void record_put_header(char *out, int type, size_t content)
{
    const unsigned char header[RECORD_HEADER] = {
        1, (unsigned char)type, 0, 1, (unsigned char)(content >> 8), (unsigned char)content, 0, 0};

    memcpy(out, header, sizeof header);
}

void record_next_id(char id[RECORD_ID_TEXT])
{
    static unsigned long long last_ms;
    static unsigned seq;
    struct timespec now;
    unsigned long long ms;

    clock_gettime(CLOCK_REALTIME, &now);
    ms = (unsigned long long)now.tv_sec * 1000 + (unsigned long long)now.tv_nsec / 1000000;
    seq = ms > last_ms ? 0 : seq + 1;
    last_ms = ms > last_ms ? ms : last_ms;
    snprintf(id, RECORD_ID_TEXT, "%llu-%u", last_ms, seq);
}

static void finish(struct record *record, size_t content)
{
    record_put_header(record->bytes, RECORD_STDOUT, content);
    record->size = RECORD_HEADER + content;
}

void record_make_start(struct record *record)
{
    memcpy(record->bytes + RECORD_HEADER, START, strlen(START));
    finish(record, strlen(START));
}

void record_make_event(struct record *record, const char *id, const char *data, size_t size)
{
    int content = snprintf(record->bytes + RECORD_HEADER, sizeof record->bytes - RECORD_HEADER, "id: %s\ndata: %.*s\n\n", id,
                           (int)size, data);

    finish(record, (size_t)content);
}

static int put_poll_body(char *out, size_t room, const char *id, const char *channel, const char *data, size_t size)
{
    if (!data)
        return snprintf(out, room, "{\"cursor\":\"%s\",\"gap\":false,\"messages\":[]}\n", id);
    return snprintf(
        out, room,
        "{\"cursor\":\"%s\",\"gap\":false,\"messages\":[{\"id\":\"%s\",\"channel\":\"%s\",\"event\":null,\"data\":\"%.*s\"}]}\n",
        id, id, channel, (int)size, data);
}

void record_make_poll_answer(struct record *record, const char *id, const char *channel, const char *data, size_t size)
{
    static char body[RECORD_DATA_MAX + 1024];
    int body_size = put_poll_body(body, sizeof body, id, channel, data, size);
    int content = snprintf(record->bytes + RECORD_HEADER, sizeof record->bytes - RECORD_HEADER,
                           "Status: 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
                           "Content-Length: %d\r\n\r\n%s",
                           body_size, body);
    char *end = record->bytes + RECORD_HEADER + content;

    finish(record, (size_t)content);
    record_put_header(end, RECORD_STDOUT, 0);
    record_put_header(end + RECORD_HEADER, END_REQUEST, END_REQUEST_BODY);
    memset(end + 2 * RECORD_HEADER, 0, END_REQUEST_BODY); /* FastCGI 1.0, 5.5: complete */
    record->size += 2 * RECORD_HEADER + END_REQUEST_BODY;
}
