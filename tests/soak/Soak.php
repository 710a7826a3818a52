<?php

declare(strict_types=1);

namespace Sidecast\Soak;

use Sidecast\EndToEnd\Requester;
use Sidecast\EndToEnd\Stack;

/**
 * The play, in three acts with a break after each, in which publishers stop, every client gets all, is checked, and goes:
 *
 *     trouble: restarts, kills, reloads of both ── break ── load, with reloads of sidecast ── break ── the same ── break
 *                                                  └ the last sidecast starts here: descriptors and memory at each break
 */
final class Soak
{
    /** Shares of the whole time. */
    private const TROUBLE = 0.5;
    private const FIRST_LOAD = 0.2;
    /** For who is told to come back in 5 to 30 s, and has much to read. */
    private const PATIENCE_SECONDS = 120;
    private const OPTIONS = [
        'history.messages' => '1000', // these are known to the Ledger; half an hour's half fills them
        'hub.snapshot_interval' => '5s',
        'hub.drain' => '500ms',
        'publish.key_window' => '1min',
        'sse.retry' => '1s',
        'sse.refused_retry' => '1s',
        'sse.max_age' => '45s',
        'poll.timeout' => '10s',
        'slow.close_after' => '10s',
        'channel "short"' => ['match' => 'short/*', 'history.messages' => '40', 'history.keep' => '4s'],
        'channel "bulk"' => ['match' => 'bulk/*', 'history.messages' => '40', 'history.keep' => '4s'],
    ];
    /** Without one of these the run would prove less than it says. */
    private const HAPPENS = [
        'restarts', 'kills', 'reloads of sidecast', 'reloads of nginx', 'starts of the check build', 'starts of the release build',
        'acknowledged', 'repeated with the same key', 'pushed', 'publishers that crashed', 'deliveries',
        'gaps after a crash', 'gaps where history had moved on', 'pauses', 'broken off', 'long away', 'left for good',
    ];
    private readonly World $world;
    private readonly Sidecast $sidecast;
    private readonly Crowd $crowd;
    private readonly Publishers $publishers;

    public function __construct(private readonly Stack $stack, private readonly Findings $findings, private readonly float $seconds, int $clients)
    {
        $stack->daemon->configure(self::OPTIONS);
        $this->world = new World($stack, $findings);
        $this->sidecast = new Sidecast($this->world);
        $this->crowd = new Crowd($this->world, $clients, min(60, $seconds / 6));
        $this->publishers = new Publishers($this->world);
        $this->world->everybody = [$this->publishers->goOn(...), $this->crowd->goOn(...), $this->sidecast->goOn(...)];
    }

    public function run(): void
    {
        $this->sidecast->start('check', 1);
        $this->keepNginxFromKeeping();
        $this->trouble($this->seconds * self::TROUBLE);
        $this->takeBreak();
        $this->sidecast->stop();
        $this->stack->nginx()->reload();
        $this->sidecast->start('release', 2);
        $breaks = new Breaks($this->world, $this->sidecast);
        $breaks->first();
        $this->load($this->seconds * self::FIRST_LOAD);
        $breaks->next();
        $this->load($this->seconds * (1 - self::TROUBLE - self::FIRST_LOAD));
        $breaks->last();
        $this->sidecast->stop();
        $this->checkWhole();
        $this->world->figures->count('messages', $this->world->ledger->count());
        $this->world->figures->count('of them lost in a crash', $this->world->ledger->lost());
        printf("%s\nlongest time for which clients were not read: %.1f s\n%s", $this->world->figures, $this->world->longestAway, $breaks);
    }

    private function checkWhole(): void
    {
        $this->world->ledger->checkPublishers();
        foreach (self::HAPPENS as $what) {
            if ($this->world->figures->of($what) === 0) {
                $this->findings->add(Findings::HAPPENED, "there were no $what");
            }
        }
        $faults = preg_grep('/\[(alert|crit|emerg)\]|exited on signal|exited with code [^0]/', explode("\n", $this->stack->nginx()->log()));
        if ($faults !== []) {
            $this->findings->add(Findings::ENDS, 'nginx says ' . implode("\n", $faults));
        }
    }

    /** Idle connections to sidecast end soon: what remains at a break is what leaked. */
    private function keepNginxFromKeeping(): void
    {
        $file = "{$this->stack->directory}/snippets/sidecast-http.conf";
        file_put_contents($file, str_replace('keepalive 1024;', 'keepalive 1024; keepalive_timeout 5s;', file_get_contents($file)));
        $this->stack->nginx()->reload();
    }

    private function trouble(float $seconds): void
    {
        $this->begin();
        $start = microtime(true);
        foreach ($this->plan($seconds) as [$when, $what]) {
            $this->world->pass(max(0, $start + $when - microtime(true)));
            $what();
        }
        $this->world->pass(max(0, $start + $seconds - microtime(true)));
        $this->takeBreak();
    }

    /** @return list<array{float, callable(): void}> what happens when */
    private function plan(float $seconds): array
    {
        $plan = [];
        foreach ([
            [40, 2, $this->restart(...)],
            [150, 1, fn () => $this->sidecast->crash($this->build(), mt_rand(1, 2))],
            [30, 2, $this->reloadNginx(...)],
            [20, 2, $this->sidecast->reload(...)],
        ] as [$every, $atLeast, $what]) {
            for ($i = max($atLeast, (int) ($seconds / $every)); $i > 0; $i--) {
                $plan[] = [$seconds * mt_rand(100, 950) / 1000, $what];
            }
        }
        usort($plan, static fn (array $a, array $b) => $a[0] <=> $b[0]);
        return $plan;
    }

    private function restart(): void
    {
        $this->sidecast->stop();
        $this->sidecast->start($this->build(), mt_rand(1, 2));
        $this->world->figures->count('restarts');
    }

    private function build(): string
    {
        return mt_rand(0, 1) === 1 ? 'check' : 'release';
    }

    private function reloadNginx(): void
    {
        $this->stack->nginx()->reload();
        $this->world->figures->count('reloads of nginx');
    }

    private function load(float $seconds): void
    {
        $this->begin();
        for ($end = microtime(true) + $seconds; microtime(true) < $end;) {
            $this->world->pass(min(20, max(0, $end - microtime(true))));
            $this->sidecast->reload();
        }
        $this->takeBreak();
    }

    private function begin(): void
    {
        $this->publishers->begin();
        $this->crowd->begin();
    }

    /** Publishers stop; then each client gets the last message of each of its channels, is checked, and goes. */
    private function takeBreak(): void
    {
        $this->publishers->end();
        $last = [];
        $requester = new Requester($this->stack->daemon->confirmEndpoint());
        foreach (Channels::all() as $channel) {
            $data = "$channel break-" . hrtime(true) . '/0';
            $id = EventId::number($requester->publish($channel, $data));
            $this->world->ledger->learn($id, $data);
            $last[$channel] = $id;
            $pattern = strtok($channel, '/') . '/*';
            $last[$pattern] = max($last[$pattern] ?? 0, $id);
        }
        unset($requester);
        $this->crowd->gather();
        $end = microtime(true) + self::PATIENCE_SECONDS;
        $this->world->until(fn () => $this->crowd->laggards($last) === [] || microtime(true) > $end, 'every client to have all', 2 * self::PATIENCE_SECONDS);
        foreach ($this->crowd->laggards($last) as $client) {
            $this->findings->add(Findings::ONCE, "$client has not got all in " . self::PATIENCE_SECONDS . ' s');
        }
        $this->crowd->leave();
        $this->crowd->check();
    }
}
