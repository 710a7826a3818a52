/*
 * audience: who gets exactly the same of some entries as the one for whom they were gathered, so that what was made of them can be shared. Besides
 * this, the others have to listen to the same channels from the same cursor on, at the same time.
 */
#ifndef AUDIENCE_H
#define AUDIENCE_H

#include "subscriber.h"
#include "text.h"

struct entry;

struct audience {
    struct text excepts; /* owned: each client that must not get one of them, between NULs */
    uint64_t for_joined; /* only who joined at this number or before gets all of them */
    bool is_private;     /* one that others may get was hidden from the one for whom they were gathered */
};

#define AUDIENCE_ALL ((struct audience){.for_joined = UINT64_MAX})

void audience_finish(struct audience *audience);
/* The entry is among what is shared. Lack of memory only means that it is not shared. */
void audience_add(struct audience *audience, const struct entry *entry);
/* The entry is not for the one for whom they are gathered. */
void audience_hide(struct audience *audience, const struct replica *replica, const struct entry *entry);
bool audience_excepts(const struct audience *audience, const char *client);

static inline bool audience_has(const struct audience *audience, const struct subscriber *subscriber)
{
    return !audience->is_private && subscriber->joined <= audience->for_joined &&
           (audience->excepts.size == 0 || !audience_excepts(audience, subscriber->client));
}

#endif
