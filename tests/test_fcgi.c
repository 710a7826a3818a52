#include "fcgi.h"
#include "guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { BODY_LIMIT = 20, SIZE_OF_BEGIN = 16 };

static const struct fcgi_limits limits = {.body_bytes = BODY_LIMIT, .connections = 4000};

struct record {
    unsigned type;
    uint16_t id;
    struct span content;
    unsigned padding;
    unsigned version; /* 0: the right one */
};

#define BYTES(literal) {literal, sizeof(literal) - 1}
#define BEGIN(id, flags) {FCGI_BEGIN_REQUEST, id, BYTES("\0\1" flags "\0\0\0\0\0"), 0, 0}
#define PARAMS(id, literal) {FCGI_PARAMS, id, BYTES(literal), 0, 0}
#define STDIN(id, literal) {FCGI_STDIN, id, BYTES(literal), 0, 0}
#define ABORTED(id) {FCGI_ABORT_REQUEST, id, BYTES(""), 0, 0}
#define VALUES(literal) {FCGI_GET_VALUES, 0, BYTES(literal), 0, 0}
#define PADDED(type, id, literal, padding) {type, id, BYTES(literal), padding, 0}
#define BEGUN "begin(\\00\\01\\01\\00\\00\\00\\00\\00)"
#define NAMED "\2\3idone"
#define LENGTH(size, digits) "\16" size "CONTENT_LENGTH" digits

struct row {
    const char *name;
    bool answered; /* each request is answered at once: fcgi_scanner_reset */
    struct record records[14];
    const char *expected;
};

static const struct row rows[] = {
    {"nothing", true, {{0}}, "idle\n"},
    {"one request",
     true,
     {BEGIN(1, "\1"), PARAMS(1, NAMED), PARAMS(1, ""), STDIN(1, "body"), STDIN(1, "")},
     "request 1 keep=1 refusal=0 " BEGUN " params(\\02\\03idone) params() stdin(body) stdin()\nidle\n"},
    {"without keep, params and body, id of two bytes",
     true,
     {BEGIN(0x1234, "\0"), PARAMS(0x1234, ""), STDIN(0x1234, "")},
     "request 4660 keep=0 refusal=0 begin(\\00\\01\\00\\00\\00\\00\\00\\00) params() stdin()\nidle\n"},
    {"padding goes, small records are put together",
     true,
     {PADDED(FCGI_BEGIN_REQUEST, 1, "\0\1\1\0\0\0\0\0", 3), PADDED(FCGI_PARAMS, 1, "\2\3i", 255), PARAMS(1, "done"),
      PADDED(FCGI_PARAMS, 1, "", 8), PADDED(FCGI_STDIN, 1, "bo", 1), STDIN(1, "dy"), PADDED(FCGI_STDIN, 1, "", 7)},
     "request 1 keep=1 refusal=0 " BEGUN " params(\\02\\03idone) params() stdin(body) stdin()\nidle\n"},
    {"several requests on a kept connection, with other ids",
     true,
     {BEGIN(1, "\1"), PARAMS(1, ""), STDIN(1, "a"), STDIN(1, ""), BEGIN(1, "\1"), PARAMS(1, ""), STDIN(1, "bc"), STDIN(1, ""),
      BEGIN(3, "\1"), PARAMS(3, NAMED), PARAMS(3, ""), STDIN(3, "")},
     "request 1 keep=1 refusal=0 " BEGUN " params() stdin(a) stdin()\n"
     "request 1 keep=1 refusal=0 " BEGUN " params() stdin(bc) stdin()\n"
     "request 3 keep=1 refusal=0 " BEGUN " params(\\02\\03idone) params() stdin()\nidle\n"},
    {"half a request", true, {BEGIN(1, "\1"), PARAMS(1, NAMED)}, "half\n"},
    {"a request without its last record", true, {BEGIN(1, "\1"), PARAMS(1, ""), STDIN(1, "body")}, "half\n"},
    {"records of ids that are not begun",
     true,
     {PARAMS(1, NAMED), STDIN(1, "x"), STDIN(1, ""), ABORTED(1), BEGIN(1, "\1"), PARAMS(2, NAMED), PARAMS(1, ""), STDIN(2, ""),
      ABORTED(2), STDIN(1, "")},
     "request 1 keep=1 refusal=0 " BEGUN " params() stdin()\nidle\n"},
    {"records of a request that was answered",
     true,
     {BEGIN(1, "\1"), PARAMS(1, ""), STDIN(1, ""), ABORTED(1), STDIN(1, "late"), STDIN(1, ""), PARAMS(1, "")},
     "request 1 keep=1 refusal=0 " BEGUN " params() stdin()\nidle\n"},
    {"a second id while a request comes and while it runs",
     false,
     {BEGIN(1, "\1"), PARAMS(1, NAMED), BEGIN(2, "\1"), PARAMS(2, NAMED), PARAMS(1, ""), STDIN(1, ""), BEGIN(3, "\1"),
      PARAMS(3, ""), STDIN(3, "")},
     "reply 3 id=2 (\\00\\00\\00\\00\\01\\00\\00\\00)\n"
     "request 1 keep=1 refusal=0 " BEGUN " params(\\02\\03idone) params() stdin()\n"
     "reply 3 id=3 (\\00\\00\\00\\00\\01\\00\\00\\00)\nidle\n"},
    {"the same id while a request comes", true, {BEGIN(1, "\1"), BEGIN(1, "\1")}, "bad\n"},
    {"the same id while a request runs",
     false,
     {BEGIN(1, "\1"), PARAMS(1, ""), STDIN(1, ""), BEGIN(1, "\1")},
     "request 1 keep=1 refusal=0 " BEGUN " params() stdin()\nbad\n"},
    {"late records of a running request",
     false,
     {BEGIN(1, "\1"), PARAMS(1, ""), STDIN(1, ""), STDIN(1, "late"), PARAMS(1, NAMED), STDIN(1, "")},
     "request 1 keep=1 refusal=0 " BEGUN " params() stdin()\nidle\n"},
    {"abort of a request that comes",
     true,
     {BEGIN(1, "\1"), PARAMS(1, NAMED), ABORTED(1), BEGIN(1, "\1"), PARAMS(1, ""), STDIN(1, "")},
     "abort 1\nrequest 1 keep=1 refusal=0 " BEGUN " params() stdin()\nidle\n"},
    {"abort of a running request is told once, what is under way is passed over",
     false,
     {BEGIN(1, "\1"), PARAMS(1, ""), STDIN(1, ""), ABORTED(1), ABORTED(1), STDIN(1, "late"), STDIN(1, "")},
     "request 1 keep=1 refusal=0 " BEGUN " params() stdin()\nabort 1\nidle\n"},
    {"other roles are refused, their records passed over",
     true,
     {{FCGI_BEGIN_REQUEST, 1, BYTES("\0\3\1\0\0\0\0\0"), 0, 0},
      PARAMS(1, NAMED),
      PARAMS(1, ""),
      STDIN(1, ""),
      {FCGI_BEGIN_REQUEST, 5, BYTES("\1\1\1\0\0\0\0\0"), 0, 0}},
     "reply 3 id=1 (\\00\\00\\00\\00\\03\\00\\00\\00)\nreply 3 id=5 (\\00\\00\\00\\00\\03\\00\\00\\00)\nidle\n"},
    {"a begin of the wrong size", true, {{FCGI_BEGIN_REQUEST, 1, BYTES("\0\1\1\0\0\0\0"), 0, 0}}, "bad\n"},
    {"another version", true, {{FCGI_GET_VALUES, 0, BYTES(""), 0, 2}}, "bad\n"},
    {"another version behind a good record", true, {BEGIN(1, "\1"), {FCGI_PARAMS, 1, BYTES(""), 0, 'G'}}, "bad\n"},
    {"STDIN before the end of PARAMS", true, {BEGIN(1, "\1"), PARAMS(1, NAMED), STDIN(1, "")}, "bad\n"},
    {"PARAMS behind their end", true, {BEGIN(1, "\1"), PARAMS(1, ""), PARAMS(1, NAMED)}, "bad\n"},
    {"a value that is not whole", true, {BEGIN(1, "\1"), PARAMS(1, "\2\4idone"), PARAMS(1, "")}, "bad\n"},
    {"a name that is not whole", true, {BEGIN(1, "\1"), PARAMS(1, NAMED "\1\1"), PARAMS(1, "")}, "bad\n"},
    {"a length that is not whole", true, {BEGIN(1, "\1"), PARAMS(1, NAMED "\x80\0\1"), PARAMS(1, "")}, "bad\n"},
    {"no second length", true, {BEGIN(1, "\1"), PARAMS(1, "\2"), PARAMS(1, "")}, "bad\n"},
    {"lengths whose sum wraps",
     true,
     {BEGIN(1, "\1"), PARAMS(1, "\xff\xff\xff\xff\xff\xff\xff\xff" "x"), PARAMS(1, "")},
     "bad\n"},
    {"long lengths",
     true,
     {BEGIN(1, "\1"), PARAMS(1, "\x80\0\0\2\x80\0\0\3idone\0\0"), PARAMS(1, ""), STDIN(1, "")},
     "request 1 keep=1 refusal=0 " BEGUN " params(\\80\\00\\00\\02\\80\\00\\00\\03idone\\00\\00) params() stdin()\nidle\n"},
    {"unknown types of an id are passed over",
     true,
     {BEGIN(1, "\1"), PARAMS(1, ""), {FCGI_DATA, 1, BYTES("x"), 0, 0}, {FCGI_GET_VALUES, 1, BYTES("x"), 0, 0}, STDIN(1, "")},
     "request 1 keep=1 refusal=0 " BEGUN " params() stdin()\nidle\n"},
    {"unknown management types",
     true,
     {{200, 0, BYTES("whatever"), 5, 0}, {FCGI_BEGIN_REQUEST, 0, BYTES("\0\1\1\0\0\0\0\0"), 0, 0}},
     "reply 11 id=0 (\\c8\\00\\00\\00\\00\\00\\00\\00)\nreply 11 id=0 (\\01\\00\\00\\00\\00\\00\\00\\00)\nidle\n"},
    {"all values, asked for in the middle of a request",
     true,
     {BEGIN(1, "\1"), VALUES("\017\0FCGI_MPXS_CONNS\016\0FCGI_MAX_CONNS\015\0FCGI_MAX_REQS"), PARAMS(1, ""), STDIN(1, "")},
     "reply 10 id=0 (\\0e\\04FCGI_MAX_CONNS4000\\0d\\04FCGI_MAX_REQS4000\\0f\\01FCGI_MPXS_CONNS0)\n"
     "request 1 keep=1 refusal=0 " BEGUN " params() stdin()\nidle\n"},
    {"one value, with a long length and a value, twice, and one that is not known",
     true,
     {VALUES("\x80\0\0\017\1FCGI_MPXS_CONNSx\004\0FCGI\017\0FCGI_MPXS_CONNS")},
     "reply 10 id=0 (\\0f\\01FCGI_MPXS_CONNS0)\nidle\n"},
    {"no values", true, {VALUES("")}, "reply 10 id=0 ()\nidle\n"},
    {"a broken question", true, {VALUES("\015\0FCGI_MAX_REQS\x90")}, "reply 10 id=0 (\\0d\\04FCGI_MAX_REQS4000)\nidle\n"},
    {"a question with half a value", true, {VALUES("\015\3FCGI_MAX_REQSab")}, "reply 10 id=0 ()\nidle\n"},
    {"a question longer than what is looked at is answered with all",
     true,
     {VALUES("\100\0aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd")},
     "reply 10 id=0 (\\0e\\04FCGI_MAX_CONNS4000\\0d\\04FCGI_MAX_REQS4000\\0f\\01FCGI_MPXS_CONNS0)\nidle\n"},
    {"a body of the limit",
     true,
     {BEGIN(1, "\1"), PARAMS(1, ""), STDIN(1, "0123456789"), STDIN(1, "0123456789"), STDIN(1, "")},
     "request 1 keep=1 refusal=0 " BEGUN " params() stdin(01234567890123456789) stdin()\nidle\n"},
    {"a body above the limit is told at once and read to its end, and the next request is whole",
     true,
     {BEGIN(1, "\1"), PARAMS(1, NAMED), PARAMS(1, ""), STDIN(1, "0123456789"), STDIN(1, "0123456789a"), STDIN(1, "b"),
      STDIN(1, ""), BEGIN(1, "\1"), PARAMS(1, ""), STDIN(1, "")},
     "request 1 keep=1 refusal=413\nover\nrequest 1 keep=1 refusal=0 " BEGUN " params() stdin()\nidle\n"},
    {"the rest of a body above the limit may never come",
     true,
     {BEGIN(1, "\1"), PARAMS(1, ""), STDIN(1, "0123456789"), STDIN(1, "0123456789a"), STDIN(1, "b")},
     "request 1 keep=1 refusal=413\nhalf\n"},
    {"abort of a refused request",
     true,
     {BEGIN(1, "\1"), PARAMS(1, ""), STDIN(1, "0123456789"), STDIN(1, "0123456789a"), ABORTED(1)},
     "request 1 keep=1 refusal=413\nabort 1\nidle\n"},
    {"a body that is announced above the limit is told before it comes",
     true,
     {BEGIN(1, "\1"), PARAMS(1, NAMED LENGTH("\2", "21")), PARAMS(1, "")},
     "request 1 keep=1 refusal=413\nhalf\n"},
    {"a body that is announced beyond all numbers",
     true,
     {BEGIN(1, "\0"), PARAMS(1, LENGTH("\36", "999999999999999999999999999999")), PARAMS(1, ""), STDIN(1, "a"), STDIN(1, "")},
     "request 1 keep=0 refusal=413\nover\nidle\n"},
    {"a body that is announced at the limit",
     false,
     {BEGIN(1, "\1"), PARAMS(1, LENGTH("\2", "20")), PARAMS(1, ""), STDIN(1, "")},
     "request 1 keep=1 refusal=0 " BEGUN " params(\\0e\\02CONTENT_LENGTH20) params() stdin()\nidle\n"},
    {"a length that is no number announces nothing",
     false,
     {BEGIN(1, "\1"), PARAMS(1, LENGTH("\3", "99x")), PARAMS(1, ""), STDIN(1, "")},
     "request 1 keep=1 refusal=0 " BEGUN " params(\\0e\\03CONTENT_LENGTH99x) params() stdin()\nidle\n"},
};

static void append_record(struct text *text, const struct record *record)
{
    char header[FCGI_HEADER_BYTES];
    char padding[255];

    memset(padding, 0xee, sizeof padding);
    fcgi_put_header(header, record->type, record->id, record->content.size);
    header[6] = (char)record->padding;
    if (record->version)
        header[0] = (char)record->version;
    text_append(text, (struct span){header, sizeof header});
    text_append(text, record->content);
    text_append(text, (struct span){padding, record->padding});
}

static void tell_bytes(struct text *story, struct span bytes)
{
    text_append_string(story, "(");
    for (size_t i = 0; i < bytes.size; i++)
        if (bytes.bytes[i] >= ' ' && bytes.bytes[i] <= '~')
            text_append_format(story, "%c", bytes.bytes[i]);
        else
            text_append_format(story, "\\%02x", (unsigned char)bytes.bytes[i]);
    text_append_string(story, ")");
}

static void tell_request(struct text *story, const struct fcgi_scanner *scanner)
{
    static const char *const types[] = {[FCGI_BEGIN_REQUEST] = "begin", [FCGI_PARAMS] = "params", [FCGI_STDIN] = "stdin"};
    struct span records = text_span(&scanner->records), content;
    size_t offset = 0;

    text_append_format(story, "request %u keep=%d refusal=%u", scanner->request_id, scanner->keep, scanner->refusal);
    for (size_t at = 0; fcgi_next_content(records, &offset, &content); at = offset) {
        assert_int_equal(scanner->request_id, (unsigned char)records.bytes[at + 2] << 8 | (unsigned char)records.bytes[at + 3]);
        assert_int_equal(0, records.bytes[at + 6]);
        text_append_format(story, " %s", types[(int)records.bytes[at + 1]]);
        tell_bytes(story, content);
    }
    text_append_string(story, "\n");
}

static void tell_reply(struct text *story, const struct fcgi_scanner *scanner)
{
    const unsigned char *header = (const unsigned char *)scanner->reply;
    struct span content;
    size_t offset = 0;

    assert_true(fcgi_next_content((struct span){scanner->reply, scanner->reply_size}, &offset, &content));
    assert_int_equal(scanner->reply_size, offset);
    text_append_format(story, "reply %u id=%u ", header[1], (unsigned)(header[2] << 8 | header[3]));
    tell_bytes(story, content);
    text_append_string(story, "\n");
}

/* Scans one piece, which ends where memory ends. False after FCGI_BAD. */
static bool scan_piece(struct fcgi_scanner *scanner, struct span piece, bool answered, struct text *story)
{
    char *guarded = guard_copy(piece.bytes, piece.size);
    struct span rest = {guarded, piece.size};
    enum fcgi_event event;

    do {
        size_t used = 0;

        event = fcgi_scan(scanner, rest, &used);
        rest = (struct span){rest.bytes + used, rest.size - used};
        if (event == FCGI_REQUEST)
            tell_request(story, scanner);
        else if (event == FCGI_REPLY)
            tell_reply(story, scanner);
        else if (event == FCGI_BODY_OVER)
            text_append_string(story, "over\n");
        else if (event == FCGI_ABORT)
            text_append_format(story, "abort %u\n", scanner->request_id);
        if (answered && (event == FCGI_REQUEST || event == FCGI_ABORT || event == FCGI_BODY_OVER) && !fcgi_scanner_is_discarding(scanner))
            fcgi_scanner_reset(scanner);
    } while (event != FCGI_MORE && event != FCGI_BAD);
    if (event == FCGI_MORE)
        assert_int_equal(0, rest.size);
    guard_free(guarded, piece.size);
    return event != FCGI_BAD;
}

/* What a scanner has to tell of `input` when it comes as `first` bytes and then in pieces of `step`. */
static struct text story_of(struct span input, size_t first, size_t step, bool answered)
{
    struct fcgi_scanner scanner;
    struct text story = TEXT_EMPTY;
    bool good = true;

    fcgi_scanner_init(&scanner, &limits);
    for (size_t at = 0, size = first; good && at < input.size; at += size, size = step) {
        if (size > input.size - at)
            size = input.size - at;
        good = scan_piece(&scanner, (struct span){input.bytes + at, size}, answered, &story);
    }
    text_append_string(&story, !good ? "bad\n" : fcgi_scanner_is_idle(&scanner) ? "idle\n" : "half\n");
    fcgi_scanner_finish(&scanner);
    return story;
}

static void expect_story(const struct row *row, struct span input, size_t first, size_t step)
{
    struct text story = story_of(input, first, step, row->answered);

    text_append(&story, (struct span){"", 1});
    if (strcmp(story.bytes, row->expected) != 0)
        fail_msg("%s, %zu bytes and then %zu each:\n%sinstead of\n%s", row->name, first, step, story.bytes, row->expected);
    text_finish(&story);
}

static void every_row_whole_byte_by_byte_and_at_every_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct text input = TEXT_EMPTY;

        for (const struct record *record = rows[i].records; record->type; record++)
            append_record(&input, record);
        expect_story(&rows[i], text_span(&input), 1, 1);
        for (size_t split = 1; split <= input.size + 1; split++)
            expect_story(&rows[i], text_span(&input), split, input.size);
        text_finish(&input);
    }
}

static void empty_input_is_no_event(void **state)
{
    struct fcgi_scanner scanner;
    size_t used = 1;

    (void)state;
    fcgi_scanner_init(&scanner, &limits);
    assert_int_equal(FCGI_MORE, fcgi_scan(&scanner, (struct span){NULL, 0}, &used));
    assert_int_equal(0, used);
    fcgi_scanner_finish(&scanner);
}

static void idle_only_between_records_and_outside_of_half_a_request(void **state)
{
    static const struct record records[] = {BEGIN(1, "\1"),  PARAMS(1, NAMED), PARAMS(1, ""),
                                            STDIN(1, "x"), STDIN(1, ""), STDIN(1, "late")};
    struct fcgi_scanner scanner;
    struct text input = TEXT_EMPTY, story = TEXT_EMPTY;
    size_t request_ends = 0;

    (void)state;
    fcgi_scanner_init(&scanner, &limits);
    for (size_t i = 0; i < 6; i++) {
        append_record(&input, &records[i]);
        if (i == 4)
            request_ends = input.size;
    }
    for (size_t i = 0; i < input.size; i++) {
        assert_int_equal(i == 0 || i == request_ends, fcgi_scanner_is_idle(&scanner));
        scan_piece(&scanner, (struct span){input.bytes + i, 1}, false, &story);
    }
    assert_true(fcgi_scanner_is_idle(&scanner));
    fcgi_scanner_finish(&scanner);
    text_finish(&input);
    text_finish(&story);
}

/* One row of records through a scanner that is there already. */
static struct text story_with(struct fcgi_scanner *scanner, const struct record *records, size_t count)
{
    struct text input = TEXT_EMPTY, story = TEXT_EMPTY;

    for (size_t i = 0; i < count; i++)
        append_record(&input, &records[i]);
    scan_piece(scanner, text_span(&input), false, &story);
    text_append(&story, (struct span){"", 1});
    text_finish(&input);
    return story;
}

static void scanner_made_anew_for_a_running_request_goes_on(void **state)
{
    static const struct record records[] = {STDIN(7, "late"), BEGIN(1, "\1"), ABORTED(1), ABORTED(7)};
    struct fcgi_scanner scanner;

    (void)state;
    fcgi_scanner_init_running(&scanner, &limits, 7);
    assert_true(fcgi_scanner_is_idle(&scanner));
    struct text story = story_with(&scanner, records, 4);

    assert_string_equal("reply 3 id=1 (\\00\\00\\00\\00\\01\\00\\00\\00)\nabort 7\n", story.bytes);
    fcgi_scanner_finish(&scanner);
    text_finish(&story);
}

static void reset_in_the_middle_of_a_late_record_loses_no_request(void **state)
{
    static const struct record request[] = {BEGIN(1, "\1"), PARAMS(1, ""), STDIN(1, "")};
    static const struct record late = STDIN(1, "late");
    struct fcgi_scanner scanner;
    struct text bytes = TEXT_EMPTY;

    (void)state;
    append_record(&bytes, &late);
    for (size_t split = 0; split <= bytes.size; split++) {
        fcgi_scanner_init_running(&scanner, &limits, 1);
        struct text ignored = TEXT_EMPTY;

        scan_piece(&scanner, (struct span){bytes.bytes, split}, false, &ignored);
        fcgi_scanner_reset(&scanner);
        scan_piece(&scanner, (struct span){bytes.bytes + split, bytes.size - split}, false, &ignored);
        struct text story = story_with(&scanner, request, 3);

        assert_int_equal(0, ignored.size);
        assert_string_equal("request 1 keep=1 refusal=0 " BEGUN " params() stdin()\n", story.bytes);
        fcgi_scanner_finish(&scanner);
        text_finish(&ignored);
        text_finish(&story);
    }
    text_finish(&bytes);
}

static void lack_of_memory_is_told(void **state)
{
    static const struct record begin = BEGIN(1, "\1");
    static const struct record next[] = {PARAMS(1, NAMED), PARAMS(1, "")};
    size_t used;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct fcgi_scanner scanner;
        struct text input = TEXT_EMPTY;
        struct text story = TEXT_EMPTY;

        fcgi_scanner_init(&scanner, &limits);
        append_record(&input, &begin);
        scan_piece(&scanner, text_span(&input), false, &story);
        scanner.records.failed = true;
        text_clear(&input);
        append_record(&input, &next[i]);
        assert_int_equal(FCGI_NO_MEMORY, fcgi_scan(&scanner, text_span(&input), &used));
        fcgi_scanner_finish(&scanner);
        text_finish(&input);
        text_finish(&story);
    }
}

/* A stream of `size` bytes in records of `record_size`: a pair with an empty name, and one of only its two lengths. */
static void append_params(struct text *input, size_t size, size_t record_size)
{
    struct text pair = TEXT_EMPTY;
    size_t value = size - 7;

    text_append(&pair, (struct span){(char[]){0, (char)0x80, (char)(value >> 16), (char)(value >> 8), (char)value}, 5});
    for (size_t i = 0; i < value; i++)
        text_append(&pair, (struct span){(char[]){(char)('a' + i % 26)}, 1});
    text_append(&pair, (struct span){"\0\0", 2});
    for (size_t at = 0; at < size; at += record_size)
        append_record(input, &(struct record){
            .type = FCGI_PARAMS,
            .id = 1,
            .content = {pair.bytes + at, size - at < record_size ? size - at : record_size},
        });
    text_finish(&pair);
}

static enum fcgi_event scan_big_params(struct fcgi_scanner *scanner, size_t size, size_t record_size, size_t piece)
{
    static const struct record begin = BEGIN(1, "\1"), end = PARAMS(1, ""), last = STDIN(1, "");
    struct text input = TEXT_EMPTY;
    enum fcgi_event event = FCGI_MORE;

    append_record(&input, &begin);
    append_params(&input, size, record_size);
    append_record(&input, &end);
    append_record(&input, &last);
    for (size_t at = 0, used; event == FCGI_MORE && at < input.size; at += used) {
        size_t left = input.size - at;

        event = fcgi_scan(scanner, (struct span){input.bytes + at, left < piece ? left : piece}, &used);
        assert_true(event != FCGI_MORE || used == (left < piece ? left : piece));
    }
    text_finish(&input);
    return event;
}

static void params_of_the_limit_are_taken_and_one_byte_more_is_431(void **state)
{
    static const size_t sizes[] = {65534, 65535, 65536, 65537, 200000};
    static const size_t record_sizes[] = {1, 1000, 65535}, pieces[] = {1, 4096, SIZE_MAX};

    (void)state;
    for (size_t i = 0; i < 5 * 3 * 3; i++) {
        size_t size = sizes[i / 9], record_size = record_sizes[i / 3 % 3];
        bool fits = size <= FCGI_PARAMS_LIMIT;
        struct fcgi_scanner scanner;

        fcgi_scanner_init(&scanner, &limits);
        assert_int_equal(FCGI_REQUEST, scan_big_params(&scanner, size, record_size, pieces[i % 3]));
        assert_int_equal(fits ? 0 : 431, scanner.refusal);
        /* However small the records were: BEGIN_REQUEST, the content under as few headers as can be, and two ends. */
        assert_int_equal(fits ? SIZE_OF_BEGIN + fcgi_stdout_size(size) + 2 * FCGI_HEADER_BYTES : 0, scanner.records.size);
        fcgi_scanner_finish(&scanner);
    }
}

/* The records fill their memory to the last byte, so that the address sanitizer sees a look beyond. */
static void length_cut_at_the_end_of_params_is_not_looked_for_beyond(void **state)
{
    enum { CONTENT = 256 - SIZE_OF_BEGIN - FCGI_HEADER_BYTES, VALUE = CONTENT - 6 };
    static const struct record begin = BEGIN(1, "\1"), end = PARAMS(1, "");
    char content[CONTENT] = {0, (char)0x80, 0, 0, (char)VALUE};
    struct text input = TEXT_EMPTY;
    struct fcgi_scanner scanner;
    size_t used;

    (void)state;
    content[CONTENT - 1] = (char)0x80;
    append_record(&input, &begin);
    append_record(&input, &(struct record){FCGI_PARAMS, 1, {content, sizeof content}, 0, 0});
    append_record(&input, &end);
    fcgi_scanner_init(&scanner, &limits);
    assert_int_equal(FCGI_BAD, fcgi_scan(&scanner, text_span(&input), &used));
    assert_int_equal(scanner.records.capacity, scanner.records.size);
    fcgi_scanner_finish(&scanner);
    text_finish(&input);
}

static void content_comes_back_out_of_the_records(void **state)
{
    static const size_t sizes[] = {0, 1, 65535, 65536, 131070, 131071, 1 << 20};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct text content = TEXT_EMPTY, back = TEXT_EMPTY;
        struct span part;
        size_t offset = 0;

        for (size_t k = 0; k < sizes[i]; k++)
            text_append(&content, (struct span){(char[]){(char)(k * 7 + k / 256)}, 1});
        struct text room = TEXT_EMPTY;
        char *out = text_reserve(&room, fcgi_stdout_size(sizes[i]));

        room.size = (size_t)(fcgi_put_stdout(out, 1, text_span(&content)) - out);
        assert_int_equal(fcgi_stdout_size(sizes[i]), room.size);
        struct span records = {guard_copy(room.bytes, room.size), room.size};

        for (size_t at = 0; fcgi_next_content(records, &offset, &part); at = offset) {
            assert_memory_equal("\1\6\0\1", records.bytes + at, 4);
            assert_memory_equal("\0", records.bytes + at + 6, 2);
            assert_true(part.size == FCGI_CONTENT_MAX || offset == room.size);
            text_append(&back, part);
        }
        assert_true(span_equal(text_span(&content), text_span(&back)));
        guard_free((char *)records.bytes, records.size);
        text_finish(&room);
        text_finish(&content);
        text_finish(&back);
    }
}

static void sizes_of_records(void **state)
{
    (void)state;
    assert_int_equal(0, fcgi_stdout_size(0));
    assert_int_equal(9, fcgi_stdout_size(1));
    assert_int_equal(65543, fcgi_stdout_size(65535));
    assert_int_equal(65536 + 16, fcgi_stdout_size(65536));
    assert_int_equal((1 << 20) + 17 * 8, fcgi_stdout_size(1 << 20));
}

static void end_of_a_request_byte_by_byte(void **state)
{
    char out[FCGI_END_BYTES];

    (void)state;
    assert_ptr_equal(out + sizeof out, fcgi_put_end(out, 0xfedc));
    assert_memory_equal("\1\3\xfe\xdc\0\10\0\0" "\0\0\0\0\0\0\0\0", out, sizeof out);
}

static void content_is_framed_where_it_lies(void **state)
{
    static const size_t sizes[] = {0, 1, 65535, 65536, 131070, 131071, 200000};
    static char expected[200000 + 64], records[200000 + 64];

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t size = sizes[i], all = fcgi_stdout_size(size);

        for (size_t n = 0; n < size; n++)
            records[all - size + n] = (char)(n % 251);
        if (size > 0)
            fcgi_put_stdout(expected, 0xabcd, (struct span){records + all - size, size});
        fcgi_frame_in_place(records, 0xabcd, size);
        assert_memory_equal(expected, records, all);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_whole_byte_by_byte_and_at_every_split),
        cmocka_unit_test(empty_input_is_no_event),
        cmocka_unit_test(idle_only_between_records_and_outside_of_half_a_request),
        cmocka_unit_test(scanner_made_anew_for_a_running_request_goes_on),
        cmocka_unit_test(reset_in_the_middle_of_a_late_record_loses_no_request),
        cmocka_unit_test(lack_of_memory_is_told),
        cmocka_unit_test(params_of_the_limit_are_taken_and_one_byte_more_is_431),
        cmocka_unit_test(length_cut_at_the_end_of_params_is_not_looked_for_beyond),
        cmocka_unit_test(content_comes_back_out_of_the_records),
        cmocka_unit_test(sizes_of_records),
        cmocka_unit_test(end_of_a_request_byte_by_byte),
        cmocka_unit_test(content_is_framed_where_it_lies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
