<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/**
 * More than it can do: memory stays below the bound that --check-config works out of the configuration, whoever reads misses nothing without being told, and
 * the order holds. With the program as it is delivered: a sanitizer's memory is not the program's. SIDECAST_FIGURES names a file that is told what was measured.
 *
 * @group overload
 */
final class OverloadTest extends EndToEndTestCase
{
    protected const SHARED = null;
    private const MIB = 1048576;
    /** What has no part in a test takes little of its bound. */
    private const SMALL = [
        'hub.max_clients' => '16',
        'subscribe.max_channels' => '10',
        'subscribe.max_patterns' => '0',
        'fastcgi.max_body' => '0',
        'history.bytes' => '16MiB',
        'history.pinned_bytes' => '4MiB',
        'publish.max_connections' => '4',
        'publish.receive_hwm' => '20',
        'publish.max_bytes' => '16KiB',
        'publish.max_frame_bytes' => '16KiB',
        'publish.max_batch' => '100',
        'publish.max_keys' => '1000',
        'poll.max_bytes' => '16KiB',
    ];
    private const LARGE = ['publish.max_bytes' => '1MiB', 'publish.max_frame_bytes' => '1MiB'];
    /** @var list<Process> */
    private array $floods = [];

    protected function tearDown(): void
    {
        foreach ($this->floods as $flood) {
            $flood->signal(SIGKILL);
        }
        parent::tearDown();
    }

    public function test_publishers_faster_than_the_hub_with_slow_clients(): void
    {
        $this->overload(self::LARGE + ['publish.receive_hwm' => '60', 'history.pinned_bytes' => '8MiB']);
        $stuck = $this->stuckReaders(4, static fn (int $i) => "channel=flood/$i");
        $reader = $this->tally('channel=flood/1&channel=flood/2&channel=flood/3&channel=flood/4');
        for ($i = 1; $i <= 4; $i++) {
            $this->flood("flood/$i", 70, self::MIB - 100);
        }
        $this->endOfFlood(4 * 70, ['flood/1' => 71, 'flood/2' => 71, 'flood/3' => 71, 'flood/4' => 71], $reader);
        foreach ($stuck as $i => $slow) {
            $slow->resume();
            $slow->waitFor(['flood/' . $i + 1 => 71]);
        }
        $this->assertBounded('4 publishers at full speed, 1 MiB messages, 4 of 5 clients stuck');
    }

    public function test_bursts_of_50_megabytes_a_second(): void
    {
        $this->overload(self::LARGE);
        $reader = $this->tally('channel=large&channel=small');
        $this->flood('large', 50, self::MIB - 100, 50e6);
        $this->endOfFlood(50, ['large' => 51], $reader);
        $this->flood('small', 50000, 1000, 50e6);
        $this->endOfFlood(50051, ['small' => 50001], $reader);
        $this->flood('mixed/large', 25, self::MIB - 100, 25e6);
        $this->flood('mixed/small', 25000, 1000, 25e6);
        $this->endOfFlood(75077, ['large' => 52], $reader);
        $rates = array_map(self::rate(...), $this->floods); // as fast as a busy machine lets them
        $this->assertBounded(vsprintf('up to 50 MB/s: 1 MiB messages (%.0f MB/s), 1 KB messages (%.0f), both mixed (%.0f and %.0f)', $rates));
    }

    public function test_a_hundred_thousand_channels_published_and_subscribed(): void
    {
        $this->overload(['history.bytes' => '64MiB', 'hub.max_clients' => '100', 'subscribe.max_channels' => '1000']);
        $this->flood('c/%', 100000, 20);
        $this->waitUntilPublished(100000);
        self::assertSame(100000 * self::workers(), $this->metric('channels'), 'all of them have history');

        $readers = [];
        for ($i = 0; $i < 100; $i++) {
            $names = array_map(static fn (int $n) => "channel=s/$n", range($i * 1000 + 1, $i * 1000 + 1000));
            $readers[] = $this->tally(implode('&', $names));
        }
        $this->stack->publish('s/1', '1 first');
        $this->stack->publish('s/50500', '1 middle');
        $this->stack->publish('s/100000', '1 last');
        $readers[0]->waitFor(['s/1' => 1]);
        $readers[50]->waitFor(['s/50500' => 1]);
        $readers[99]->waitFor(['s/100000' => 1]);
        self::assertSame(3, array_sum(array_column($readers, 'messages')));

        $names = implode('&', array_map(static fn (int $n) => "channel=c/$n", range(1, 1001)));
        array_pop($readers)->close();
        $refused = $this->stack->daemon->fastcgi()->request(FastCgi::params($names))->wait();
        self::assertSame(400, $refused->status);
        self::assertSame('too_many_channels', $refused->json()['error']);
        self::assertStringContainsString('at most 1000 channels', $refused->json()['message']);
        $this->assertBounded('100000 channels with history, and 100 clients with 1000 others each');
    }

    public function test_names_without_end(): void
    {
        $this->overload([]);
        $this->flood('name/%', 150000, 10);
        $this->waitUntilPublished(150000);
        self::assertLessThan(40000 * self::workers(), $this->metric('channels'));
        $this->assertBounded('150000 channels of one message each, 16 MiB of history');
    }

    public function test_messages_at_the_size_limit_and_above(): void
    {
        $limit = 4 * self::MIB;
        $this->overload(['publish.max_bytes' => '4MiB', 'publish.max_frame_bytes' => '5MiB', 'history.bytes' => '64MiB', 'history.pinned_bytes' => '16MiB']);
        $reader = $this->tally('channel=large');
        for ($i = 1; $i <= 8; $i++) {
            $this->stack->publish('large', str_pad("$i ", $limit, '.'));
            $this->stack->publish('large', str_pad("$i ", $limit + 1, '.'));
            $this->stack->publish('lines', str_repeat("\n", $limit)); // each becomes "\ndata: "
        }
        $reader->waitFor(['large' => 8], 60);
        // all that a frame can be made to take while it is decoded
        $this->stack->publisher()->send('[' . str_repeat('{},', intdiv(5 * self::MIB, 3) - 1) . '{}]');
        $this->eventually('all that is too large to be refused', fn (): bool => $this->metric('dropped_too_large') === 9);
        self::assertSame(16, $this->metric('messages_published'));
        $this->assertBounded('messages of 4 MiB, also of newlines only; a batch of 5 MiB of `{}`');
    }

    public function test_stuck_readers_that_pin(): void
    {
        $this->overload(self::LARGE + [
            'hub.max_clients' => '100',
            'history.messages' => '1',
            'history.keep' => '0',
            'history.pinned_bytes' => intdiv(32, self::workers()) . 'MiB',
        ]);
        $this->stuckReaders(50, static fn (int $i) => "channel=all&channel=user/$i");
        $polls = [];
        for ($i = 0; $i < 49; $i++) {
            $polls[] = $poll = $this->stack->daemon->fastcgi();
            $poll->request(FastCgi::params("channel=all&channel=poll/$i&cursor=0", ['HTTP_ACCEPT' => 'application/json']));
            $poll->pause();
        }
        $reader = $this->tally('channel=all');
        for ($i = 1; $i <= 8; $i++) {
            $this->stack->publish('all', str_pad("$i ", self::MIB, '.'));
            for ($user = 0; $user < 50; $user++) {
                $this->stack->publish("user/$user", str_pad("$i ", 100000, '.'));
            }
            $reader->waitFor(['all' => $i], 60);
        }
        self::assertGreaterThan(0, $this->metric('subscribers_slow_closed'), 'who pinned too much');
        $this->assertBounded('50 streams and 49 long-polls that do not read, 1 MiB messages');
    }

    public function test_what_the_manual_works_out_is_what_the_program_does(): void
    {
        $manual = (string) file_get_contents(dirname(__DIR__, 2) . '/docs/operations.md');
        self::assertGreaterThan(1, preg_match_all('/^    \$ sidecast (--check-config.*)\n    ok\n((?:    .*\n)+)/m', $manual, $examples, PREG_SET_ORDER));
        foreach ($examples as [, $arguments, $said]) {
            $check = Process::run([self::binary(), ...explode(' ', $arguments)]);
            self::assertSame("ok\n" . preg_replace('/^    /m', '', $said), $check->out->text);
        }
    }

    // --- with what, and how much ---

    private static function workers(): int
    {
        return (int) (getenv('SIDECAST_WORKERS') ?: 1);
    }

    private static function binary(): string
    {
        $binary = dirname(__DIR__, 2) . '/build/sidecast';
        self::assertFileExists($binary, 'build it first: make');
        return $binary;
    }

    /** @param array<string, string> $options */
    private function overload(array $options): void
    {
        $daemon = $this->prepare($options + self::SMALL)->daemon;
        $daemon->binary = self::binary();
        $daemon->start();
    }

    /** @param callable(int): string $query of each */
    private function stuckReaders(int $count, callable $query): array
    {
        return array_map(function (int $i) use ($query): Tally {
            $reader = $this->tally($query($i + 1));
            $reader->pause();
            return $reader;
        }, range(0, $count - 1));
    }

    private function tally(string $query): Tally
    {
        return new Tally($this->stack->daemon->socket, $query);
    }

    private function flood(string $channel, int $count, int $bytes, float $rate = INF): void
    {
        $arguments = [$this->stack->daemon->publishEndpoint(), $channel, (string) $count, (string) $bytes];
        $this->floods[] = new Process(['php', __DIR__ . '/flood.php', ...$arguments, ...($rate === INF ? [] : [(string) $rate])]);
    }

    /** MB/s */
    private static function rate(Process $flood): float
    {
        $flood->waitForExit();
        return (float) $flood->out->text;
    }

    /**
     * When all is taken in, one message more for each channel: whatever was lost to the reader, that one is not.
     *
     * @param array<string, int> $numbers of these messages
     */
    private function endOfFlood(int $published, array $numbers, Tally $reader): void
    {
        $this->waitUntilPublished($published);
        foreach ($numbers as $channel => $number) {
            $this->stack->publish($channel, "$number end");
        }
        $reader->waitFor($numbers, 3 * Loop::PATIENCE);
    }

    private function waitUntilPublished(int $count): void
    {
        Loop::until(fn (): bool => $this->metric('messages_published') === $count, "$count messages to be taken in", 3 * Loop::PATIENCE);
    }

    /** What the daemon says when it is asked now. */
    private function metric(string $name): int
    {
        $log = $this->stack->daemon->process->err;
        $before = strlen($log->text);
        $this->stack->daemon->process->signal(SIGUSR1);
        Loop::until(static fn () => preg_match('/notice metrics (?:connections|requests)=.*\n/', $log->text, $match, 0, $before) === 1, 'metrics');
        return preg_match("/ $name=(\d+)\b/", $log->text, $match, 0, $before) === 1 ? (int) $match[1] : 0;
    }

    private function assertBounded(string $what): void
    {
        $daemon = $this->stack->daemon;
        $check = Process::run([self::binary(), '-c', $daemon->configFile, '--check-config']);
        self::assertSame(1, preg_match('/(\d+) MiB  in all/', $check->out->text, $match), $check->out->text . $check->err->text);
        $bound = (int) $match[1];
        self::assertSame(1, preg_match('/VmHWM:\s+(\d+) kB/', (string) file_get_contents("/proc/{$daemon->process->pid}/status"), $match));
        $most = (int) ceil($match[1] / 1024);
        if (getenv('SIDECAST_FIGURES')) {
            file_put_contents(getenv('SIDECAST_FIGURES'), "| $what | $bound | $most |\n", FILE_APPEND);
        }
        self::assertLessThanOrEqual($bound, $most, "MiB, of which allowed are\n{$check->out->text}");
    }
}
