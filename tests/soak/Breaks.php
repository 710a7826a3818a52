<?php

declare(strict_types=1);

namespace Sidecast\Soak;

/**
 * What sidecast and nginx's worker have at the breaks, when nobody is connected: the same processes, before their first client, after a load, and after
 * another one.
 *
 * Descriptors must be as many as at the start. Memory: history may grow, by what the metrics say, and the allocator keeps what the first load made it take;
 * the second load, which is longer and like it, must not make it take more. So the bounds are against the break before.
 */
final class Breaks
{
    /** The connections that idle must have ended, which nginx keeps for 5 s. */
    private const PATIENCE_SECONDS = 60;
    private const AFTER_FIRST_KIB = 32 * 1024;
    private const AFTER_NEXT_KIB = 8 * 1024;
    private const NGINX_FIRST_KIB = 16 * 1024;
    private const NGINX_NEXT_KIB = 2 * 1024;
    /** @var list<array{sidecast: Resources, nginx: Resources, history: int}> */
    private array $breaks = [];
    private int $worker = 0;

    public function __construct(private readonly World $world, private readonly Sidecast $sidecast)
    {
    }

    public function first(): void
    {
        $nginx = $this->world->stack->nginx();
        $this->world->until(static fn () => count($nginx->workers()) === 1, 'old workers of nginx to be gone');
        $this->worker = $nginx->workers()[0];
        $this->sidecast->wakeWorkers();
        $this->world->pass(1);
        $this->measure();
    }

    public function next(): void
    {
        $this->settle();
        $this->measure();
        $this->compare('sidecast', self::AFTER_FIRST_KIB);
        $this->compare('nginx', self::NGINX_FIRST_KIB);
    }

    public function last(): void
    {
        $this->settle();
        $this->measure();
        $this->compare('sidecast', self::AFTER_NEXT_KIB);
        $this->compare('nginx', self::NGINX_NEXT_KIB);
    }

    public function __toString(): string
    {
        $text = '';
        foreach ($this->breaks as $index => $break) {
            $when = ['before the first client', 'after the first load', 'after the second'][$index];
            $text .= "$when: sidecast $break[sidecast] (history: " . intdiv($break['history'], 1024) . " KiB), nginx's worker $break[nginx]\n";
        }
        return $text;
    }

    /** Waits until idle connections have ended; whatever remains then is for compare() to tell. */
    private function settle(): void
    {
        $end = microtime(true) + self::PATIENCE_SECONDS;
        $this->world->until(fn () => microtime(true) > $end || $this->isBack(), 'descriptors to be back', self::PATIENCE_SECONDS + 60);
    }

    private function isBack(): bool
    {
        return Resources::of($this->sidecast->pid())->descriptors === $this->breaks[0]['sidecast']->descriptors
            && Resources::of($this->worker)->descriptors === $this->breaks[0]['nginx']->descriptors;
    }

    private function measure(): void
    {
        $this->breaks[] = [
            'history' => $this->sidecast->metrics()['history_bytes'] ?? 0,
            'sidecast' => Resources::of($this->sidecast->pid()),
            'nginx' => Resources::of($this->worker),
        ];
    }

    private function compare(string $process, int $more): void
    {
        [$before, $now] = array_slice($this->breaks, -2);
        $start = $this->breaks[0][$process]->descriptors;
        if ($now[$process]->descriptors !== $start) {
            $this->world->findings->add(Findings::DESCRIPTORS, "$process has {$now[$process]->descriptors} descriptors, at the start $start"
                . $now[$process]->differences($this->breaks[0][$process]));
        }
        $history = $process === 'sidecast' ? intdiv(max(0, $now['history'] - $before['history']), 1024) : 0;
        $grown = $now[$process]->kib - $before[$process]->kib;
        if ($grown > $more + $history) {
            $this->world->findings->add(Findings::MEMORY, "$process has grown by $grown KiB, expected at most $more, and $history for history");
        }
    }
}
