/*
 * token: cjose checks signatures; everything else about a token is checked here before or after, since cjose would take more than is
 * good (a key of another algorithm, a header member twice, `crit`), reads beyond a signature that is too short, and asserts on
 * base64 that is padded in the wrong place.
 */
#include "token.h"

#include "names.h"
#include "pattern.h"
#include "text.h"
#include "wire.h"

#include <cjose/cjose.h>
#include <jansson.h>
#include <stdlib.h>

struct reading {
    struct claims *claims;
    const struct token_rules *rules;
    int64_t now_ms;
    struct problem *problem;
};

static bool invalid(struct problem *problem, const char *message)
{
    return problem_set(problem, 401, "token_invalid", "%s", message);
}

/* --- the three parts --- */

struct parts {
    struct span header, payload, signature; /* in base64url */
};

/* Up to the next dot, or the end. */
static struct span take_part(struct span *rest)
{
    const char *dot = rest->size > 0 ? memchr(rest->bytes, '.', rest->size) : NULL;
    struct span part = {rest->bytes, dot ? (size_t)(dot - rest->bytes) : rest->size};
    size_t used = part.size + (dot != NULL);

    *rest = (struct span){rest->bytes + used, rest->size - used};
    return part;
}

static bool split(struct span token, struct parts *parts)
{
    parts->header = take_part(&token);
    parts->payload = take_part(&token);
    parts->signature = token; /* with any further dot in it, which is not base64url */
    return text_is_base64url(parts->header) && text_is_base64url(parts->payload) && text_is_base64url(parts->signature);
}

/* What a library says of a token while it lacks memory is not the token's fault. What cjose reads with jansson it calls a bad token then. */
static bool is_lack(const cjose_err *error)
{
    return wire_lacked_memory() || error->code == CJOSE_ERR_NO_MEMORY;
}

/* The JSON object that the part holds; NULL: it does not, which is `fault`, or memory lacks. */
static json_t *load_part(struct span part, const char *fault, struct problem *problem)
{
    cjose_err error = {0};
    uint8_t *bytes = NULL;
    size_t size = 0;
    json_t *json = NULL;

    (void)invalid(problem, fault);
    if (!cjose_base64url_decode(part.bytes, part.size, &bytes, &size, &error)) {
        if (is_lack(&error))
            (void)problem_no_memory(problem);
        return NULL;
    }
    (void)wire_lacked_memory();
    /* jansson passes over a NUL byte behind a number. */
    if (!memchr(bytes, '\0', size))
        json = json_loadb((const char *)bytes, size, JSON_REJECT_DUPLICATES, NULL);
    cjose_get_dealloc()(bytes);
    if (json_is_object(json))
        return json;
    if (wire_lacked_memory())
        (void)problem_no_memory(problem);
    json_decref(json);
    return NULL;
}

/* --- header and signature --- */

struct header {
    enum key_algorithm algorithm;
    const char *id; /* NULL: none; lives as long as the JSON */
};

static bool read_header(json_t *json, struct header *header, struct problem *problem)
{
    const char *algorithm = json_string_value(json_object_get(json, "alg"));
    json_t *id = json_object_get(json, "kid");

    if (json_object_get(json, "crit") || json_object_get(json, "enc"))
        return invalid(problem, "The token's header asks for what is not supported here: crit or enc.");
    if (!algorithm || !key_algorithm_find(algorithm, &header->algorithm))
        return invalid(problem, "The token's algorithm (alg) must be HS256, RS256 or ES256.");
    if (id && !json_is_string(id))
        return invalid(problem, "The token's key id (kid) must be a string.");
    header->id = json_string_value(id);
    return true;
}

/* cjose reads as many bytes of a signature as it expects, whether they are there or not. Of RSA, OpenSSL checks the length. */
static bool has_right_size(struct span signature, enum key_algorithm algorithm)
{
    static const size_t sizes[] = {[KEY_HS256] = 43, [KEY_ES256] = 86}; /* 32 and 64 bytes in base64url */

    return algorithm == KEY_RS256 || signature.size == sizes[algorithm];
}

static bool may_be_of(const struct header *header, const struct key *key)
{
    return key->algorithm == header->algorithm && (!header->id || !key->id || strcmp(header->id, key->id) == 0);
}

/* False: by no key of the ring, or `error` says why that is not known. */
static bool is_signed(cjose_jws_t *jws, const struct header *header, const struct keyring *keyring, cjose_err *error)
{
    for (size_t i = 0; i < keyring->count && error->code != CJOSE_ERR_NO_MEMORY; i++)
        if (may_be_of(header, &keyring->keys[i]) && cjose_jws_verify(jws, keyring->keys[i].jwk, error))
            return true;
    return false;
}

static bool check_signature(struct span token, const struct parts *parts, const struct keyring *keyring, struct problem *problem)
{
    json_t *json = load_part(parts->header, "The token's header must be a JSON object in which nothing occurs twice.", problem);
    cjose_err error = {0};
    cjose_jws_t *jws = NULL;
    struct header header;
    bool good = false;

    if (!json)
        return false;
    if (!read_header(json, &header, problem))
        goto done;
    jws = has_right_size(parts->signature, header.algorithm) ? cjose_jws_import(token.bytes, token.size, &error) : NULL;
    good = (jws && is_signed(jws, &header, keyring, &error)) ||
           (is_lack(&error) ? problem_no_memory(problem) : invalid(problem, "The token is not signed by a key of this server."));
done:
    cjose_jws_release(jws);
    json_decref(json);
    return good;
}

/* --- claims --- */

/* A NumericDate in milliseconds; beyond all bounds it is at the bound. False: it is none. */
static bool read_date(const json_t *json, int64_t *ms)
{
    const double bound = 9e15; /* exact as a double, and far from overflow with a leeway */
    double value = json_number_value(json) * 1000;

    *ms = (int64_t)(value > bound ? bound : value < -bound ? -bound : value);
    return json_is_number(json);
}

static bool check_expiry(struct reading *reading, json_t *json)
{
    int64_t exp, until;

    if (!read_date(json_object_get(json, "exp"), &exp))
        return invalid(reading->problem, "The token needs an exp claim: when it ends, in seconds since 1970.");
    until = exp + reading->rules->leeway_ms;
    if (reading->now_ms >= until)
        return problem_set(reading->problem, 401, "token_expired", "The token has expired; get a new one.");
    reading->claims->expires_ms = (uint64_t)(reading->now_ms < exp ? exp : until);
    return true;
}

static bool check_beginning(struct reading *reading, json_t *json)
{
    json_t *claim = json_object_get(json, "nbf");
    int64_t nbf;

    if (!claim)
        return true;
    if (!read_date(claim, &nbf))
        return invalid(reading->problem, "The token's nbf claim must be a number: seconds since 1970.");
    return reading->now_ms >= nbf - reading->rules->leeway_ms ||
           problem_set(reading->problem, 401, "token_not_yet_valid", "The token is not good yet (nbf).");
}

static bool check_issuer(struct reading *reading, json_t *json)
{
    json_t *claim = json_object_get(json, "iss");
    const char *wanted = reading->rules->issuer;

    if (claim && !json_is_string(claim))
        return invalid(reading->problem, "The token's iss claim must be a string.");
    return !*wanted || (claim && strcmp(json_string_value(claim), wanted) == 0) ||
           invalid(reading->problem, "The token's issuer (iss) is not the one that this server takes.");
}

static bool check_audience(struct reading *reading, json_t *json)
{
    json_t *claim = json_object_get(json, "aud"), *item;
    const char *wanted = reading->rules->audience;
    bool good = !*wanted || (json_is_string(claim) && strcmp(json_string_value(claim), wanted) == 0);
    size_t i;

    if (claim && !json_is_string(claim) && !json_is_array(claim))
        return invalid(reading->problem, "The token's aud claim must be a string or an array of strings.");
    json_array_foreach(claim, i, item) {
        if (!json_is_string(item))
            return invalid(reading->problem, "The token's aud claim must be a string or an array of strings.");
        good |= strcmp(json_string_value(item), wanted) == 0;
    }
    return good || invalid(reading->problem, "The token is not for this server (aud).");
}

/* The items of the claim `name`; those with a `*` go to `patterns`. */
static bool read_names(struct reading *reading, json_t *json, const char *name, struct string_list *names, struct string_list *patterns)
{
    json_t *claim = json_object_get(json, name), *item;
    size_t i;

    if (claim && !json_is_array(claim))
        return problem_set(reading->problem, 401, "token_invalid", "The token's %s claim must be an array.", name);
    json_array_foreach(claim, i, item) {
        struct span text = {json_string_value(item), json_string_length(item)};

        if (!text.bytes || !pattern_is_valid(text))
            return problem_set(reading->problem, 401, "token_invalid",
                               "The token's %s claim must be an array of channel names and patterns.", name);
        if (!names_add(memchr(text.bytes, '*', text.size) ? patterns : names, text))
            return problem_no_memory(reading->problem);
    }
    return (names_drop_repeats(names) && names_drop_repeats(patterns)) || problem_no_memory(reading->problem);
}

static bool read_subject(struct reading *reading, json_t *json)
{
    json_t *claim = json_object_get(json, "sub");
    struct span text = {json_string_value(claim), json_string_length(claim)};

    if (!claim)
        return true;
    if (!text.bytes || !text_is_label(text))
        return invalid(reading->problem, "The token's sub claim must be a string of at most 255 bytes without control characters.");
    if (text.size == 0)
        return true;
    reading->claims->client = strndup(text.bytes, text.size);
    return reading->claims->client || problem_no_memory(reading->problem);
}

static bool read_claims(struct reading *reading, json_t *json)
{
    struct claims *claims = reading->claims;

    return check_expiry(reading, json) && check_beginning(reading, json) && check_issuer(reading, json) &&
           check_audience(reading, json) && read_names(reading, json, "channels", &claims->channels, &claims->patterns) &&
           read_names(reading, json, "publish", &claims->publish, &claims->publish) && read_subject(reading, json);
}

bool token_verify(struct claims *claims, struct span token, const struct keyring *keyring, const struct token_rules *rules,
                  uint64_t now_ms, struct problem *problem)
{
    struct reading reading = {claims, rules, (int64_t)now_ms, problem};
    struct parts parts;
    json_t *json;
    bool good;

    *claims = (struct claims){0};
    if (token.size > TOKEN_MAX_BYTES)
        return problem_set(problem, 401, "token_invalid", "The token must not be above %d bytes.", TOKEN_MAX_BYTES);
    if (!split(token, &parts))
        return invalid(problem, "The token must be a signed JWT: three parts in base64url with dots between them.");
    if (!check_signature(token, &parts, keyring, problem))
        return false;
    json = load_part(parts.payload, "The token's claims must be a JSON object in which nothing occurs twice.", problem);
    if (!json)
        return false;
    good = read_claims(&reading, json);
    json_decref(json);
    return good;
}

void token_claims_finish(struct claims *claims)
{
    names_finish(&claims->channels);
    names_finish(&claims->patterns);
    names_finish(&claims->publish);
    free(claims->client);
    claims->client = NULL;
}

/* --- signing --- */

static bool fill_header(cjose_header_t *header, const struct key *key)
{
    return header && cjose_header_set(header, CJOSE_HDR_ALG, key_algorithm_name(key->algorithm), NULL) &&
           cjose_header_set(header, "typ", "JWT", NULL) && (!key->id || cjose_header_set(header, CJOSE_HDR_KID, key->id, NULL));
}

char *token_sign(struct span payload, const struct key *key)
{
    cjose_header_t *header = cjose_header_new(NULL);
    cjose_jws_t *jws = NULL;
    const char *compact;
    char *token = NULL;

    if (fill_header(header, key))
        jws = cjose_jws_sign(key->jwk, header, (const uint8_t *)payload.bytes, payload.size, NULL);
    if (jws && cjose_jws_export(jws, &compact, NULL) && compact)
        token = strdup(compact);
    cjose_jws_release(jws);
    cjose_header_release(header);
    return token;
}
