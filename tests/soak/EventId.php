<?php

declare(strict_types=1);

namespace Sidecast\Soak;

/** Ids as one number each, which keeps their order: the milliseconds, then 20 bits of the sequence. */
final class EventId
{
    private const BITS = 20;

    public static function number(string $id): int
    {
        [$ms, $sequence] = explode('-', $id);
        return self::first((int) $ms) | min((int) $sequence, (1 << self::BITS) - 1);
    }

    public static function text(int $number): string
    {
        return ($number >> self::BITS) . '-' . ($number & ((1 << self::BITS) - 1));
    }

    public static function first(int $ms): int
    {
        return $ms << self::BITS;
    }
}
