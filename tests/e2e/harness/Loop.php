<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

use PHPUnit\Framework\AssertionFailedError;

/**
 * The one place where the suite waits. Whatever a test waits for, every open client and every process's output moves on meanwhile,
 * so that nobody is stuck behind a full pipe. A wait has no length of its own: it ends with its event, PATIENCE only bounds a failure.
 */
final class Loop
{
    /** Seconds until a missing event fails the test. */
    public const PATIENCE = 20.0;

    /** Seconds after which a condition that no stream announces (a process gone, a file there) is looked at again. */
    private const GLANCE = 0.01;

    /** @var array<int, Watched> */
    private static array $watched = [];

    public static function add(Watched $watched): void
    {
        self::$watched[spl_object_id($watched)] = $watched;
    }

    public static function remove(Watched $watched): void
    {
        unset(self::$watched[spl_object_id($watched)]);
    }

    /**
     * Runs until $happened() is true; fails the test with $event in the message if that takes longer than $seconds.
     *
     * @param callable(): bool $happened
     */
    public static function until(callable $happened, string $event, float $seconds = self::PATIENCE): void
    {
        $end = self::now() + $seconds;
        while (!$happened()) {
            if (self::now() > $end) {
                throw new AssertionFailedError("waited $seconds seconds in vain for: $event");
            }
            self::turn();
        }
    }

    /** Seconds on the monotonic clock. */
    public static function now(): float
    {
        return hrtime(true) / 1e9;
    }

    private static function turn(): void
    {
        $read = $write = [];
        foreach (self::$watched as $key => $watched) {
            if ($watched->wantsRead()) {
                $read[$key] = $watched->stream();
            }
            if ($watched->wantsWrite()) {
                $write[$key] = $watched->stream();
            }
        }
        if ($read === [] && $write === []) {
            usleep((int) (self::GLANCE * 1e6));
            return;
        }
        $none = null;
        if ((int) @stream_select($read, $write, $none, 0, (int) (self::GLANCE * 1e6)) === 0) {
            return;
        }
        // what was served before may have closed what comes after it
        foreach (array_keys($write) as $key) {
            (self::$watched[$key] ?? null)?->writable();
        }
        foreach (array_keys($read) as $key) {
            (self::$watched[$key] ?? null)?->readable();
        }
    }
}
