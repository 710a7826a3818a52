/*
 * post: from a request to frames. What is in the query and in headers becomes the JSON object of a third frame, so that there is one set of rules for options,
 * that of wire.c, and one set of words for what breaks them. Owns what it was given, and knows nothing of who asks.
 */
#include "post.h"

#include "names.h"
#include "query.h"
#include "request.h"
#include "wire.h"

#include <stdlib.h>
#include <strings.h>

static void append_flag(struct text *json, struct span value)
{
    if (span_equal(value, span_of("1")))
        value = span_of("true");
    else if (span_equal(value, span_of("0")))
        value = span_of("false");
    if (span_equal(value, span_of("true")) || span_equal(value, span_of("false")))
        text_append(json, value);
    else
        text_append_json(json, value);
}

/* Digits, perhaps with a fraction. What is no number stays a string, which is refused with the reason for it. */
static void append_number(struct text *json, struct span value)
{
    size_t digits = 0;

    while (digits < value.size && value.bytes[digits] >= '0' && value.bytes[digits] <= '9')
        digits++;
    size_t end = digits;
    if (end + 1 < value.size && value.bytes[end] == '.')
        for (end++; end < value.size && value.bytes[end] >= '0' && value.bytes[end] <= '9';)
            end++;
    if (digits > 0 && end == value.size && (digits == 1 || value.bytes[0] != '0'))
        text_append(json, value);
    else
        text_append_json(json, value);
}

static const struct option {
    const char *name;
    const char *header;
    void (*append)(struct text *json, struct span value);
} OPTIONS[] = {
    {"event", "HTTP_X_SIDECAST_EVENT", text_append_json},
    {"except", "HTTP_X_SIDECAST_EXCEPT", text_append_json},
    {"key", "HTTP_X_SIDECAST_KEY", text_append_json},
    {"store", "HTTP_X_SIDECAST_STORE", append_flag},
    {"ttl", "HTTP_X_SIDECAST_TTL", append_number},
};
enum { OPTION_COUNT = sizeof OPTIONS / sizeof *OPTIONS };

struct reading {
    struct post *post;
    struct problem *problem;
    struct query_text options[OPTION_COUNT]; /* of the query */
    bool has_option[OPTION_COUNT];
};

static bool bad_encoding(struct problem *problem)
{
    return problem_set(problem, 400, "bad_option", "The query takes UTF-8, percent-encoded (a percent sign itself is %%25).");
}

static bool is_utf8(struct span text)
{
    return text.size > NAME_MAX_BYTES || text_is_utf8(text); /* one that was cut is refused for its length */
}

static bool add_channel(struct reading *reading, struct span raw)
{
    struct query_text value;
    struct span name = query_decode(raw, &value);

    if (value.broken || !text_is_channel(name))
        return problem_set(reading->problem, 400, "bad_channel",
                           "channel= takes names of 1 to 255 bytes of UTF-8 without control characters, spaces, commas and *.");
    return names_add(&reading->post->channels, name) || problem_no_memory(reading->problem);
}

static bool read_pair(struct reading *reading, struct span raw_key, struct span raw)
{
    struct query_text key;
    struct span name = query_decode(raw_key, &key);

    if (key.broken)
        return bad_encoding(reading->problem);
    if (span_equal(name, span_of("channel")))
        return add_channel(reading, raw);
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (span_equal(name, span_of(OPTIONS[i].name))) {
            reading->has_option[i] = true;
            struct span value = query_decode(raw, &reading->options[i]);
            return (!reading->options[i].broken && is_utf8(value)) || bad_encoding(reading->problem);
        }
    if (name.size == 0 || span_equal(name, span_of("token")))
        return true;
    return problem_set(reading->problem, 400, "bad_option", "The query takes channel, and the options event, except, key, store and ttl.");
}

static bool read_query(struct reading *reading, const char *query)
{
    struct span key, value;

    while (query_next_pair(&query, &key, &value))
        if (!read_pair(reading, key, value))
            return false;
    return true;
}

/* The query wins over headers. */
static struct span option_value(const struct reading *reading, char *const *params, size_t index)
{
    const char *header = request_param(params, OPTIONS[index].header);

    if (reading->has_option[index])
        return (struct span){reading->options[index].bytes, reading->options[index].size};
    return span_of(header && *header ? header : NULL);
}

static bool write_options(struct reading *reading, char *const *params)
{
    struct text *json = &reading->post->options;

    for (size_t i = 0; i < OPTION_COUNT; i++) {
        struct span value = option_value(reading, params, i);

        if (!value.bytes)
            continue;
        if (!text_is_utf8(value))
            return problem_set(reading->problem, 400, "bad_option", "Options take UTF-8 of at most 255 bytes.");
        text_append_format(json, "%c\"%s\":", json->size == 0 ? '{' : ',', OPTIONS[i].name);
        OPTIONS[i].append(json, value);
    }
    if (json->size > 0)
        text_append_string(json, "}");
    return !json->failed || problem_no_memory(reading->problem);
}

static bool is_json(const char *type)
{
    static const char name[] = "application/json";
    size_t size = sizeof name - 1;

    return type && strncasecmp(type, name, size) == 0 && (type[size] == '\0' || strchr("; \t", type[size]));
}

/* A front end whose client died in mid-body must not have half of it published. */
static bool check_length(const struct reading *reading, const char *length)
{
    if (!length || !*length || strtoull(length, NULL, 10) == reading->post->body.size)
        return true;
    return problem_set(reading->problem, 400, "bad_data", "The body must be as long as CONTENT_LENGTH says.");
}

/* As one frame is bounded. */
static bool check_size(const struct reading *reading, const struct settings *settings)
{
    size_t count = reading->post->channels.count;

    if (count <= 1)
        return true;
    if (count <= WIRE_MAX_CHANNELS && count <= (size_t)settings->publish_max_batch &&
        reading->post->body.size <= (size_t)settings->publish_max_frame_bytes / count)
        return true;
    return problem_set(reading->problem, 413, "too_large",
                       "One request takes at most %d channels and publish.max_batch messages, and publish.max_frame_bytes in all.", WIRE_MAX_CHANNELS);
}

static bool check_form(const struct reading *reading, char *const *params)
{
    if (reading->post->channels.count > 0)
        return true;
    if (!is_json(request_param(params, "CONTENT_TYPE")))
        return problem_set(reading->problem, 400, "no_channel",
                           "Name where to publish: channel=<name>, repeatable; or send a document as Content-Type: application/json.");
    if (reading->post->options.size > 0)
        return problem_set(reading->problem, 400, "bad_option", "A JSON document has its options within, not in the query or in headers.");
    return true;
}

bool post_parse_take(struct post *post, char *const *params, struct text *body, const struct settings *settings, struct problem *problem)
{
    struct reading reading = {.post = post, .problem = problem};
    const char *query = request_param(params, "QUERY_STRING");

    *post = (struct post){.body = *body};
    *body = TEXT_EMPTY;
    return read_query(&reading, query ? query : "") && write_options(&reading, params) && check_form(&reading, params) &&
           check_length(&reading, request_param(params, "CONTENT_LENGTH")) && check_size(&reading, settings);
}

void post_finish(struct post *post)
{
    names_finish(&post->channels);
    text_finish(&post->options);
    text_finish(&post->body);
    free(post->checked_key);
    post->checked_key = NULL;
}

/* --- who may --- */

struct asking {
    post_may *may;
    void *context;
    bool is_allowed;
    bool has_asked;
    const char *code, *reason; /* of the first fault */
};

static void ask(void *context, const struct publication *publication)
{
    struct asking *asking = context;

    asking->has_asked = true;
    asking->is_allowed = asking->is_allowed && asking->may(asking->context, publication->channel);
}

static void pass_over(void *context, enum wire_error error, const char *reason)
{
    struct asking *asking = context;

    if (asking->reason)
        return;
    asking->code = wire_error_code(error);
    asking->reason = reason;
}

/* Without limits: what they drop now they may let through after a reload. */
static bool is_document_allowed(struct post *post, const char *channel_key, struct asking *asking)
{
    struct wire_sink sink = {ask, pass_over, asking};
    struct wire_limits limits = {.max_bytes = SIZE_MAX, .channel_key = channel_key};
    struct span frame = text_span(&post->body);

    post->checked_key = strdup(channel_key);
    if (!post->checked_key) {
        post->code = wire_error_code(WIRE_NO_MEMORY);
        post->reason = "not enough memory";
        return true; /* as with a document that cannot be read: the fault is told, not a refusal */
    }
    wire_decode(&frame, 1, &limits, &sink);
    if (!asking->has_asked) {
        post->code = asking->code;
        post->reason = asking->reason;
    }
    return asking->is_allowed;
}

bool post_is_allowed(struct post *post, const char *channel_key, post_may *may, void *context)
{
    struct asking asking = {.may = may, .context = context, .is_allowed = true};

    if (post->channels.count == 0)
        return is_document_allowed(post, channel_key, &asking);
    for (size_t i = 0; i < post->channels.count; i++)
        if (!may(context, span_of(post->channels.items[i])))
            return false;
    return true;
}

/* --- frames --- */

size_t post_message_count(const struct post *post)
{
    return post->channels.count > 0 ? post->channels.count : 1;
}

size_t post_frames(const struct post *post, size_t index, struct span frames[POST_FRAMES_MAX])
{
    size_t count = 0;

    if (post->channels.count > 0)
        frames[count++] = span_of(post->channels.items[index]);
    frames[count++] = post->body.size > 0 ? text_span(&post->body) : (struct span){"", 0};
    if (post->options.size > 0)
        frames[count++] = text_span(&post->options);
    return count;
}

size_t post_size(const struct post *post)
{
    return 1 + post->options.size + post->body.size * post_message_count(post);
}
