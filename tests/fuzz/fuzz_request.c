/* Requests: an input is FastCGI parameters (NAME=VALUE) separated by NUL. What is let in keeps to the contract. */
#include "request.h"
#include "text.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_allowed(const struct request *request, const struct settings *settings)
{
    assert(request->channels.count > 0 && request->channels.count <= (size_t)settings->subscribe_max_channels);
    for (size_t i = 0; i < request->channels.count; i++) {
        assert(text_is_channel(span_of(request->channels.items[i])));
        for (size_t j = 0; j < i; j++)
            assert(strcmp(request->channels.items[i], request->channels.items[j]) != 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *patterns[] = {"public/*", "*a**b/*c"}, *params[33] = {NULL}, *copy = malloc(size + 1);
    struct settings settings = {.subscribe_max_channels = 4, .access_public = {patterns, 2}};
    struct problem problem = {0};
    struct request request;

    memcpy(copy, data, size);
    copy[size] = '\0';
    for (size_t at = 0, count = 0; at < size && count < 32; at += strlen(copy + at) + 1)
        params[count++] = copy + at;
    bool ok = request_parse(&request, params, &settings, &problem);
    if (ok && request.endpoint == ENDPOINT_SUBSCRIBE && (ok = request_authorize(&request, &settings, &problem)))
        check_allowed(&request, &settings);
    assert(ok == (problem.status == 0) && (!request.client || text_is_label(span_of(request.client))));
    assert(request.transport == TRANSPORT_SSE || request.transport == TRANSPORT_POLL);
    request_finish(&request);
    free(copy);
    return 0;
}
