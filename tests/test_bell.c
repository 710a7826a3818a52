#include "bell.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

static int make(void **state)
{
    static struct bell bell;

    *state = &bell;
    return bell_init(&bell) ? 0 : -1;
}

static int finish(void **state)
{
    bell_finish(*state);
    return 0;
}

static bool rang(const struct bell *bell)
{
    struct pollfd item = {.fd = bell->fd, .events = POLLIN};

    return poll(&item, 1, 0) == 1;
}

static void who_waits_hears_it(void **state)
{
    struct bell *bell = *state;

    bell_await(bell);
    assert_false(rang(bell));
    bell_ring(bell);
    assert_true(rang(bell));
    bell_hear(bell);
    assert_false(rang(bell));
}

static void nobody_is_woken_who_does_not_wait(void **state)
{
    struct bell *bell = *state;

    bell_ring(bell);
    assert_false(rang(bell));
    bell_await(bell);
    assert_false(rang(bell));
}

static void many_rings_wake_once(void **state)
{
    struct bell *bell = *state;
    uint64_t rings;

    bell_await(bell);
    for (int i = 0; i < 5; i++)
        bell_ring(bell);
    assert_int_equal(read(bell->fd, &rings, sizeof rings), sizeof rings);
    assert_int_equal(rings, 1);
}

static void sleeping_has_its_limit(void **state)
{
    bell_await(*state);
    bell_sleep(*state, 1);
    assert_false(rang(*state));
}

/* --- two threads that take turns: a ring that is lost is a test that does not end --- */

enum { ROUNDS = 20000 };

struct game {
    struct bell bells[2];
    atomic_int turn;
};

static void play(struct game *game, int me)
{
    for (int round = 0; round < ROUNDS; round++) {
        while (atomic_load(&game->turn) != me) {
            bell_await(&game->bells[me]);
            if (atomic_load(&game->turn) != me)
                bell_sleep(&game->bells[me], -1);
        }
        atomic_store(&game->turn, !me);
        bell_ring(&game->bells[!me]);
    }
}

static void *play_second(void *game)
{
    play(game, 1);
    return NULL;
}

static void no_ring_is_lost_between_two_threads(void **state)
{
    struct game game = {.turn = 0};
    pthread_t thread;

    (void)state;
    assert_true(bell_init(&game.bells[0]) && bell_init(&game.bells[1]));
    assert_int_equal(pthread_create(&thread, NULL, play_second, &game), 0);
    play(&game, 0);
    pthread_join(thread, NULL);
    bell_finish(&game.bells[0]);
    bell_finish(&game.bells[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_waits_hears_it, make, finish),
        cmocka_unit_test_setup_teardown(nobody_is_woken_who_does_not_wait, make, finish),
        cmocka_unit_test_setup_teardown(many_rings_wake_once, make, finish),
        cmocka_unit_test_setup_teardown(sleeping_has_its_limit, make, finish),
        cmocka_unit_test(no_ring_is_lost_between_two_threads),
    };

    return cmocka_run_group_tests_name("bell", tests, NULL, NULL);
}
