#include "inbox.h"

#include "message.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

void inbox_init(struct inbox *inbox, size_t limit, void (*notify)(void *context), void *context)
{
    *inbox = (struct inbox){.limit = limit, .notify = notify, .context = context};
    pthread_mutex_init(&inbox->lock, NULL);
}

void inbox_finish(struct inbox *inbox)
{
    struct inbox_item item;

    while (inbox_take(inbox, &item)) {
        if (item.message)
            message_unref(item.message);
        else
            close(item.descriptor);
    }
    free(inbox->items);
    pthread_mutex_destroy(&inbox->lock);
}

bool inbox_has_room(struct inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    bool has_room = inbox->count < inbox->limit;
    pthread_mutex_unlock(&inbox->lock);
    return has_room;
}

static bool grow(struct inbox *inbox)
{
    size_t capacity = inbox->capacity ? inbox->capacity * 2 : 64;
    struct inbox_item *items;

    if (inbox->count < inbox->capacity)
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

bool inbox_reserve(struct inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    bool reserved = grow(inbox);
    pthread_mutex_unlock(&inbox->lock);
    return reserved;
}

void inbox_put_take(struct inbox *inbox, struct inbox_item item)
{
    pthread_mutex_lock(&inbox->lock);
    assert(inbox->count < inbox->capacity);
    inbox->items[(inbox->head + inbox->count++) & (inbox->capacity - 1)] = item;
    pthread_mutex_unlock(&inbox->lock);
    inbox->notify(inbox->context);
}

bool inbox_take(struct inbox *inbox, struct inbox_item *item)
{
    pthread_mutex_lock(&inbox->lock);
    bool taken = inbox->count > 0;
    if (taken) {
        *item = inbox->items[inbox->head];
        inbox->head = (inbox->head + 1) & (inbox->capacity - 1);
        inbox->count--;
    }
    pthread_mutex_unlock(&inbox->lock);
    return taken;
}
