/* What a client of replica_fixture.h received, decoded as FastCGI records, then as a response, then as an event stream. */
#ifndef REPLICA_STREAM_H
#define REPLICA_STREAM_H

struct stream_event {
    struct event_id id;
    struct span name; /* of the event; empty for a plain message; ":" for a comment */
    struct text data;
    size_t record; /* where in the received bytes the record begins in which the event begins */
};

struct stream {
    struct text content; /* of all whole STDOUT records */
    struct span headers;
    struct span body;
    bool is_whole; /* the response came to its end */
    struct stream_event *events;
    size_t count;
    size_t *records; /* for each: offset in content, offset in the received bytes */
    size_t record_count;
};

static inline void stream_finish(struct stream *stream)
{
    for (size_t i = 0; i < stream->count; i++)
        text_finish(&stream->events[i].data);
    free(stream->events);
    free(stream->records);
    text_finish(&stream->content);
}

static inline void stream_note_record(struct stream *stream, size_t at)
{
    if ((stream->record_count & (stream->record_count - 1)) == 0) {
        size_t capacity = stream->record_count ? stream->record_count * 2 : 1;

        stream->records = realloc(stream->records, capacity * 2 * sizeof *stream->records);
    }
    stream->records[stream->record_count * 2] = stream->content.size;
    stream->records[stream->record_count * 2 + 1] = at;
    stream->record_count++;
}

/* Records as a front end reads them. Whatever is not as it must be fails the test. */
static inline void stream_read_records(struct stream *stream, const struct client *client)
{
    const struct text *received = &client->received;
    bool stdout_ended = false;

    for (size_t at = 0; at + FCGI_HEADER_BYTES <= received->size;) {
        const unsigned char *header = (const unsigned char *)received->bytes + at;
        size_t size = (size_t)header[4] << 8 | header[5];

        assert_int_equal(header[0], 1);
        assert_int_equal(header[2] << 8 | header[3], client->request_id);
        assert_int_equal(header[6] | header[7], 0);
        assert_false(stream->is_whole);
        if (at + FCGI_HEADER_BYTES + size > received->size)
            return;
        if (header[1] == FCGI_END_REQUEST) {
            assert_true(stdout_ended);
            assert_int_equal(size, 8);
            stream->is_whole = true;
        } else {
            assert_int_equal(header[1], FCGI_STDOUT);
            assert_false(stdout_ended);
            stdout_ended = size == 0;
            stream_note_record(stream, at);
            text_append(&stream->content, (struct span){(const char *)header + FCGI_HEADER_BYTES, size});
        }
        at += FCGI_HEADER_BYTES + size;
    }
}

static inline struct stream_event *stream_add_event(struct stream *stream, size_t at, size_t *record)
{
    while (*record + 1 < stream->record_count && stream->records[(*record + 1) * 2] <= at)
        (*record)++;
    if ((stream->count & (stream->count - 1)) == 0)
        stream->events = realloc(stream->events, (stream->count ? stream->count * 2 : 1) * sizeof *stream->events);
    stream->events[stream->count] = (struct stream_event){.record = stream->records[*record * 2 + 1]};
    return &stream->events[stream->count++];
}

static inline void stream_read_line(struct stream_event *event, struct span line, bool *has_data)
{
    if (line.size > 4 && memcmp(line.bytes, "id: ", 4) == 0) {
        assert_int_equal(event_id_parse((struct span){line.bytes + 4, line.size - 4}, &event->id), EVENT_ID_FULL);
    } else if (line.size > 7 && memcmp(line.bytes, "event: ", 7) == 0) {
        event->name = (struct span){line.bytes + 7, line.size - 7};
    } else if (line.size >= 5 && memcmp(line.bytes, "data:", 5) == 0) {
        if (*has_data)
            text_append_string(&event->data, "\n");
        *has_data = true;
        if (line.size > 6)
            text_append(&event->data, (struct span){line.bytes + 6, line.size - 6});
    } else {
        fail_msg("not a line of an event: %.*s", (int)line.size, line.bytes);
    }
}

/* The whole events of the body. */
static inline void stream_read_events(struct stream *stream)
{
    struct span rest = stream->body;
    struct stream_event *event = NULL;
    bool has_data = false;
    size_t record = 0;
    const char *end;

    while ((end = rest.size ? memchr(rest.bytes, '\n', rest.size) : NULL) != NULL) {
        struct span line = {rest.bytes, (size_t)(end - rest.bytes)};
        size_t at = (size_t)(rest.bytes - stream->content.bytes);

        rest = (struct span){end + 1, rest.size - line.size - 1};
        if (line.size > 0 && line.bytes[0] == ':') {
            assert_null(event); /* nothing comes in the middle of an event */
            stream_add_event(stream, at, &record)->name = span_of(":");
        } else if (line.size > 7 && memcmp(line.bytes, "retry: ", 7) == 0) {
            assert_null(event);
        } else if (line.size == 0) {
            assert_non_null(event);
            assert_true(has_data && event->id.ms > 0);
            event = NULL;
        } else {
            if (!event) {
                event = stream_add_event(stream, at, &record);
                has_data = false;
            }
            stream_read_line(event, line, &has_data);
        }
    }
    if (event) {
        text_finish(&event->data);
        stream->count--;
    }
    assert_true(!stream->is_whole || (!event && rest.size == 0));
}

static inline struct stream client_read(const struct client *client)
{
    struct stream stream = {0};
    const char *end;

    stream_read_records(&stream, client);
    end = stream.content.size ? memmem(stream.content.bytes, stream.content.size, "\r\n\r\n", 4) : NULL;
    if (!end)
        return stream;
    stream.headers = (struct span){stream.content.bytes, (size_t)(end - stream.content.bytes) + 2};
    stream.body = (struct span){end + 4, stream.content.size - stream.headers.size - 2};
    if (memmem(stream.headers.bytes, stream.headers.size, "text/event-stream", 17))
        stream_read_events(&stream);
    return stream;
}

/*
 * What an event stream told, in short: the first word of each message, `open`, `gap`, `:` for a comment after the first,
 * `end`; blanks between. Lives until the next call.
 */
static inline const char *told(const struct client *client)
{
    static char text[1 << 20];
    struct stream stream = client_read(client);
    char *out = text;

    *out = '\0';
    for (size_t i = stream.count > 0 && stream.events[0].name.size == 1; i < stream.count; i++) {
        const struct stream_event *event = &stream.events[i];
        struct span word = event->name;
        const char *blank;

        if (word.size > 9 && memcmp(word.bytes, "sidecast.", 9) == 0) {
            word = (struct span){word.bytes + 9, word.size - 9};
        } else if (!span_equal(word, span_of(":"))) {
            word = text_span(&event->data);
            blank = word.size ? memchr(word.bytes, ' ', word.size) : NULL;
            if (blank)
                word.size = (size_t)(blank - word.bytes);
        }
        assert_true((size_t)(out - text) + word.size + 16 < sizeof text);
        out += sprintf(out, "%s%.*s", out == text ? "" : " ", (int)word.size, word.bytes);
    }
    if (stream.is_whole)
        sprintf(out, "%send", out == text ? "" : " ");
    stream_finish(&stream);
    return text;
}

/* The last event so named; its data is put into `data`. */
static inline struct event_id last_event(const struct client *client, const char *name, char *data, size_t size)
{
    struct stream stream = client_read(client);
    struct event_id id = EVENT_ID_ZERO;

    for (size_t i = 0; i < stream.count; i++)
        if (span_equal(stream.events[i].name, span_of(name))) {
            id = stream.events[i].id;
            snprintf(data, size, "%.*s", (int)stream.events[i].data.size,
                     stream.events[i].data.size ? stream.events[i].data.bytes : "");
        }
    stream_finish(&stream);
    return id;
}

static inline const char *text_of(struct event_id id)
{
    static char texts[4][EVENT_ID_TEXT];
    static int next;

    next = (next + 1) % 4;
    event_id_format(id, texts[next]);
    return texts[next];
}

static inline void assert_id(struct event_id got, struct event_id wanted)
{
    assert_string_equal(text_of(got), text_of(wanted));
}

/* What somebody is told who comes now and goes at once. */
static inline const char *told_newcomer(struct wish wish)
{
    struct client client;
    const char *text;

    client_init(&client);
    join(&fixture, &client, wish);
    turn(&fixture);
    text = told(&client);
    done(&client);
    return text;
}

#endif
