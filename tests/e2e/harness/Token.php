<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** JSON Web Tokens and keys, made with nothing but PHP's own functions. */
final class Token
{
    public const SECRET = 'a secret of thirty-two bytes or more';

    /**
     * Signed with HS256; good for a minute unless the claims say otherwise.
     *
     * @param array<string, mixed> $claims
     * @param array<string, mixed> $header
     */
    public static function make(array $claims, string $secret = self::SECRET, array $header = []): string
    {
        $text = self::text($claims, $header + ['alg' => 'HS256']);
        return $text . '.' . self::base64(hash_hmac('sha256', $text, $secret, true));
    }

    /**
     * Signed with RS256 or ES256, by the kind of the key.
     *
     * @param array<string, mixed> $claims
     */
    public static function sign(array $claims, \OpenSSLAsymmetricKey $key, string $id): string
    {
        $isEc = isset(openssl_pkey_get_details($key)['ec']);
        $text = self::text($claims, ['alg' => $isEc ? 'ES256' : 'RS256', 'kid' => $id]);
        openssl_sign($text, $signature, $key, OPENSSL_ALGO_SHA256);
        return $text . '.' . self::base64($isEc ? self::joined($signature) : $signature);
    }

    public static function rsaKey(): \OpenSSLAsymmetricKey
    {
        return openssl_pkey_new(['private_key_bits' => 2048, 'private_key_type' => OPENSSL_KEYTYPE_RSA]);
    }

    public static function ecKey(): \OpenSSLAsymmetricKey
    {
        return openssl_pkey_new(['curve_name' => 'prime256v1', 'private_key_type' => OPENSSL_KEYTYPE_EC]);
    }

    /**
     * The public part of a key as a member of a JWK Set.
     *
     * @return array<string, string>
     */
    public static function jwk(\OpenSSLAsymmetricKey $key, string $id): array
    {
        $details = openssl_pkey_get_details($key);
        $numbers = array_map(self::base64(...), array_filter($details['rsa'] ?? $details['ec'], is_string(...)));
        return isset($details['rsa'])
            ? ['kty' => 'RSA', 'alg' => 'RS256', 'kid' => $id, 'n' => $numbers['n'], 'e' => $numbers['e']]
            : ['kty' => 'EC', 'alg' => 'ES256', 'kid' => $id, 'crv' => 'P-256',
                'x' => self::base64(str_pad($details['ec']['x'], 32, "\0", STR_PAD_LEFT)),
                'y' => self::base64(str_pad($details['ec']['y'], 32, "\0", STR_PAD_LEFT))];
    }

    /** @return array<string, string> */
    public static function secretJwk(string $secret, string $id): array
    {
        return ['kty' => 'oct', 'alg' => 'HS256', 'kid' => $id, 'k' => self::base64($secret)];
    }

    /** Writes a file that nobody but its owner may read. */
    public static function keyFile(string $path, string $content): string
    {
        file_put_contents($path, $content);
        chmod($path, 0600);
        return $path;
    }

    public static function base64(string $bytes): string
    {
        return rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
    }

    /**
     * @param array<string, mixed> $claims
     * @param array<string, mixed> $header
     */
    private static function text(array $claims, array $header): string
    {
        return self::base64(json_encode($header, JSON_THROW_ON_ERROR)) . '.'
            . self::base64(json_encode($claims + ['exp' => time() + 60], JSON_THROW_ON_ERROR));
    }

    /** The two numbers of a DER signature, 32 bytes each, one after the other. */
    private static function joined(string $der): string
    {
        $at = 2;
        $number = static function () use ($der, &$at): string {
            $size = ord($der[$at + 1]);
            $bytes = substr($der, $at + 2, $size);
            $at += 2 + $size;
            return str_pad(ltrim($bytes, "\0"), 32, "\0", STR_PAD_LEFT);
        };
        return $number() . $number();
    }
}
