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

/* The digits of `number`; where they end. By hand, as printf costs more than all else that is done for a message. */
static char *put_number(char *out, uint64_t number)
{
    char digits[20]; /* of 64 bits */
    size_t count = 0;

    do
        digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    while (count > 0)
        *out++ = digits[--count];
    return out;
}

size_t event_id_format(struct event_id id, char text[EVENT_ID_TEXT])
{
    char *end = put_number(text, id.ms);

    *end++ = '-';
    end = put_number(end, id.seq);
    *end = '\0';
    return (size_t)(end - text);
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
