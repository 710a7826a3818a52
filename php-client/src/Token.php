<?php

declare(strict_types=1);

namespace Sidecast;

use Sidecast\Exception\InvalidConfiguration;
use Sidecast\Exception\InvalidGrant;
use Sidecast\Token\Jwt;
use Sidecast\Token\Signer;

/**
 * A token says, signed, who may listen to what and until when: a client that has it connects without PHP.
 *
 *     $jwt = Token::listen(['room-1'])->patterns(['orders/*'])->client('user-7')->ttl(3600)->sign($signer);
 *
 * Immutable: each call gives a new one, so that one that is set up once can serve many users.
 */
final class Token
{
    /** The cookie in which the server looks for a token. */
    public const COOKIE = 'sidecast_token';

    /** What the server takes at most. */
    private const LIMIT_BYTES = 8192;

    /** What a browser keeps of a cookie, name and value; a larger one it drops without a word (RFC 6265bis, 5.6). */
    private const COOKIE_BYTES = 4096;

    /** @var array<string, list<string>|string|int> channels, publish, sub, iss, aud, nbf */
    private array $claims = [];

    private ?int $ttl = null;

    private function __construct()
    {
    }

    /** One that grants nothing yet. */
    public static function make(): self
    {
        return new self();
    }

    /**
     * One that lets its bearer listen to these channels.
     *
     * @param array<string> $channels names in full: see channels()
     *
     * @throws InvalidGrant
     */
    public static function listen(array $channels): self
    {
        return self::make()->channels($channels);
    }

    /**
     * Grants listening to these channels too.
     *
     * @param array<string> $channels names in full. One with `*` is refused, for it may be what a user sent
     *
     * @throws InvalidGrant if one is no channel
     */
    public function channels(array $channels): self
    {
        return $this->with('channels', Grant::channels($channels, $this->names('channels')));
    }

    /**
     * Grants listening to every channel that one of these patterns matches. Never put into it what a user sent.
     *
     * @param array<string> $patterns `*` stands for anything within one segment between `/`, `**` for anything at all
     *
     * @throws InvalidGrant if one is no pattern
     */
    public function patterns(array $patterns): self
    {
        return $this->with('channels', Grant::patterns($patterns, $this->names('channels')));
    }

    /**
     * Grants publishing over HTTP to these channels.
     *
     * @param array<string> $channels names in full; publishPatterns() takes patterns
     *
     * @throws InvalidGrant if one is no channel
     */
    public function publish(array $channels): self
    {
        return $this->with('publish', Grant::channels($channels, $this->names('publish')));
    }

    /**
     * Grants publishing over HTTP to every channel that one of these patterns matches.
     *
     * @param array<string> $patterns as with patterns()
     *
     * @throws InvalidGrant if one is no pattern
     */
    public function publishPatterns(array $patterns): self
    {
        return $this->with('publish', Grant::patterns($patterns, $this->names('publish')));
    }

    /**
     * Says who it is: what a publisher's `except` is compared with.
     *
     * @param string $client 1-255 bytes of UTF-8 without control characters
     *
     * @throws InvalidGrant
     */
    public function client(string $client): self
    {
        return $this->with('sub', Grant::client($client));
    }

    /**
     * Ends it so many seconds after sign(), and the stream that it opened with it. Every token needs one.
     *
     * @throws InvalidGrant below 1
     */
    public function ttl(int $seconds): self
    {
        if ($seconds < 1) {
            throw new InvalidGrant('the ttl of a token must be at least 1 second');
        }
        $token = clone $this;
        $token->ttl = $seconds;

        return $token;
    }

    /** Makes it good from this moment on only: seconds since 1970. */
    public function notBefore(int $time): self
    {
        return $this->with('nbf', $time);
    }

    /** Says who issued it (`iss`). */
    public function issuer(string $issuer): self
    {
        return $this->with('iss', $issuer);
    }

    /** Says whom it is meant for (`aud`). */
    public function audience(string $audience): self
    {
        return $this->with('aud', $audience);
    }

    /**
     * The signed token (JWS compact serialization, RFC 7515).
     *
     * @param ?int $now seconds since 1970; null: the clock's
     *
     * @throws InvalidGrant         if it has no ttl, grants nothing, or is too long
     * @throws InvalidConfiguration if the key does not sign
     */
    public function sign(Signer $signer, ?int $now = null): string
    {
        if (!isset($this->claims['channels']) && !isset($this->claims['publish'])) {
            throw new InvalidGrant('the token grants nothing: give it channels, patterns or publish');
        }
        $now ??= \time();
        $claims = $this->claims + ['iat' => $now, 'exp' => $now + $this->seconds()];
        $token = Jwt::compact($claims, $signer);
        if (\strlen($token) > self::LIMIT_BYTES) {
            throw new InvalidGrant('a token has at most 8 KiB: grant fewer channels, or a pattern');
        }

        return $token;
    }

    /**
     * The same for a cookie.
     *
     * @throws InvalidGrant         as sign(), and if no browser would keep it
     * @throws InvalidConfiguration if the key does not sign
     */
    public function signForCookie(Signer $signer, ?int $now = null): string
    {
        $token = $this->sign($signer, $now);
        if (\strlen(self::COOKIE . $token) > self::COOKIE_BYTES) {
            throw new InvalidGrant('a token in a cookie has at most 4 KiB: grant fewer channels, or a pattern');
        }

        return $token;
    }

    /**
     * Options for PHP's setcookie(), so that a browser brings it along and no script can read it:
     *
     *     setcookie(Token::COOKIE, $token->signForCookie($signer), $token->cookie('/events'));
     *
     * @param string $path   below which the browser sends it: the location that clients listen at
     * @param bool   $secure over https only; false for development
     * @param ?int   $now    seconds since 1970; null: the clock's
     *
     * @return array{expires: int, path: string, secure: bool, httponly: true, samesite: 'Lax'}
     *
     * @throws InvalidGrant if it has no ttl
     */
    public function cookie(string $path = '/', bool $secure = true, ?int $now = null): array
    {
        return [
            'expires' => ($now ?? \time()) + $this->seconds(),
            'path' => $path,
            'secure' => $secure,
            'httponly' => true,
            'samesite' => 'Lax',
        ];
    }

    private function seconds(): int
    {
        return $this->ttl ?? throw new InvalidGrant('a token needs a ttl');
    }

    /** @return list<string> */
    private function names(string $claim): array
    {
        $names = $this->claims[$claim] ?? [];

        return \is_array($names) ? $names : [];
    }

    /** @param list<string>|string|int $value */
    private function with(string $claim, array|string|int $value): self
    {
        $token = clone $this;
        if ($value === []) {
            return $token; // no names given: grants no more than before
        }
        $token->claims[$claim] = $value;

        return $token;
    }
}
