<?php

declare(strict_types=1);

namespace Sidecast\Soak;

/** What one client got, over all its connections, and whether that is what it had to get. */
final class Trace
{
    /** Up to where it has everything, or was told what it has not. */
    public int $cursor = 0;
    /** All after it must be there. Null: the client began with a piece of history, what is before the first message of a channel is not its business. */
    public ?int $from = null;
    public float $cursorTime;
    /** @var list<int> ids in order */
    private array $ids = [];
    /** @var array<string, int> the first one of each channel */
    private array $first = [];
    /** @var list<array{index: int, after: int, since: float, channels: list<string>, all: bool, crashes: int, time: float}> */
    private array $gaps = [];
    /** Crashes before it got anything do not concern it. */
    private ?int $bornAfter = null;

    /** @param list<string> $channels names and patterns */
    public function __construct(
        private readonly string $client,
        private readonly array $channels,
        private readonly Ledger $ledger,
        private readonly Findings $findings
    ) {
        $this->cursorTime = microtime(true);
    }

    public function message(string $id, string $data): void
    {
        $number = EventId::number($id);
        $channel = $this->ledger->learn($number, $data);
        if ($number <= $this->cursor) {
            $this->findings->add(Findings::ONCE, "$this->client got $id after $this->cursor: " . strtok($data, "\n"));
        }
        if (array_filter($this->channels, static fn (string $name) => Ledger::matches($name, $channel)) === []) {
            $this->findings->add(Findings::ONCE, "$this->client got a message of $channel");
        }
        if ($this->ledger->mark($number) === "except=$this->client") {
            $this->findings->add(Findings::ONCE, "$this->client got what it sent itself: $id");
        }
        $this->first[$channel] ??= $number;
        $this->ids[] = $number;
        $this->moveTo($number);
    }

    public function moveTo(int $cursor): void
    {
        $this->bornAfter ??= count($this->ledger->crashes);
        $this->cursor = $cursor;
        $this->cursorTime = microtime(true);
    }

    /**
     * @param list<string> $channels where something may be lost
     * @param bool         $all      in each of them, not just in one
     */
    public function gap(int $after, array $channels, bool $all): void
    {
        $this->gaps[] = [
            'index' => count($this->ids), 'after' => $after, 'since' => $this->cursorTime, 'channels' => $channels, 'all' => $all,
            'crashes' => count($this->ledger->crashes), 'time' => microtime(true),
        ];
    }

    /** Looks at all so far, and begins anew at the cursor. */
    public function check(): void
    {
        $has = array_flip($this->ids);
        foreach ($this->channels as $name) {
            foreach ($this->ledger->matching($name) as $channel) {
                $this->checkChannel($channel, $has);
            }
        }
        foreach ($this->gaps as $gap) {
            $this->checkCause($gap);
        }
        $this->from = $this->cursor;
        $this->ids = $this->gaps = $this->first = [];
    }

    /** @param array<int, int> $has index by id */
    private function checkChannel(string $channel, array $has): void
    {
        $from = $this->from ?? ($this->first[$channel] ?? PHP_INT_MAX);
        $excuses = null;
        foreach ($this->ledger->between($channel, $from, $this->cursor) as $id) {
            if (isset($has[$id]) || in_array($this->ledger->mark($id), ['volatile', "except=$this->client"], true)) {
                continue;
            }
            $excuses ??= $this->excuses($channel, $from, $has);
            if (!$this->isExcused($id, $excuses)) {
                $this->findings->add(Findings::ONCE, "$this->client lacks $id of $channel, which was there");
                return;
            }
        }
    }

    /**
     * What gaps say of a channel.
     *
     * @param array<int, int> $has
     * @return list<array{int, int, int}> after what, before which of its messages, and how many crashes there had been
     */
    private function excuses(string $channel, int $from, array $has): array
    {
        $excuses = [];
        foreach ($this->gaps as $gap) {
            if (!self::concerns($gap['channels'], $channel)) {
                continue;
            }
            $next = PHP_INT_MAX;
            foreach ($this->ledger->between($channel, max($from, $gap['after']), $this->cursor) as $id) {
                if (isset($has[$id]) && $has[$id] >= $gap['index']) {
                    $next = $id;
                    break;
                }
            }
            $excuses[] = [$gap['after'], $next, $gap['crashes']];
        }
        return $excuses;
    }

    /**
     * A gap tells of what is missing up to the next message of the channel; that of a crash of all that went with it.
     *
     * @param list<array{int, int, int}> $excuses
     */
    private function isExcused(int $id, array $excuses): bool
    {
        $crash = $this->ledger->crashOf($id);
        if ($crash !== null && $crash < $this->bornAfter) {
            return true;
        }
        foreach ($excuses as [$after, $next, $crashes]) {
            if ($after < $id && ($id < $next || ($crash !== null && $crash < $crashes))) {
                return true;
            }
        }
        return false;
    }

    /** @param list<string> $names */
    private static function concerns(array $names, string $channel): bool
    {
        foreach ($names as $name) {
            if (Ledger::matches($name, $channel)) {
                return true;
            }
        }
        return false;
    }

    /** @param array{after: int, since: float, channels: list<string>, all: bool, crashes: int, time: float} $gap */
    private function checkCause(array $gap): void
    {
        if ($gap['crashes'] > 0 && $gap['after'] < $this->ledger->crashes[$gap['crashes'] - 1]->boundary) {
            return;
        }
        $without = array_filter($gap['channels'], fn (string $name) => !$this->mayLack($name, $gap));
        if (count($without) > ($gap['all'] ? 0 : count($gap['channels']) - 1)) {
            $names = implode(', ', $without);
            $this->findings->add(Findings::GAPS, "$this->client was told of a gap in $names after {$gap['after']} without a cause");
        }
    }

    /** @param array{after: int, since: float, time: float} $gap */
    private function mayLack(string $name, array $gap): bool
    {
        foreach ($this->ledger->matching($name) as $channel) {
            if ($this->ledger->mayHaveEvicted($channel, $gap['after'], $gap['since'], $gap['time'])) {
                return true;
            }
        }
        return false;
    }
}
