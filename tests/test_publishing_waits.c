/* Publish requests that wait for the hub, for their end or for their body, and what becomes of those whose client or hub is not there. */
#include "publishing_fixture.h"

#include <dirent.h>

/* --- what waits --- */

static void an_offer_waits_while_an_inbox_is_full(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);

    fill_inbox(fixture);
    ask_anew(&peer, post_of("channel=a", "x"));
    assert_int_equal(peer.out.size, 0);
    assert_int_equal(offers.count, 1);
    assert_false(ev_is_active(&offers.more));
    empty_inbox(fixture);
    receive(&peer);
    assert_starts(peer.out, "Status: 202 Accepted\r\n");
    assert_int_equal(offers.count, 0);
    assert_int_equal(offers.bytes, 0);
    leave(&peer);
}

static void who_waits_too_long_is_told_so_and_nothing_is_published(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);

    fill_inbox(fixture);
    ask_anew(&peer, post_of("channel=a", "x"));
    time_out(TAILQ_FIRST(&fixture->worker.offered));
    receive(&peer);
    assert_starts(peer.out, "Status: 503 Service Unavailable\r\n");
    assert_part(&peer.out, "\r\nRetry-After: 1\r\n");
    assert_int_equal(fixture->worker.metrics.requests_refused, 1);
    empty_inbox(fixture);
    assert_int_equal(fixture->hub.metrics.messages_published, 0);
    assert_int_equal(offers.count, 0);
    assert_answer(&peer, post_of("channel=a", "x"), "Status: 202 Accepted\r\n", "-");
    leave(&peer);
}

/* The hub has claimed it: then 503 would be a lie. */
static void who_waits_too_long_is_answered_by_the_hub_if_that_was_faster(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);
    struct offer *offer;

    fill_inbox(fixture);
    ask_anew(&peer, post_of("channel=a", "x"));
    offer = STAILQ_FIRST(&offers.queue);
    assert_true(offer_claim(offer));
    time_out(TAILQ_FIRST(&fixture->worker.offered));
    receive(&peer);
    assert_int_equal(peer.out.size, 0);
    atomic_store(&offer->is_claimed, false); /* as it is before the hub claims it */
    empty_inbox(fixture);
    receive(&peer);
    assert_starts(peer.out, "Status: 202 Accepted\r\n");
    leave(&peer);
}

static void a_full_queue_is_503(void **state)
{
    struct fixture *fixture = *state;
    struct peer first = connect_peer(fixture), peer = connect_peer(fixture);

    fill_inbox(fixture);
    ask_anew(&first, post_of("channel=a", "x"));
    offers.bytes += 1 << 30;
    assert_answer(&peer, post_of("channel=a", "x"), "Status: 503 Service Unavailable\r\n", "\"unavailable\"");
    offers.bytes -= 1 << 30;
    empty_inbox(fixture);
    leave(&first);
    leave(&peer);
}

static void who_left_is_published_all_the_same(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);

    fill_inbox(fixture);
    ask_anew(&peer, post_of("channel=a", "x"));
    leave(&peer);
    assert_int_equal(fixture->worker.connection_count, 0);
    empty_inbox(fixture);
    assert_int_equal(fixture->hub.metrics.messages_published, 1);
}

static void an_abort_leaves_the_offer_and_the_kept_connection_goes_on(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);
    struct text abort = TEXT_EMPTY;

    fill_inbox(fixture);
    ask_anew(&peer, post_of("channel=a", "x"));
    put_record(&abort, FCGI_ABORT_REQUEST, 1, (struct span){0});
    send_text(&peer, &abort);
    receive(&peer);
    assert_int_equal(peer.ends, 1);
    empty_inbox(fixture);
    receive(&peer);
    assert_int_equal(peer.out.size, 0);
    assert_answer(&peer, post_of("channel=a", "x"), "Status: 202 Accepted\r\n", "-");
    leave(&peer);
}

static void what_is_offered_and_waits_at_the_end_is_let_go(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);

    fill_inbox(fixture);
    ask_anew(&peer, post_of("channel=a", "x"));
    assert_int_equal(offers.count, 1);
    close(peer.fd);
    text_finish(&peer.bytes);
}

/* --- the end of the server --- */

static void take_inbox(void *context)
{
    struct fixture *fixture = context;

    fixture->inbox->limit = 100;
    worker_take_inbox(&fixture->worker);
}

static void at_the_end_what_was_offered_is_answered_and_new_requests_are_503(void **state)
{
    struct fixture *fixture = *state;
    struct peer early = connect_peer(fixture), late = connect_peer(fixture);

    fill_inbox(fixture);
    ask_anew(&early, post_of("channel=a", "x"));
    offers_drain(&offers, take_inbox, fixture, 10000);
    assert_int_equal(fixture->hub.metrics.messages_published, 1);
    assert_answer(&late, post_of("channel=a", "x"), "Status: 503 Service Unavailable\r\n", "Retry-After: 1\r\n");
    worker_order(&fixture->worker, WORKER_DRAIN);
    receive(&early);
    assert_starts(early.out, "Status: 202 Accepted\r\n");
    assert_true(fixture->worker.is_draining);
    leave(&early);
    leave(&late);
}

static void without_a_queue_nothing_can_be_published(void **state)
{
    struct peer peer = connect_peer(*state);

    ((struct fixture *)*state)->worker.offers = NULL;
    assert_answer(&peer, post_of("channel=a", "x"), "Status: 503 Service Unavailable\r\n", "\"unavailable\"");
    leave(&peer);
}

/* --- bodies that are too large, or not whole --- */

static char large[3000];

static void too_large_a_body_is_answered_at_once_and_read_to_its_end(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);
    struct call call = post_of("channel=a", "");

    call.body = (struct span){large, sizeof large};
    struct text bytes = request_of(&call);
    send_bytes(&peer, (struct span){bytes.bytes, bytes.size - 1000});
    receive(&peer);
    assert_starts(peer.out, "Status: 413 Content Too Large\r\n");
    assert_int_equal(peer.ends, 1);
    assert_false(peer.is_over);
    send_bytes(&peer, (struct span){bytes.bytes + bytes.size - 1000, 1000});
    assert_false(TAILQ_EMPTY(&fixture->worker.idle));
    assert_answer(&peer, post_of("channel=a", "x"), "Status: 202 Accepted\r\n", "-");
    text_finish(&bytes);
    leave(&peer);
}

static void a_body_that_is_announced_too_large_is_not_waited_for(void **state)
{
    struct peer peer = connect_peer(*state);
    struct call call = post_of("channel=a", "");

    call.more[2] = "CONTENT_LENGTH";
    call.more[3] = "1025";
    struct text bytes = request_of(&call);
    send_bytes(&peer, (struct span){bytes.bytes, bytes.size - FCGI_HEADER_BYTES});
    receive(&peer);
    assert_starts(peer.out, "Status: 413 Content Too Large\r\n");
    assert_int_equal(peer.ends, 1);
    text_finish(&bytes);
    leave(&peer);
}

static void the_rest_of_too_large_a_body_has_five_seconds(void **state)
{
    struct fixture *fixture = *state;
    struct peer peer = connect_peer(fixture);
    struct call call = post_of("channel=a", "");
    struct subscriber *waiting;

    call.keep = false;
    call.body = (struct span){large, sizeof large};
    struct text bytes = request_of(&call);
    send_bytes(&peer, (struct span){bytes.bytes, bytes.size - 1000});
    receive(&peer);
    assert_int_equal(peer.ends, 1);
    assert_false(peer.is_over);
    waiting = TAILQ_FIRST(&fixture->worker.reading);
    assert_in_range(waiting->timeout.due_ms, fixture->worker.replica.now_ms + 4000, fixture->worker.replica.now_ms + 5000);
    time_out(waiting);
    receive(&peer);
    assert_true(peer.is_over);
    assert_int_equal(fixture->worker.metrics.requests_timed_out, 0);
    text_finish(&bytes);
    leave(&peer);
}

static void an_abort_within_too_large_a_body_ends_the_connection(void **state)
{
    struct peer peer = connect_peer(*state);
    struct call call = post_of("channel=a", "");

    call.body = (struct span){large, sizeof large};
    struct text bytes = request_of(&call);
    bytes.size -= FCGI_HEADER_BYTES;
    send_bytes(&peer, text_span(&bytes));
    receive(&peer);
    assert_int_equal(peer.ends, 1);
    text_clear(&bytes);
    put_record(&bytes, FCGI_ABORT_REQUEST, 1, (struct span){0});
    send_text(&peer, &bytes);
    receive(&peer);
    assert_int_equal(peer.ends, 1);
    assert_true(peer.is_over);
    leave(&peer);
}

static size_t count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    size_t count = 0;

    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

/* At every byte of the request. */
static void who_dies_in_mid_request_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct call call = post_of("channel=a", "data");
    struct text bytes = request_of(&call);
    size_t before;

    turn(fixture);
    before = count_descriptors();
    for (size_t size = 0; size < bytes.size; size++) {
        struct peer peer = connect_peer(fixture);

        send_bytes(&peer, (struct span){bytes.bytes, size});
        leave(&peer);
        assert_int_equal(count_descriptors(), before);
    }
    assert_int_equal(fixture->worker.connection_count, 0);
    assert_int_equal(fixture->hub.metrics.messages_published, 0);
    text_finish(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_offer_waits_while_an_inbox_is_full),
        TEST(who_waits_too_long_is_told_so_and_nothing_is_published),
        TEST(who_waits_too_long_is_answered_by_the_hub_if_that_was_faster),
        TEST(a_full_queue_is_503),
        TEST(who_left_is_published_all_the_same),
        TEST(an_abort_leaves_the_offer_and_the_kept_connection_goes_on),
        TEST(what_is_offered_and_waits_at_the_end_is_let_go),
        TEST(at_the_end_what_was_offered_is_answered_and_new_requests_are_503),
        TEST(without_a_queue_nothing_can_be_published),
        TEST(too_large_a_body_is_answered_at_once_and_read_to_its_end),
        TEST(a_body_that_is_announced_too_large_is_not_waited_for),
        TEST(the_rest_of_too_large_a_body_has_five_seconds),
        TEST(an_abort_within_too_large_a_body_ends_the_connection),
        TEST(who_dies_in_mid_request_leaves_nothing),
    };

    return prepare() ? cmocka_run_group_tests_name("publishing_waits", tests, NULL, NULL) : 1;
}
