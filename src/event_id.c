/*
 * event_id: arithmetic, text and reading of ids. Pure: the clock is the caller's.
 */
#include "event_id.h"

struct event_id event_id_next(struct event_id last, uint64_t now_ms)
{
    if (now_ms > last.ms)
        return (struct event_id){now_ms, 0};
    if (last.seq < UINT64_MAX)
        return (struct event_id){last.ms, last.seq + 1};
    return last.ms < UINT64_MAX ? (struct event_id){last.ms + 1, 0} : last;
}

struct event_id event_id_before(struct event_id id)
{
    if (id.seq > 0)
        return (struct event_id){id.ms, id.seq - 1};
    return id.ms > 0 ? (struct event_id){id.ms - 1, UINT64_MAX} : EVENT_ID_ZERO;
}

/*
 * The digits of `number`, in front of `end`; where they begin. By hand and two at a time: printf costs more than all else that is
 * done for a message, and one at a time is a tenth of it.
 */
static char *put_number(char *end, uint64_t number)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051"
                                "525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

    for (; number >= 100; number /= 100)
        memcpy(end -= 2, pairs + number % 100 * 2, 2);
    if (number >= 10)
        return memcpy(end - 2, pairs + number * 2, 2);
    *--end = (char)('0' + number);
    return end;
}

size_t event_id_format(struct event_id id, char text[EVENT_ID_TEXT])
{
    char digits[EVENT_ID_TEXT], *end = digits + sizeof digits - 1, *start;

    *end = '\0';
    start = put_number(end, id.seq);
    *--start = '-';
    start = put_number(start, id.ms);
    memcpy(text, start, (size_t)(end - start) + 1);
    return (size_t)(end - start);
}

/* The whole of `text` as a decimal number: at least one digit, nothing else, at most 64 bits. */
static bool read_number(struct span text, uint64_t *number)
{
    uint64_t value = 0;

    if (text.size == 0)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = (unsigned)(unsigned char)text.bytes[i] - '0';

        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *number = value;
    return true;
}

enum event_id_form event_id_parse(struct span text, struct event_id *id)
{
    const char *dash = text.size > 0 ? memchr(text.bytes, '-', text.size) : NULL;
    struct event_id read = EVENT_ID_ZERO;

    if (!dash) {
        if (!read_number(text, &read.ms))
            return EVENT_ID_BAD;
        *id = event_id_before(read);
        return EVENT_ID_TIME;
    }
    size_t ms_size = (size_t)(dash - text.bytes);
    if (!read_number((struct span){text.bytes, ms_size}, &read.ms) ||
        !read_number((struct span){dash + 1, text.size - ms_size - 1}, &read.seq))
        return EVENT_ID_BAD;
    *id = read;
    return EVENT_ID_FULL;
}
