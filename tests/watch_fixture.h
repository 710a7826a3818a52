/* Clients that listen by pattern. */
#ifndef WATCH_FIXTURE_H
#define WATCH_FIXTURE_H

#include "replica_fixture.h"

static inline void watch(struct client *client, const char *channels)
{
    client_init(client);
    join(&fixture, client, (struct wish){.channels = channels});
}

/* Of a long-poll that is answered. */
static inline const char *body_of(const struct client *client)
{
    static char body[4096];
    struct stream stream = client_read(client);

    assert_true(stream.is_whole);
    snprintf(body, sizeof body, "%.*s", (int)stream.body.size, stream.body.bytes);
    stream_finish(&stream);
    return body;
}

#endif
