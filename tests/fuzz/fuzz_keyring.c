/* JWK Sets, as identity providers publish them: keys or a reason why not, never both, and each key can be worked with. */
#include "keyring.h"
#include "token.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const struct key *key, const struct keyring *keyring)
{
    struct token_rules rules = {"", "", 10000};
    struct problem problem = {0};
    struct claims claims;
    char *token = key->can_sign ? token_sign(span_of("{\"exp\":1800000001,\"channels\":[\"a\"]}"), key) : NULL;

    if (token && !token_verify(&claims, span_of(token), keyring, &rules, 1800000000000, &problem))
        assert(problem.status == 401); /* halves of a pair that do not belong together */
    else if (token)
        token_claims_finish(&claims);
    free(token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct keyring keyring = {0};
    char error[100] = "";
    bool good = keyring_add_set(&keyring, (struct span){(const char *)data, size}, size % 2, error, sizeof error);

    assert(good ? keyring.count > 0 && !error[0] : error[0] != '\0');
    for (size_t i = 0; good && i < keyring.count; i++)
        use(&keyring.keys[i], &keyring);
    keyring_finish(&keyring);
    return 0;
}
