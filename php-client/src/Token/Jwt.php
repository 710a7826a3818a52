<?php

declare(strict_types=1);

namespace Sidecast\Token;

use Sidecast\Exception\InvalidConfiguration;
use Sidecast\Exception\InvalidGrant;

/**
 * The text of a JSON Web Token: JWS compact serialization (RFC 7515, 3.1).
 *
 * @internal
 */
final class Jwt
{
    /**
     * @param array<string, mixed> $claims
     *
     * @throws InvalidGrant         if a claim is no UTF-8
     * @throws InvalidConfiguration if the key does not sign
     */
    public static function compact(array $claims, Signer $signer): string
    {
        $header = ['typ' => 'JWT', 'alg' => $signer->alg()];
        $header += $signer->kid() === null ? [] : ['kid' => $signer->kid()];
        $signed = self::part($header) . '.' . self::part($claims);

        return $signed . '.' . self::base64url($signer->sign($signed));
    }

    /**
     * @param array<string, mixed> $part
     *
     * @throws InvalidGrant
     */
    private static function part(array $part): string
    {
        try {
            return self::base64url(\json_encode(
                $part,
                \JSON_THROW_ON_ERROR | \JSON_UNESCAPED_SLASHES | \JSON_UNESCAPED_UNICODE,
            ));
        } catch (\JsonException $error) {
            throw new InvalidGrant('the token cannot be written: ' . $error->getMessage(), 0, $error);
        }
    }

    private static function base64url(string $bytes): string
    {
        return \rtrim(\strtr(\base64_encode($bytes), '+/', '-_'), '=');
    }

    private function __construct()
    {
    }
}
