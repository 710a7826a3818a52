<?php

declare(strict_types=1);

namespace Sidecast\Token;

use Sidecast\Exception\InvalidConfiguration;

/** RS256 or ES256 with a private key, through ext-openssl: the server then needs the public key only. */
final class OpensslSigner implements Signer
{
    /** RFC 7518, 3.3 */
    private const RSA_BITS = 2048;

    /** RFC 7518, 3.4: R and S have 32 bytes each. */
    private const CURVE = 'prime256v1';
    private const COORDINATE_BYTES = 32;

    private readonly \OpenSSLAsymmetricKey $key;
    private readonly string $alg;

    /**
     * @param string  $privateKey PEM text, or file:// and the path of such a file; RSA makes it RS256, P-256 ES256
     * @param ?string $kid        names the key, if the server has several
     * @param ?string $passphrase of the key, if it is encrypted
     *
     * @throws InvalidConfiguration without ext-openssl, or if it is no private key of these kinds
     */
    public function __construct(
        #[\SensitiveParameter] string $privateKey,
        private readonly ?string $kid = null,
        #[\SensitiveParameter] ?string $passphrase = null,
    ) {
        if (!\extension_loaded('openssl')) {
            throw new InvalidConfiguration('RS256 and ES256 need ext-openssl, which is not loaded');
        }
        // '' rather than null: without one OpenSSL would ask on the terminal
        $key = @\openssl_pkey_get_private($privateKey, $passphrase ?? '');
        if ($key === false) {
            throw new InvalidConfiguration('the private key cannot be read: expected PEM, and its passphrase if any');
        }
        $this->key = $key;
        $this->alg = self::algorithmOf($key);
    }

    public function alg(): string
    {
        return $this->alg;
    }

    public function kid(): ?string
    {
        return $this->kid;
    }

    public function sign(string $bytes): string
    {
        if (!\openssl_sign($bytes, $signature, $this->key, \OPENSSL_ALGO_SHA256)) {
            throw new InvalidConfiguration('OpenSSL does not sign with this key');
        }

        return $this->alg === 'ES256' ? self::raw($signature) : $signature;
    }

    /** @throws InvalidConfiguration */
    private static function algorithmOf(\OpenSSLAsymmetricKey $key): string
    {
        $details = \openssl_pkey_get_details($key) ?: [];

        return match (true) {
            isset($details['rsa']) && $details['bits'] >= self::RSA_BITS => 'RS256',
            isset($details['ec']) && ($details['ec']['curve_name'] ?? '') === self::CURVE => 'ES256',
            default => throw new InvalidConfiguration('the private key must be RSA of at least 2048 bits, or EC P-256'),
        };
    }

    /** R and S side by side (RFC 7518, 3.4), from OpenSSL's SEQUENCE of two INTEGERs in DER. */
    private static function raw(string $der): string
    {
        $raw = '';
        $at = 2; // both are below 128 bytes in all, so each length is one byte
        for ($i = 0; $i < 2; $i++) {
            $length = \ord($der[$at + 1]);
            // DER leaves leading zeros out, but puts one before a high bit
            $number = \ltrim(\substr($der, $at + 2, $length), "\0");
            $raw .= \str_pad($number, self::COORDINATE_BYTES, "\0", \STR_PAD_LEFT);
            $at += 2 + $length;
        }

        return $raw;
    }
}
