/*
 * Publish requests: an input is FastCGI parameters (NAME=VALUE) separated by NUL, an empty one, and the body. What comes out keeps to its bounds and to what is
 * allowed.
 */
#include "post.h"

#include "wire.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool may(void *context, struct span channel)
{
    (void)context;
    assert(text_is_channel(channel));
    return channel.bytes[0] != 'n';
}

static void publish(void *context, const struct publication *publication)
{
    assert(may(context, publication->channel));
}

static void reject(void *context, enum wire_error error, const char *reason)
{
    (void)context;
    (void)error;
    assert(reason);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct wire_limits limits = {.max_bytes = 100, .channel_key = "channel"};
    const struct wire_sink sink = {publish, reject, NULL};
    char *params[9] = {NULL}, *copy = calloc(1, size + 1), key[] = "channel";
    struct settings settings = {.publish_max_bytes = 100, .publish_max_batch = 8, .publish_max_frame_bytes = 400, .publish_channel_key = key};
    struct text body = TEXT_EMPTY;
    struct problem problem = {0};
    struct span frames[3];
    struct post post;
    size_t at = 0;

    memcpy(copy, data, size);
    for (size_t count = 0; at < size && count < 8 && copy[at]; at += strlen(copy + at) + 1)
        params[count++] = copy + at;
    if (at < size)
        text_append(&body, (struct span){copy + at + 1, size - at - 1});
    bool is_good = post_parse_take(&post, params, &body, &settings, &problem);
    assert(is_good == (problem.status == 0) && (!is_good || post_message_count(&post) <= 8));
    is_good = is_good && post_is_allowed(&post, key, may, NULL);
    for (size_t i = 0; is_good && i < post_message_count(&post); i++)
        wire_decode(frames, post_frames(&post, i, frames), &limits, &sink);
    post_finish(&post);
    free(copy);
    return 0;
}
