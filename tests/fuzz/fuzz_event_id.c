/* Cursors: read as the C library reads numbers, and the same again once written; ids keep their order. */
#include "event_id.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Digits at `*at`, which moves behind them. */
static bool read_number(char **at, uint64_t *number)
{
    bool is_digit = **at >= '0' && **at <= '9';

    errno = 0;
    *number = is_digit ? strtoull(*at, at, 10) : 0;
    return is_digit && errno == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size), *at = text, written[EVENT_ID_TEXT];
    struct event_id id = EVENT_ID_ZERO, again, wanted = EVENT_ID_ZERO;
    enum event_id_form form = event_id_parse((struct span){(const char *)data, size}, &id), expected = EVENT_ID_BAD;

    if (read_number(&at, &wanted.ms))
        expected = *at == '\0' ? EVENT_ID_TIME : *at++ == '-' && read_number(&at, &wanted.seq) && *at == '\0' ? EVENT_ID_FULL : EVENT_ID_BAD;
    if (at != text + size)
        expected = EVENT_ID_BAD; /* a NUL */
    assert(form == expected);
    if (form == EVENT_ID_TIME)
        wanted = event_id_before(wanted);
    if (form != EVENT_ID_BAD)
        assert(event_id_compare(id, wanted) == 0);
    assert(event_id_parse((struct span){written, event_id_format(id, written)}, &again) == EVENT_ID_FULL && event_id_compare(id, again) == 0);
    assert(event_id_less(event_id_before(id), id) || event_id_compare(id, EVENT_ID_ZERO) == 0);
    assert(event_id_less(id, event_id_next(id, size)) || (id.ms == UINT64_MAX && id.seq == UINT64_MAX));
    free(text);
    return 0;
}
