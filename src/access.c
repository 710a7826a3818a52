/*
 * access: three sources of permission, in this order, the first that is there alone: what nginx says, a token, public patterns (which a token adds
 * to). What is there and wrong refuses; it is never passed over for the next.
 */
#include "access.h"

#include "names.h"
#include "pattern.h"
#include "query.h"
#include "text.h"
#include "token.h"

#include <stdlib.h>
#include <strings.h>

/* --- what nginx says --- */

static const char *const trusted[] = {"SIDECAST_CHANNELS", "SIDECAST_PATTERNS", "SIDECAST_PUBLISH", "SIDECAST_CLIENT", "SIDECAST_EXPIRES"};
enum { TRUSTED = sizeof trusted / sizeof *trusted };

/* The index in `trusted` of the parameter's name, or TRUSTED. */
static size_t find_trusted(const char *param)
{
    const char *equals = strchrnul(param, '=');
    struct span name = {param, (size_t)(equals - param)};
    size_t index = 0;

    while (index < TRUSTED && !span_equal(name, span_of(trusted[index])))
        index++;
    return index;
}

/* Set in a snippet and beside it, the one that wins may be the wider. Whoever wrote the narrower shall hear of it. */
static bool check_once(char *const *params, struct problem *problem)
{
    bool seen[TRUSTED + 1] = {false};

    for (; *params; params++) {
        size_t index = strncmp(*params, "SIDECAST_", strlen("SIDECAST_")) == 0 ? find_trusted(*params) : TRUSTED;

        if (index < TRUSTED && seen[index])
            return problem_set(problem, 403, "bad_grant", "%s is there twice: nginx must set it once.", trusted[index]);
        seen[index] = true;
    }
    return true;
}

/* The items of a list with commas, which may be empty. Those with a `*` go to `patterns`; NULL: they are refused. */
static bool read_list(struct string_list *names, struct string_list *patterns, const char *text, const char *source,
                      struct problem *problem)
{
    struct span item;

    while (text && query_next_item(&text, ',', &item)) {
        item = query_trim(item);
        if (item.size > 0 && !request_add_channel(names, patterns, item, source, problem))
            return false;
    }
    return names_drop_repeats(names) || problem_no_memory(problem);
}

static bool read_grant(struct identity *identity, char *const *params, struct problem *problem)
{
    const char *channels = request_param(params, "SIDECAST_CHANNELS"), *patterns = request_param(params, "SIDECAST_PATTERNS");

    identity->has_grant = channels || patterns;
    return read_list(&identity->channels, NULL, channels, "SIDECAST_CHANNELS", problem) &&
           read_list(&identity->channels, &identity->patterns, patterns, "SIDECAST_PATTERNS", problem) &&
           (names_drop_repeats(&identity->patterns) || problem_no_memory(problem));
}

static bool read_publish(struct identity *identity, char *const *params, struct problem *problem)
{
    const char *publish = request_param(params, "SIDECAST_PUBLISH");

    identity->has_grant = publish != NULL;
    return read_list(&identity->publish, &identity->publish, publish, "SIDECAST_PUBLISH", problem);
}

static bool read_client(struct identity *identity, const char *client, struct problem *problem)
{
    if (!client)
        return true;
    if (!text_is_label(span_of(client)))
        return problem_set(problem, 400, "bad_query", "SIDECAST_CLIENT takes at most 255 bytes of UTF-8 without control characters.");
    identity->client = strdup(client);
    return identity->client || problem_no_memory(problem);
}

/* Beyond this it is as good as never: the year 9999. */
static const uint64_t LAST_SECOND = 253402300799;

static bool read_expiry(struct identity *identity, const char *text, uint64_t wall_ms, struct problem *problem)
{
    uint64_t seconds = 0;

    if (!text)
        return true;
    for (; *text >= '0' && *text <= '9'; text++)
        if (seconds <= LAST_SECOND)
            seconds = seconds * 10 + (uint64_t)(*text - '0');
    if (*text)
        return problem_set(problem, 403, "bad_expires", "SIDECAST_EXPIRES takes seconds since 1970, in digits.");
    identity->expires_ms = (seconds < LAST_SECOND ? seconds : LAST_SECOND) * 1000;
    return identity->expires_ms > wall_ms ||
           problem_set(problem, 403, "grant_expired", "The permission has ended; get a new one.");
}

/* --- where a token is --- */

/* Fits a token that is too large by a byte, so that the check of its size sees it. */
struct found {
    char bytes[TOKEN_MAX_BYTES + 1];
    size_t size;
};

static void keep(struct found *found, struct span text)
{
    found->size = text.size < sizeof found->bytes ? text.size : sizeof found->bytes;
    memcpy(found->bytes, text.bytes, found->size);
}

/* RFC 6750, section 2.1. Without a token behind it is there all the same. */
static bool find_bearer(const char *authorization, struct found *found)
{
    static const char scheme[] = "bearer";
    const size_t size = sizeof scheme - 1;
    struct span text = query_trim(span_of(authorization));

    if (text.size < size || strncasecmp(text.bytes, scheme, size) != 0 || (text.size > size && text.bytes[size] != ' '))
        return false;
    keep(found, query_trim((struct span){text.bytes + size, text.size - size}));
    return true;
}

/* What cannot be decoded is kept as something that is no token. */
static bool find_in_query(const char *query, struct found *found)
{
    struct query_text key;
    struct span raw_key, raw;
    bool broken;

    found->size = 0;
    while (query_next_pair(&query, &raw_key, &raw)) {
        if (!span_equal(query_decode(raw_key, &key), span_of("token")) || key.broken)
            continue;
        found->size = query_decode_into(raw, found->bytes, sizeof found->bytes, &broken);
        if (broken)
            keep(found, span_of("%"));
    }
    return found->size > 0;
}

/* RFC 6265, section 4.2.1: name=value; name="value" */
static bool find_in_cookies(const char *cookies, const char *name, struct found *found)
{
    size_t size = strlen(name);
    struct span item;

    while (size > 0 && query_next_item(&cookies, ';', &item)) {
        item = query_trim(item);
        if (item.size <= size + 1 || memcmp(item.bytes, name, size) != 0 || item.bytes[size] != '=')
            continue;
        item = (struct span){item.bytes + size + 1, item.size - size - 1};
        if (item.size >= 2 && item.bytes[0] == '"' && item.bytes[item.size - 1] == '"')
            item = (struct span){item.bytes + 1, item.size - 2};
        keep(found, item);
        return item.size > 0;
    }
    return false;
}

static bool find_token(struct identity *identity, char *const *params, const char *cookie, struct found *found)
{
    const char *authorization = request_filled_param(params, "HTTP_AUTHORIZATION"), *query = request_filled_param(params, "QUERY_STRING");
    const char *cookies = request_filled_param(params, "HTTP_COOKIE");

    if ((authorization && find_bearer(authorization, found)) || (query && find_in_query(query, found)))
        return true;
    identity->from_cookie = cookies && find_in_cookies(cookies, cookie, found);
    return identity->from_cookie;
}

/* --- what it says --- */

static void move_list(struct string_list *to, struct string_list *from)
{
    names_finish(to);
    *to = *from;
    *from = (struct string_list){0};
}

static void take_claims(struct identity *identity, struct claims *claims, enum access_purpose purpose)
{
    if (purpose == ACCESS_LISTEN) {
        move_list(&identity->channels, &claims->channels);
        move_list(&identity->patterns, &claims->patterns);
    } else if (!identity->from_cookie) {
        move_list(&identity->publish, &claims->publish);
    }
    if (!identity->client) {
        identity->client = claims->client;
        claims->client = NULL;
    }
    if (identity->expires_ms == 0 || claims->expires_ms < identity->expires_ms)
        identity->expires_ms = claims->expires_ms;
}

static bool read_token(struct identity *identity, char *const *params, const struct access_rules *rules, struct problem *problem)
{
    const struct settings *settings = rules->settings;
    const struct token_rules token_rules = {settings->token_issuer, settings->token_audience, settings->token_leeway};
    struct claims claims;
    struct found found;
    bool good;

    if (!find_token(identity, params, settings->token_cookie, &found))
        return true;
    if (!rules->keyring || rules->keyring->count == 0)
        return problem_set(problem, 401, "token_not_supported", "This server has no keys for tokens (token.secret_file, token.keys_file).");
    good = token_verify(&claims, (struct span){found.bytes, found.size}, rules->keyring, &token_rules, rules->wall_ms, problem);
    if (good)
        take_claims(identity, &claims, rules->purpose);
    token_claims_finish(&claims);
    return good;
}

bool access_identify(struct identity *identity, char *const *params, const struct access_rules *rules, struct problem *problem)
{
    bool is_publish = rules->purpose == ACCESS_PUBLISH;

    *identity = (struct identity){0};
    return check_once(params, problem) && (is_publish ? read_publish(identity, params, problem) : read_grant(identity, params, problem)) &&
           read_client(identity, request_filled_param(params, "SIDECAST_CLIENT"), problem) &&
           read_expiry(identity, request_filled_param(params, "SIDECAST_EXPIRES"), rules->wall_ms, problem) &&
           (identity->has_grant || read_token(identity, params, rules, problem));
}

void access_finish(struct identity *identity)
{
    names_finish(&identity->channels);
    names_finish(&identity->patterns);
    names_finish(&identity->publish);
    free(identity->client);
    identity->client = NULL;
}

/* --- decisions --- */

static bool list_covers(const struct string_list *patterns, struct span asked)
{
    for (size_t i = 0; i < patterns->count; i++)
        if (pattern_covers(span_of(patterns->items[i]), asked))
            return true;
    return false;
}

/* `public`: what everybody may have of them, or NULL. */
static bool may_listen_to_all(const struct identity *identity, const struct string_list *asked, const struct string_list *public)
{
    for (size_t i = 0; i < asked->count; i++) {
        struct span item = span_of(asked->items[i]);

        if (!names_have(&identity->channels, asked->items[i]) && !list_covers(&identity->patterns, item) &&
            !(public && list_covers(public, item)))
            return false;
    }
    return true;
}

static bool choose(struct request *request, struct identity *identity, const struct settings *settings, struct problem *problem)
{
    bool has_nothing = identity->channels.count + identity->patterns.count == 0;

    if (request->channels.count + request->patterns.count > 0) {
        /* A public channel may be one that only who was told its name can find: it is had by its name alone. */
        const struct string_list *public = identity->has_grant ? NULL : &settings->access_public;

        if (may_listen_to_all(identity, &request->channels, public) && may_listen_to_all(identity, &request->patterns, NULL))
            return true;
    } else if (!has_nothing) {
        move_list(&request->channels, &identity->channels);
        move_list(&request->patterns, &identity->patterns);
        return request_check_counts(request, settings, problem);
    } else if (!identity->has_grant) {
        return problem_set(problem, 400, "no_channel", "Name what to listen to: channel=<name>, repeatable.");
    }
    return problem_set(problem, 403, "not_allowed", "This request asks for a channel that it may not listen to.");
}

bool access_authorize(struct request *request, struct identity *identity, const struct settings *settings, struct problem *problem)
{
    if (!choose(request, identity, settings, problem))
        return false;
    request->expires_ms = identity->expires_ms;
    if (identity->client) {
        free(request->client);
        request->client = identity->client;
        identity->client = NULL;
    }
    return true;
}

bool access_may_publish(const struct identity *identity, struct span channel)
{
    return list_covers(&identity->publish, channel);
}
