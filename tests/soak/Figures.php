<?php

declare(strict_types=1);

namespace Sidecast\Soak;

/** What there was of what. */
final class Figures
{
    /** @var array<string, int> */
    private array $counts = [];

    public function count(string $what, int $more = 1): void
    {
        $this->counts[$what] = ($this->counts[$what] ?? 0) + $more;
    }

    public function of(string $what): int
    {
        return $this->counts[$what] ?? 0;
    }

    public function __toString(): string
    {
        ksort($this->counts);
        return implode(', ', array_map(static fn (string $what, int $count) => "$count $what", array_keys($this->counts), $this->counts));
    }
}
