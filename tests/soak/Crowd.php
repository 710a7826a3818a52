<?php

declare(strict_types=1);

namespace Sidecast\Soak;

/** All clients: they come, have whims, leave for good, and others come in their place. */
final class Crowd
{
    private const AT_ONCE = 100;
    /** After it everybody else has seen what one who left had to get, too. */
    private const CHECK_AFTER = 30;
    /** @var array<int, Client> */
    private array $clients = [];
    /** @var list<array{float, Client}> those that left, and when */
    private array $left = [];
    private bool $isCalm = true;
    private int $number = 0;

    /** @param float $longAway seconds for which one stays away who stays away for long */
    public function __construct(private readonly World $world, int $count, private readonly float $longAway)
    {
        for ($i = 0; $i < $count; $i++) {
            $this->clients[$i] = $this->newcomer();
        }
    }

    public function begin(): void
    {
        $this->isCalm = false;
        foreach ($this->clients as $client) {
            $client->comesAt = microtime(true) + mt_rand(0, 5000) / 1000;
            $client->whimAt = $client->comesAt + self::untilWhim();
        }
    }

    public function goOn(): void
    {
        $now = microtime(true);
        $coming = 0;
        foreach ($this->clients as $place => $client) {
            if ($client->comesAt <= $now && $coming++ < self::AT_ONCE) {
                $client->come();
            }
            if ($client instanceof StreamClient) {
                $client->goOn();
            }
            if ($client->whimAt <= $now && !$this->isCalm) {
                $this->whim($place, $client, $now);
            }
        }
        while ($this->left !== [] && $this->left[0][0] < $now - self::CHECK_AFTER) {
            array_shift($this->left)[1]->trace->check();
        }
    }

    /** Everybody is there and reads. */
    public function gather(): void
    {
        $this->isCalm = true;
        foreach ($this->clients as $client) {
            if (!$client->isConnected()) {
                $client->comesAt = min($client->comesAt, microtime(true) + mt_rand(0, 2000) / 1000);
            }
            if ($client instanceof StreamClient) {
                $client->pausedUntil = 0;
            }
        }
    }

    /**
     * @param array<string, int> $last the newest message of each channel
     * @return list<Client> those that lack something
     */
    public function laggards(array $last): array
    {
        $lacks = static fn (Client $client) => $client->trace->cursor < max(array_map(static fn (string $name) => $last[$name], $client->channels));
        return array_values(array_filter($this->clients, $lacks));
    }

    /** All go; each keeps its cursor. */
    public function leave(): void
    {
        foreach ($this->clients as $client) {
            $client->breakOff(INF);
        }
    }

    public function check(): void
    {
        foreach ([...$this->clients, ...array_column($this->left, 1)] as $client) {
            $client->trace->check();
        }
        $this->left = [];
    }

    private function whim(int $place, Client $client, float $now): void
    {
        $client->whimAt = $now + self::untilWhim();
        $dice = mt_rand(1, 100);
        if ($client instanceof StreamClient && $dice <= 30) {
            $client->pause($now + mt_rand(1000, 15000) / 1000);
        } elseif ($dice <= 75) {
            $this->world->figures->count('broken off');
            $client->breakOff($now + mt_rand(0, 4000) / 1000);
        } elseif ($dice <= 85) {
            $this->world->figures->count('long away');
            $client->breakOff($now + $this->longAway * mt_rand(500, 1000) / 1000);
            $client->whimAt = $client->comesAt + self::untilWhim();
        } else {
            $this->world->figures->count('left for good');
            $client->breakOff(INF);
            $this->left[] = [$now, $client];
            $this->clients[$place] = $this->newcomer();
            $this->clients[$place]->comesAt = $now + mt_rand(0, 2000) / 1000;
            $this->clients[$place]->whimAt = $now + self::untilWhim();
        }
    }

    private static function untilWhim(): float
    {
        return mt_rand(5000, 45000) / 1000;
    }

    private function newcomer(): Client
    {
        $name = 'client-' . ++$this->number;
        $start = ['', '', '', '&cursor=0', '&last=' . mt_rand(1, 50)][mt_rand(0, 4)];
        $channels = Channels::choose();
        if (mt_rand(1, 10) === 1) {
            return new PollClient($name, $channels, $start, $this->world);
        }
        return new StreamClient($name, $channels, $start, $this->world, mt_rand(0, 1) === 1);
    }
}
