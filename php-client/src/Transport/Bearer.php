<?php

declare(strict_types=1);

namespace Sidecast\Transport;

use Sidecast\Exception\InvalidConfiguration;
use Sidecast\Token;
use Sidecast\Token\HmacSigner;
use Sidecast\Token\Signer;

/** The token that shows the server that somebody may publish over HTTP. */
final class Bearer
{
    /** Seconds that a token of our own is good for: it is made for one request. */
    private const TTL = 60;

    /** @param \Closure(): string $token */
    private function __construct(private readonly \Closure $token)
    {
    }

    /**
     * Always the same token.
     *
     * @throws InvalidConfiguration if it can be none
     */
    public static function fixed(#[\SensitiveParameter] string $token): self
    {
        if (\preg_match('~\A[A-Za-z0-9._\~+/=-]+\z~', $token) !== 1) { // RFC 6750, 2.1
            throw new InvalidConfiguration('a bearer token has letters, digits and the signs . _ ~ + / = - only');
        }

        return new self(static fn (): string => $token);
    }

    /**
     * A new token for each request, so that it cannot expire.
     *
     * @param ?Token $token what it grants; null: publishing to every channel, for a minute
     */
    public static function signed(Signer $signer, ?Token $token = null): self
    {
        $token ??= Token::make()->publishPatterns(['**'])->ttl(self::TTL);

        return new self(static fn (): string => $token->sign($signer));
    }

    /**
     * As a DSN says it: at most one is given.
     *
     * @throws InvalidConfiguration if it is more, or a file cannot be read
     */
    public static function of(?string $token, ?string $tokenFile, ?string $secretFile): ?self
    {
        $given = \array_filter([$token, $tokenFile, $secretFile], static fn (?string $value): bool => $value !== null);

        return match (true) {
            \count($given) > 1 => throw new InvalidConfiguration('one of token, token_file and secret_file is enough'),
            $token !== null => self::fixed($token),
            $tokenFile !== null => self::fixed(self::read('token_file', $tokenFile)),
            $secretFile !== null => self::signed(new HmacSigner(self::read('secret_file', $secretFile))),
            default => null,
        };
    }

    /** The value of the header Authorization. */
    public function header(): string
    {
        return 'Bearer ' . ($this->token)();
    }

    /**
     * Without the token, so that var_dump() cannot tell it.
     *
     * @return array<string, string>
     */
    public function __debugInfo(): array
    {
        return [];
    }

    private static function read(string $option, string $file): string
    {
        $text = @\file_get_contents($file);

        return $text === false
            ? throw new InvalidConfiguration("$option: $file cannot be read")
            : (string) \preg_replace('/\r?\n\z/', '', $text); // as the server reads it
    }
}
