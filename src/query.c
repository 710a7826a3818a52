/* query: application/x-www-form-urlencoded (URL Living Standard, 5.1), except that broken percent-encoding is told. */
#include "query.h"

bool query_next_item(const char **rest, char separator, struct span *item)
{
    if (**rest == '\0')
        return false;
    size_t size = (size_t)(strchrnul(*rest, separator) - *rest);
    *item = (struct span){*rest, size};
    *rest += size + ((*rest)[size] == separator);
    return true;
}

bool query_next_pair(const char **rest, struct span *key, struct span *value)
{
    struct span pair;

    if (!query_next_item(rest, '&', &pair))
        return false;
    const char *equals = memchr(pair.bytes, '=', pair.size);
    size_t key_size = equals ? (size_t)(equals - pair.bytes) : pair.size;
    *key = (struct span){pair.bytes, key_size};
    *value = equals ? (struct span){equals + 1, pair.size - key_size - 1} : (struct span){"", 0};
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that `%` and two digits at the start of `raw` stand for, or -1. */
static int escaped_byte(struct span raw)
{
    int high = raw.size > 2 ? hex_digit(raw.bytes[1]) : -1;
    int low = high >= 0 ? hex_digit(raw.bytes[2]) : -1;

    return low >= 0 ? high << 4 | low : -1;
}

static bool is_plain(struct span raw)
{
    return !memchr(raw.bytes, '%', raw.size) && !memchr(raw.bytes, '+', raw.size);
}

size_t query_decode_into(struct span raw, char *bytes, size_t capacity, bool *broken)
{
    size_t size = 0;

    *broken = false;
    if (raw.size <= capacity && is_plain(raw)) {
        memcpy(bytes, raw.bytes, raw.size);
        return raw.size;
    }
    for (size_t i = 0; i < raw.size && size < capacity; i++) {
        int byte = raw.bytes[i] == '+' ? ' ' : (unsigned char)raw.bytes[i];

        if (byte == '%') {
            byte = escaped_byte((struct span){raw.bytes + i, raw.size - i});
            i += 2;
        }
        *broken = byte < 0;
        if (*broken)
            break;
        bytes[size++] = (char)byte;
    }
    return size;
}

struct span query_decode(struct span raw, struct query_text *text)
{
    text->size = query_decode_into(raw, text->bytes, sizeof text->bytes, &text->broken);
    return (struct span){text->bytes, text->size};
}

struct span query_trim(struct span text)
{
    while (text.size > 0 && (text.bytes[0] == ' ' || text.bytes[0] == '\t'))
        text = (struct span){text.bytes + 1, text.size - 1};
    while (text.size > 0 && (text.bytes[text.size - 1] == ' ' || text.bytes[text.size - 1] == '\t'))
        text.size--;
    return text;
}
