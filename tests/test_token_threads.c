/* Workers check tokens at the same time with the same keys. Under ThreadSanitizer this is what would see cjose or a library below share more. */
#include "token_fixture.h"

#include <pthread.h>

enum { THREADS = 4, ROUNDS = 50 };

static struct keyring keyring;
static char *tokens[3];

static void *verify_all(void *context)
{
    const struct token_rules rules = {"", "", 0};
    intptr_t good = 0;

    (void)context;
    for (int i = 0; i < ROUNDS * 3; i++) {
        struct claims claims;
        struct problem problem;

        good += token_verify(&claims, span_of(tokens[i % 3]), &keyring, &rules, 1000, &problem);
        token_claims_finish(&claims);
    }
    return (void *)good;
}

static void tokens_are_verified_by_several_threads_at_once(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    ring_of(&keyring, ALL_PRIVATE);
    for (size_t i = 0; i < 3; i++)
        tokens[i] = token_sign(span_of("{\"exp\":2,\"channels\":[\"a\",\"b*\"]}"), &keyring.keys[i]);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, verify_all, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        void *good;

        assert_int_equal(pthread_join(threads[i], &good), 0);
        assert_int_equal((intptr_t)good, ROUNDS * 3);
    }
    for (int i = 0; i < 3; i++)
        free(tokens[i]);
    keyring_finish(&keyring);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_verified_by_several_threads_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
