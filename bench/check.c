#include "check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void check_write_payload(char *payload, size_t size, uint64_t number, uint64_t sent_ns)
{
    char start[CHECK_PAYLOAD_MIN];
    int length = snprintf(start, sizeof start, "%" PRIu64 " %" PRIu64 " ", number, sent_ns);

    memset(payload, 'x', size);
    memcpy(payload, start, (size_t)length);
}

void check_payload(const struct check *check, struct sequence *sequence, const char *text, size_t size)
{
    char *end;
    uint64_t number = strtoull(text, &end, 10);
    uint64_t sent_ns = strtoull(end, NULL, 10);

    if (size != check->payload_bytes)
        check->on_fault(check->context, sequence, "a payload has not its size");
    if (number < sequence->expected)
        check->on_fault(check->context, sequence, "a message came twice, or after a later one");
    if (number > sequence->expected)
        check->on_fault(check->context, sequence, "a message is missing");
    sequence->expected = number + 1;
    check->on_message(check->context, sent_ns);
}

void check_id(const struct check *check, struct sequence *sequence, const char *text)
{
    char *end;
    uint64_t ms, seq;

    if (!check->ids_rise)
        return;
    ms = strtoull(text, &end, 10);
    seq = *end == '-' ? strtoull(end + 1, NULL, 10) : 0;
    if (ms < sequence->id_ms || (ms == sequence->id_ms && seq <= sequence->id_seq))
        check->on_fault(check->context, sequence, "an id does not rise");
    sequence->id_ms = ms;
    sequence->id_seq = seq;
}
