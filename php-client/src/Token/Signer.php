<?php

declare(strict_types=1);

namespace Sidecast\Token;

use Sidecast\Exception\InvalidConfiguration;

/** Signs JSON Web Tokens (RFC 7515) with a key that the server knows. */
interface Signer
{
    /** The header's `alg`: HS256, RS256, ES256 … (RFC 7518). */
    public function alg(): string;

    /** The header's `kid`, by which the server finds the key; null: none. */
    public function kid(): ?string;

    /**
     * The signature, as raw bytes.
     *
     * @throws InvalidConfiguration if the key does not sign
     */
    public function sign(string $bytes): string;
}
