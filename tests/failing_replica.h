/* A replica and its clients while allocations fail. */
#ifndef FAILING_REPLICA_H
#define FAILING_REPLICA_H

#include "replica_fixture.h"

#include "failing_memory.h"

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
