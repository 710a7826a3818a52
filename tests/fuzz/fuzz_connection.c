/*
 * A connection in a whole worker: its peer gets good records, nobody else notices, and nothing is left of it. Input: steps, each a byte: below 0xf0 so
 * many bytes of the peer's follow, else something that happens.
 */
#include "publishing_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void happen(struct peer *peer, unsigned what)
{
    static char large[70000];

    if (what == 0)
        publish(peer->fixture, "news", span_of("hello"));
    else if (what == 1)
        publish(peer->fixture, "news", (struct span){memset(large, 'x', sizeof large), sizeof large});
    else if (what == 2)
        fill_inbox(peer->fixture);
    else if (what == 3)
        empty_inbox(peer->fixture);
    else if (what == 4)
        worker_order(&peer->fixture->worker, WORKER_SPREAD);
    else if (what == 5)
        worker_order(&peer->fixture->worker, WORKER_CLOSE_IDLE);
    else if (what == 6)
        shutdown(peer->fd, SHUT_WR);
}

/* All that the peer gets are whole records of types that a responder writes, without padding; the last may be cut if the connection is. */
static void read_records(struct peer *peer)
{
    struct text *all = &peer->bytes;
    ssize_t size;
    size_t at = 0;

    do {
        char *end = text_reserve(all, 65536);

        turn(peer->fixture);
        size = recv(peer->fd, end, 65536, 0);
        all->size += size > 0 ? (size_t)size : 0;
    } while (size > 0);
    for (const unsigned char *header; at + FCGI_HEADER_BYTES <= all->size; at += FCGI_HEADER_BYTES + (size_t)(header[4] << 8 | header[5])) {
        header = (const unsigned char *)all->bytes + at;
        assert_true(header[0] == 1 && header[6] == 0 && strchr("\3\6\12\13", header[1]));
    }
    assert_true(at == all->size || size == 0 || errno == ECONNRESET);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool is_ready;
    void *state = NULL;

    is_ready = is_ready || prepare();
    assert_true(is_ready && make_with_offers(&state) == 0);
    struct fixture *fixture = state;
    struct peer bystander = connect_peer(fixture), peer = connect_peer(fixture);
    fixture->settings.hub_drain = 24 * 60 * 60 * 1000;
    ask(&bystander, &(struct call){.query = "channel=bystander"});
    clear(&bystander);
    for (size_t at = 0, step; at < size; at += step) {
        step = data[at] < 0xf0 ? data[at] : 0;
        if (data[at++] >= 0xf0)
            happen(&peer, data[at - 1] & 0xf);
        step = step < size - at ? step : size - at;
        (void)!send(peer.fd, data + at, step, MSG_NOSIGNAL);
        turn(fixture);
    }
    read_records(&peer);
    leave(&peer);
    empty_inbox(fixture);
    publish(fixture, "bystander", span_of("all the same"));
    receive(&bystander);
    assert_starts(bystander.out, "id: ");
    assert_true(fixture->worker.connection_count == 1 && offers.count == 0);
    leave(&bystander);
    finish_with_offers(&state);
    return 0;
}
