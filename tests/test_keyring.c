#include "token_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define PLAIN(algorithm, members) SET(KEY(algorithm, members, ""))

static void a_set_holds_keys_of_three_algorithms(void **state)
{
    struct keyring keyring;

    (void)state;
    ring_of(&keyring, ALL_PUBLIC);
    assert_int_equal(keyring.count, 3);
    assert_int_equal(keyring.keys[0].algorithm, KEY_HS256);
    assert_int_equal(keyring.keys[1].algorithm, KEY_RS256);
    assert_int_equal(keyring.keys[2].algorithm, KEY_ES256);
    assert_true(keyring.keys[0].can_sign);
    assert_false(keyring.keys[1].can_sign);
    assert_false(keyring.keys[2].can_sign);
    assert_null(keyring.keys[0].id);
    keyring_finish(&keyring);
    assert_int_equal(keyring.count, 0);
}

static void private_keys_can_sign_and_are_found_by_their_id(void **state)
{
    struct keyring keyring;

    (void)state;
    ring_of(&keyring, SET(KEY("RS256", RSA_PUBLIC, ",\"kid\":\"old\"") "," KEY("ES256", EC_PRIVATE, ",\"kid\":\"new\",\"use\":\"sig\"")
                          "," KEY("RS256", RSA_PRIVATE, ",\"kid\":\"third\"")));
    assert_ptr_equal(keyring_find_signer(&keyring, NULL), &keyring.keys[1]);
    assert_ptr_equal(keyring_find_signer(&keyring, "third"), &keyring.keys[2]);
    assert_null(keyring_find_signer(&keyring, "old"));
    assert_null(keyring_find_signer(&keyring, "none"));
    keyring_finish(&keyring);
}

static void bad_sets_are_refused_whole_with_the_number_of_the_key(void **state)
{
    static const struct {
        const char *set, *says;
    } rows[] = {
        {"", "expected a JWK Set"},
        {"{", "expected a JWK Set"},
        {"[]", "expected a JWK Set"},
        {"{}", "expected a JWK Set"},
        {"{\"keys\":{}}", "expected a JWK Set"},
        {SET(""), "at least one key"},
        {KEY("HS256", OCT, ""), "expected a JWK Set"},
        {"{\"keys\":[],\"keys\":[" KEY("HS256", OCT, "") "]}", "expected a JWK Set"},
        {SET("7"), "key 1: expected a JSON object"},
        {SET("{" OCT "}"), "key 1: expected \"alg\""},
        {SET(KEY("HS256", OCT, "") ",{" OCT "}"), "key 2: expected \"alg\""},
        {SET(KEY("HS256", OCT, ",\"alg\":\"HS256\"")), "expected a JWK Set"},
        {SET("{\"alg\":7," OCT "}"), "key 1: expected \"alg\""},
        {PLAIN("none", OCT), "key 1: expected \"alg\""},
        {PLAIN("HS512", OCT), "key 1: expected \"alg\""},
        {PLAIN("PS256", RSA_PUBLIC), "key 1: expected \"alg\""},
        {PLAIN("hs256", OCT), "key 1: expected \"alg\""},
        {PLAIN("HS256", RSA_PUBLIC), "\"kty\" to be oct"},
        {PLAIN("RS256", OCT), "\"kty\" to be RSA"},
        {PLAIN("RS256", EC_PUBLIC), "\"kty\" to be RSA"},
        {PLAIN("ES256", RSA_PUBLIC), "\"kty\" to be EC"},
        {PLAIN("ES256", "\"k\":\"" SECRET_BASE64 "\""), "\"kty\" to be EC"},
        {PLAIN("ES256", "\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" P384_X "\",\"y\":\"" P384_Y "\""), "\"crv\" to be P-256"},
        {PLAIN("ES256", "\"kty\":\"EC\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\""), "\"crv\" to be P-256"},
        {PLAIN("ES256", "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\""), "a whole EC key"},
        {PLAIN("ES256", "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_X "\""), "a whole EC key"},
        {PLAIN("RS256", "\"kty\":\"RSA\",\"e\":\"AQAB\""), "a whole RSA key"},
        {PLAIN("RS256", RSA_PUBLIC ",\"d\":\"" RSA_D "\",\"dp\":\"" RSA_DMP1 "\""), "all of \"p\", \"q\", \"dp\", \"dq\" and \"qi\", or none"},
        {PLAIN("RS256", RSA_PUBLIC ",\"d\":\"" RSA_D "\",\"p\":\"" RSA_P "\""), "all of \"p\", \"q\", \"dp\", \"dq\" and \"qi\", or none"},
        {PLAIN("RS256", RSA_PUBLIC ",\"q\":\"" RSA_Q "\""), "all of \"p\", \"q\", \"dp\", \"dq\" and \"qi\", or none"},
        {PLAIN("HS256", "\"kty\":\"oct\""), "a whole oct key"},
        {PLAIN("HS256", "\"kty\":\"oct\",\"k\":\"A===\""), "\"k\" in base64url"},
        {PLAIN("HS256", "\"kty\":\"oct\",\"k\":\"" SECRET_BASE64 "=\""), "\"k\" in base64url"},
        {PLAIN("HS256", "\"kty\":\"oct\",\"k\":\"\""), "\"k\" in base64url"},
        {PLAIN("HS256", "\"kty\":\"oct\",\"k\":7"), "\"k\" in base64url"},
        {PLAIN("RS256", "\"kty\":\"RSA\",\"e\":\"A\",\"n\":\"" RSA_N "\""), "\"e\" in base64url"},
        {SET(KEY("HS256", OCT, ",\"use\":\"enc\"")), "\"use\" to be sig"},
        {SET(KEY("HS256", OCT, ",\"use\":1")), "\"use\" to be sig"},
        {SET(KEY("HS256", OCT, ",\"kid\":1")), "\"kid\" to be a string"},
        {PLAIN("HS256", "\"kty\":\"oct\",\"k\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZQ\""), "at least 32 bytes"}, /* 31 */
        {PLAIN("RS256", "\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"" SHORT_RSA_N "\""), "at least 2048 bits"},
    };
    struct keyring keyring = {0};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char error[200] = "";

        if (keyring_add_set(&keyring, span_of(rows[i].set), false, error, sizeof error))
            fail_msg("taken: %s", rows[i].set);
        if (!strstr(error, rows[i].says))
            fail_msg("%s: got `%s`, expected `%s`", rows[i].set, error, rows[i].says);
        assert_null(strstr(error, "MDEy"));
        keyring_finish(&keyring);
    }
}

static void short_keys_are_taken_where_they_are_allowed(void **state)
{
    static const char short_rsa[] = PLAIN("RS256", "\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"" SHORT_RSA_N "\"");
    struct keyring keyring = {0};
    char error[200] = "";

    (void)state;
    assert_false(keyring_add_secret(&keyring, (struct span){SECRET, 31}, false, error, sizeof error));
    assert_non_null(strstr(error, "token.allow_short_keys"));
    assert_int_equal(keyring.count, 0);
    assert_true(keyring_add_secret(&keyring, (struct span){SECRET, 31}, true, error, sizeof error));
    assert_true(keyring_add_secret(&keyring, span_of(SECRET), false, error, sizeof error));
    assert_true(keyring_add_set(&keyring, span_of(short_rsa), true, error, sizeof error));
    assert_int_equal(keyring.count, 3);
    assert_false(keyring_add_secret(&keyring, (struct span){"", 0}, true, error, sizeof error));
    keyring_finish(&keyring);
}

static void an_error_fits_into_little_room(void **state)
{
    struct keyring keyring = {0};
    char error[5] = "";

    (void)state;
    assert_false(keyring_add_set(&keyring, span_of(PLAIN("none", OCT)), false, error, sizeof error));
    assert_string_equal(error, "key ");
    keyring_finish(&keyring);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_holds_keys_of_three_algorithms),
        cmocka_unit_test(private_keys_can_sign_and_are_found_by_their_id),
        cmocka_unit_test(bad_sets_are_refused_whole_with_the_number_of_the_key),
        cmocka_unit_test(short_keys_are_taken_where_they_are_allowed),
        cmocka_unit_test(an_error_fits_into_little_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
