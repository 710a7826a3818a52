/*
 * fcgi: the record scanner and the record writers. Owns the collected records and nothing else: no descriptor, no clock. What it
 * lets through is what libfcgi can be trusted with: one responder request, in order, with whole name-value pairs.
 *
 *               BEGIN_REQUEST             end of PARAMS            end of STDIN
 *     WAITING ────────────────► IN_PARAMS ─────────────► IN_STDIN ─────────────► RUNNING
 *        ▲                          │                       │                       │
 *        │                          └───────────┬───────────┴───────────────────────┘
 *        │  fcgi_scanner_reset                  ▼ ABORT_REQUEST
 *        └────── (from any state) ───────── GIVEN_UP
 *
 * A request above a limit is read to its end all the same, so that its peer gets an answer and not a reset. That of too large a body does not wait for the
 * end: it is told as soon as one byte too many is announced.
 */
#include "fcgi.h"

#include <assert.h>
#include <stdio.h>

enum {
    BEGIN_BODY_BYTES = sizeof(FCGI_BeginRequestBody),
    VALUE_COUNT = 3, /* of FCGI_GET_VALUES */
};

/*
 * Name-value pairs (FastCGI Specification 1.0, section 3.4), read one behind the other. `bytes` is the content of a stream, with
 * a record header in front of each further FCGI_CONTENT_MAX bytes, as keep_content lays it down.
 */
struct pairs {
    const unsigned char *bytes;
    size_t size; /* of content */
    size_t at;
};

static unsigned char pairs_byte(const struct pairs *pairs, size_t index)
{
    return pairs->bytes[index + index / FCGI_CONTENT_MAX * FCGI_HEADER_BYTES];
}

static bool next_length(struct pairs *pairs, size_t *length)
{
    if (pairs->at >= pairs->size)
        return false;
    *length = pairs_byte(pairs, pairs->at++);
    if (*length < 0x80)
        return true;
    if (pairs->size - pairs->at < 3)
        return false;
    *length &= 0x7f;
    for (int i = 0; i < 3; i++)
        *length = *length << 8 | pairs_byte(pairs, pairs->at++);
    return true;
}

/* The next pair, as the place and size of its name. False at the end, and at a pair that is not whole: then `at` is before it. */
static bool next_pair(struct pairs *pairs, size_t *name, size_t *name_size)
{
    struct pairs rest = *pairs;
    size_t value_size;

    if (!next_length(&rest, name_size) || !next_length(&rest, &value_size) || *name_size > rest.size - rest.at ||
        value_size > rest.size - rest.at - *name_size)
        return false;
    *name = rest.at;
    pairs->at = rest.at + *name_size + value_size;
    return true;
}

/* Up to `wanted` bytes from the front of `rest`. */
static struct span take(struct span *rest, size_t wanted)
{
    struct span taken = {rest->bytes, wanted < rest->size ? wanted : rest->size};

    *rest = (struct span){rest->bytes + taken.size, rest->size - taken.size};
    return taken;
}

static unsigned record_type(const struct fcgi_scanner *scanner)
{
    return scanner->header[1];
}

static uint16_t record_id(const struct fcgi_scanner *scanner)
{
    return (uint16_t)(scanner->header[2] << 8 | scanner->header[3]);
}

static size_t record_content(const struct fcgi_scanner *scanner)
{
    return (size_t)(scanner->header[4] << 8 | scanner->header[5]);
}

bool fcgi_scanner_is_discarding(const struct fcgi_scanner *scanner)
{
    return scanner->state == FCGI_IN_STDIN && scanner->refusal == 413;
}

static bool is_collecting(const struct fcgi_scanner *scanner)
{
    return scanner->state == FCGI_IN_PARAMS || scanner->state == FCGI_IN_STDIN;
}

/* Is the record at hand part of the stream that is being collected? */
static bool record_is_kept(const struct fcgi_scanner *scanner)
{
    unsigned stream = scanner->state == FCGI_IN_PARAMS ? FCGI_PARAMS : FCGI_STDIN;

    return is_collecting(scanner) && record_type(scanner) == stream && record_id(scanner) == scanner->request_id;
}

static void set_state(struct fcgi_scanner *scanner, enum fcgi_state state)
{
    assert(state == FCGI_WAITING || state == FCGI_GIVEN_UP || state == scanner->state + 1U);
    scanner->state = (uint8_t)state;
    scanner->stream_size = 0;
}

static void forget_request(struct fcgi_scanner *scanner)
{
    text_finish(&scanner->records);
    scanner->refusal = 0;
}

void fcgi_scanner_init(struct fcgi_scanner *scanner, const struct fcgi_limits *limits)
{
    *scanner = (struct fcgi_scanner){.records = TEXT_EMPTY, .state = FCGI_WAITING, .limits = limits};
}

void fcgi_scanner_init_running(struct fcgi_scanner *scanner, const struct fcgi_limits *limits, uint16_t request_id)
{
    fcgi_scanner_init(scanner, limits);
    scanner->state = FCGI_RUNNING;
    scanner->request_id = request_id;
}

void fcgi_scanner_finish(struct fcgi_scanner *scanner)
{
    text_finish(&scanner->records);
}

/* The record at hand may be half read: that goes on, and at its end counts as what it then is. */
void fcgi_scanner_reset(struct fcgi_scanner *scanner)
{
    forget_request(scanner);
    set_state(scanner, FCGI_WAITING);
}

bool fcgi_scanner_is_idle(const struct fcgi_scanner *scanner)
{
    return scanner->header_size == 0 && !is_collecting(scanner);
}

/*
 * Appends to the stream being collected, in records that are filled to FCGI_CONTENT_MAX however small the peer's are: so what is
 * held is bounded by the limits, and byte n of a stream is found by arithmetic.
 */
static enum fcgi_event keep_content(struct fcgi_scanner *scanner, struct span content)
{
    struct text *records = &scanner->records;

    while (content.size > 0) {
        size_t filled = scanner->stream_size % FCGI_CONTENT_MAX;
        struct span part = take(&content, FCGI_CONTENT_MAX - filled);

        if (filled == 0)
            text_append(records, (struct span){(const char[FCGI_HEADER_BYTES]){0}, FCGI_HEADER_BYTES});
        text_append(records, part);
        if (records->failed)
            return FCGI_NO_MEMORY;
        filled += part.size;

        char *header = records->bytes + records->size - filled - FCGI_HEADER_BYTES;

        fcgi_put_header(header, record_type(scanner), scanner->request_id, filled);
        scanner->stream_size += part.size;
    }
    return FCGI_MORE;
}

/* Appends a whole record; an empty one is the end of a stream. */
static enum fcgi_event keep_record(struct fcgi_scanner *scanner, unsigned type, struct span content)
{
    char header[FCGI_HEADER_BYTES];

    if (scanner->refusal)
        return FCGI_MORE;
    fcgi_put_header(header, type, scanner->request_id, content.size);
    text_append(&scanner->records, (struct span){header, sizeof header});
    text_append(&scanner->records, content);
    return scanner->records.failed ? FCGI_NO_MEMORY : FCGI_MORE;
}

static char *put_end_status(char *out, uint16_t request_id, unsigned status)
{
    const char body[FCGI_END_BYTES - FCGI_HEADER_BYTES] = {0, 0, 0, 0, (char)status};

    fcgi_put_header(out, FCGI_END_REQUEST, request_id, sizeof body);
    memcpy(out + FCGI_HEADER_BYTES, body, sizeof body);
    return out + FCGI_END_BYTES;
}

static enum fcgi_event refuse_record(struct fcgi_scanner *scanner, unsigned status)
{
    put_end_status(scanner->reply, record_id(scanner), status);
    scanner->reply_size = FCGI_END_BYTES;
    return FCGI_REPLY;
}

static enum fcgi_event begin_request(struct fcgi_scanner *scanner)
{
    if (record_content(scanner) != BEGIN_BODY_BYTES)
        return FCGI_BAD;
    if (scanner->state != FCGI_WAITING)
        return record_id(scanner) == scanner->request_id ? FCGI_BAD : refuse_record(scanner, FCGI_CANT_MPX_CONN);
    if ((scanner->partial[0] << 8 | scanner->partial[1]) != FCGI_RESPONDER)
        return refuse_record(scanner, FCGI_UNKNOWN_ROLE);
    forget_request(scanner);
    scanner->request_id = record_id(scanner);
    scanner->keep = scanner->partial[2] & FCGI_KEEP_CONN;
    set_state(scanner, FCGI_IN_PARAMS);
    return keep_record(scanner, FCGI_BEGIN_REQUEST, (struct span){(const char *)scanner->partial, BEGIN_BODY_BYTES});
}

static enum fcgi_event abort_request(struct fcgi_scanner *scanner)
{
    forget_request(scanner);
    set_state(scanner, FCGI_GIVEN_UP);
    return FCGI_ABORT;
}

/* The parameters, once they are all in `records`. */
static struct pairs stream_pairs(const struct fcgi_scanner *scanner)
{
    size_t start = FCGI_HEADER_BYTES + BEGIN_BODY_BYTES + FCGI_HEADER_BYTES;

    return (struct pairs){(const unsigned char *)scanner->records.bytes + start, scanner->stream_size, 0};
}

/* libfcgi up to 2.4.4 believes the lengths of a pair before it has seen its bytes, and adds them up as ints (CVE-2025-23016). */
static bool params_are_whole(const struct fcgi_scanner *scanner)
{
    struct pairs pairs = stream_pairs(scanner);
    size_t name, name_size;

    while (next_pair(&pairs, &name, &name_size))
        ;
    return pairs.at == pairs.size;
}

static enum fcgi_event refuse(struct fcgi_scanner *scanner, uint16_t status)
{
    forget_request(scanner);
    scanner->refusal = status;
    return status == 413 ? FCGI_REQUEST : FCGI_MORE;
}

/* What CONTENT_LENGTH announces, cut at SIZE_MAX / 16; 0 where it says nothing. */
static size_t announced_size(const struct fcgi_scanner *scanner)
{
    static const char wanted[] = "CONTENT_LENGTH";
    struct pairs pairs = stream_pairs(scanner);
    size_t name, name_size, size = 0;

    while (next_pair(&pairs, &name, &name_size)) {
        bool is_it = name_size == sizeof wanted - 1;

        for (size_t i = 0; is_it && i < name_size; i++)
            is_it = pairs_byte(&pairs, name + i) == (unsigned char)wanted[i];
        for (size_t at = name + name_size; is_it && at < pairs.at; at++) {
            unsigned digit = pairs_byte(&pairs, at) - (unsigned)'0';

            if (digit > 9)
                return 0;
            size = size < SIZE_MAX / 256 ? size * 10 + digit : SIZE_MAX / 16;
        }
    }
    return size;
}

static enum fcgi_event end_params(struct fcgi_scanner *scanner)
{
    size_t announced = 0;

    if (!scanner->refusal && scanner->stream_size > 0) {
        if (!params_are_whole(scanner))
            return FCGI_BAD;
        announced = announced_size(scanner);
    }
    set_state(scanner, FCGI_IN_STDIN);
    if (announced > scanner->limits->body_bytes)
        return refuse(scanner, 413);
    return keep_record(scanner, FCGI_PARAMS, (struct span){NULL, 0});
}

static enum fcgi_event end_stdin(struct fcgi_scanner *scanner)
{
    bool was_told = fcgi_scanner_is_discarding(scanner);

    set_state(scanner, FCGI_RUNNING);
    if (was_told)
        return FCGI_BODY_OVER;
    return keep_record(scanner, FCGI_STDIN, (struct span){NULL, 0}) == FCGI_MORE ? FCGI_REQUEST : FCGI_NO_MEMORY;
}

/* A record of the request that is begun, running or given up. */
static enum fcgi_event end_request_record(struct fcgi_scanner *scanner)
{
    unsigned type = record_type(scanner);

    if (type == FCGI_ABORT_REQUEST && scanner->state != FCGI_GIVEN_UP)
        return abort_request(scanner);
    if (!is_collecting(scanner) || (type != FCGI_PARAMS && type != FCGI_STDIN))
        return FCGI_MORE;
    if (!record_is_kept(scanner))
        return FCGI_BAD; /* STDIN before the end of PARAMS, or PARAMS behind it */
    if (record_content(scanner) > 0)
        return FCGI_MORE;
    return type == FCGI_PARAMS ? end_params(scanner) : end_stdin(scanner);
}

/* Which of the values in `names` are asked for, as bits. Of a question that is longer than what is looked at, take it for all. */
static unsigned asked_values(const struct fcgi_scanner *scanner, const char *const names[VALUE_COUNT])
{
    struct pairs pairs = {scanner->partial, scanner->partial_size, 0};
    size_t name, name_size;
    unsigned asked = 0;

    if (record_content(scanner) > sizeof scanner->partial)
        return ~0U;
    while (next_pair(&pairs, &name, &name_size))
        for (unsigned i = 0; i < VALUE_COUNT; i++)
            if (span_equal((struct span){(const char *)scanner->partial + name, name_size}, span_of(names[i])))
                asked |= 1U << i;
    return asked;
}

static enum fcgi_event answer_values(struct fcgi_scanner *scanner)
{
    static const char *const names[VALUE_COUNT] = {FCGI_MAX_CONNS, FCGI_MAX_REQS, FCGI_MPXS_CONNS};
    const unsigned values[VALUE_COUNT] = {scanner->limits->connections, scanner->limits->connections, 0};
    unsigned asked = asked_values(scanner, names);
    size_t size = FCGI_HEADER_BYTES;
    char number[16];

    for (unsigned i = 0; i < VALUE_COUNT; i++) {
        if (!(asked & 1U << i))
            continue;
        int digits = snprintf(number, sizeof number, "%u", values[i]);

        size += (size_t)snprintf(scanner->reply + size, sizeof scanner->reply - size, "%c%c%s%s", (char)strlen(names[i]),
                                 (char)digits, names[i], number);
        assert(size < sizeof scanner->reply);
    }
    fcgi_put_header(scanner->reply, FCGI_GET_VALUES_RESULT, FCGI_NULL_REQUEST_ID, size - FCGI_HEADER_BYTES);
    scanner->reply_size = (uint8_t)size;
    return FCGI_REPLY;
}

static enum fcgi_event answer_management(struct fcgi_scanner *scanner)
{
    const char body[sizeof(FCGI_UnknownTypeBody)] = {(char)record_type(scanner)};

    if (record_type(scanner) == FCGI_GET_VALUES)
        return answer_values(scanner);
    fcgi_put_header(scanner->reply, FCGI_UNKNOWN_TYPE, FCGI_NULL_REQUEST_ID, sizeof body);
    memcpy(scanner->reply + FCGI_HEADER_BYTES, body, sizeof body);
    scanner->reply_size = FCGI_HEADER_BYTES + sizeof body;
    return FCGI_REPLY;
}

static enum fcgi_event start_record(struct fcgi_scanner *scanner)
{
    size_t limit = scanner->state == FCGI_IN_PARAMS ? FCGI_PARAMS_LIMIT : scanner->limits->body_bytes;

    if (scanner->header[0] != FCGI_VERSION_1)
        return FCGI_BAD;
    scanner->content_left = (uint16_t)record_content(scanner);
    scanner->padding_left = scanner->header[6];
    scanner->partial_size = 0;
    if (record_is_kept(scanner) && !scanner->refusal && record_content(scanner) > limit - scanner->stream_size)
        return refuse(scanner, scanner->state == FCGI_IN_PARAMS ? 431 : 413);
    return FCGI_MORE;
}

static enum fcgi_event end_record(struct fcgi_scanner *scanner)
{
    if (record_id(scanner) == FCGI_NULL_REQUEST_ID)
        return answer_management(scanner);
    if (record_type(scanner) == FCGI_BEGIN_REQUEST)
        return begin_request(scanner);
    if (scanner->state == FCGI_WAITING || record_id(scanner) != scanner->request_id)
        return FCGI_MORE;
    return end_request_record(scanner);
}

static enum fcgi_event scan_header(struct fcgi_scanner *scanner, struct span *rest)
{
    size_t missing = sizeof scanner->header - scanner->header_size;
    struct span part = take(rest, missing);

    if (missing == 0)
        return FCGI_MORE;
    memcpy(scanner->header + scanner->header_size, part.bytes, part.size);
    scanner->header_size = (uint8_t)(scanner->header_size + part.size);
    return part.size == missing ? start_record(scanner) : FCGI_MORE;
}

static enum fcgi_event scan_content(struct fcgi_scanner *scanner, struct span *rest)
{
    struct span content = take(rest, scanner->content_left);

    scanner->content_left = (uint16_t)(scanner->content_left - content.size);
    if (record_is_kept(scanner))
        return scanner->refusal ? FCGI_MORE : keep_content(scanner, content);
    content = take(&content, sizeof scanner->partial - scanner->partial_size);
    memcpy(scanner->partial + scanner->partial_size, content.bytes, content.size);
    scanner->partial_size = (uint8_t)(scanner->partial_size + content.size);
    return FCGI_MORE;
}

/* Takes one record, or what there is of it: FCGI_MORE with something left in `rest` means that another may follow. */
static enum fcgi_event scan_record(struct fcgi_scanner *scanner, struct span *rest)
{
    enum fcgi_event event = scan_header(scanner, rest);

    if (event != FCGI_MORE || scanner->header_size < sizeof scanner->header)
        return event;
    event = scan_content(scanner, rest);
    if (event != FCGI_MORE)
        return event;
    scanner->padding_left = (uint8_t)(scanner->padding_left - take(rest, scanner->padding_left).size);
    if (scanner->content_left > 0 || scanner->padding_left > 0)
        return FCGI_MORE;
    scanner->header_size = 0;
    return end_record(scanner);
}

enum fcgi_event fcgi_scan(struct fcgi_scanner *scanner, struct span input, size_t *used)
{
    struct span rest = input;
    enum fcgi_event event = FCGI_MORE;

    while (event == FCGI_MORE && rest.size > 0)
        event = scan_record(scanner, &rest);
    *used = input.size - rest.size;
    return event;
}

size_t fcgi_stdout_size(size_t content)
{
    return content + (content + FCGI_CONTENT_MAX - 1) / FCGI_CONTENT_MAX * FCGI_HEADER_BYTES;
}

void fcgi_put_header(char out[FCGI_HEADER_BYTES], unsigned type, uint16_t request_id, size_t content)
{
    assert(content <= FCGI_CONTENT_MAX);
    const char header[FCGI_HEADER_BYTES] = {
        FCGI_VERSION_1, (char)type, (char)(request_id >> 8), (char)request_id, (char)(content >> 8), (char)content,
    };

    memcpy(out, header, sizeof header);
}

char *fcgi_put_stdout(char *out, uint16_t request_id, struct span content)
{
    while (content.size > 0) {
        struct span part = take(&content, FCGI_CONTENT_MAX);

        fcgi_put_header(out, FCGI_STDOUT, request_id, part.size);
        memcpy(out + FCGI_HEADER_BYTES, part.bytes, part.size);
        out += FCGI_HEADER_BYTES + part.size;
    }
    return out;
}

/* Room for the headers of all records still to be made lies between what is written and what is read: the one never overtakes the other. */
void fcgi_frame_in_place(char *records, uint16_t request_id, size_t size)
{
    const char *content = records + fcgi_stdout_size(size) - size;

    while (size > 0) {
        size_t part = size < FCGI_CONTENT_MAX ? size : FCGI_CONTENT_MAX;

        fcgi_put_header(records, FCGI_STDOUT, request_id, part);
        records += FCGI_HEADER_BYTES;
        if (records != content)
            memmove(records, content, part);
        records += part;
        content += part;
        size -= part;
    }
}

char *fcgi_put_end(char *out, uint16_t request_id)
{
    return put_end_status(out, request_id, FCGI_REQUEST_COMPLETE);
}

bool fcgi_next_content(struct span records, size_t *offset, struct span *content)
{
    if (*offset >= records.size)
        return false;

    const unsigned char *header = (const unsigned char *)records.bytes + *offset;

    assert(records.size - *offset >= FCGI_HEADER_BYTES);
    *content = (struct span){records.bytes + *offset + FCGI_HEADER_BYTES, (size_t)(header[4] << 8 | header[5])};
    *offset += FCGI_HEADER_BYTES + content->size;
    assert(*offset <= records.size);
    return true;
}
