<?php

declare(strict_types=1);

namespace Sidecast;

use Sidecast\Exception\InvalidConfiguration;
use Sidecast\Exception\InvalidGrant;
use Sidecast\Exception\SidecastException;
use Sidecast\Token\HmacSigner;

/**
 * What functions.php does for a page without composer: nothing throws, failures go to PHP's error log.
 *
 * @internal
 */
final class Page
{
    private const TOKEN_TTL = 3600;

    /** @var array<string, Publisher> by endpoint */
    private static array $publishers = [];

    /** @param array<string, mixed> $options */
    public static function publish(string $channel, mixed $data, array $options): bool
    {
        $what = 'sidecast_publish: not handed over';

        return self::attempt($what, static function () use ($what, $channel, $data, $options): bool {
            $result = self::publisher($options)->publish($channel, $data, $options);

            return $result->ok ?: self::tell($what, (string) $result->reason());
        }) === true;
    }

    /** @param array<string, mixed> $options */
    public static function publishAndConfirm(string $channel, mixed $data, array $options): ?string
    {
        $what = 'sidecast_publish_and_confirm: not confirmed';

        return self::attempt($what, static function () use ($what, $channel, $data, $options): ?string {
            $timeout = $options['timeout'] ?? Publisher::CONFIRM_TIMEOUT;
            unset($options['timeout']);
            if (!\is_float($timeout) && !\is_int($timeout)) {
                throw new InvalidConfiguration('the timeout must be a number of seconds');
            }
            $result = self::publisher($options)->publishAndConfirm($channel, $data, $options, (float) $timeout);
            $result->ok || self::tell($what, (string) $result->reason());

            return $result->ok ? $result->ids()[0] ?? '' : null;
        });
    }

    /**
     * @param array<array-key, mixed> $channels
     * @param array<string, mixed>    $options
     */
    public static function token(array $channels, array $options): ?string
    {
        return self::attempt('sidecast_token', static function () use ($channels, $options): string {
            $secret = $options['secret'] ?? self::configured('SIDECAST_TOKEN_SECRET') ?? '';
            $cookie = $options['cookie'] ?? null;
            unset($options['secret'], $options['cookie']);
            $token = self::build(
                Token::listen($channels),
                $options + ['ttl' => self::TOKEN_TTL],
                ['patterns', 'client', 'publish', 'ttl', 'issuer', 'audience'],
            );
            $signer = new HmacSigner($secret);
            $jwt = $cookie === null ? $token->sign($signer) : $token->signForCookie($signer);
            if ($cookie !== null && !\setcookie(Token::COOKIE, $jwt, $token->cookie($cookie))) {
                throw new InvalidGrant('output has begun, so the cookie cannot be set');
            }

            return $jwt;
        });
    }

    /**
     * @param array<array-key, mixed> $channels
     * @param array<string, mixed>    $options
     */
    public static function handoff(array $channels, array $options): bool
    {
        $handedOver = self::attempt('sidecast_handoff: refused', static function () use ($channels, $options): bool {
            self::build(Handoff::to($channels), $options, ['patterns', 'client', 'expires', 'location'])->send();

            return true;
        });
        if ($handedOver !== true) {
            self::attempt('sidecast_handoff', static fn () => Handoff::refuse()->send());
        }

        return $handedOver === true;
    }

    /**
     * Calls the method of each option.
     *
     * @template T of object
     *
     * @param T                    $grant
     * @param array<string, mixed> $options
     * @param list<string>         $known
     *
     * @return T
     *
     * @throws InvalidGrant
     */
    private static function build(object $grant, array $options, array $known): object
    {
        foreach ($options as $name => $value) {
            if (!\in_array($name, $known, true)) {
                throw new InvalidGrant("unknown option \"$name\", known are " . \implode(', ', $known));
            }
            if ($value !== null) {
                // @phpstan-ignore-next-line a wrong type is a TypeError, which attempt() takes
                $grant = $grant->$name($value);
            }
        }

        return $grant;
    }

    /**
     * @param array<string, mixed> $options loses its endpoint
     *
     * @throws InvalidConfiguration
     */
    private static function publisher(array &$options): Publisher
    {
        $endpoint = $options['endpoint'] ?? self::configured('SIDECAST_PUBLISH') ?? Endpoint::DEFAULT;
        unset($options['endpoint']);
        if (!\is_string($endpoint)) {
            throw new InvalidConfiguration('the endpoint must be a string');
        }

        return self::$publishers[$endpoint] ??= Publisher::connect($endpoint, throws: false);
    }

    private static function configured(string $name): mixed
    {
        return \defined($name) ? \constant($name) : (\getenv($name) ?: null);
    }

    private static function attempt(string $what, \Closure $do): mixed
    {
        try {
            return $do();
        } catch (SidecastException | \TypeError $error) {
            self::tell($what, $error->getMessage());

            return null;
        }
    }

    private static function tell(string $what, string $reason): bool
    {
        \error_log("$what: $reason");

        return false;
    }

    private function __construct()
    {
    }
}
