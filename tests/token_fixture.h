/*
 * Keys and tokens for tests. The keys were made for this file and open nothing.
 * Include it first: it brings cmocka along.
 */
#ifndef TOKEN_FIXTURE_H
#define TOKEN_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cjose/cjose.h>
#include <jansson.h>

#include "keyring.h"
#include "token.h"

#define SECRET "0123456789abcdef0123456789abcdef" /* 32 bytes */
#define SECRET_BASE64 "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"
#define OTHER_SECRET_BASE64 "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA"
#define RSA_N \
    "qH7JvlvgcVF7sfoy7vMJiauqDPgUlepcsNEOrZEg9HjiDHmm7mrrMO5tkWSAlcqLOj07mJua9PzwZ3zV1yMl2oF5hvhztfImt8s9" \
    "19oPv3xe61qpxKdSDRwA9fNCtfYfwwJT7xCjWKhJ9Ysx8vrBZlEOlzQvFGhJLFWKF1BmuD3_Siuxn4-MadqN5oj9O4C4p4ekPS7S" \
    "-EK16DFBmyoK27DaYkOzXW-Akn83YkzmhaOdrIqujLQqbC_FXfP61JN_pbWHpfC2mSM_6knBys3InNI2zMKdejOPji6zHJv8BtP9" \
    "X3KCMASCPswsBR8t9fJhJT0h2066Ba9bDcb1RwvtoQ"
#define RSA_D \
    "K55C0JYNOJiM6mpoJAZjajG3wEq6XYLBgv5ji9f9jXv7nJojdiXUg6K9V32KcfxwZV-znVJu30vZWhjtbJeLNZD96kxH_ApXLo4d" \
    "ENNA72OdWNTsDN35ti4RK5pRIzS3TS69lq4acxmBp-BkSk_SoA-MtOTL6T8D7keoi1eDd98dNG6v2zNW2dDmOoEoeXhYxsn3XA1Z" \
    "H_qXVnwWzMxCk2BMLJrAeVtQel59ilNdK8zIavcKROkHHa5wBElJU13mCFUNy9g8J8J4cDYfjkUMbCR5LEb_x6Xq0patexNfYN6V" \
    "cIAQsfmNnpSvhwV8ugD53oPFHUTXjnRpBDB4TKOqrw"
#define RSA_P \
    "1Yu6c3kGegKKcH8Z9iqMSfo_7uRal5p7GncpohoQN4nRukaoYVWvjyVlqKNsC18KmaN9XS4ckgr9BOsMnvVDiAiI7nVYSw3t4tsg" \
    "kjDWjfbfmcBgjHDdII4aSgqHhdSaqjWV7LzI1mEa0B6CxTOHzXCpz-_GRO_5NK1qLjsDApM"
#define RSA_Q \
    "yf49_qIZlxznMoAjB6kLRibxUa5Qre-AtlJ9ZkGzoGX-yjSBY1YTIjkBBgXeOwTjepjRPkRazKlVIUwNKAACAGhaMHC_aUXc7ceD" \
    "6D67vlxy1r00xlOPRLg3W0ZpjzAuDGKc7Q8QyxOUhXv1Y0_x2SWrNGOw4na2637y7NwJK3s"
#define RSA_DMP1 \
    "PWu9Ky1qQXmtnAHS080VIMoLzYh8zhIuykPwA6H_fBn16uAb2jMtFb0p6kFm-DZT9DDkBAMZUKA8ekepD6d3zw61Y_D4fk35WECy" \
    "s5m8fIS_d5evrXVhBNYalaVFqaam_cH_52G9Wnv_nFDKSDI0I1D-ZsKOgpGLWi1u1vE-QmU"
#define RSA_DMQ1 \
    "BbFTn_SDkh2val3wHswl1DFOxcWK4owIbZr_i704ScH2H07BgsIvQdynabsKm1E09ASQiRe2E2SGUKzrBgCSDd7jA9B5pIbihhUE" \
    "Y6w48FF8rw6gCSLbu80RSlI-sVljQtgYohm1mHOR0P1AWi8rmroUDCLvHkLIPvTR9djxrTc"
#define RSA_IQMP \
    "xsbk_158O8l0mlItpnsWTu1t5ZUNCZSe8YRIXsh0qMMIT89lokYlWnugRhFDxFf71IRhoCNjU57JrmVuGsFMoKx9SBhCcgwuMgdn" \
    "D0Jhd9PGFLGKqXr3vmDU2fsH83dsZOb9bS9CQbxJjktvQahk2u8gzLx5ImztTDZHh3Q3VJg"
#define EC_X \
    "pemWM_9BN1HpUur_q7B3VK3KNAIcF_aYfopKKAfOZqo"
#define EC_Y \
    "H6GfkCk0iWDZ-noGaDfP4YfpJ160AJpChoL04uk7M58"
#define EC_D \
    "UQQY-FA_bhJZicL2URrSz96pC20bAJqa8IWEy8D4y50"
#define SHORT_RSA_N \
    "yJuhxKeTJUGSJUFnz56DxLln7LK_JuBJ3VWqETwaxKrMC4yNuElSF2v6_h4BQAHEtogiWxypw3Jq3rMLKlpxLobs6pxG08UJa2Ml" \
    "D1E5LeGw_sQrEYyjTEkK6eifKcQ2NlHm7Sr23kyS00XAXj7c-qbJNm37qLwu398jM1NffKM"
#define P384_X \
    "49Qm3i5exXpziAxYf9ALlc9OWkrWrobxa685C2dYN4brkIeqFYas6ywRNE-E5wGR"
#define P384_Y \
    "6H5DGcotXERQPxG8Uxe0_THpOG7uWURnyGzl-7RZknJnOUfhHgq3RxbYZcGjIPJE"

#define RSA_PUBLIC "\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"" RSA_N "\""
#define RSA_PRIVATE RSA_PUBLIC ",\"d\":\"" RSA_D "\",\"p\":\"" RSA_P "\",\"q\":\"" RSA_Q "\",\"dp\":\"" RSA_DMP1 "\",\"dq\":\"" RSA_DMQ1 \
                    "\",\"qi\":\"" RSA_IQMP "\""
#define EC_PUBLIC "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\""
#define EC_PRIVATE EC_PUBLIC ",\"d\":\"" EC_D "\""
#define OCT "\"kty\":\"oct\",\"k\":\"" SECRET_BASE64 "\""
#define OTHER_OCT "\"kty\":\"oct\",\"k\":\"" OTHER_SECRET_BASE64 "\""

/* One key of a set; `more` starts with a comma or is empty. */
#define KEY(algorithm, members, more) "{\"alg\":\"" algorithm "\"," members more "}"
#define SET(keys) "{\"keys\":[" keys "]}"
#define ALL_PUBLIC SET(KEY("HS256", OCT, "") "," KEY("RS256", RSA_PUBLIC, "") "," KEY("ES256", EC_PUBLIC, ""))
#define ALL_PRIVATE SET(KEY("HS256", OCT, "") "," KEY("RS256", RSA_PRIVATE, "") "," KEY("ES256", EC_PRIVATE, ""))

static inline void ring_of(struct keyring *keyring, const char *set)
{
    char error[256] = "";

    *keyring = (struct keyring){0};
    if (!keyring_add_set(keyring, span_of(set), false, error, sizeof error))
        fail_msg("%s", error);
}

/* A token with any header and claims, signed by the key in whichever way `alg` of the header says. The caller frees it. */
static inline char *sign_raw(const char *header, const char *claims, const char *jwk)
{
    cjose_err error;
    cjose_jwk_t *key = cjose_jwk_import(jwk, strlen(jwk), &error);
    json_t *json = json_loads(header, 0, NULL);
    cjose_jws_t *jws = cjose_jws_sign(key, (cjose_header_t *)json, (const uint8_t *)claims, strlen(claims), &error);
    const char *compact = NULL;
    char *token;

    assert_non_null(jws);
    assert_true(cjose_jws_export(jws, &compact, &error));
    token = strdup(compact);
    cjose_jws_release(jws);
    cjose_jwk_release(key);
    json_decref(json);
    return token;
}

/* A token whose parts are these, as they are; signed with SECRET whatever its header says, so that nothing but the header is wrong. */
static inline char *sign_parts(const char *header, const char *claims)
{
    char *encoded[2], *token = NULL, *signed_one = sign_raw("{\"alg\":\"HS256\"}", claims, KEY("HS256", OCT, ""));
    size_t size;

    assert_true(cjose_base64url_encode((const uint8_t *)header, strlen(header), &encoded[0], &size, NULL));
    assert_true(cjose_base64url_encode((const uint8_t *)claims, strlen(claims), &encoded[1], &size, NULL));
    assert_true(asprintf(&token, "%s.%s%s", encoded[0], encoded[1], strrchr(signed_one, '.')) > 0);
    free(encoded[0]);
    free(encoded[1]);
    free(signed_one);
    return token;
}

/* With the first key of the ring that can sign. */
static inline char *sign(const struct keyring *keyring, const char *claims)
{
    char *token = token_sign(span_of(claims), keyring_find_signer(keyring, NULL));

    assert_non_null(token);
    return token;
}

#endif
