/*
 * Allocations that fail: the one after `allocations_left` others. For programs linked with --wrap for malloc, calloc, realloc and strdup.
 * Include it behind replica_fixture.h.
 */
#ifndef FAILING_MEMORY_H
#define FAILING_MEMORY_H

static long allocations_left = -1; /* until one fails; below zero: none does */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);

static bool fails(void)
{
    return allocations_left >= 0 && allocations_left-- == 0;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

static inline int setup_with_memory(void **state)
{
    allocations_left = -1;
    return setup(state);
}

static inline int teardown_with_memory(void **state)
{
    allocations_left = -1;
    return teardown(state);
}

/* Received bytes are ours: their memory must not be what fails. */
static inline void client_with_room(struct client *client)
{
    client_init(client);
    assert_non_null(text_reserve(&client->received, 1 << 16));
}

#endif
