<?php

declare(strict_types=1);

namespace Sidecast;

use Sidecast\Exception\InvalidGrant;

/**
 * Checks what a token or a hand-off grants, so that a name that came from a user cannot widen it.
 *
 * @internal
 */
final class Grant
{
    /**
     * Channels to grant, each once.
     *
     * @param array<array-key, mixed> $channels
     * @param list<string>            $before   granted already
     *
     * @return list<string>
     *
     * @throws InvalidGrant if one is no channel: a pattern is none, however it got here
     */
    public static function channels(array $channels, array $before = []): array
    {
        return self::names($channels, $before, Name::whyNoChannel(...));
    }

    /**
     * Patterns to grant, each once.
     *
     * @param array<array-key, mixed> $patterns
     * @param list<string>            $before   granted already
     *
     * @return list<string>
     *
     * @throws InvalidGrant if one is no pattern
     */
    public static function patterns(array $patterns, array $before = []): array
    {
        return self::names($patterns, $before, Name::whyNoPattern(...));
    }

    /** @throws InvalidGrant if no client can have this id */
    public static function client(string $client): string
    {
        if ($client === '') {
            throw new InvalidGrant('client must have 1 to 255 bytes');
        }
        self::check(Name::whyNoText('client', $client));

        return $client;
    }

    /** @throws InvalidGrant */
    private static function check(?string $fault): void
    {
        if ($fault !== null) {
            throw new InvalidGrant($fault);
        }
    }

    /**
     * @param array<array-key, mixed>    $names
     * @param list<string>               $before
     * @param \Closure(string): ?string  $whyNot
     *
     * @return list<string>
     *
     * @throws InvalidGrant
     */
    private static function names(array $names, array $before, \Closure $whyNot): array
    {
        foreach ($names as $name) {
            if (!\is_string($name)) {
                throw new InvalidGrant('the names must be strings');
            }
            self::check($whyNot($name));
        }

        return \array_values(\array_unique([...$before, ...$names]));
    }

    private function __construct()
    {
    }
}
