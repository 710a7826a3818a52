<?php

declare(strict_types=1);

namespace Sidecast\Soak;

/** What was found to be wrong, by check. */
final class Findings
{
    public const ONCE = 'every message exactly once and in order, or a gap that was told and had a cause';
    public const GAPS = 'a gap was told where one had to be, and nowhere else';
    public const OPEN = 'no client closed for good, no answer but the documented ones';
    public const KEYS = 'what was acknowledged has one id, whatever was repeated';
    public const SURVIVES = 'of what a snapshot held nothing was lost in a crash';
    public const ENDS = 'every process ended cleanly, but for those that were killed';
    public const DESCRIPTORS = 'descriptors of sidecast and nginx are back at the start value';
    public const MEMORY = 'memory of sidecast and nginx is back at the start value';
    public const HAPPENED = 'all that was to happen did';
    private const CHECKS = [
        self::ONCE, self::GAPS, self::OPEN, self::KEYS, self::SURVIVES, self::ENDS, self::DESCRIPTORS, self::MEMORY, self::HAPPENED,
    ];
    /** As many of each check are told, and as many in all end the run. */
    private const TOLD = 5;
    private const ENOUGH = 100;
    private const LENGTH = 1500;
    /** @var array<string, list<string>> */
    private array $found = [];
    private int $count = 0;

    public function add(string $check, string $what): void
    {
        $this->found[$check] ??= [];
        if (count($this->found[$check]) < self::TOLD) {
            $this->found[$check][] = substr($what, -self::LENGTH); // of a log the end says most
            fwrite(STDERR, 'soak: ' . end($this->found[$check]) . "\n");
        }
        if (++$this->count === self::ENOUGH) {
            throw new \RuntimeException('enough was found');
        }
    }

    public function isEmpty(): bool
    {
        return $this->count === 0;
    }

    /** Says of each check how it went; the last line is the sum. False if one failed. */
    public function report(): bool
    {
        foreach (self::CHECKS as $check) {
            $found = $this->found[$check] ?? [];
            echo $found === [] ? 'ok      ' : 'FAILED  ', $check, "\n", implode('', array_map(static fn (string $what) => "    $what\n", $found));
        }
        $failed = count($this->found);
        echo count(self::CHECKS) - $failed, " passed, $failed failed\n";
        return $failed === 0;
    }
}
