/*
 * pattern: matching keeps the set of all places in the name that the pattern read so far can have reached, and moves all of them
 * at once. No backtracking, so no pattern is slow. Bytes are compared: literal parts are whole UTF-8 characters, so that a match
 * never begins or ends within one.
 *
 * Covering is the same with a pattern in the place of the name: a star of it stands for bytes that nobody knows, so only a star
 * that takes at least as much can take it.
 */
#include "pattern.h"

#include "text.h"

bool pattern_is_valid(struct span pattern)
{
    if (pattern.size == 0 || !text_is_label(pattern))
        return false;
    return !memchr(pattern.bytes, ' ', pattern.size) && !memchr(pattern.bytes, ',', pattern.size);
}

/* Whether `*` does not take the byte: a `/`, or in a pattern what may stand for one. */
static bool is_border(struct span name, size_t i)
{
    if (name.bytes[i] != '*')
        return name.bytes[i] == '/';
    return (i > 0 && name.bytes[i - 1] == '*') || (i + 1 < name.size && name.bytes[i + 1] == '*');
}

/* From every reached place also to those behind it, up to the next border or, `across` them, to the end. */
static void spread(bool *reached, struct span name, bool across)
{
    for (size_t i = 0; i < name.size; i++)
        if (reached[i] && (across || !is_border(name, i)))
            reached[i + 1] = true;
}

/* Every reached place one byte on if that byte is `literal`; false when none is left. */
static bool step(bool *reached, struct span name, char literal)
{
    bool any = false;

    for (size_t i = name.size; i > 0; i--) {
        reached[i] = reached[i - 1] && name.bytes[i - 1] == literal;
        any = any || reached[i];
    }
    reached[0] = false;
    return any;
}

/* `name`: a channel name, or a pattern. */
static bool takes_from_star(struct span pattern, struct span name)
{
    bool reached[NAME_MAX_BYTES + 1] = {true};

    for (size_t i = 0; i < pattern.size; i++) {
        /* The second star of two then finds nothing left to do. */
        bool across = i + 1 < pattern.size && pattern.bytes[i + 1] == '*';

        if (pattern.bytes[i] == '*')
            spread(reached, name, across);
        else if (!step(reached, name, pattern.bytes[i]))
            return false;
    }
    return reached[name.size];
}

bool pattern_matches(struct span pattern, struct span name)
{
    size_t same = 0;

    if (name.size == 0 || name.size > NAME_MAX_BYTES)
        return false;
    while (same < pattern.size && same < name.size && pattern.bytes[same] != '*' && pattern.bytes[same] == name.bytes[same])
        same++;
    if (same == pattern.size)
        return same == name.size;
    if (pattern.bytes[same] != '*')
        return false;
    return takes_from_star((struct span){pattern.bytes + same, pattern.size - same},
                           (struct span){name.bytes + same, name.size - same});
}

bool pattern_covers(struct span grant, struct span asked)
{
    return pattern_matches(grant, asked);
}
