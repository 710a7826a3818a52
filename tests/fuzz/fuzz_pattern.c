/* Patterns: an input is two patterns and a name, separated by spaces. What is covered is matched; a name covers itself alone. */
#include "pattern.h"
#include "text.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct span take(struct span *rest)
{
    const char *space = rest->size > 0 ? memchr(rest->bytes, ' ', rest->size) : NULL;
    struct span word = {rest->bytes, space ? (size_t)(space - rest->bytes) : rest->size};
    size_t used = word.size + (space != NULL);

    *rest = (struct span){rest->bytes + used, rest->size - used};
    return word;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = {(const char *)data, size}, grant = take(&rest), asked = take(&rest), name = take(&rest);

    if (!pattern_is_valid(grant) || !pattern_is_valid(asked) || !text_is_channel(name))
        return 0;
    assert(pattern_covers(grant, grant) && pattern_covers(span_of("**"), asked));
    assert(pattern_covers(grant, name) == pattern_matches(grant, name));
    if (pattern_covers(grant, asked) && pattern_matches(asked, name))
        assert(pattern_matches(grant, name));
    if (text_is_channel(grant))
        assert(pattern_covers(grant, asked) == span_equal(grant, asked));
    return 0;
}
