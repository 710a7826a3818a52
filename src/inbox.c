/*
 * The ring is changed under the lock. What the hub knows of free places was true when it last held the lock, and since then the worker can only have
 * made more: so it takes the lock again for what is used up, not for each message. The bytes are looked at without it: sequentially consistent, so that who
 * waits for them to become less cannot miss it (bell.c).
 */
#include "inbox.h"

#include "buffer.h"
#include "message.h"
#include "offer.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

enum { CAPACITY_MIN = 64, FINISH_BATCH = 64 };

void inbox_init(struct inbox *inbox, size_t limit, void (*notify)(void *context), void *context)
{
    *inbox = (struct inbox){.limit = limit, .notify = notify, .context = context};
    pthread_mutex_init(&inbox->lock, NULL);
}

void inbox_finish(struct inbox *inbox)
{
    struct inbox_item items[FINISH_BATCH];
    size_t count;

    while ((count = inbox_take(inbox, items, FINISH_BATCH)) > 0)
        for (size_t i = 0; i < count; i++) {
            if (items[i].is_offer)
                offer_destroy(items[i].offer);
            else if (items[i].message)
                message_unref(items[i].message);
            else
                close(items[i].descriptor);
        }
    free(inbox->items);
    pthread_mutex_destroy(&inbox->lock);
}

static size_t bytes_of(const struct inbox_item *items, size_t count)
{
    size_t bytes = 0;

    for (size_t i = 0; i < count; i++)
        if (!items[i].is_offer && items[i].message)
            bytes += buffer_memory(items[i].message->encoded);
    return bytes;
}

bool inbox_has_room(struct inbox *inbox, size_t count)
{
    if (atomic_load(&inbox->bytes) >= INBOX_BYTES)
        return false;
    if (inbox->room < count) {
        pthread_mutex_lock(&inbox->lock);
        inbox->room = inbox->count < inbox->limit ? inbox->limit - inbox->count : 0;
        pthread_mutex_unlock(&inbox->lock);
    }
    return inbox->room >= count;
}

/* With the lock held. */
static bool grow(struct inbox *inbox, size_t count)
{
    size_t capacity = inbox->capacity ? inbox->capacity : CAPACITY_MIN;
    struct inbox_item *items;

    while (capacity - inbox->count < count)
        capacity *= 2;
    if (capacity == inbox->capacity)
        return true;
    items = calloc(capacity, sizeof *items);
    if (!items)
        return false;
    for (size_t i = 0; i < inbox->count; i++)
        items[i] = inbox->items[(inbox->head + i) & (inbox->capacity - 1)];
    free(inbox->items);
    inbox->items = items;
    inbox->head = 0;
    inbox->capacity = capacity;
    return true;
}

bool inbox_reserve(struct inbox *inbox, size_t count)
{
    if (inbox->reserved >= count)
        return true;
    pthread_mutex_lock(&inbox->lock);
    bool grown = grow(inbox, count);
    if (grown)
        inbox->reserved = inbox->capacity - inbox->count;
    pthread_mutex_unlock(&inbox->lock);
    return grown;
}

void inbox_put_take(struct inbox *inbox, const struct inbox_item *items, size_t count)
{
    assert(inbox->reserved >= count);
    atomic_fetch_add_explicit(&inbox->bytes, bytes_of(items, count), memory_order_relaxed);
    pthread_mutex_lock(&inbox->lock);
    for (size_t i = 0; i < count; i++)
        inbox->items[(inbox->head + inbox->count++) & (inbox->capacity - 1)] = items[i];
    pthread_mutex_unlock(&inbox->lock);
    inbox->reserved -= count;
    inbox->room -= count < inbox->room ? count : inbox->room;
    inbox->notify(inbox->context);
}

size_t inbox_take(struct inbox *inbox, struct inbox_item *items, size_t most)
{
    pthread_mutex_lock(&inbox->lock);
    size_t count = inbox->count < most ? inbox->count : most;
    for (size_t i = 0; i < count; i++)
        items[i] = inbox->items[(inbox->head + i) & (inbox->capacity - 1)];
    if (count > 0)
        inbox->head = (inbox->head + count) & (inbox->capacity - 1);
    inbox->count -= count;
    pthread_mutex_unlock(&inbox->lock);
    atomic_fetch_sub(&inbox->bytes, bytes_of(items, count));
    return count;
}

bool inbox_is_empty(struct inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    bool is_empty = inbox->count == 0;
    pthread_mutex_unlock(&inbox->lock);
    return is_empty;
}
