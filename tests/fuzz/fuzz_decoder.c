/* What the scanner lets through, libfcgi reads whole, without an error or an answer of its own, which would be one. */
#include "decoder.h"
#include "fcgi.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(struct decoder *decoder, struct span records)
{
    char body[256];

    assert(decoder_decode(decoder, records) == DECODER_DONE);
    for (char **param = decoder->request.envp; *param; param++)
        assert(strlen(*param) <= FCGI_PARAMS_LIMIT + 1); /* a name with a NUL in it has no `=` */
    assert(FCGX_GetStr(body, sizeof body, decoder->request.in) <= 100);
    assert(FCGX_GetError(decoder->request.in) == 0);
    decoder_release(decoder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fcgi_limits limits = {.body_bytes = 100, .connections = 1};
    static struct decoder decoder = {.file = -1};
    struct fcgi_scanner scanner;
    enum fcgi_event event = decoder_library_init() ? FCGI_MORE : FCGI_BAD;

    fcgi_scanner_init(&scanner, &limits);
    for (size_t at = 0, used; at < size && event != FCGI_BAD; at += used) {
        event = fcgi_scan(&scanner, (struct span){(const char *)data + at, size - at}, &used);
        if (event == FCGI_REQUEST && !scanner.refusal)
            decode(&decoder, text_span(&scanner.records));
        if (event == FCGI_REQUEST || event == FCGI_ABORT)
            fcgi_scanner_reset(&scanner);
    }
    fcgi_scanner_finish(&scanner);
    return 0;
}
