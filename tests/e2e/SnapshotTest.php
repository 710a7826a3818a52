<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** History over a restart: after an orderly end nothing is missing and no gap is told; after any other what is missing is told. */
final class SnapshotTest extends EndToEndTestCase
{
    protected const SHARED = null;
    private string $state;

    public function test_after_an_orderly_end_each_client_goes_on_where_it_was(): void
    {
        $this->startWithState();
        $requester = $this->requester();
        $clients = [];
        foreach (['channel=news', 'channel=news&channel=other', '**', 'channel=other'] as $query) {
            $clients[$query] = $this->listen($query);
            $clients[$query]->opened();
        }
        $this->publishAll($requester, 'before ', 1, 20);
        foreach ($clients as $query => $client) {
            $client->expect(...$this->expected($query, 'before ', 1, 20));
        }
        // cut before the end, as by a line that broke: what comes from now on is missed
        foreach ($clients as $client) {
            $client->close();
        }
        $this->publishAll($requester, 'missed ', 1, 20);
        $this->restart();
        $this->publishAll($this->requester(), 'after ', 1, 20);
        foreach ($clients as $query => $client) {
            $back = $this->listen($query, $client->cursor());
            $back->expect(...$this->expected($query, 'missed ', 1, 20), ...$this->expected($query, 'after ', 1, 20));
        }
        self::assertFalse($this->stack->poll('channel=news&cursor=' . $clients['channel=news']->cursor())['gap']);
    }

    public function test_who_waits_for_a_first_message_over_restarts_gets_it_without_a_gap(): void
    {
        $this->startWithState();
        $cursor = $this->stack->listen('channel=calm')->opened();
        for ($life = 0; $life < 3; $life++) {
            $this->requester()->publish('busy', "in life $life");
            $this->restart();
        }
        $this->requester()->publish('calm', 'at last');
        $this->stack->resume('channel=calm', $cursor)->expect('at last');
    }

    public function test_what_was_lost_before_an_orderly_end_is_told_after_it(): void
    {
        $this->startWithState(['history.messages' => '1', 'history.keep' => '0']);
        $requester = $this->requester();
        $first = $requester->publish('lossy', 'one');
        foreach (['two', 'three', 'four'] as $data) {
            $requester->publish('lossy', $data);
        }
        $this->restart();
        $client = $this->stack->resume('channel=lossy', $first);
        self::assertSame(['lossy'], $client->gap()['channels']);
        $client->expect('four');
    }

    public function test_a_loss_of_channels_that_had_gone_is_told_after_an_orderly_end(): void
    {
        $this->startWithState(['history.age' => '1ms', 'history.keep' => '0']);
        $requester = $this->requester();
        $cursors = [];
        for ($i = 0; $i < 20; $i++) {
            $cursors["orders/$i"] = $requester->publish("orders/$i", 'had');
            $requester->publish("orders/$i", 'lost');
        }
        $all = implode('&', array_map(static fn (string $channel) => "channel=$channel", array_keys($cursors)));
        $this->eventually('history to be gone', fn () => $this->stack->poll("$all&last=1")['messages'] === []);
        $this->restart();
        foreach ($cursors as $channel => $cursor) {
            self::assertTrue($this->stack->poll("channel=$channel&cursor=$cursor")['gap'], $channel);
        }
        $this->listen('orders/*', $cursors['orders/19'])->gap();
    }

    public function test_ids_keep_rising(): void
    {
        $this->startWithState();
        $ids = [];
        for ($life = 0; $life < 4; $life++) {
            $ids[] = $this->requester()->publish('news', 'x');
            $life % 2 === 0 ? $this->restart() : $this->crash();
        }
        $this->assertIdsIncrease(array_map(static fn (string $id) => new Event('message', '', $id, true), $ids));
    }

    public function test_ids_rise_above_those_of_the_snapshot_although_nothing_else_knows_them(): void
    {
        $this->startWithState();
        $this->stack->daemon->stop();
        // a clock that was far ahead in one life, and a reservation that did not reach the disk
        file_put_contents("$this->state/next-id", "9999999999999\n");
        $this->stack->daemon->start();
        $first = $this->requester()->publish('news', 'one');
        self::assertStringStartsWith('9999999999999-', $first);
        $this->stack->daemon->stop();
        file_put_contents("$this->state/next-id", "1\n");
        $this->stack->daemon->start();
        $second = $this->requester()->publish('news', 'two');
        $this->assertIdsIncrease(array_map(static fn (string $id) => new Event('message', '', $id, true), [$first, $second]));
        $this->stack->resume('channel=news', $first)->expect('two');
    }

    public function test_a_retry_after_the_restart_is_answered_with_the_first_id(): void
    {
        $this->startWithState();
        $first = $this->requester()->publish('news', 'once', '{"key":"k1"}');
        $this->restart();
        $requester = $this->requester();
        self::assertSame($first, $requester->publish('news', 'once', '{"key":"k1"}'));
        self::assertNotSame($first, $requester->publish('other', 'once', '{"key":"k1"}'));
        self::assertSame(['once'], array_column($this->stack->poll('channel=news&cursor=0')['messages'], 'data'));
    }

    public function test_after_a_crash_the_messages_of_the_interval_are_there_and_a_gap_is_told(): void
    {
        $this->startWithState(['hub.snapshot_interval' => '50ms']);
        $requester = $this->requester();
        $ids = [$requester->publish('news', 'one', '{"key":"k1"}'), $requester->publish('news', 'two')];
        $this->waitForSnapshots(2);
        $this->crash(['hub.snapshot_interval' => '0']);

        $requester = $this->requester();
        $client = $this->stack->resume('channel=news', $ids[0]);
        self::assertSame($ids[0], $client->gap()['after']);
        $client->expect('two');
        self::assertTrue($this->stack->poll("channel=news&cursor=$ids[1]")['gap']);
        $this->listen('**', $ids[1])->gap();
        self::assertTrue($this->stack->poll("channel=never&cursor=$ids[1]")['gap']);
        self::assertSame(['one', 'two'], array_column($this->stack->poll('channel=news&cursor=0')['messages'], 'data'));
        self::assertSame($ids[0], $requester->publish('news', 'one', '{"key":"k1"}'));
        $requester->publish('news', 'three');
        $client->expect('three');
    }

    public function test_a_crash_after_an_orderly_end_does_not_believe_that_end_again(): void
    {
        $this->startWithState();
        $kept = $this->requester()->publish('news', 'kept');
        $this->restart();
        $lost = $this->requester()->publish('news', 'lost in the crash');
        $this->crash();
        self::assertTrue($this->stack->poll("channel=news&cursor=$lost")['gap']);
        $answer = $this->stack->poll("channel=news&cursor=$kept");
        self::assertTrue($answer['gap']);
        self::assertSame([], $answer['messages']);
        self::assertSame(['kept'], array_column($this->stack->poll('channel=news&cursor=0')['messages'], 'data'));
    }

    public function test_a_start_that_fails_leaves_the_snapshot_complete(): void
    {
        $this->startWithState();
        $first = $this->requester()->publish('news', 'one');
        $this->stack->daemon->stop();
        $socket = $this->stack->daemon->socket;
        $blocker = stream_socket_server("unix://$socket");
        $this->stack->daemon->launch();
        self::assertSame(4, $this->stack->daemon->process->waitForExit());
        fclose($blocker);
        $this->stack->daemon->start();
        $this->requester()->publish('news', 'two');
        $this->stack->resume('channel=news', $first)->expect('two');
    }

    /** @dataProvider damages */
    public function test_a_damaged_file_is_moved_aside_and_the_start_goes_on(string $file, string $damage): void
    {
        $this->startWithState(['hub.snapshot_interval' => '50ms']);
        $first = $this->requester()->publish('news', 'one');
        if ($file === 'history.snapshot') {
            $this->waitForSnapshots(2);
            $this->stack->daemon->kill();
        } else {
            $this->stack->daemon->stop();
        }
        $bytes = file_get_contents("$this->state/$file");
        file_put_contents("$this->state/$file", match ($damage) {
            'cut' => substr($bytes, 0, -1),
            'empty' => '',
            'a bit' => substr_replace($bytes, chr(ord($bytes[100]) ^ 4), 100, 1),
            'noise' => random_bytes(5000),
        });
        $this->stack->daemon->start(['hub.snapshot_interval' => '0']);
        $this->stack->daemon->process->waitForLog('/history\.\w+ is damaged: .*moved to history\.damaged/');
        self::assertFileExists("$this->state/history.damaged");
        self::assertTrue($this->stack->poll("channel=news&cursor=$first")['gap']);
        $this->requester()->publish('news', 'two');
        $this->waitForNewest('channel=news', 'two');
    }

    /** @return iterable<string, list<string>> */
    public static function damages(): iterable
    {
        foreach (['history.complete', 'history.snapshot'] as $file) {
            foreach (['cut', 'empty', 'a bit', 'noise'] as $damage) {
                yield "$file: $damage" => [$file, $damage];
            }
        }
    }

    public function test_a_history_that_is_smaller_now_keeps_the_newest_and_tells_a_gap(): void
    {
        $this->startWithState();
        $requester = $this->requester();
        $first = $requester->publish('news', 'first');
        for ($i = 1; $i <= 100; $i++) {
            $last = $requester->publish('news', str_repeat('x', 5000));
        }
        $this->restart(['history.bytes' => '100KiB']);
        self::assertTrue($this->stack->poll("channel=news&cursor=$first")['gap']);
        $left = count($this->stack->poll('channel=news&cursor=0')['messages']);
        self::assertGreaterThan(5, $left);
        self::assertLessThan(21, $left);
        $this->requester()->publish('news', 'next');
        $this->stack->resume('channel=news', $last)->expect('next');
    }

    public function test_what_is_over_by_then_is_not_there_any_more(): void
    {
        $this->startWithState();
        $requester = $this->requester();
        $requester->publish('news', 'short', '{"ttl":1}');
        $requester->publish('news', 'now', '{"store":false}');
        $requester->publish('news', 'long', '{"ttl":600}');
        $this->stack->daemon->stop();
        usleep(1100000); // a time to live is in whole seconds
        $this->stack->daemon->start();
        self::assertSame(['long'], array_column($this->stack->poll('channel=news&cursor=0')['messages'], 'data'));
    }

    public function test_a_full_disk_is_reported_and_leaves_the_old_file(): void
    {
        $this->startWithState(['hub.snapshot_interval' => '50ms']);
        $this->requester()->publish('news', 'one');
        $this->waitForSnapshots(2);
        $old = file_get_contents("$this->state/history.snapshot");
        exec('prlimit --pid ' . $this->stack->daemon->process->pid . ' --fsize=100:100', result_code: $code);
        self::assertSame(0, $code);
        $this->stack->daemon->process->waitForLog('/error cannot write history\.snapshot to hub\.state_dir/');
        self::assertSame(strlen($old), filesize("$this->state/history.snapshot"));
        $this->requester()->publish('news', 'it goes on');
        $this->stack->daemon->process->signal(SIGTERM);
        $this->stack->daemon->process->waitForLog('/error cannot write history\.complete to hub\.state_dir/');
        $this->stack->daemon->assertCleanEnd();
        self::assertSame(['.', '..', 'history.snapshot', 'next-id'], scandir($this->state));
    }

    public function test_two_servers_cannot_share_a_state_directory(): void
    {
        $this->startWithState();
        $first = $this->stack;
        $this->prepare()->daemon->launch(['hub.state_dir' => $this->state]);
        $this->stack->daemon->process->waitForLog('/another sidecast is running with it/');
        self::assertSame(4, $this->stack->daemon->process->waitForExit());
        $this->stack = $first;
    }

    public function test_everything_acknowledged_up_to_the_end_is_there(): void
    {
        $this->startWithState(['history.messages' => '100000']);
        $cursor = $this->stack->listen('channel=news')->opened();
        $dealer = $this->requester(\ZMQ::SOCKET_DEALER);
        for ($i = 1; $i <= 5000; $i++) {
            $dealer->send('news', "m$i");
        }
        $dealer->receive();
        $this->stack->daemon->process->signal(SIGTERM);
        $acknowledged = 1;
        Loop::until(function () use ($dealer, &$acknowledged): bool {
            while ($dealer->tryReceive() !== false) {
                $acknowledged++;
            }
            return !$this->stack->daemon->isRunning();
        }, 'the end');
        while ($dealer->tryReceive() !== false) {
            $acknowledged++;
        }
        unset($dealer);
        $this->stack->daemon->assertCleanEnd();
        $this->stack->daemon->start();
        self::assertGreaterThan(1, $acknowledged);
        $expected = array_map(static fn (int $i) => "m$i", range(1, $acknowledged));
        self::assertSame($expected, $this->stack->resume('channel=news', $cursor)->takeData($acknowledged));
    }

    public function test_a_reload_sets_the_interval(): void
    {
        $this->startWithState();
        $this->requester()->publish('news', 'one');
        $this->stack->daemon->configure(['hub.snapshot_interval' => '20ms']);
        $this->stack->daemon->process->signal(SIGHUP);
        $this->waitForSnapshots(2);
        $this->stack->daemon->configure(['hub.snapshot_interval' => '0']);
        $this->stack->daemon->process->signal(SIGHUP);
    }

    /** @param array<string, mixed> $options */
    private function startWithState(array $options = []): void
    {
        $this->state = $this->prepare($options)->directory . '/state';
        mkdir($this->state);
        $this->stack->daemon->start(['hub.state_dir' => $this->state]);
    }

    /** @param array<string, mixed> $options */
    private function restart(array $options = []): void
    {
        $this->stack->daemon->stop();
        self::assertSame(0600, fileperms("$this->state/history.complete") & 0777);
        $this->stack->daemon->start($options);
        self::assertFileDoesNotExist("$this->state/history.complete");
    }

    /** @param array<string, mixed> $options */
    private function crash(array $options = []): void
    {
        $this->stack->daemon->kill();
        $this->stack->daemon->start($options);
    }

    /** So many more; the last of them was begun after this was called. */
    private function waitForSnapshots(int $count): void
    {
        for ($seen = 0, $before = null; $seen <= $count; $seen++) {
            $this->eventually('a snapshot', function () use (&$before): bool {
                clearstatcache();
                $found = @stat("$this->state/history.snapshot");
                $is_new = $found !== false && [$found['ino'], $found['mtime']] !== $before;
                $before = $found === false ? $before : [$found['ino'], $found['mtime']];
                return $is_new;
            });
        }
    }

    /** As the query says, or by a pattern that the front end grants. */
    private function listen(string $query, string $cursor = ''): EventStream
    {
        if (str_contains($query, '=')) {
            return $cursor === '' ? $this->stack->listen($query) : $this->stack->resume($query, $cursor);
        }
        $params = ['SIDECAST_PATTERNS' => $query] + ($cursor === '' ? [] : ['HTTP_LAST_EVENT_ID' => $cursor]);
        return $this->stack->daemon->fastcgi()->listen('', $params);
    }

    private function requester(int $type = \ZMQ::SOCKET_REQ): Requester
    {
        return new Requester($this->stack->daemon->confirmEndpoint(), $type);
    }

    private function publishAll(Requester $requester, string $prefix, int $from, int $to): void
    {
        for ($i = $from; $i <= $to; $i++) {
            $requester->publish($i % 2 ? 'news' : 'other', "$prefix$i");
        }
    }

    /** @return list<string> what a client of the query gets of publishAll */
    private function expected(string $query, string $prefix, int $from, int $to): array
    {
        $wanted = match ($query) {
            'channel=news' => [1],
            'channel=other' => [0],
            default => [0, 1],
        };
        $numbers = array_filter(range($from, $to), static fn (int $i) => in_array($i % 2, $wanted, true));
        return array_map(static fn (int $i) => "$prefix$i", array_values($numbers));
    }
}
