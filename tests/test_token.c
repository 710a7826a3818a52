/* What a token has to be, in rows of data; each row is good but for one thing. */
#include "token_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { NOW = 1800000000 }; /* seconds */
#define HS256 "{\"alg\":\"HS256\"}"
#define EXP "\"exp\":1800000100"

static struct keyring keyring;
static struct claims claims;
static struct problem problem;
static struct token_rules rules;

static int set_up(void **state)
{
    (void)state;
    ring_of(&keyring, ALL_PRIVATE);
    rules = (struct token_rules){"", "", 10000};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    token_claims_finish(&claims);
    keyring_finish(&keyring);
    return 0;
}

static bool verify_at(const char *token, uint64_t now_ms)
{
    char *copy = malloc(strlen(token)); /* no NUL behind it, and the sanitizer sees who looks there */
    bool good;

    memcpy(copy, token, strlen(token));
    token_claims_finish(&claims);
    problem = (struct problem){0};
    good = token_verify(&claims, (struct span){copy, strlen(token)}, &keyring, &rules, now_ms, &problem);
    free(copy);
    return good;
}

static bool verify(const char *token)
{
    return verify_at(token, NOW * UINT64_C(1000));
}

static bool verify_claims_at(const char *text, uint64_t now_ms)
{
    char *token = sign(&keyring, text);
    bool good = verify_at(token, now_ms);

    free(token);
    return good;
}

static bool verify_claims(const char *text)
{
    return verify_claims_at(text, NOW * UINT64_C(1000));
}

static void assert_refused(const char *what, const char *code, const char *says)
{
    if (problem.status != 401 || strcmp(problem.code, code) != 0 || !strstr(problem.message, says))
        fail_msg("%s: got %d %s (%s), expected %s (%s)", what, problem.status, problem.code ? problem.code : "", problem.message, code, says);
    assert_true(strlen(problem.message) < sizeof problem.message - 1);
}

static void assert_names(const struct string_list *list, const char *expected)
{
    char got[1024] = "";

    for (size_t i = 0; i < list->count; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), i ? ",%s" : "%s", list->items[i]);
    assert_string_equal(got, expected);
}

static void a_good_token_says_who_and_what_and_how_long(void **state)
{
    (void)state;
    assert_true(verify_claims("{" EXP ",\"iat\":1,\"sub\":\"user 7\",\"channels\":[\"b\",\"a/*\",\"a\",\"b\",\"**\",\"a/*\"],"
                              "\"publish\":[\"p/*\",\"q\",\"q\"],\"other\":{\"any\":[1]}}"));
    assert_names(&claims.channels, "b,a");
    assert_names(&claims.patterns, "a/*,**");
    assert_names(&claims.publish, "p/*,q");
    assert_string_equal(claims.client, "user 7");
    assert_int_equal(claims.expires_ms, 1800000100000);
    assert_true(verify_claims("{" EXP ",\"sub\":\"\"}"));
    assert_null(claims.client);
    assert_names(&claims.channels, "");
}

static void each_algorithm_is_taken_with_a_key_of_its_own(void **state)
{
    static const struct {
        const char *header, *jwk;
    } rows[] = {
        {HS256, KEY("HS256", OCT, "")},
        {"{\"alg\":\"RS256\",\"typ\":\"JWT\"}", KEY("RS256", RSA_PRIVATE, "")},
        {"{\"alg\":\"ES256\",\"kid\":\"any\"}", KEY("ES256", EC_PRIVATE, "")},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *token = sign_raw(rows[i].header, "{" EXP "}", rows[i].jwk);

        if (!verify(token))
            fail_msg("%s: %s", rows[i].header, problem.message);
        free(token);
    }
}

/* The classic: what is public is taken for a secret. And other mixtures. */
static void a_key_of_another_algorithm_is_never_tried(void **state)
{
    static const char rsa_as_secret[] = "{\"kty\":\"oct\",\"k\":\"" RSA_N "\"}";
    static const struct {
        const char *set, *header, *jwk;
    } rows[] = {
        {SET(KEY("RS256", RSA_PUBLIC, "")), HS256, rsa_as_secret},
        {SET(KEY("ES256", EC_PUBLIC, "")), HS256, KEY("HS256", OCT, "")},
        {SET(KEY("HS256", OCT, "")), "{\"alg\":\"RS256\"}", KEY("RS256", RSA_PRIVATE, "")},
        {SET(KEY("HS256", OCT, "") "," KEY("RS256", RSA_PUBLIC, "")), "{\"alg\":\"ES256\"}", KEY("ES256", EC_PRIVATE, "")},
        {SET(KEY("HS256", OTHER_OCT, "")), HS256, KEY("HS256", OCT, "")},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *token = sign_raw(rows[i].header, "{" EXP "}", rows[i].jwk);

        keyring_finish(&keyring);
        ring_of(&keyring, rows[i].set);
        assert_false(verify(token));
        assert_refused(rows[i].header, "token_invalid", "not signed by a key of this server");
        free(token);
    }
}

static void bad_headers_are_refused(void **state)
{
    static const struct {
        const char *header, *says;
    } rows[] = {
        {"{\"alg\":\"none\"}", "algorithm"},
        {"{\"alg\":\"NONE\"}", "algorithm"},
        {"{\"alg\":\"HS512\"}", "algorithm"},
        {"{\"alg\":\"HS384\"}", "algorithm"},
        {"{\"alg\":\"PS256\"}", "algorithm"},
        {"{\"alg\":\"hs256\"}", "algorithm"},
        {"{\"alg\":\"dir\"}", "algorithm"},
        {"{\"alg\":[\"HS256\"]}", "algorithm"},
        {"{\"alg\":null}", "algorithm"},
        {"{}", "algorithm"},
        {"{\"alg\":\"RS256\"}", "not signed"},
        {"{\"alg\":\"ES256\"}", "not signed"},
        {"{\"alg\":\"HS256\" }", "not signed"}, /* other bytes than were signed */
        {"{\"alg\":\"HS256\",\"alg\":\"HS256\"}", "JSON object"},
        {"{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}", "crit"},
        {"{\"alg\":\"HS256\",\"crit\":[]}", "crit"},
        {"{\"alg\":\"HS256\",\"enc\":\"A128GCM\"}", "enc"},
        {"{\"alg\":\"HS256\",\"kid\":7}", "kid"},
        {"[\"HS256\"]", "JSON object"},
        {"\"HS256\"", "JSON object"},
        {"{\"alg\":\"HS256\"", "JSON object"},
        {"{\"alg\":\"HS256\"} x", "JSON object"},
        {" ", "JSON object"},
        {"\xff", "JSON object"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *token = sign_parts(rows[i].header, "{" EXP "}");

        if (verify(token))
            fail_msg("taken: %s", rows[i].header);
        assert_refused(rows[i].header, "token_invalid", rows[i].says);
        free(token);
    }
}

static void what_is_no_signed_jwt_is_refused(void **state)
{
    char *good = sign(&keyring, "{" EXP "}"), text[9000];
    static const char *const bad[] = {"", ".", "..", "...", "a.b", "a.b.c.d.e", "A===.e30.AA", "AA.A.AA", "AA.AA.A", "AA.AA.", ".AA.AA", "AA..AA",
                                      "eyJhbGciOiJIUzI1NiJ9.e30.", "eyJhbGciOiJIUzI1NiJ9.e30.+/+/", "eyJhbGciOiJIUzI1NiJ9 .e30.AA", "x"};

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_false(verify(bad[i]));
        assert_refused(bad[i], "token_invalid", "");
    }
    for (size_t size = 0; size < strlen(good); size++) { /* cut anywhere */
        snprintf(text, sizeof text, "%.*s", (int)size, good);
        assert_false(verify(text));
        assert_refused(text, "token_invalid", "");
    }
    snprintf(text, sizeof text, "%sAAAA", good);
    assert_false(verify(text));
    snprintf(text, sizeof text, "%s=", good);
    assert_false(verify(text));
    snprintf(text, sizeof text, "%s", good);
    for (size_t i = 0; good[i]; i++) { /* each character another one; the last of the signature holds two bits that are not used */
        if (good[i] == '.' || !good[i + 1])
            continue;
        text[i] = good[i] == 'A' ? 'B' : 'A';
        assert_false(verify(text));
        text[i] = good[i];
    }
    assert_true(verify(text));
    free(good);
}

/* A zero before each half is the same number in another length. */
static void a_signature_has_one_length(void **state)
{
    char *token = sign_raw("{\"alg\":\"ES256\"}", "{" EXP "}", KEY("ES256", EC_PRIVATE, "")), *longer, *encoded;
    uint8_t *signature, padded[66] = {0};
    size_t size;

    (void)state;
    assert_true(verify(token));
    assert_true(cjose_base64url_decode(strrchr(token, '.') + 1, 86, &signature, &size, NULL));
    assert_int_equal(size, 64);
    memcpy(padded + 1, signature, 32);
    memcpy(padded + 34, signature + 32, 32);
    assert_true(cjose_base64url_encode(padded, sizeof padded, &encoded, &size, NULL));
    assert_true(asprintf(&longer, "%.*s.%s", (int)(strrchr(token, '.') - token), token, encoded) > 0);
    assert_false(verify(longer));
    free(token);
    free(longer);
    free(encoded);
    free(signature);
}

static void a_token_has_at_most_8_kib(void **state)
{
    char text[9000], *token;

    (void)state;
    /* 8192 bytes: header 36, signature 43, two dots, 8111 characters for 6083 bytes of claims. */
    snprintf(text, sizeof text, "{" EXP ",\"x\":\"%0*d\"}", 6083 - 25, 0);
    token = sign(&keyring, text);
    assert_int_equal(strlen(token), TOKEN_MAX_BYTES);
    assert_true(verify(token));
    free(token);
    snprintf(text, sizeof text, "{" EXP ",\"x\":\"%0*d\"}", 6084 - 25, 0);
    token = sign(&keyring, text);
    assert_false(verify(token));
    assert_refused("long", "token_invalid", "8192 bytes");
    free(token);
}

static void keys_with_an_id_are_tried_for_tokens_with_that_id_alone(void **state)
{
    static const char set[] = SET(KEY("HS256", OCT, ",\"kid\":\"one\"") "," KEY("HS256", OTHER_OCT, ",\"kid\":\"two\""));
    static const struct {
        const char *set, *header;
        bool good;
    } rows[] = {
        {set, "{\"alg\":\"HS256\",\"kid\":\"one\"}", true},
        {set, "{\"alg\":\"HS256\",\"kid\":\"two\"}", false},
        {set, "{\"alg\":\"HS256\",\"kid\":\"\"}", false},
        {set, "{\"alg\":\"HS256\"}", true},
        {SET(KEY("HS256", OCT, "")), "{\"alg\":\"HS256\",\"kid\":\"any\"}", true},
        {SET(KEY("HS256", OTHER_OCT, ",\"kid\":\"one\"") "," KEY("HS256", OCT, ",\"kid\":\"one\"")), "{\"alg\":\"HS256\",\"kid\":\"one\"}", true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *token = sign_raw(rows[i].header, "{" EXP "}", KEY("HS256", OCT, ""));

        keyring_finish(&keyring);
        ring_of(&keyring, rows[i].set);
        if (verify(token) != rows[i].good)
            fail_msg("row %zu: %s", i, problem.message);
        free(token);
    }
}

static void bad_claims_are_refused(void **state)
{
    static const struct {
        const char *claims, *code, *says;
    } rows[] = {
        {"{}", "token_invalid", "exp"},
        {"[]", "token_invalid", "JSON object"},
        {"7", "token_invalid", "JSON object"},
        {"{" EXP, "token_invalid", "JSON object"},
        {"{" EXP "}}", "token_invalid", "JSON object"},
        {"{" EXP "," EXP "}", "token_invalid", "JSON object"},
        {"{" EXP ",\"x\":{\"a\":1,\"a\":1}}", "token_invalid", "JSON object"},
        {"{" EXP ",\"sub\":\"\xff\"}", "token_invalid", "JSON object"},
        {"{" EXP ",\"sub\":\"a\\u0000b\"}", "token_invalid", "JSON object"},
        {"{\"exp\":\"1800000100\"}", "token_invalid", "exp"},
        {"{\"exp\":null}", "token_invalid", "exp"},
        {"{\"exp\":true}", "token_invalid", "exp"},
        {"{\"exp\":1e999}", "token_invalid", "JSON object"},
        {"{\"exp\":-1}", "token_expired", "expired"},
        {"{\"exp\":-1e300}", "token_expired", "expired"},
        {"{\"exp\":0}", "token_expired", "expired"},
        {"{" EXP ",\"nbf\":\"0\"}", "token_invalid", "nbf"},
        {"{" EXP ",\"nbf\":null}", "token_invalid", "nbf"},
        {"{" EXP ",\"nbf\":1e300}", "token_not_yet_valid", "nbf"},
        {"{" EXP ",\"iss\":7}", "token_invalid", "iss"},
        {"{" EXP ",\"aud\":7}", "token_invalid", "aud"},
        {"{" EXP ",\"aud\":[\"a\",7]}", "token_invalid", "aud"},
        {"{" EXP ",\"aud\":null}", "token_invalid", "aud"},
        {"{" EXP ",\"channels\":\"news\"}", "token_invalid", "channels"},
        {"{" EXP ",\"channels\":{\"a\":1}}", "token_invalid", "channels"},
        {"{" EXP ",\"channels\":null}", "token_invalid", "channels"},
        {"{" EXP ",\"channels\":[7]}", "token_invalid", "channels"},
        {"{" EXP ",\"channels\":[\"a\",[\"b\"]]}", "token_invalid", "channels"},
        {"{" EXP ",\"channels\":[\"\"]}", "token_invalid", "channels"},
        {"{" EXP ",\"channels\":[\"a b\"]}", "token_invalid", "channels"},
        {"{" EXP ",\"channels\":[\"a,b\"]}", "token_invalid", "channels"},
        {"{" EXP ",\"channels\":[\"a\\n\"]}", "token_invalid", "channels"},
        {"{" EXP ",\"publish\":\"**\"}", "token_invalid", "publish"},
        {"{" EXP ",\"publish\":[true]}", "token_invalid", "publish"},
        {"{" EXP ",\"publish\":[\"* *\"]}", "token_invalid", "publish"},
        {"{" EXP ",\"sub\":7}", "token_invalid", "sub"},
        {"{" EXP ",\"sub\":null}", "token_invalid", "sub"},
        {"{" EXP ",\"sub\":\"a\\nb\"}", "token_invalid", "sub"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (verify_claims(rows[i].claims))
            fail_msg("taken: %s", rows[i].claims);
        assert_refused(rows[i].claims, rows[i].code, rows[i].says);
    }
}

static void the_clock_counts_to_the_millisecond(void **state)
{
    static const struct {
        const char *claims;
        int64_t leeway_ms;
        uint64_t now_ms;
        const char *code;    /* NULL: good, until */
        uint64_t expires_ms;
    } rows[] = {
        {"{\"exp\":1000}", 0, 999999, NULL, 1000000},
        {"{\"exp\":1000}", 0, 1000000, "token_expired", 0},
        {"{\"exp\":1000}", 10000, 999999, NULL, 1000000},
        {"{\"exp\":1000}", 10000, 1000000, NULL, 1010000},
        {"{\"exp\":1000}", 10000, 1009999, NULL, 1010000},
        {"{\"exp\":1000}", 10000, 1010000, "token_expired", 0},
        {"{\"exp\":1000.5}", 0, 1000499, NULL, 1000500},
        {"{\"exp\":1000.5}", 0, 1000500, "token_expired", 0},
        {"{\"exp\":1e3}", 0, 999999, NULL, 1000000},
        {"{\"exp\":1e300}", 300000, 1000, NULL, 9000000000000000},
        {"{\"exp\":2000,\"nbf\":1000}", 0, 999999, "token_not_yet_valid", 0},
        {"{\"exp\":2000,\"nbf\":1000}", 0, 1000000, NULL, 2000000},
        {"{\"exp\":2000,\"nbf\":1000}", 10000, 989999, "token_not_yet_valid", 0},
        {"{\"exp\":2000,\"nbf\":1000}", 10000, 990000, NULL, 2000000},
        {"{\"exp\":2000,\"nbf\":999.25}", 0, 999249, "token_not_yet_valid", 0},
        {"{\"exp\":2000,\"nbf\":999.25}", 0, 999250, NULL, 2000000},
        {"{\"exp\":2000,\"nbf\":-1e300}", 10000, 1, NULL, 2000000},
        {"{\"exp\":0}", 10000, 1, NULL, 10000},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        rules.leeway_ms = rows[i].leeway_ms;
        if (verify_claims_at(rows[i].claims, rows[i].now_ms) != !rows[i].code)
            fail_msg("row %zu: %s", i, problem.message);
        if (rows[i].code)
            assert_refused(rows[i].claims, rows[i].code, "");
        else if (claims.expires_ms != rows[i].expires_ms)
            fail_msg("row %zu: until %llu", i, (unsigned long long)claims.expires_ms);
    }
}

static void issuer_and_audience_are_checked_where_they_are_configured(void **state)
{
    static const struct {
        const char *issuer, *audience, *claims;
        bool good;
    } rows[] = {
        {"", "", "{" EXP ",\"iss\":\"any\",\"aud\":\"any\"}", true},
        {"", "", "{" EXP ",\"aud\":[]}", true},
        {"me", "", "{" EXP ",\"iss\":\"me\"}", true},
        {"me", "", "{" EXP ",\"iss\":\"Me\"}", false},
        {"me", "", "{" EXP ",\"iss\":\"me2\"}", false},
        {"me", "", "{" EXP ",\"iss\":\"\"}", false},
        {"me", "", "{" EXP "}", false},
        {"", "here", "{" EXP ",\"aud\":\"here\"}", true},
        {"", "here", "{" EXP ",\"aud\":[\"there\",\"here\"]}", true},
        {"", "here", "{" EXP ",\"aud\":[\"there\"]}", false},
        {"", "here", "{" EXP ",\"aud\":[\"here\",7]}", false},
        {"", "here", "{" EXP ",\"aud\":[]}", false},
        {"", "here", "{" EXP ",\"aud\":\"\"}", false},
        {"", "here", "{" EXP "}", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        rules.issuer = rows[i].issuer;
        rules.audience = rows[i].audience;
        if (verify_claims(rows[i].claims) != rows[i].good)
            fail_msg("row %zu: %s", i, problem.message);
        assert_null(strstr(problem.message, "here"));
    }
}

static void what_is_signed_here_is_good_here(void **state)
{
    (void)state;
    for (size_t i = 0; i < keyring.count; i++) {
        char *token = token_sign(span_of("{" EXP ",\"channels\":[\"a\"]}"), &keyring.keys[i]);

        assert_non_null(token);
        assert_true(verify(token));
        assert_names(&claims.channels, "a");
        free(token);
    }
    keyring_finish(&keyring);
    ring_of(&keyring, ALL_PUBLIC);
    assert_null(token_sign(span_of("{}"), &keyring.keys[1]));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_good_token_says_who_and_what_and_how_long),
        TEST(each_algorithm_is_taken_with_a_key_of_its_own),
        TEST(a_key_of_another_algorithm_is_never_tried),
        TEST(bad_headers_are_refused),
        TEST(what_is_no_signed_jwt_is_refused),
        TEST(a_signature_has_one_length),
        TEST(a_token_has_at_most_8_kib),
        TEST(keys_with_an_id_are_tried_for_tokens_with_that_id_alone),
        TEST(bad_claims_are_refused),
        TEST(the_clock_counts_to_the_millisecond),
        TEST(issuer_and_audience_are_checked_where_they_are_configured),
        TEST(what_is_signed_here_is_good_here),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
