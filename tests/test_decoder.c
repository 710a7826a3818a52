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
    return fcntl(file, F_GETFD) >= 0;
}

static int make_decoder(void **state)
{
    struct decoder *decoder = malloc(sizeof *decoder);

    if (!decoder || !decoder_library_init())
        return -1;
    decoder_init(decoder);
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
        cmocka_unit_test_setup_teardown(params_and_body_of_the_limits_come_through, make_decoder, end_decoder),
        cmocka_unit_test_setup_teardown(garbage_is_bad_and_the_next_request_good, make_decoder, end_decoder),
        cmocka_unit_test_setup_teardown(lack_of_descriptors_is_an_error_that_passes, make_decoder, end_decoder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
