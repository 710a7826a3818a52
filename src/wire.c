/*
 * Publications as they come in over ZeroMQ. jansson says whether JSON is well-formed and gives the values of options and
 * strings. It would write other values differently from how the publisher wrote them (0.1, 1e3, large integers), so these
 * keep the publisher's bytes, which a small scanner finds: it runs only over JSON that jansson has accepted, and therefore
 * need not check anything.
 *
 * One parse per multipart message, also for a batch; the scanner passes over each byte a fixed number of times. Owns nothing
 * beyond a call, and knows nothing of ids, history or subscribers.
 */
#include "wire.h"

#include "text.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* jansson calls most failed allocations bad JSON: an allocation of this thread has failed since this was cleared. */
static _Thread_local bool lacks_memory;

/* Ten years: what is longer is for ever, and cannot overflow when a clock is added. */
static const double MAX_TTL_SECONDS = 10.0 * 365 * 24 * 3600;

/* Why a publication is dropped; no reason: it is not. */
struct fault {
    enum wire_error error;
    const char *reason;
};

static const struct fault NO_FAULT = {0, NULL};

static struct fault fault(enum wire_error error, const char *reason)
{
    return (struct fault){error, reason};
}

const char *wire_error_code(enum wire_error error)
{
    switch (error) {
    case WIRE_BAD_FRAMES: return "bad_frames";
    case WIRE_BAD_JSON: return "bad_json";
    case WIRE_BAD_OPTION: return "bad_option";
    case WIRE_BAD_CHANNEL: return "bad_channel";
    case WIRE_BAD_DATA: return "bad_data";
    case WIRE_TOO_LARGE: return "too_large";
    case WIRE_NO_MEMORY: break;
    }
    return "no_memory";
}

/* Scanner: what separates values, within objects too, where a key counts as a value. */
static bool is_between(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r' || byte == ',' || byte == ':';
}

static const char *skip_string(const char *at)
{
    for (at++; *at != '"'; at++)
        if (*at == '\\')
            at++;
    return at + 1;
}

static const char *skip_container(const char *at)
{
    size_t depth = 0;

    do {
        if (*at == '"') {
            at = skip_string(at);
            continue;
        }
        if (*at == '{' || *at == '[')
            depth++;
        else if (*at == '}' || *at == ']')
            depth--;
        at++;
    } while (depth > 0);
    return at;
}

/* Only ever inside a container, or at one: a value's end needs no end of input. */
static const char *skip_value(const char *at)
{
    if (*at == '"')
        return skip_string(at);
    if (*at == '{' || *at == '[')
        return skip_container(at);
    while (!is_between(*at) && *at != '}' && *at != ']')
        at++;
    return at;
}

/* The value that comes next, without the white space around it; `*at` moves behind it. */
static struct span next_value(const char **at)
{
    const char *start = *at;

    while (is_between(*start))
        start++;
    *at = skip_value(start);
    return (struct span){start, (size_t)(*at - start)};
}

/* The publisher's bytes of the member `name` of `object`: jansson keeps the order of members, and has decoded their keys. */
static struct span member_bytes(json_t *object, struct span bytes, const char *name)
{
    const char *at = bytes.bytes + 1;

    for (void *member = json_object_iter(object); member; member = json_object_iter_next(object, member)) {
        next_value(&at);
        struct span value = next_value(&at);

        if (strcmp(json_object_iter_key(member), name) == 0)
            return value;
    }
    assert(!"the member is there");
    return bytes;
}

static struct span string_span(const json_t *string)
{
    return (struct span){json_string_value(string), json_string_length(string)};
}

static bool read_label(const json_t *value, struct span *label)
{
    *label = string_span(value);
    return json_is_string(value) && text_is_label(*label);
}

static bool read_event(const json_t *value, struct publication *publication)
{
    return read_label(value, &publication->event);
}

static bool read_except(const json_t *value, struct publication *publication)
{
    return read_label(value, &publication->except);
}

static bool read_key(const json_t *value, struct publication *publication)
{
    return read_label(value, &publication->key);
}

static bool read_store(const json_t *value, struct publication *publication)
{
    publication->store = json_is_true(value);
    return json_is_boolean(value);
}

static bool read_ttl(const json_t *value, struct publication *publication)
{
    double seconds = json_number_value(value); /* 0 unless it is a number */

    if (seconds < 1)
        return false;
    if (seconds > MAX_TTL_SECONDS)
        seconds = MAX_TTL_SECONDS;
    publication->ttl_ms = (int64_t)(seconds * 1000 + 0.5);
    return true;
}

static const struct option {
    const char *name;
    bool (*read)(const json_t *value, struct publication *publication);
    const char *expected;
} OPTIONS[] = {
    {"event", read_event, "event must be a string of at most 255 bytes without control characters"},
    {"except", read_except, "except must be a string of at most 255 bytes without control characters"},
    {"key", read_key, "key must be a string of at most 255 bytes without control characters"},
    {"store", read_store, "store must be true or false"},
    {"ttl", read_ttl, "ttl must be a number of seconds, at least 1"},
};

static struct fault read_option(const char *name, const json_t *value, struct publication *publication)
{
    for (size_t i = 0; i < sizeof OPTIONS / sizeof *OPTIONS; i++)
        if (strcmp(OPTIONS[i].name, name) == 0)
            return OPTIONS[i].read(value, publication) ? NO_FAULT : fault(WIRE_BAD_OPTION, OPTIONS[i].expected);
    return fault(WIRE_BAD_OPTION, "unknown option: the options are event, except, key, store and ttl");
}

static bool is_content_key(const char *name, const char *channel_key)
{
    return strcmp(name, channel_key) == 0 || strcmp(name, "channels") == 0 || strcmp(name, "data") == 0;
}

/* Every member of `object` is an option, except, where a channel key is given, those that say channel and data. */
static struct fault read_options(json_t *object, const char *channel_key, struct publication *publication)
{
    const char *name;
    json_t *value;

    json_object_foreach(object, name, value) {
        if (channel_key && is_content_key(name, channel_key))
            continue;
        struct fault found = read_option(name, value, publication);
        if (found.reason)
            return found;
    }
    return NO_FAULT;
}

static bool is_channel(const json_t *value)
{
    return json_is_string(value) && text_is_channel(string_span(value));
}

static struct fault check_channels(const json_t *channels)
{
    size_t count = json_array_size(channels); /* 0 unless it is an array */

    if (count == 0 || count > WIRE_MAX_CHANNELS)
        return fault(WIRE_BAD_CHANNEL, "channels must be an array of 1 to 1000 channel names");
    for (size_t i = 0; i < count; i++)
        if (!is_channel(json_array_get(channels, i)))
            return fault(WIRE_BAD_CHANNEL, "each of channels must be a string of 1 to 255 bytes without control characters, "
                                           "spaces, commas and *");
    return NO_FAULT;
}

static struct fault check_channel(const json_t *channel, const json_t *channels)
{
    if (channel && channels)
        return fault(WIRE_BAD_CHANNEL, "a publication has either a channel or channels, not both");
    if (channels)
        return check_channels(channels);
    if (!channel)
        return fault(WIRE_BAD_CHANNEL, "a publication needs a channel");
    if (!is_channel(channel))
        return fault(WIRE_BAD_CHANNEL, "the channel must be a string of 1 to 255 bytes without control characters, "
                                       "spaces, commas and *");
    return NO_FAULT;
}

static struct fault check_data(struct span data, const struct wire_limits *limits)
{
    return data.size <= limits->max_bytes ? NO_FAULT : fault(WIRE_TOO_LARGE, "data is larger than publish.max_bytes");
}

static void hand_out(const struct wire_sink *sink, struct fault found, const struct publication *publication)
{
    if (found.reason)
        sink->reject(sink->context, found.error, found.reason);
    else
        sink->publish(sink->context, publication);
}

/* `bytes` are the publisher's of `object`. */
static struct fault read_object(json_t *object, struct span bytes, const struct wire_limits *limits,
                                struct publication *publication)
{
    const json_t *data = json_object_get(object, "data");
    struct fault found = check_channel(json_object_get(object, limits->channel_key), json_object_get(object, "channels"));

    if (!found.reason && data)
        found = read_options(object, limits->channel_key, publication);
    if (found.reason)
        return found;
    if (!data)
        publication->data = bytes;
    else if (json_is_string(data))
        publication->data = string_span(data);
    else
        publication->data = member_bytes(object, bytes, "data");
    return check_data(publication->data, limits);
}

static void decode_object(json_t *object, struct span bytes, const struct wire_limits *limits, const struct wire_sink *sink)
{
    struct publication publication = {.store = true};
    struct fault found = json_is_object(object) ? read_object(object, bytes, limits, &publication)
                                                : fault(WIRE_BAD_JSON, "an item of a batch must be a JSON object");
    const json_t *channel = json_object_get(object, limits->channel_key);
    const json_t *channels = json_object_get(object, "channels");
    size_t count = json_array_size(channels);

    if (found.reason || channel) {
        publication.channel = string_span(channel);
        hand_out(sink, found, &publication);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        publication.channel = string_span(json_array_get(channels, i));
        publication.more = i + 1 < count;
        hand_out(sink, found, &publication);
    }
}

static void *allocate(size_t size)
{
    void *memory = malloc(size);

    lacks_memory |= !memory;
    return memory;
}

bool wire_lacked_memory(void)
{
    bool lacked = lacks_memory;

    lacks_memory = false;
    return lacked;
}

void wire_library_init(void)
{
    json_set_alloc_funcs(allocate, free);
}

static struct fault parse_fault(enum json_error_code code)
{
    switch (code) {
    case json_error_unknown: /* jansson gives up without a word for a failed allocation alone; one within a string or a number passes for a bad token */
    case json_error_out_of_memory:
        return fault(WIRE_NO_MEMORY, "not enough memory to read JSON");
    case json_error_duplicate_key:
        return fault(WIRE_BAD_JSON, "a key occurs twice in a JSON object");
    case json_error_numeric_overflow:
        return fault(WIRE_BAD_JSON, "a JSON number is beyond 64-bit floating point");
    case json_error_stack_overflow:
        return fault(WIRE_BAD_JSON, "JSON is nested too deeply");
    default:
        return fault(WIRE_BAD_JSON, "not a JSON object or array (RFC 8259, UTF-8)");
    }
}

/*
 * NULL: see `*found`. The result is the caller's. JSON never holds a NUL byte, but jansson 2.14 passes over one that follows a
 * number; it would be among the publisher's own bytes then.
 */
static json_t *parse(struct span frame, struct fault *found)
{
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL;
    json_error_t error = {0};
    json_t *json = NULL;

    (void)wire_lacked_memory();
    if (frame.size == 0 || memchr(frame.bytes, '\0', frame.size))
        *found = parse_fault(json_error_invalid_syntax);
    else if (!(json = json_loadb(frame.bytes, frame.size, flags, &error)))
        *found = parse_fault(wire_lacked_memory() ? json_error_out_of_memory : json_error_code(&error));
    return json;
}

static size_t channel_count(const json_t *object)
{
    size_t count = json_array_size(json_object_get(object, "channels"));

    return count > 0 ? count : 1;
}

/* What one message of `object` will carry. */
static size_t data_size(json_t *object, struct span bytes)
{
    const json_t *data = json_object_get(object, "data");

    if (!data)
        return bytes.size;
    return json_is_string(data) ? json_string_length(data) : member_bytes(object, bytes, "data").size;
}

/* One frame is handed out within one turn of the hub, so it is bounded as a whole. `at` stands at the first of `count` items. */
static bool fits(json_t *json, const char *at, const struct wire_limits *limits)
{
    size_t count = json_is_array(json) ? json_array_size(json) : 1, messages = 0, bytes = 0;

    for (size_t i = 0; i < count; i++) {
        json_t *item = json_is_array(json) ? json_array_get(json, i) : json;
        struct span text = next_value(&at);
        size_t channels = channel_count(item);

        messages += channels;
        bytes += channels > 1 ? channels * data_size(item, text) : text.size;
    }
    return (limits->max_batch == 0 || messages <= limits->max_batch) &&
           (limits->max_batch_bytes == 0 || bytes <= limits->max_batch_bytes);
}

static void decode_items(json_t *json, const char *at, const struct wire_limits *limits, const struct wire_sink *sink)
{
    if (json_is_object(json)) {
        decode_object(json, next_value(&at), limits, sink);
        return;
    }
    for (size_t i = 0; i < json_array_size(json); i++)
        decode_object(json_array_get(json, i), next_value(&at), limits, sink);
}

static void decode_json(struct span frame, const struct wire_limits *limits, const struct wire_sink *sink)
{
    struct fault found = NO_FAULT;
    json_t *json = parse(frame, &found);
    const char *at = frame.bytes;

    if (!json) {
        hand_out(sink, found, NULL);
        return;
    }
    if (json_is_array(json))
        at = next_value(&at).bytes + 1;
    if (fits(json, at, limits))
        decode_items(json, at, limits, sink);
    else
        hand_out(sink, fault(WIRE_TOO_LARGE, "a batch has more than publish.max_batch messages, or more than publish.max_frame_bytes in all"),
                 NULL);
    json_decref(json);
}

/* `options` is NULL, or what was parsed of the third frame. */
static struct fault read_frames(const struct span *frames, json_t *options, const struct wire_limits *limits,
                                struct publication *publication)
{
    publication->channel = frames[0];
    publication->data = frames[1];
    if (!text_is_channel(frames[0]))
        return fault(WIRE_BAD_CHANNEL, "the channel must be 1 to 255 bytes of UTF-8 without control characters, spaces, "
                                       "commas and *");
    struct fault found = check_data(frames[1], limits);
    if (found.reason)
        return found;
    if (!text_is_utf8(frames[1]))
        return fault(WIRE_BAD_DATA, "data must be UTF-8");
    if (!options)
        return NO_FAULT;
    if (!json_is_object(options))
        return fault(WIRE_BAD_OPTION, "options must be a JSON object, also when there are none: {}");
    return read_options(options, NULL, publication);
}

static void decode_frames(const struct span *frames, size_t count, const struct wire_limits *limits,
                          const struct wire_sink *sink)
{
    struct publication publication = {.store = true};
    struct fault found = NO_FAULT;
    json_t *options = count == 3 ? parse(frames[2], &found) : NULL;

    if (!found.reason)
        found = read_frames(frames, options, limits, &publication);
    hand_out(sink, found, &publication);
    json_decref(options);
}

void wire_decode(const struct span *frames, size_t count, const struct wire_limits *limits, const struct wire_sink *sink)
{
    if (count == 1)
        decode_json(frames[0], limits, sink);
    else if (count == 2 || count == 3)
        decode_frames(frames, count, limits, sink);
    else
        hand_out(sink, fault(WIRE_BAD_FRAMES, "a message has 1 to 3 frames: JSON; or channel, data, options"), NULL);
}
