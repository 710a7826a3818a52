#include "merge.h"

#include "channel.h"
#include "history.h"
#include "latest.h"
#include "message.h"
#include "replica.h"

#include <assert.h>
#include <stdlib.h>

_Bool merge_reserve(struct merge *merge, size_t links)
{
    struct merge_head *heads;

    if (links <= merge->capacity)
        return true;
    heads = realloc(merge->heads, links * sizeof *heads);
    if (!heads)
        return false;
    merge->heads = heads;
    merge->capacity = links;
    return true;
}

void merge_finish(struct merge *merge)
{
    free(merge->heads);
    *merge = (struct merge){0};
}

static _Bool is_before(const struct merge_head *a, const struct merge_head *b)
{
    return event_id_less(a->entry->message->id, b->entry->message->id);
}

static void sift_down(struct merge *merge, size_t place)
{
    struct merge_head head = merge->heads[place];
    size_t child;

    while ((child = place * 2 + 1) < merge->count) {
        if (child + 1 < merge->count && is_before(&merge->heads[child + 1], &merge->heads[child]))
            child++;
        if (!is_before(&merge->heads[child], &head))
            break;
        merge->heads[place] = merge->heads[child];
        place = child;
    }
    merge->heads[place] = head;
}

void merge_start(struct replica *replica, const struct subscriber *subscriber, struct event_id cursor)
{
    struct merge *merge = &replica->merge;
    struct link *link = NULL;

    merge->count = 0;
    merge->has_latest = false;
    while ((link = subscriber_next_link(subscriber, link)) != NULL) {
        const struct history *history = &link->channel->history;
        uint32_t index = history_after(history, cursor);

        if (index == history->count)
            continue;
        if (latest_holds(link->channel)) {
            index = latest_begin(replica, link, index);
            merge->has_latest = true;
        }
        assert(merge->count < merge->capacity);
        merge->heads[merge->count++] = (struct merge_head){link, history_at(history, index), index};
    }
    for (size_t place = merge->count / 2; place-- > 0;)
        sift_down(merge, place);
}

struct merge_head *merge_first(struct merge *merge)
{
    return merge->count > 0 ? &merge->heads[0] : NULL;
}

void merge_pass(struct merge *merge)
{
    struct merge_head *first = &merge->heads[0];
    const struct history *history = &first->link->channel->history;

    if (++first->index < history->count)
        first->entry = history_at(history, first->index);
    else
        *first = merge->heads[--merge->count];
    if (merge->count > 0)
        sift_down(merge, 0);
}
