/* The scanner tells the same story of the same bytes, whole and in pieces. First byte: answered at once?, piece size. */
#include "fcgi.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct text story_of(struct span input, size_t piece, bool answered)
{
    static const struct fcgi_limits limits = {.body_bytes = 100, .connections = 1};
    struct fcgi_scanner scanner;
    struct text story = TEXT_EMPTY;
    enum fcgi_event event = FCGI_MORE;

    fcgi_scanner_init(&scanner, &limits);
    for (size_t at = 0, used; at < input.size && event != FCGI_BAD; at += used) {
        size_t left = input.size - at;

        event = fcgi_scan(&scanner, (struct span){input.bytes + at, left < piece ? left : piece}, &used);
        assert(used > 0);
        if (event == FCGI_MORE)
            continue;
        text_append_format(&story, "%d %u %u %d\n", event, scanner.request_id, scanner.refusal, fcgi_scanner_is_idle(&scanner));
        text_append(&story, text_span(&scanner.records));
        text_append(&story, (struct span){scanner.reply, scanner.reply_size});
        if (answered && (event == FCGI_REQUEST || event == FCGI_ABORT))
            fcgi_scanner_reset(&scanner);
    }
    fcgi_scanner_finish(&scanner);
    return story;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span input = {(const char *)data + (size > 0), size ? size - 1 : 0};
    unsigned choice = size ? data[0] : 0;
    struct text whole = story_of(input, SIZE_MAX, choice & 1), cut = story_of(input, choice / 2 + 1, choice & 1);

    assert(span_equal(text_span(&whole), text_span(&cut)));
    text_finish(&whole);
    text_finish(&cut);
    return 0;
}
