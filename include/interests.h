/*
 * interests: the patterns that subscribers listen to, each once however many want it, and found by a channel's name without a look at those that
 * cannot match: by the directory they begin with, which is what stands before the first `*` up to its last `/`. A name with k of them costs k + 1
 * look-ups and the matching of what lies there.
 */
#ifndef INTERESTS_H
#define INTERESTS_H

#include "span.h"
#include "table.h"

#include <stdint.h>
#include <sys/queue.h>

struct directory;
struct watcher;

/* A watcher's part in a pattern. Embedded in its owner. */
struct share {
    LIST_ENTRY(share) of_interest;
    struct interest *interest; /* NULL: none yet */
    struct watcher *watcher;
};

LIST_HEAD(share_list, share);

/* A pattern that somebody listens to: it goes with its last share. */
struct interest {
    UT_hash_handle hh;
    LIST_ENTRY(interest) of_directory;
    struct directory *directory;
    struct share_list shares;
    unsigned char size;
    char pattern[];
};

/* All zero: empty. */
struct interests {
    struct interest *by_pattern;
    struct directory *directories;
};

/* What a pattern that nobody else has costs, with a directory of its own, but for their names and the allocator's own. */
enum { INTEREST_BYTES = 208 };

static inline struct span interest_pattern(const struct interest *interest)
{
    return (struct span){interest->pattern, interest->size};
}

/* Of the directory that the pattern's matches lie in, at whatever depth: as table_hash has it. */
unsigned interest_directory_hash(const struct interest *interest);

/* `share` (its watcher is set) gets its part in `pattern`, at most 255 bytes. False: no memory. */
bool interests_add(struct interests *interests, struct span pattern, struct share *share) __attribute__((warn_unused_result));
/* Fine for a share that has no part in anything. */
void interests_remove(struct interests *interests, struct share *share);

/* Calls `visit` for each interest that matches the channel `name`, until one call says true; whether one did. `visit` adds and removes none. */
bool interests_match(const struct interests *interests, struct span name, bool (*visit)(struct interest *interest, void *context),
                     void *context);

#endif
