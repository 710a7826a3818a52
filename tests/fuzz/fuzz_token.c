/* Tokens: an input is a token, and also the claims of one that is signed. What is taken keeps to the contract. */
#include "pattern.h"
#include "text.h"
#include "token.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void verify(struct span token, const struct keyring *keyring)
{
    struct token_rules rules = {"", "", 10000};
    struct problem problem = {0};
    struct claims claims;
    bool good = token_verify(&claims, token, keyring, &rules, 1800000000000, &problem);

    assert(good ? claims.expires_ms > 1800000000000 && token.size <= TOKEN_MAX_BYTES : problem.status == 401);
    for (size_t i = 0; good && i < claims.patterns.count; i++)
        assert(pattern_is_valid(span_of(claims.patterns.items[i])) && strchr(claims.patterns.items[i], '*'));
    for (size_t i = 0; good && i < claims.channels.count; i++)
        assert(text_is_channel(span_of(claims.channels.items[i])));
    token_claims_finish(&claims);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct keyring keyring;
    char error[100], *token;

    if (keyring.count == 0 && !keyring_add_secret(&keyring, span_of("0123456789abcdef0123456789abcdef"), false, error, sizeof error))
        abort();
    verify((struct span){(const char *)data, size}, &keyring);
    token = size > 0 ? token_sign((struct span){(const char *)data, size}, &keyring.keys[0]) : NULL;
    if (token)
        verify(span_of(token), &keyring);
    free(token);
    return 0;
}
