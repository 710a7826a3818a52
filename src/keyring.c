/*
 * keyring: cjose reads and keeps the keys; what it takes without a word is checked here: that the type is that of the algorithm, the
 * curve, the sizes. A set is taken whole or not at all, since a key left out in silence would be missed later.
 */
#include "keyring.h"

#include "text.h"
#include "wire.h"

#include <cjose/cjose.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name;
    cjose_jwk_kty_t type;
    const char *type_name;
} algorithms[] = {
    [KEY_HS256] = {"HS256", CJOSE_JWK_KTY_OCT, "oct"},
    [KEY_RS256] = {"RS256", CJOSE_JWK_KTY_RSA, "RSA"},
    [KEY_ES256] = {"ES256", CJOSE_JWK_KTY_EC, "EC"},
};
enum { ALGORITHMS = sizeof algorithms / sizeof *algorithms };

struct complaint {
    char *text;
    size_t size;
    size_t number; /* of the key in its set, from 1 on; 0: a secret */
};

static bool __attribute__((format(printf, 2, 3))) fail(const struct complaint *complaint, const char *format, ...)
{
    va_list arguments;
    int used = 0;

    if (complaint->number > 0)
        used = snprintf(complaint->text, complaint->size, "key %zu: ", complaint->number);
    if (used < 0 || (size_t)used >= complaint->size)
        return false;
    if (wire_lacked_memory())
        format = "no memory to read it"; /* then a good key looks like a bad one */
    va_start(arguments, format);
    vsnprintf(complaint->text + used, complaint->size - (size_t)used, format, arguments);
    va_end(arguments);
    return false;
}

const char *key_algorithm_name(enum key_algorithm algorithm)
{
    return algorithms[algorithm].name;
}

bool key_algorithm_find(const char *name, enum key_algorithm *algorithm)
{
    for (size_t i = 0; i < ALGORITHMS; i++)
        if (strcmp(algorithms[i].name, name) == 0) {
            *algorithm = (enum key_algorithm)i;
            return true;
        }
    return false;
}

static bool check_size(const struct key *key, bool allow_short, const struct complaint *complaint)
{
    size_t bits = cjose_jwk_get_keysize(key->jwk, NULL);

    if (bits == 0)
        return fail(complaint, "expected a key, got an empty one");
    if (allow_short)
        return true;
    if (key->algorithm == KEY_HS256 && bits < KEY_SECRET_BITS)
        return fail(complaint, "expected a secret of at least %d bytes, unless token.allow_short_keys = yes", KEY_SECRET_BITS / 8);
    if (key->algorithm == KEY_RS256 && bits < KEY_RSA_BITS)
        return fail(complaint, "expected an RSA key of at least %d bits, unless token.allow_short_keys = yes", KEY_RSA_BITS);
    return true;
}

/* Takes over what the key owns, also when it fails. */
static bool add_take(struct keyring *keyring, struct key key, bool allow_short, const struct complaint *complaint)
{
    struct key *keys;

    if (!check_size(&key, allow_short, complaint))
        goto failed;
    keys = realloc(keyring->keys, (keyring->count + 1) * sizeof *keys);
    if (!keys) {
        (void)fail(complaint, "no memory for the key");
        goto failed;
    }
    keyring->keys = keys;
    keys[keyring->count++] = key;
    return true;
failed:
    cjose_jwk_release(key.jwk);
    free(key.id);
    return false;
}

bool keyring_add_secret(struct keyring *keyring, struct span secret, bool allow_short, char *error, size_t size)
{
    struct complaint complaint = {error, size, 0};
    struct key key = {.algorithm = KEY_HS256, .can_sign = true};

    if (secret.size == 0)
        return fail(&complaint, "expected a secret, got nothing");
    key.jwk = cjose_jwk_create_oct_spec((const uint8_t *)secret.bytes, secret.size, NULL);
    if (!key.jwk)
        return fail(&complaint, "no memory for the key");
    return add_take(keyring, key, allow_short, &complaint);
}

/* --- sets --- */

static bool check_fields(json_t *json, struct key *key, const struct complaint *complaint)
{
    const char *algorithm = json_string_value(json_object_get(json, "alg"));
    const char *type = json_string_value(json_object_get(json, "kty")), *use = json_string_value(json_object_get(json, "use"));
    const char *curve = json_string_value(json_object_get(json, "crv"));

    if (!algorithm || !key_algorithm_find(algorithm, &key->algorithm))
        return fail(complaint, "expected \"alg\" to be HS256, RS256 or ES256");
    if (!type || strcmp(type, algorithms[key->algorithm].type_name) != 0)
        return fail(complaint, "expected \"kty\" to be %s, as %s takes", algorithms[key->algorithm].type_name, algorithm);
    if (key->algorithm == KEY_ES256 && (!curve || strcmp(curve, "P-256") != 0))
        return fail(complaint, "expected \"crv\" to be P-256, as ES256 takes");
    if (json_object_get(json, "use") && (!use || strcmp(use, "sig") != 0))
        return fail(complaint, "expected \"use\" to be sig, or none");
    if (json_object_get(json, "kid") && !json_is_string(json_object_get(json, "kid")))
        return fail(complaint, "expected \"kid\" to be a string");
    return true;
}

/* cjose asserts on some base64 that is none. */
static bool check_numbers(json_t *json, const struct complaint *complaint)
{
    static const char *const names[] = {"k", "n", "e", "d", "p", "q", "dp", "dq", "qi", "x", "y"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_t *value = json_object_get(json, names[i]);

        if (value && !text_is_base64url((struct span){json_string_value(value), json_string_length(value)}))
            return fail(complaint, "expected \"%s\" in base64url, without padding", names[i]);
    }
    return true;
}

/* RFC 7518, 6.3.2. Of a part of them cjose loses the memory. */
static bool check_factors(json_t *json, const struct complaint *complaint)
{
    static const char *const names[] = {"p", "q", "dp", "dq", "qi"};
    size_t count = sizeof names / sizeof *names, found = 0;

    for (size_t i = 0; i < count; i++)
        found += json_object_get(json, names[i]) != NULL;
    return found == 0 || found == count || fail(complaint, "expected all of \"p\", \"q\", \"dp\", \"dq\" and \"qi\", or none");
}

static bool add_json(struct keyring *keyring, json_t *json, bool allow_short, const struct complaint *complaint)
{
    const char *id = json_string_value(json_object_get(json, "kid"));
    struct key key = {0};
    cjose_err broken = {0};

    if (!json_is_object(json))
        return fail(complaint, "expected a JSON object");
    if (!check_fields(json, &key, complaint) || !check_numbers(json, complaint) || !check_factors(json, complaint))
        return false;
    key.can_sign = key.algorithm == KEY_HS256 || json_object_get(json, "d");
    key.jwk = cjose_jwk_import_json((cjose_header_t *)json, &broken);
    if (!key.jwk || cjose_jwk_get_kty(key.jwk, NULL) != algorithms[key.algorithm].type) {
        cjose_jwk_release(key.jwk);
        /* cjose says so of a bad point, too */
        return fail(complaint, "expected a whole %s key (RFC 7518, section 6)%s", algorithms[key.algorithm].type_name,
                    broken.code == CJOSE_ERR_NO_MEMORY ? ", and memory to read it" : "");
    }
    if (id && !(key.id = strdup(id))) {
        cjose_jwk_release(key.jwk);
        return fail(complaint, "no memory for the key");
    }
    return add_take(keyring, key, allow_short, complaint);
}

bool keyring_add_set(struct keyring *keyring, struct span json, bool allow_short, char *error, size_t size)
{
    struct complaint complaint = {error, size, 0};
    json_t *set, *keys;
    size_t count;
    bool done;

    (void)wire_lacked_memory();
    set = json_loadb(json.bytes, json.size, JSON_REJECT_DUPLICATES, NULL);
    keys = json_object_get(set, "keys");
    count = json_array_size(keys);
    done = count > 0 || fail(&complaint, "expected a JWK Set, {\"keys\": [...]}, with at least one key");
    while (done && complaint.number < count) {
        complaint.number++;
        done = add_json(keyring, json_array_get(keys, complaint.number - 1), allow_short, &complaint);
    }
    json_decref(set);
    return done;
}

void keyring_finish(struct keyring *keyring)
{
    for (size_t i = 0; i < keyring->count; i++) {
        cjose_jwk_release(keyring->keys[i].jwk);
        free(keyring->keys[i].id);
    }
    free(keyring->keys);
    *keyring = (struct keyring){0};
}

const struct key *keyring_find_signer(const struct keyring *keyring, const char *id)
{
    for (size_t i = 0; i < keyring->count; i++) {
        const struct key *key = &keyring->keys[i];

        if (key->can_sign && (!id || (key->id && strcmp(key->id, id) == 0)))
            return key;
    }
    return NULL;
}
