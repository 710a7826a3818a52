/* Requests: an input is FastCGI parameters (NAME=VALUE) separated by NUL. What is let in keeps to the contract. */
#include "access.h"
#include "keyring.h"
#include "pattern.h"
#include "text.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_list(const struct string_list *list, int64_t most, bool (*is_valid)(struct span))
{
    assert(list->count <= (size_t)most);
    for (size_t i = 0; i < list->count; i++) {
        assert(is_valid(span_of(list->items[i])));
        for (size_t j = 0; j < i; j++)
            assert(strcmp(list->items[i], list->items[j]) != 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *patterns[] = {"public/*", "*a**b/*c"}, *params[33] = {NULL}, *copy = malloc(size + 1);
    struct settings settings = {.subscribe_max_channels = 4, .subscribe_max_patterns = 2, .access_public = {patterns, 2},
                                .token_cookie = "t", .token_issuer = "", .token_audience = ""};
    struct key key = {0}; /* of no use: tokens are fuzz_token's */
    struct keyring keyring = {&key, 1};
    struct access_rules rules = {ACCESS_LISTEN, &settings, &keyring, 1800000000000};
    struct problem problem = {0};
    struct identity identity = {0};
    struct request request;

    memcpy(copy, data, size);
    copy[size] = '\0';
    for (size_t at = 0, count = 0; at < size && count < 32; at += strlen(copy + at) + 1)
        params[count++] = copy + at;
    bool ok = request_parse(&request, params, &settings, &problem);
    if (ok && request.endpoint == ENDPOINT_SUBSCRIBE)
        ok = access_identify(&identity, params, &rules, &problem) && access_authorize(&request, &identity, &settings, &problem);
    if (ok) {
        check_list(&request.channels, settings.subscribe_max_channels, text_is_channel);
        check_list(&request.patterns, settings.subscribe_max_patterns, pattern_is_valid);
    }
    assert(ok == (problem.status == 0) && (!request.client || text_is_label(span_of(request.client))));
    assert(request.transport == TRANSPORT_SSE || request.transport == TRANSPORT_POLL);
    access_finish(&identity);
    request_finish(&request);
    free(copy);
    return 0;
}
