<?php

declare(strict_types=1);

namespace Sidecast\Soak;

/**
 * All messages that anybody knows of, whether acknowledged or seen by one client: whatever one has seen, all others must have got who listened then.
 * A message says itself what it is: `<channel> <publisher>/<number>[ <mark>]`, and whatever pads it on further lines.
 */
final class Ledger
{
    /** How many messages of a channel history holds at least, and for how many seconds: for some by the beginning of the name, and for all others. */
    private const SHORT = ['short' => [40, 4], 'bulk' => [40, 4]];
    private const LONG = [1000, 10];
    /** What may lie between a message's publication and the moment in which somebody here knows of it. */
    private const SLACK_SECONDS = 2;
    private const SLACK_MESSAGES = 5;
    /** @var list<Crash> */
    public array $crashes = [];
    /** @var array<string, list<int>> ids in order, by channel */
    private array $channels = [];
    /** @var array<int, int> a hash of the data, by id */
    private array $contents = [];
    /** @var array<int, float> when it was first seen, by id */
    private array $knownAt = [];
    /** @var array<int, string> `volatile`, or `except=<client>`, by id */
    private array $marks = [];
    /** @var array<string, int> id by `<publisher>/<number>` */
    private array $ids = [];
    /** @var list<array{int, int, string}> two ids of the same message */
    private array $doubles = [];

    public function __construct(private readonly Findings $findings)
    {
    }

    /** Somebody has seen this message. Returns its channel. */
    public function learn(int $id, string $data): string
    {
        $head = strtok($data, "\n");
        $channel = strstr($head, ' ', true);
        $content = crc32($data);
        if (isset($this->contents[$id])) {
            if ($this->contents[$id] !== $content) {
                $this->findings->add(Findings::ONCE, "two messages have one id, $id: $head");
            }
            return $channel;
        }
        $this->contents[$id] = $content;
        $this->knownAt[$id] = microtime(true);
        $this->insert($channel, $id);
        [, $name, $mark] = explode(' ', "$head ");
        if ($mark !== '') {
            $this->marks[$id] = $mark;
        }
        if (isset($this->ids[$name])) {
            $this->doubles[] = [$this->ids[$name], $id, $name];
        }
        $this->ids[$name] = $id;
        if (!in_array(strtok("$mark=", '='), [false, 'volatile', 'except'], true)) {
            $this->findings->add(Findings::ONCE, "half a message was published: $head");
        }
        return $channel;
    }

    public function count(): int
    {
        return count($this->contents);
    }

    /** @return list<string> the channels that a name or pattern stands for */
    public function matching(string $name): array
    {
        return array_values(array_filter(array_keys($this->channels), static fn (string $channel) => self::matches($name, $channel)));
    }

    public static function matches(string $name, string $channel): bool
    {
        return $name === $channel || (str_ends_with($name, '/*') && str_starts_with($channel, substr($name, 0, -1)));
    }

    /** @return iterable<int> the messages of a channel that a client must have got, in order */
    public function between(string $channel, int $after, int $until): iterable
    {
        $ids = $this->channels[$channel] ?? [];
        for ($i = $this->place($ids, $after); $i < count($ids) && $ids[$i] <= $until; $i++) {
            if ($ids[$i] !== $after) {
                yield $ids[$i];
            }
        }
    }

    public function mark(int $id): string
    {
        return $this->marks[$id] ?? '';
    }

    /** A message that went with a crash: which one. */
    public function crashOf(int $id): ?int
    {
        foreach ($this->crashes as $index => $crash) {
            if ($crash->lost($id)) {
                return $index;
            }
        }
        return null;
    }

    /** Those that somebody had seen, and that went with a crash; of channels of which history keeps little, also what it had let go of. */
    public function lost(): int
    {
        return count(array_filter(array_keys($this->contents), fn (int $id) => $this->crashOf($id) !== null));
    }

    /** Ids before it are from before a crash. */
    public function boundary(): int
    {
        return $this->crashes === [] ? 0 : end($this->crashes)->boundary;
    }

    /** The newest message that everybody's snapshot of that moment has. */
    public function newestKnownBefore(float $time): int
    {
        $newest = 0;
        foreach ($this->channels as $ids) {
            for ($i = count($ids) - 1; $i >= 0; $i--) {
                if ($this->knownAt[$ids[$i]] < $time) {
                    $newest = max($newest, $ids[$i]);
                    break;
                }
            }
        }
        return $newest;
    }

    /** @return list<int> those that went with the last crash, between the ids, that were known before $time and must have been kept */
    public function missing(int $from, float $time, int $boundary): array
    {
        $missing = [];
        $last = count($this->crashes) - 1; // what went with one before is not missed again
        foreach (array_keys($this->channels) as $channel) {
            foreach (isset(self::SHORT[strtok($channel, '/')]) ? [] : $this->between($channel, $from, $boundary) as $id) {
                if ($this->knownAt[$id] < $time && $this->crashOf($id) === $last && $this->mark($id) !== 'volatile') {
                    $missing[] = $id;
                }
            }
        }
        return $missing;
    }

    /** Whether history can have let go of a message of this channel after the cursor $after, which was new at $since, before $time. */
    public function mayHaveEvicted(string $channel, int $after, float $since, float $time): bool
    {
        [$messages, $keep] = self::SHORT[strtok($channel, '/')] ?? self::LONG;
        $since = min($since, $this->knownAt[$after] ?? INF);
        $newer = 0;
        foreach ($this->between($channel, $after, PHP_INT_MAX) as $id) {
            $newer += (int) ($this->knownAt[$id] < $time + self::SLACK_SECONDS);
        }
        return $newer > $messages - self::SLACK_MESSAGES && $time - $since > $keep - self::SLACK_SECONDS;
    }

    /** At the end: a message has two ids only if the first was lost in a crash, and a publisher's messages stand in its order. */
    public function checkPublishers(): void
    {
        foreach ($this->doubles as [$first, $second, $name]) {
            if ($this->crashOf(min($first, $second)) === null) {
                $this->findings->add(Findings::KEYS, "$name was published twice, as $first and $second");
            }
        }
        $ids = $this->ids;
        asort($ids);
        $last = [];
        foreach (array_keys($ids) as $name) {
            [$publisher, $number] = explode('/', $name);
            if ((int) $number <= ($last[$publisher] ?? -1)) {
                $this->findings->add(Findings::ONCE, "$name came after number {$last[$publisher]}");
            }
            $last[$publisher] = (int) $number;
        }
    }

    private function insert(string $channel, int $id): void
    {
        $ids = &$this->channels[$channel];
        $ids ??= [];
        if ($ids === [] || end($ids) < $id) {
            $ids[] = $id;
        } else {
            array_splice($ids, $this->place($ids, $id), 0, [$id]);
        }
    }

    /**
     * @param list<int> $ids
     * @return int the index of the first one that is not below $id
     */
    private function place(array $ids, int $id): int
    {
        [$low, $high] = [0, count($ids)];
        while ($low < $high) {
            $middle = ($low + $high) >> 1;
            $ids[$middle] < $id ? $low = $middle + 1 : $high = $middle;
        }
        return $low;
    }
}
