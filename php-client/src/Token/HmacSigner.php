<?php

declare(strict_types=1);

namespace Sidecast\Token;

use Sidecast\Exception\InvalidConfiguration;

/** HS256: HMAC with SHA-256 and a secret that PHP and the server share. */
final class HmacSigner implements Signer
{
    /** RFC 7518, 3.2: a key of the size of the hash output, or larger. */
    private const SECRET_BYTES = 32;

    /**
     * @param string  $secret at least 32 random bytes: whoever can guess it grants whatever they like
     * @param ?string $kid    names the key, if the server has several
     * @param bool    $short  take a shorter secret all the same
     *
     * @throws InvalidConfiguration if the secret is too short
     */
    public function __construct(
        #[\SensitiveParameter] private readonly string $secret,
        private readonly ?string $kid = null,
        bool $short = false,
    ) {
        if ($secret === '' || (!$short && \strlen($secret) < self::SECRET_BYTES)) {
            throw new InvalidConfiguration(\sprintf(
                'the secret of HS256 must have at least %d bytes, this one has %d: `openssl rand -base64 32` makes one',
                self::SECRET_BYTES,
                \strlen($secret),
            ));
        }
    }

    public function alg(): string
    {
        return 'HS256';
    }

    public function kid(): ?string
    {
        return $this->kid;
    }

    public function sign(string $bytes): string
    {
        return \hash_hmac('sha256', $bytes, $this->secret, true);
    }

    /**
     * Without the secret, so that var_dump() cannot tell it.
     *
     * @return array<string, ?string>
     */
    public function __debugInfo(): array
    {
        return ['alg' => $this->alg(), 'kid' => $this->kid];
    }
}
