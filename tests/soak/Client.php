<?php

declare(strict_types=1);

namespace Sidecast\Soak;

/** One client of its own kind: which channels, from where on, and how it listens. It comes, breaks off and comes back as it is told. */
abstract class Client
{
    public readonly Trace $trace;
    public float $comesAt = 0;
    /** When it does something else than to listen. */
    public float $whimAt = INF;
    protected ?\CurlHandle $transfer = null;
    /** What it hands back when it comes again; null until it has one. */
    protected ?string $cursor = null;
    /** The connection has told something already. */
    protected bool $hasBegun = false;
    private int $killsAtStart = 0;

    /**
     * @param list<string> $channels names and patterns
     * @param string       $start    what the query says of where it begins; empty: from now
     */
    public function __construct(
        public readonly string $name,
        public readonly array $channels,
        private readonly string $start,
        protected readonly World $world
    ) {
        $this->trace = new Trace($name, $channels, $world->ledger, $world->findings);
    }

    public function isConnected(): bool
    {
        return $this->transfer !== null;
    }

    public function __toString(): string
    {
        return "$this->name, " . ($this->isConnected() ? 'connected' : 'away') . ', of ' . implode(' ', $this->channels) . ", at $this->cursor,";
    }

    public function come(): void
    {
        $this->comesAt = INF;
        $this->hasBegun = false;
        $this->killsAtStart = $this->world->figures->of('kills');
        $this->world->figures->count('connections');
        $query = implode('', array_map(static fn (string $name) => "&channel=$name", $this->channels));
        $cursor = $this->cursor === null ? $this->start : $this->query($this->cursor);
        $path = str_contains($query, '*') ? '/patterns' : '/events';
        $this->transfer = $this->world->transfers->begin("$path?client=$this->name$query$cursor{$this->form()}", $this->options(), $this->ended(...));
    }

    /** Is gone without a word. */
    public function breakOff(float $comesAt): void
    {
        if ($this->transfer !== null) {
            $this->world->transfers->cancel($this->transfer);
            $this->transfer = null;
        }
        $this->comesAt = $comesAt;
    }

    /** Was sidecast killed since it came? */
    protected function metKill(): bool
    {
        return $this->world->figures->of('kills') !== $this->killsAtStart;
    }

    protected function message(string $id, string $data): void
    {
        $this->expectGap(false);
        $this->trace->message($id, $data);
        $this->cursor = $id;
        $this->world->figures->count('deliveries');
    }

    /** @param list<string> $channels */
    protected function gap(?string $after, array $channels, bool $all): void
    {
        if ($after === null) {
            $this->world->findings->add(Findings::GAPS, "$this->name has a cursor that could not be read: $this->cursor");
            return;
        }
        $isOfCrash = EventId::number($after) < $this->world->ledger->boundary();
        $this->world->figures->count($isOfCrash ? 'gaps after a crash' : 'gaps where history had moved on');
        $this->trace->gap(EventId::number($after), $channels, $all);
        $this->expectGap(true);
    }

    /** A cursor from before a crash is always told of a gap, and first. */
    protected function expectGap(bool $isGap): void
    {
        if (!$this->hasBegun && $this->cursor !== null && !$isGap && EventId::number($this->cursor) < $this->world->ledger->boundary() && !$this->metKill()) {
            $this->world->findings->add(Findings::GAPS, "$this->name came back with $this->cursor, from before a crash, and was told nothing");
        }
        $this->hasBegun = true;
    }

    /** Where it begins, in the query; empty: from now on. */
    protected function start(): string
    {
        return $this->start;
    }

    /** @return array<int, mixed> what is special to its requests */
    abstract protected function options(): array;

    /** @return string what the query says besides */
    protected function form(): string
    {
        return '';
    }

    /** @return string the part of the query that hands a cursor back */
    abstract protected function query(string $cursor): string;

    abstract protected function ended(\CurlHandle $transfer, int $error): void;
}
