/*
 * `sidecast token`: what it signs it has the claims of from the command line, and from the configuration, if one is named, issuer, audience
 * and where the keys are. The token alone goes to standard output.
 */
#include "command_token.h"

#include "clock.h"
#include "config.h"
#include "keyfile.h"
#include "option.h"
#include "pattern.h"
#include "query.h"
#include "server.h"
#include "text.h"
#include "token.h"

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "Usage: sidecast token [option ...]\n"
    "\n"
    "Prints a token (JWT) that is good for a time.\n"
    "\n"
    "  --channels LIST      what its holder may listen to: channels and patterns, with commas between them\n"
    "  --publish LIST       what its holder may publish to, likewise\n"
    "  --sub ID             who its holder is: what the option `except` of a message is compared with\n"
    "  --ttl TIME           how long it is good: ms, s, min, h or d (default: 1h)\n"
    "  --secret-file FILE   the secret that it is signed with (HS256)\n"
    "  --keys-file FILE     a JWK Set: it is signed with the first key in it that can sign\n"
    "  --kid ID             with the key of this id\n"
    "  -c FILE              the server's configuration: its token.secret_file and token.keys_file unless one of the two is\n"
    "                       given here, its token.issuer and token.audience\n"
    "  --help               print this text\n"
    "\n"
    "Who holds a token may do what it says until it ends; it cannot be called back. Keep it out of logs and links.\n"
    "Exit codes: 0 made, 2 wrong arguments, 3 configuration or keys that are not good.\n";

/* What stands on the command line; NULL: does not. */
struct wish {
    const char *channels, *publish, *sub, *ttl, *secret_file, *keys_file, *kid, *config_file;
};

static const struct argument {
    const char *name;
    size_t offset; /* in struct wish */
} arguments[] = {
    {"--channels", offsetof(struct wish, channels)}, {"--publish", offsetof(struct wish, publish)},
    {"--sub", offsetof(struct wish, sub)},           {"--ttl", offsetof(struct wish, ttl)},
    {"--kid", offsetof(struct wish, kid)},           {"--secret-file", offsetof(struct wish, secret_file)},
    {"--keys-file", offsetof(struct wish, keys_file)}, {"-c", offsetof(struct wish, config_file)},
};

static bool complain(const char *what, const char *expected)
{
    fprintf(stderr, "sidecast token: %s: expected %s\n", what, expected);
    return false;
}

/* --- arguments --- */

/* The argument that `word` is, perhaps with `=value` behind it; NULL: none. */
static const struct argument *find_argument(const char *word, const char **value)
{
    for (size_t i = 0; i < sizeof arguments / sizeof *arguments; i++) {
        size_t size = strlen(arguments[i].name);

        if (strncmp(word, arguments[i].name, size) != 0 || (word[size] && word[size] != '='))
            continue;
        *value = word[size] == '=' ? word + size + 1 : NULL;
        return &arguments[i];
    }
    return NULL;
}

static bool read_arguments(struct wish *wish, int argc, char **argv)
{
    *wish = (struct wish){0};
    for (int i = 1; i < argc; i++) {
        const char *value;
        const struct argument *argument = find_argument(argv[i], &value);

        if (!argument)
            return complain(argv[i], "an option of `sidecast token --help`");
        if (!value && ++i == argc)
            return complain(argument->name, "a value");
        *(const char **)(void *)((char *)wish + argument->offset) = value ? value : argv[i];
    }
    return true;
}

static bool read_ttl(const char *value, int64_t *ttl_ms)
{
    static const struct option form = {.type = TYPE_time, .least = 1000, .most = INT64_C(315360000000)};

    return option_parse(&form, value ? value : "1h", ttl_ms) || complain("--ttl", "a time of 1s to 3650d with its unit (s, min, h, d)");
}

/* --- claims --- */

/* The list as an array; without a list nothing. */
static bool add_list(json_t *claims, const char *claim, const char *list, const char *option)
{
    json_t *array = list ? json_array() : NULL;
    struct span item;

    while (array && query_next_item(&list, ',', &item)) {
        item = query_trim(item);
        if (!pattern_is_valid(item)) {
            json_decref(array);
            return complain(option, "channels and patterns, with commas between them");
        }
        json_array_append_new(array, json_stringn(item.bytes, item.size));
    }
    if (array)
        json_object_set_new(claims, claim, array);
    return true;
}

static bool add_subject(json_t *claims, const char *sub)
{
    if (sub && !text_is_label(span_of(sub)))
        return complain("--sub", "at most 255 bytes of UTF-8 without control characters");
    if (sub)
        json_object_set_new(claims, "sub", json_string(sub));
    return true;
}

static json_t *make_claims(const struct wish *wish)
{
    int64_t now = (int64_t)(clock_wall_ms() / 1000), ttl_ms;
    json_t *claims = json_object();

    if (!wish->channels && !wish->publish)
        (void)complain("sidecast token", "--channels or --publish; see --help");
    else if (read_ttl(wish->ttl, &ttl_ms) && add_list(claims, "channels", wish->channels, "--channels") &&
             add_list(claims, "publish", wish->publish, "--publish") && add_subject(claims, wish->sub)) {
        json_object_set_new(claims, "iat", json_integer(now));
        json_object_set_new(claims, "exp", json_integer(now + ttl_ms / 1000));
        return claims;
    }
    json_decref(claims);
    return NULL;
}

/* --- configuration and keys --- */

static bool read_keys(struct keyring *keyring, const struct wish *wish, const struct settings *settings)
{
    bool is_given = wish->secret_file || wish->keys_file;
    struct keyfile_paths paths = {.secret = is_given ? wish->secret_file : settings->token_secret_file,
                                  .set = is_given ? wish->keys_file : settings->token_keys_file,
                                  .allow_short = settings->token_allow_short_keys};
    char error[512];

    if (keyfile_read(keyring, &paths, error, sizeof error))
        return keyring->count > 0 || complain("sidecast token", "--secret-file, --keys-file, or -c with a configuration that names one");
    fprintf(stderr, "sidecast token: %s\n", error);
    return false;
}

static bool print_token(json_t *claims, const struct keyring *keyring, const char *id)
{
    const struct key *key = keyring_find_signer(keyring, id);
    char *payload = json_dumps(claims, JSON_COMPACT), *token;
    bool done;

    if (!key) {
        free(payload);
        return complain(id ? "--kid" : "--keys-file", "a key that can sign: a secret, or one with its private part");
    }
    token = payload ? token_sign(span_of(payload), key) : NULL;
    free(payload);
    done = token && strlen(token) <= TOKEN_MAX_BYTES;
    if (done)
        puts(token);
    else
        (void)complain("sidecast token", token ? "fewer channels: no token above 8 KiB is taken" : "a key that signs");
    free(token);
    return done;
}

static int make_token(const struct wish *wish, json_t *claims)
{
    struct settings settings;
    struct config_error error;
    struct keyring keyring;
    int code = EXIT_CONFIG;

    if (!config_load(&settings, wish->config_file, NULL, &error)) {
        fprintf(stderr, "sidecast token: %s\n", error.message);
        return EXIT_CONFIG;
    }
    if (*settings.token_issuer)
        json_object_set_new(claims, "iss", json_string(settings.token_issuer));
    if (*settings.token_audience)
        json_object_set_new(claims, "aud", json_string(settings.token_audience));
    if (read_keys(&keyring, wish, &settings) && print_token(claims, &keyring, wish->kid))
        code = EXIT_OK;
    keyring_finish(&keyring);
    config_finish(&settings);
    return code;
}

int command_token_run(int argc, char **argv)
{
    struct wish wish;
    json_t *claims;
    int code;

    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(usage, stdout);
            return EXIT_OK;
        }
    if (!read_arguments(&wish, argc, argv))
        return EXIT_USAGE;
    claims = make_claims(&wish);
    if (!claims)
        return EXIT_USAGE;
    code = make_token(&wish, claims);
    json_decref(claims);
    return code;
}
