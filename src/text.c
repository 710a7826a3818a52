#include "text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

void text_finish(struct text *text)
{
    free(text->bytes);
    *text = TEXT_EMPTY;
}

void text_clear(struct text *text)
{
    text->size = 0;
    text->failed = false;
}

char *text_reserve(struct text *text, size_t more)
{
    size_t wanted = text->size + more;

    if (text->failed)
        return NULL;
    if (wanted > text->capacity || !text->bytes) {
        size_t capacity = text->capacity ? text->capacity : 256;

        while (capacity < wanted)
            capacity *= 2;
        char *bytes = realloc(text->bytes, capacity);
        if (!bytes) {
            text->failed = true;
            return NULL;
        }
        text->bytes = bytes;
        text->capacity = capacity;
    }
    return text->bytes + text->size;
}

void text_append(struct text *text, struct span bytes)
{
    char *end = text_reserve(text, bytes.size);

    if (end && bytes.size > 0) {
        memcpy(end, bytes.bytes, bytes.size);
        text->size += bytes.size;
    }
}

void text_append_string(struct text *text, const char *string)
{
    text_append(text, span_of(string));
}

void text_append_format(struct text *text, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *end = text_reserve(text, (size_t)size + 1);
    if (!end)
        return;
    va_start(arguments, format);
    vsnprintf(end, (size_t)size + 1, format, arguments);
    va_end(arguments);
    text->size += (size_t)size;
}

static void append_escape(struct text *text, unsigned char byte)
{
    static const char short_forms[] = "\"\"\\\\\bb\ff\nn\rr\tt";

    for (const char *form = short_forms; *form; form += 2)
        if ((unsigned char)form[0] == byte) {
            text_append(text, (struct span){(const char[]){'\\', form[1]}, 2});
            return;
        }
    text_append_format(text, "\\u%04x", byte);
}

void text_append_json(struct text *text, struct span bytes)
{
    size_t start = 0;

    text_append_string(text, "\"");
    for (size_t i = 0; i < bytes.size; i++) {
        unsigned char byte = (unsigned char)bytes.bytes[i];

        if (byte >= 0x20 && byte != '"' && byte != '\\')
            continue;
        text_append(text, (struct span){bytes.bytes + start, i - start});
        append_escape(text, byte);
        start = i + 1;
    }
    if (start < bytes.size)
        text_append(text, (struct span){bytes.bytes + start, bytes.size - start});
    text_append_string(text, "\"");
}

/* Bytes of the well-formed sequence at `p`, which is not ASCII (Unicode 15, table 3-7); 0 when there is none. */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t size;

    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    size = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (size > left)
        return 0;
    if (p[0] == 0xe0)
        low = 0xa0;
    else if (p[0] == 0xed)
        high = 0x9f;
    else if (p[0] == 0xf0)
        low = 0x90;
    else if (p[0] == 0xf4)
        high = 0x8f;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return size;
}

/* How many bytes at `p` are ASCII. Most text is: 32 bytes at a time, then eight. */
static size_t ascii_prefix(const unsigned char *p, size_t size)
{
    const uint64_t high_bits = UINT64_C(0x8080808080808080);
    uint64_t words[4];
    size_t i = 0;

    for (; i + sizeof words <= size; i += sizeof words) {
        memcpy(words, p + i, sizeof words);
        if ((words[0] | words[1] | words[2] | words[3]) & high_bits)
            break;
    }
    for (; i + sizeof words[0] <= size; i += sizeof words[0]) {
        memcpy(words, p + i, sizeof words[0]);
        if (words[0] & high_bits)
            break;
    }
    while (i < size && p[i] < 0x80)
        i++;
    return i;
}

bool text_is_utf8(struct span bytes)
{
    const unsigned char *p = (const unsigned char *)bytes.bytes;
    size_t left = bytes.size;

    while (left > 0) {
        size_t size = p[0] < 0x80 ? ascii_prefix(p, left) : utf8_sequence(p, left);

        if (size == 0)
            return false;
        p += size;
        left -= size;
    }
    return true;
}

enum { BYTE_CONTROL = 1, BYTE_SEPARATOR = 2, BYTE_WIDE = 4 };

/* What names are checked for, by their bytes. */
static const unsigned char kinds[256] = {
    [0x00 ... 0x1f] = BYTE_CONTROL, [0x7f] = BYTE_CONTROL, [' '] = BYTE_SEPARATOR, ['*'] = BYTE_SEPARATOR, [','] = BYTE_SEPARATOR,
    [0x80 ... 0xff] = BYTE_WIDE,
};

/* U+0080 to U+009F: 0xc2 and one more byte. */
static bool has_c1(struct span utf8)
{
    for (size_t i = 0; i < utf8.size; i++)
        if ((unsigned char)utf8.bytes[i] == 0xc2 && (unsigned char)utf8.bytes[i + 1] < 0xa0)
            return true;
    return false;
}

/* At most NAME_MAX_BYTES of UTF-8 without control characters and without bytes of the kind `refused`. */
static bool is_name(struct span name, unsigned refused)
{
    unsigned found = 0;

    if (name.size > NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < name.size; i++)
        found |= kinds[(unsigned char)name.bytes[i]];
    if (found & (BYTE_CONTROL | refused))
        return false;
    return !(found & BYTE_WIDE) || (text_is_utf8(name) && !has_c1(name));
}

bool text_is_base64url(struct span text)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.bytes[i];

        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
            return false;
    }
    return text.size > 0 && text.size % 4 != 1;
}

bool text_is_label(struct span label)
{
    return is_name(label, 0);
}

bool text_is_channel(struct span name)
{
    return name.size > 0 && is_name(name, BYTE_SEPARATOR);
}
