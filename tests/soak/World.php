<?php

declare(strict_types=1);

namespace Sidecast\Soak;

use Sidecast\EndToEnd\Loop;
use Sidecast\EndToEnd\Stack;

/** What all have in common; moves everybody on while somebody waits. */
final class World
{
    public readonly Figures $figures;
    public readonly Ledger $ledger;
    public readonly Transfers $transfers;
    /** Seconds after which nobody may blame sidecast if it takes its clients for slow: half of slow.close_after. */
    private const TOO_LONG = 5;
    /** When that was, the last time. */
    public float $wasAwayAt = 0;
    /** For how long clients read nothing since nobody moved them, at worst: what a busy machine makes of this program. */
    public float $longestAway = 0;
    private float $turned;
    /** @var list<callable(): void> called again and again */
    public array $everybody = [];

    public function __construct(public readonly Stack $stack, public readonly Findings $findings)
    {
        $this->figures = new Figures();
        $this->turned = Loop::now();
        $this->ledger = new Ledger($findings);
        $this->transfers = new Transfers((string) $stack->nginx()->socket());
    }

    /** @param callable(): bool $happened */
    public function until(callable $happened, string $event, float $seconds = 60): void
    {
        Loop::until(function () use ($happened): bool {
            $away = Loop::now() - $this->turned;
            $this->turned = Loop::now();
            $this->longestAway = max($this->longestAway, $away);
            $this->wasAwayAt = $away > self::TOO_LONG ? microtime(true) : $this->wasAwayAt;
            $this->transfers->pump();
            foreach ($this->everybody as $moves) {
                $moves();
            }
            return $happened();
        }, $event, $seconds);
    }

    public function pass(float $seconds): void
    {
        $end = Loop::now() + $seconds;
        $this->until(static fn () => Loop::now() >= $end, 'time to pass', $seconds + 60);
    }
}
