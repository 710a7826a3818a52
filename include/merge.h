/* merge: the entries of several channels in the order of their ids. */
#ifndef MERGE_H
#define MERGE_H

#include "event_id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct entry;
struct link;
struct replica;
struct subscriber;

struct merge_head {
    struct link *link;
    struct entry *entry;
    uint32_t index;
};

/* A heap by id; the memory is kept from use to use. */
struct merge {
    struct merge_head *heads;
    size_t count;
    size_t capacity;
    bool has_latest; /* among them are channels of which only the newest message counts (latest.h) */
};

/* Room for `links` channels. False: no memory. */
_Bool merge_reserve(struct merge *merge, size_t links) __attribute__((warn_unused_result));
void merge_finish(struct merge *merge);

/* Stands at the first entry after `cursor` of each link that may have news, skipped ones left out. Uses replica->merge, as the others do by `merge`. */
void merge_start(struct replica *replica, const struct subscriber *subscriber, struct event_id cursor);
/* The next head in order, or NULL; it stays valid until merge_pass. */
struct merge_head *merge_first(struct merge *merge);
/* Goes on behind the first. */
void merge_pass(struct merge *merge);

#endif
