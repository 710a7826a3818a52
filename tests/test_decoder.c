#include "decoder.h"
#include "fcgi.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

enum { BODY_LIMIT = 1 << 20 };

/* Seals that the kernel does not know. */
static int unknown_seals;

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);

int __wrap_fcntl(int fd, int command, ...)
{
    va_list arguments;
    int argument;

    va_start(arguments, command);
    argument = va_arg(arguments, int);
    va_end(arguments);
    if (command == F_ADD_SEALS && (argument & unknown_seals) != 0) {
        errno = EINVAL;
        return -1;
    }
    return __real_fcntl(fd, command, argument);
}

static const struct fcgi_limits limits = {.body_bytes = BODY_LIMIT, .connections = 10};

static void append_stream(struct text *text, unsigned type, struct span content)
{
    char header[FCGI_HEADER_BYTES];

    while (content.size > 0) {
        struct span part = {content.bytes, content.size < 1000 ? content.size : 1000};

        fcgi_put_header(header, type, 1, part.size);
        text_append(text, (struct span){header, sizeof header});
        text_append(text, part);
        content = (struct span){content.bytes + part.size, content.size - part.size};
    }
    fcgi_put_header(header, type, 1, 0);
    text_append(text, (struct span){header, sizeof header});
}

static void append_pair(struct text *params, const char *name, struct span value)
{
    size_t lengths[] = {strlen(name), value.size};

    for (int i = 0; i < 2; i++)
        for (int shift = 24; shift >= 0; shift -= 8)
            text_append(params, (struct span){(char[]){(char)(lengths[i] >> shift | (shift == 24 ? 0x80 : 0))}, 1});
    text_append_string(params, name);
    text_append(params, value);
}

/* The bytes of a request as a front end sends it. */
static struct text request_bytes(struct span params, struct span body, bool keep)
{
    struct text text = TEXT_EMPTY;
    const char begin[] = {1, FCGI_BEGIN_REQUEST, 0, 1, 0, 8, 0, 0, 0, FCGI_RESPONDER, (char)keep, 0, 0, 0, 0, 0};

    text_append(&text, (struct span){begin, sizeof begin});
    append_stream(&text, FCGI_PARAMS, params);
    append_stream(&text, FCGI_STDIN, body);
    return text;
}

/* What the scanner makes of a request: this is what a decoder gets. */
static struct text scanned(struct span params, struct span body, bool keep)
{
    struct text bytes = request_bytes(params, body, keep), records;
    struct fcgi_scanner scanner;
    size_t used;

    fcgi_scanner_init(&scanner, &limits);
    assert_int_equal(FCGI_REQUEST, fcgi_scan(&scanner, text_span(&bytes), &used));
    assert_int_equal(0, scanner.refusal);
    records = scanner.records;
    scanner.records = TEXT_EMPTY;
    fcgi_scanner_finish(&scanner);
    text_finish(&bytes);
    return records;
}

static struct text small_request(bool keep)
{
    struct text params = TEXT_EMPTY;

    append_pair(&params, "REQUEST_METHOD", span_of("GET"));
    append_pair(&params, "QUERY_STRING", span_of("channel=news"));
    append_pair(&params, "EMPTY", span_of(""));
    struct text records = scanned(text_span(&params), span_of("hello body"), keep);

    text_finish(&params);
    return records;
}

static void expect_small_request(struct decoder *decoder, struct span records)
{
    char body[64];

    assert_int_equal(DECODER_DONE, decoder_decode(decoder, records));
    assert_string_equal("GET", FCGX_GetParam("REQUEST_METHOD", decoder->request.envp));
    assert_string_equal("channel=news", FCGX_GetParam("QUERY_STRING", decoder->request.envp));
    assert_string_equal("", FCGX_GetParam("EMPTY", decoder->request.envp));
    assert_null(FCGX_GetParam("ABSENT", decoder->request.envp));
    assert_int_equal(10, FCGX_GetStr(body, sizeof body, decoder->request.in));
    assert_memory_equal("hello body", body, 10);
    assert_int_equal(0, FCGX_GetError(decoder->request.in));
    decoder_release(decoder);
}

static bool is_open(int file)
{
    return fcntl(file, F_GETFD, 0) >= 0;
}

static int make_decoder(void **state)
{
    struct decoder *decoder = malloc(sizeof *decoder);

    if (!decoder || !decoder_library_init())
        return -1;
    decoder_init(decoder);
    unknown_seals = 0;
    *state = decoder;
    return 0;
}

static int end_decoder(void **state)
{
    struct decoder *decoder = *state;
    int file = decoder->file;

    decoder_finish(decoder);
    assert_false(file >= 0 && is_open(file));
    free(decoder);
    return 0;
}

static void requests_one_after_the_other_are_read_from_one_file(void **state)
{
    struct decoder *decoder = *state;
    int file = -1;

    for (int i = 0; i < 100; i++) {
        struct text records = small_request(i % 2);

        expect_small_request(decoder, text_span(&records));
        if (i == 0)
            file = decoder->file;
        assert_int_equal(file, decoder->file);
        assert_true(is_open(file));
        text_finish(&records);
    }
}

static void short_request_after_a_long_one_sees_nothing_of_it(void **state)
{
    struct decoder *decoder = *state;
    struct text filler = TEXT_EMPTY, params = TEXT_EMPTY;

    for (int i = 0; i < 40000; i++)
        text_append_string(&filler, "x");
    append_pair(&params, "ABSENT", text_span(&filler));
    struct text records = scanned(text_span(&params), text_span(&filler), true);

    assert_int_equal(DECODER_DONE, decoder_decode(decoder, text_span(&records)));
    assert_int_equal(40000, strlen(FCGX_GetParam("ABSENT", decoder->request.envp)));
    decoder_release(decoder); /* its body was not read */
    text_finish(&records);
    records = small_request(true);
    expect_small_request(decoder, text_span(&records));
    text_finish(&records);
    text_finish(&params);
    text_finish(&filler);
}

/* A long request whose bytes would be taken for more parameters and body, were they seen. */
static void decode_long_request(struct decoder *decoder)
{
    struct text params = TEXT_EMPTY;

    for (int i = 0; i < 300; i++)
        append_pair(&params, "SECRET", span_of("of somebody else"));
    struct text records = scanned(text_span(&params), span_of("a body of somebody else"), true);

    assert_int_equal(DECODER_DONE, decoder_decode(decoder, text_span(&records)));
    assert_string_equal("of somebody else", FCGX_GetParam("SECRET", decoder->request.envp));
    decoder_release(decoder);
    text_finish(&records);
    text_finish(&params);
}

static void request_cut_anywhere_is_not_continued_by_the_one_before(void **state)
{
    struct decoder *decoder = *state;
    struct text records = small_request(true);
    size_t body = 10 + 2 * FCGI_HEADER_BYTES;
    char read[64];

    for (size_t size = 0; size < records.size - body; size++) {
        decode_long_request(decoder);
        assert_int_equal(DECODER_BAD, decoder_decode(decoder, (struct span){records.bytes, size}));
    }
    for (size_t size = records.size - body; size < records.size; size++) {
        decode_long_request(decoder);
        assert_int_equal(DECODER_DONE, decoder_decode(decoder, (struct span){records.bytes, size}));
        assert_null(FCGX_GetParam("SECRET", decoder->request.envp));
        assert_in_range(FCGX_GetStr(read, sizeof read, decoder->request.in), 0, 10);
        assert_int_not_equal(0, FCGX_GetError(decoder->request.in));
        decoder_release(decoder);
    }
    text_finish(&records);
}

static void record_that_claims_more_than_there_is_gets_nothing_of_the_one_before(void **state)
{
    struct decoder *decoder = *state;
    struct text records = small_request(true);
    size_t params = 16;

    for (unsigned claimed = 0x0100; claimed <= 0xff00; claimed += 0x0100) {
        records.bytes[params + 4] = (char)(claimed >> 8);
        decode_long_request(decoder);
        assert_int_equal(DECODER_BAD, decoder_decode(decoder, text_span(&records)));
    }
    text_finish(&records);
}

/* Writing where the file ends, and where something is. */
static void expect_writes_refused(int file, size_t size, bool also_inside)
{
    assert_int_equal(-1, pwrite(file, "x", 1, (off_t)size));
    assert_int_equal(EPERM, errno);
    assert_int_equal(-1, ftruncate(file, 0));
    assert_int_equal(EPERM, errno);
    assert_int_equal(also_inside ? -1 : 1, pwrite(file, "x", 1, 0));
}

static void kernel_refuses_writes_into_the_file(void **state)
{
    struct decoder *decoder = *state;
    struct text records = small_request(true);

    expect_small_request(decoder, text_span(&records));
    expect_writes_refused(decoder->file, decoder->size, true);
    expect_small_request(decoder, text_span(&records));
    text_finish(&records);
}

static void older_kernel_refuses_writes_behind_the_request(void **state)
{
    struct decoder *decoder = *state;
    struct text records = small_request(true);

    unknown_seals = F_SEAL_FUTURE_WRITE;
    expect_small_request(decoder, text_span(&records));
    expect_writes_refused(decoder->file, decoder->size, false);
    expect_small_request(decoder, text_span(&records));
    text_finish(&records);
}

static void file_that_cannot_be_sealed_is_not_used(void **state)
{
    struct decoder *decoder = *state;
    struct text records = small_request(true);

    unknown_seals = F_SEAL_GROW;
    assert_int_equal(DECODER_ERROR, decoder_decode(decoder, text_span(&records)));
    assert_int_equal(EINVAL, errno);
    assert_int_equal(-1, decoder->file);
    unknown_seals = 0;
    expect_small_request(decoder, text_span(&records));
    text_finish(&records);
}

static void answer_of_libfcgi_s_own_is_an_error_and_goes_nowhere(void **state)
{
    static const char question[] = "\1\11\0\0\0\17\0\0\15\0FCGI_MAX_CONNS"; /* GET_VALUES between two records of a request */
    struct decoder *decoder = *state;
    struct text records = small_request(true), asking = TEXT_EMPTY;

    text_append(&asking, (struct span){records.bytes, 16});
    text_append(&asking, (struct span){question, sizeof question - 1});
    text_append(&asking, (struct span){records.bytes + 16, records.size - 16});
    for (int i = 0; i < 2; i++) {
        unknown_seals = i == 0 ? 0 : F_SEAL_FUTURE_WRITE;
        expect_small_request(decoder, text_span(&records));
        assert_int_equal(DECODER_BAD, decoder_decode(decoder, text_span(&asking)));
        expect_small_request(decoder, text_span(&records));
        decoder_finish(decoder);
    }
    text_finish(&asking);
    text_finish(&records);
}

static void large_request_leaves_no_large_file(void **state)
{
    struct decoder *decoder = *state;
    struct text body = TEXT_EMPTY;

    assert_non_null(text_reserve(&body, BODY_LIMIT));
    memset(body.bytes, 'b', BODY_LIMIT);
    body.size = BODY_LIMIT;
    struct text records = scanned(span_of(""), text_span(&body), true), small = small_request(true);

    assert_int_equal(DECODER_DONE, decoder_decode(decoder, text_span(&records)));
    assert_true(decoder->size >= BODY_LIMIT);
    decoder_release(decoder);
    assert_int_equal(-1, decoder->file);
    expect_small_request(decoder, text_span(&small));
    assert_true(decoder->size < BODY_LIMIT / 4);
    text_finish(&records);
    text_finish(&small);
    text_finish(&body);
}

static void params_and_body_of_the_limits_come_through(void **state)
{
    struct decoder *decoder = *state;
    struct text params = TEXT_EMPTY, body = TEXT_EMPTY, value = TEXT_EMPTY;
    char *back = malloc(BODY_LIMIT + 1);

    for (size_t i = 0; i < FCGI_PARAMS_LIMIT - 9; i++)
        text_append(&value, (struct span){(char[]){(char)('a' + i % 26)}, 1});
    append_pair(&params, "V", text_span(&value));
    assert_int_equal(FCGI_PARAMS_LIMIT, params.size);
    for (size_t i = 0; i < BODY_LIMIT; i++)
        text_append(&body, (struct span){(char[]){(char)(i * 7 + i / 256)}, 1});
    struct text records = scanned(text_span(&params), text_span(&body), true);

    assert_int_equal(DECODER_DONE, decoder_decode(decoder, text_span(&records)));
    assert_true(span_equal(text_span(&value), span_of(FCGX_GetParam("V", decoder->request.envp))));
    assert_int_equal(BODY_LIMIT, FCGX_GetStr(back, BODY_LIMIT + 1, decoder->request.in));
    assert_memory_equal(body.bytes, back, BODY_LIMIT);
    decoder_release(decoder);
    free(back);
    text_finish(&records);
    text_finish(&params);
    text_finish(&body);
    text_finish(&value);
}

static void garbage_is_bad_and_the_next_request_good(void **state)
{
    static const struct {
        const char *name;
        struct span bytes;
    } rows[] = {
        {"nothing", {"", 0}},
        {"half a header", {"\1\1\0\1", 4}},
        {"another version", {"\2garbagegarbage", 15}},
        {"no begin", {"\1\4\0\1\0\0\0\0", 8}},
        {"another role", {"\1\1\0\1\0\10\0\0\0\7\1\0\0\0\0\0", 16}},
        {"half a pair", {"\1\1\0\1\0\10\0\0\0\1\1\0\0\0\0\0\1\4\0\1\0\5\0\0\1\3abc", 29}},
        {"no end of params", {"\1\1\0\1\0\10\0\0\0\1\1\0\0\0\0\0\1\4\0\1\0\5\0\0\1\2abc", 29}},
        {"stdin first", {"\1\1\0\1\0\10\0\0\0\1\1\0\0\0\0\0\1\5\0\1\0\0\0\0", 24}},
    };
    struct decoder *decoder = *state;
    struct text records = small_request(true);

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        expect_small_request(decoder, text_span(&records));
        int file = decoder->file;

        if (decoder_decode(decoder, rows[i].bytes) != DECODER_BAD)
            fail_msg("%s is no error", rows[i].name);
        assert_int_equal(decoder->file >= 0, is_open(file)); /* libfcgi closes it, but not for every fault */
    }
    expect_small_request(decoder, text_span(&records));
    text_finish(&records);
}

static void lack_of_descriptors_is_an_error_that_passes(void **state)
{
    struct decoder *decoder = *state;
    struct text records = small_request(true);
    struct rlimit before, none;

    assert_int_equal(0, getrlimit(RLIMIT_NOFILE, &before));
    none = (struct rlimit){0, before.rlim_max};
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &none));
    enum decoder_result result = decoder_decode(decoder, text_span(&records));
    int error = errno;
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &before));
    assert_int_equal(DECODER_ERROR, result);
    assert_int_equal(EMFILE, error);
    expect_small_request(decoder, text_span(&records));
    text_finish(&records);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(requests_one_after_the_other_are_read_from_one_file, make_decoder, end_decoder),
        cmocka_unit_test_setup_teardown(short_request_after_a_long_one_sees_nothing_of_it, make_decoder, end_decoder),
        cmocka_unit_test_setup_teardown(request_cut_anywhere_is_not_continued_by_the_one_before, make_decoder, end_decoder),
        cmocka_unit_test_setup_teardown(record_that_claims_more_than_there_is_gets_nothing_of_the_one_before, make_decoder, end_decoder),
        cmocka_unit_test_setup_teardown(kernel_refuses_writes_into_the_file, make_decoder, end_decoder),
        cmocka_unit_test_setup_teardown(older_kernel_refuses_writes_behind_the_request, make_decoder, end_decoder),
        cmocka_unit_test_setup_teardown(file_that_cannot_be_sealed_is_not_used, make_decoder, end_decoder),
        cmocka_unit_test_setup_teardown(answer_of_libfcgi_s_own_is_an_error_and_goes_nowhere, make_decoder, end_decoder),
        cmocka_unit_test_setup_teardown(large_request_leaves_no_large_file, make_decoder, end_decoder),
        cmocka_unit_test_setup_teardown(params_and_body_of_the_limits_come_through, make_decoder, end_decoder),
        cmocka_unit_test_setup_teardown(garbage_is_bad_and_the_next_request_good, make_decoder, end_decoder),
        cmocka_unit_test_setup_teardown(lack_of_descriptors_is_an_error_that_passes, make_decoder, end_decoder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
