/* Interests: two tables, by pattern and by directory. Most channels that come to be lie in directories that nobody asked for. */
#include "interests.h"

#include "pattern.h"

#include <stdlib.h>

LIST_HEAD(interest_list, interest);

struct directory {
    UT_hash_handle hh;
    struct interest_list interests; /* never empty, but for a moment */
    unsigned char size;
    char name[];                    /* empty, or with the `/` at its end */
};

_Static_assert(sizeof(struct interest) + sizeof(struct directory) + 2 * sizeof(UT_hash_bucket) <= INTEREST_BYTES, "a pattern has become larger");

/* What every match of the pattern begins with, as far as it can be cut out of a name without knowing the pattern. */
static struct span directory_of(struct span pattern)
{
    const char *star = memchr(pattern.bytes, '*', pattern.size);
    size_t size = star ? (size_t)(star - pattern.bytes) : pattern.size;

    while (size > 0 && pattern.bytes[size - 1] != '/')
        size--;
    return (struct span){pattern.bytes, size};
}

static struct directory *find_directory(const struct interests *interests, struct span name)
{
    struct directory *directory;

    HASH_FIND(hh, interests->directories, name.bytes, name.size, directory);
    return directory;
}

static struct directory *open_directory(struct interests *interests, struct span name)
{
    struct directory *directory = find_directory(interests, name);

    if (directory)
        return directory;
    directory = calloc(1, sizeof *directory + name.size);
    if (!directory)
        return NULL;
    directory->size = (unsigned char)name.size;
    memcpy(directory->name, name.bytes, name.size);
    HASH_ADD(hh, interests->directories, name, directory->size, directory);
    if (directory->hh.tbl)
        return directory;
    free(directory);
    return NULL;
}

static void close_unused_directory(struct interests *interests, struct directory *directory)
{
    if (!LIST_EMPTY(&directory->interests))
        return;
    HASH_DEL(interests->directories, directory);
    free(directory);
}

static struct interest *create(struct interests *interests, struct span pattern)
{
    struct interest *interest = calloc(1, sizeof *interest + pattern.size);

    if (!interest)
        return NULL;
    interest->size = (unsigned char)pattern.size;
    memcpy(interest->pattern, pattern.bytes, pattern.size);
    interest->directory = open_directory(interests, directory_of(pattern));
    if (!interest->directory)
        goto no_directory;
    HASH_ADD(hh, interests->by_pattern, pattern, interest->size, interest);
    if (!interest->hh.tbl)
        goto no_entry;
    LIST_INSERT_HEAD(&interest->directory->interests, interest, of_directory);
    return interest;

no_entry:
    close_unused_directory(interests, interest->directory);
no_directory:
    free(interest);
    return NULL;
}

bool interests_add(struct interests *interests, struct span pattern, struct share *share)
{
    struct interest *interest;

    HASH_FIND(hh, interests->by_pattern, pattern.bytes, pattern.size, interest);
    if (!interest)
        interest = create(interests, pattern);
    if (!interest)
        return false;
    share->interest = interest;
    LIST_INSERT_HEAD(&interest->shares, share, of_interest);
    return true;
}

void interests_remove(struct interests *interests, struct share *share)
{
    struct interest *interest = share->interest;

    if (!interest)
        return;
    LIST_REMOVE(share, of_interest);
    share->interest = NULL;
    if (!LIST_EMPTY(&interest->shares))
        return;
    HASH_DEL(interests->by_pattern, interest);
    LIST_REMOVE(interest, of_directory);
    close_unused_directory(interests, interest->directory);
    free(interest);
}

unsigned interest_directory_hash(const struct interest *interest)
{
    return interest->directory->hh.hashv;
}

bool interests_match(const struct interests *interests, struct span name, bool (*visit)(struct interest *interest, void *context),
                     void *context)
{
    if (!interests->directories)
        return false;
    for (size_t size = 0; size <= name.size; size++) {
        const struct directory *directory;
        struct interest *interest;

        if (size > 0 && name.bytes[size - 1] != '/')
            continue;
        directory = find_directory(interests, (struct span){name.bytes, size});
        if (!directory)
            continue;
        LIST_FOREACH(interest, &directory->interests, of_directory)
            if (pattern_matches(interest_pattern(interest), name) && visit(interest, context))
                return true;
    }
    return false;
}
