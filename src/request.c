/*
 * request: from FastCGI parameters to what a client asks for. The query is read twice: first for the
 * transport alone, because also a refusal has to take the form that the client understands; then for the rest, up to the first
 * fault. Lists of channels take repeats at first and lose them all at once. Whether it may have what it asks for is access.h's.
 */
#include "request.h"

#include "names.h"
#include "pattern.h"
#include "query.h"
#include "text.h"

#include <stdlib.h>
#include <strings.h>

/* Spellings that clients send. The first wins: a library adds its own to a URL that the page has put `cursor` in. */
static const char *const cursor_names[] = {"last_event_id", "lastEventId", "lastEventID", "Last-Event-ID", "cursor"};
enum { CURSOR_NAMES = sizeof cursor_names / sizeof *cursor_names };

struct reading {
    struct request *request;
    const struct settings *settings;
    struct problem *problem;
    size_t cursor_rank; /* index in cursor_names of the best one seen */
};

const char *request_param(char *const *params, const char *name)
{
    size_t size = strlen(name);

    for (; *params; params++)
        if (**params == *name && strncmp(*params, name, size) == 0 && (*params)[size] == '=')
            return *params + size + 1;
    return NULL;
}

const char *request_filled_param(char *const *params, const char *name)
{
    const char *value = request_param(params, name);

    return value && *value ? value : NULL;
}

bool request_add_channel(struct string_list *names, struct string_list *patterns, struct span item, const char *source,
                         struct problem *problem)
{
    if (text_is_channel(item))
        return names_add(names, item) || problem_no_memory(problem);
    if (patterns && pattern_is_valid(item))
        return names_add(patterns, item) || problem_no_memory(problem);
    if (!patterns && item.size > 0 && memchr(item.bytes, '*', item.size))
        return problem_set(problem, 400, "bad_channel", "%s takes channels by their full names, not patterns with *.", source);
    return problem_set(problem, 400, "bad_channel", "%s takes %s of 1 to 255 bytes of UTF-8 without control characters, spaces%s.",
                       source, patterns ? "names and patterns" : "names", patterns ? " and commas" : ", commas and *");
}

static bool check_count(const struct string_list *list, int64_t most, const char *code, const char *what, struct problem *problem)
{
    if (list->count <= (size_t)most)
        return true;
    return problem_set(problem, 400, code, "One request takes at most %lld %s; use several requests.", (long long)most, what);
}

bool request_check_counts(const struct request *request, const struct settings *settings, struct problem *problem)
{
    return check_count(&request->channels, settings->subscribe_max_channels, "too_many_channels", "channels", problem) &&
           check_count(&request->patterns, settings->subscribe_max_patterns, "too_many_patterns", "patterns", problem);
}

static bool read_channel(struct reading *reading, struct span value)
{
    return request_add_channel(&reading->request->channels, &reading->request->patterns, value, "channel=", reading->problem);
}

static bool read_last(struct reading *reading, struct span value)
{
    uint64_t last = 0;
    bool digits = value.size > 0;

    for (size_t i = 0; i < value.size && digits; i++) {
        digits = value.bytes[i] >= '0' && value.bytes[i] <= '9';
        if (last <= UINT32_MAX)
            last = last * 10 + (uint64_t)(value.bytes[i] - '0');
    }
    if (!digits || last == 0)
        return problem_set(reading->problem, 400, "bad_query", "last= takes a number from 1 on, in digits.");
    reading->request->last = last > UINT32_MAX ? UINT32_MAX : (uint32_t)last;
    return true;
}

static bool read_client(struct reading *reading, struct span value)
{
    struct request *request = reading->request;

    if (!text_is_label(value))
        return problem_set(reading->problem, 400, "bad_query", "client= takes at most 255 bytes of UTF-8 without control characters.");
    free(request->client);
    request->client = NULL;
    if (value.size == 0)
        return true;
    request->client = strndup(value.bytes, value.size);
    return request->client || problem_no_memory(reading->problem);
}

static bool transport_named(struct span value, enum request_transport *transport)
{
    bool poll = span_equal(value, span_of("poll"));

    if (!poll && !span_equal(value, span_of("sse")))
        return false;
    *transport = poll ? TRANSPORT_POLL : TRANSPORT_SSE;
    return true;
}

/* The choice itself is made before all else, see choose_transport. */
static bool read_transport(struct reading *reading, struct span value)
{
    enum request_transport transport;

    return transport_named(value, &transport) ||
           problem_set(reading->problem, 400, "bad_query", "transport= takes sse or poll.");
}

static bool read_envelope(struct reading *reading, struct span value)
{
    reading->request->envelope = span_equal(value, span_of("1"));
    return reading->request->envelope || span_equal(value, span_of("0")) ||
           problem_set(reading->problem, 400, "bad_query", "envelope= takes 1 or 0.");
}

static void set_cursor(struct request *request, struct span text)
{
    static const enum request_cursor kinds[] = {
        [EVENT_ID_BAD] = CURSOR_BAD, [EVENT_ID_TIME] = CURSOR_TIME, [EVENT_ID_FULL] = CURSOR_ID};

    request->cursor = EVENT_ID_ZERO;
    request->cursor_kind = kinds[event_id_parse(text, &request->cursor)];
    if (request->cursor_kind == CURSOR_TIME && event_id_compare(request->cursor, EVENT_ID_ZERO) == 0)
        request->cursor_kind = CURSOR_ZERO;
}

/* A cursor that cannot be decoded is one that cannot be understood: a gap, not an error. */
static void read_cursor(struct reading *reading, size_t rank, struct span raw)
{
    struct query_text value;
    struct span text = query_decode(raw, &value);

    if (raw.size == 0 || rank > reading->cursor_rank)
        return;
    reading->cursor_rank = rank;
    if (value.broken || text.size > NAME_MAX_BYTES)
        reading->request->cursor_kind = CURSOR_BAD;
    else
        set_cursor(reading->request, text);
}

static const struct parameter {
    const char *name;
    bool (*read)(struct reading *reading, struct span value);
} parameters[] = {
    {"channel", read_channel},
    {"last", read_last},
    {"client", read_client},
    {"transport", read_transport},
    {"envelope", read_envelope},
};

static bool bad_encoding(struct problem *problem)
{
    return problem_set(problem, 400, "bad_query", "The query takes UTF-8, percent-encoded (a percent sign itself is %%25).");
}

static bool read_pair(struct reading *reading, struct span key, struct span raw)
{
    struct query_text value;

    for (size_t i = 0; i < CURSOR_NAMES; i++)
        if (span_equal(key, span_of(cursor_names[i]))) {
            read_cursor(reading, i, raw);
            return true;
        }
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++)
        if (span_equal(key, span_of(parameters[i].name))) {
            struct span text = query_decode(raw, &value);

            if (value.broken || (text.size <= NAME_MAX_BYTES && !text_is_utf8(text)))
                return bad_encoding(reading->problem);
            return parameters[i].read(reading, text);
        }
    return true;
}

static bool read_query(struct reading *reading, const char *query)
{
    struct query_text key;
    struct span raw_key, raw;

    while (query_next_pair(&query, &raw_key, &raw)) {
        query_decode(raw_key, &key);
        if (key.broken)
            return bad_encoding(reading->problem);
        if (!read_pair(reading, (struct span){key.bytes, key.size}, raw))
            return false;
    }
    if (!names_drop_repeats(&reading->request->channels) || !names_drop_repeats(&reading->request->patterns))
        return problem_no_memory(reading->problem);
    return request_check_counts(reading->request, reading->settings, reading->problem);
}

/* Whether `item` of an Accept header is `type`, with whatever parameters. */
static bool is_media_type(struct span item, const char *type)
{
    const char *parameters_at = item.size > 0 ? memchr(item.bytes, ';', item.size) : NULL;

    if (parameters_at)
        item.size = (size_t)(parameters_at - item.bytes);
    item = query_trim(item);
    return item.size == strlen(type) && strncasecmp(item.bytes, type, item.size) == 0;
}

/* The media type that comes first; q-values are passed over: what sends both names the one it is made for first. */
static enum request_transport accepted_transport(const char *accept)
{
    struct span item;

    while (query_next_item(&accept, ',', &item)) {
        if (is_media_type(item, "text/event-stream"))
            return TRANSPORT_SSE;
        if (is_media_type(item, "application/json"))
            return TRANSPORT_POLL;
    }
    return TRANSPORT_SSE;
}

/* Without a verdict on the query: the last good transport= in it, else by `accept`. */
static enum request_transport choose_transport(const char *query, const char *accept)
{
    enum request_transport transport = accepted_transport(accept);
    struct query_text key, value;
    struct span raw_key, raw;

    while (query_next_pair(&query, &raw_key, &raw)) {
        if (!span_equal(query_decode(raw_key, &key), span_of("transport")) || key.broken)
            continue;
        struct span name = query_decode(raw, &value);
        if (!value.broken)
            transport_named(name, &transport);
    }
    return transport;
}

static bool read_endpoint(struct request *request, const char *endpoint, struct problem *problem)
{
    static const char *const names[] = {
        [ENDPOINT_SUBSCRIBE] = "subscribe", [ENDPOINT_HEALTH] = "health", [ENDPOINT_PUBLISH] = "publish"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(endpoint, names[i]) == 0) {
            request->endpoint = (enum request_endpoint)i;
            return true;
        }
    return problem_set(problem, 404, "unknown_endpoint", "SIDECAST_ENDPOINT takes subscribe, publish or health.");
}

const char *request_allowed_methods(enum request_endpoint endpoint)
{
    return endpoint == ENDPOINT_PUBLISH ? "POST, OPTIONS" : "GET, HEAD, OPTIONS";
}

static bool is_allowed_method(enum request_endpoint endpoint, enum request_method method)
{
    bool is_publish = endpoint == ENDPOINT_PUBLISH;

    return method == METHOD_OPTIONS || is_publish == (method == METHOD_POST);
}

static bool read_method(struct request *request, const char *method, struct problem *problem)
{
    static const char *const names[] = {[METHOD_GET] = "GET", [METHOD_HEAD] = "HEAD", [METHOD_OPTIONS] = "OPTIONS",
                                        [METHOD_POST] = "POST"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (method && strcmp(method, names[i]) == 0 && is_allowed_method(request->endpoint, (enum request_method)i)) {
            request->method = (enum request_method)i;
            return true;
        }
    (void)problem_set(problem, 405, "method_not_allowed", "Use %s here.",
                      request->endpoint == ENDPOINT_PUBLISH ? "POST or OPTIONS" : "GET, HEAD or OPTIONS");
    problem->allow = request_allowed_methods(request->endpoint);
    return false;
}

bool request_parse(struct request *request, char *const *params, const struct settings *settings, struct problem *problem)
{
    struct reading reading = {request, settings, problem, CURSOR_NAMES};
    const char *query = request_param(params, "QUERY_STRING"), *accept = request_param(params, "HTTP_ACCEPT");
    const char *endpoint = request_filled_param(params, "SIDECAST_ENDPOINT");
    const char *cursor = request_filled_param(params, "HTTP_LAST_EVENT_ID");

    *request = (struct request){0};
    query = query ? query : "";
    request->transport = choose_transport(query, accept ? accept : "");
    if (!read_endpoint(request, endpoint ? endpoint : "subscribe", problem) ||
        !read_method(request, request_param(params, "REQUEST_METHOD"), problem))
        return false;
    if (request->endpoint != ENDPOINT_SUBSCRIBE || request->method == METHOD_OPTIONS)
        return true;
    if (!read_query(&reading, query))
        return false;
    if (cursor)
        set_cursor(request, span_of(cursor));
    if (request->cursor_kind == CURSOR_NONE && request->last > 0)
        request->cursor_kind = CURSOR_LAST;
    return true;
}

void request_finish(struct request *request)
{
    names_finish(&request->channels);
    names_finish(&request->patterns);
    free(request->client);
    request->client = NULL;
}
