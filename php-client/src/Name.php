<?php

declare(strict_types=1);

namespace Sidecast;

/**
 * The rules that names keep. Each function says what is wrong, null if nothing is.
 *
 * @internal
 */
final class Name
{
    private const BYTES = 255;

    /** What keeps it from being a channel: a name in full, so never one with an asterisk. */
    public static function whyNoChannel(string $name): ?string
    {
        return self::whyNot($name, 'channel', '/\A[^\p{Cc} ,*]+\z/u', 'spaces, commas and asterisks');
    }

    /** What keeps it from being a channel pattern, in which asterisks are allowed. A channel is one too. */
    public static function whyNoPattern(string $name): ?string
    {
        return self::whyNot($name, 'pattern', '/\A[^\p{Cc} ,]+\z/u', 'spaces and commas');
    }

    /** What keeps it from being an event, a client, a key. */
    public static function whyNoText(string $what, ?string $value): ?string
    {
        return match (true) {
            $value === null => null,
            \strlen($value) > self::BYTES => "$what must have at most 255 bytes",
            \preg_match('/\A\P{Cc}*\z/u', $value) !== 1 => "$what must be valid UTF-8 without control characters",
            default => null,
        };
    }

    private static function whyNot(string $name, string $what, string $allowed, string $besides): ?string
    {
        return match (true) {
            $name === '' || \strlen($name) > self::BYTES => "$what must have 1 to 255 bytes",
            \preg_match($allowed, $name) !== 1 => "$what must be valid UTF-8 without control characters, $besides",
            default => null,
        };
    }

    private function __construct()
    {
    }
}
