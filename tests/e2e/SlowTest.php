<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** What slow.policy does for a client that stops reading, by channel. */
final class SlowTest extends EndToEndTestCase
{
    protected const SHARED = [
        'channel "prices"' => ['match' => 'price/*', 'slow.policy' => 'latest'],
        'channel "orders"' => ['match' => 'order/*', 'slow.policy' => 'close', 'history.messages' => '5'],
    ];
    /** Messages of 64 KiB: more than all buffers between daemon and client take. */
    private const MANY = 100;

    public function test_a_client_gets_the_newest_of_a_latest_channel_when_it_wakes_up(): void
    {
        [$channel, $slow] = $this->pausedClient('price');
        $this->publishMany($channel);
        $slow->connection->resume();
        $events = $this->upTo(self::MANY, $slow);
        self::assertLessThan(self::MANY, count($events), 'what the buffers did not take was skipped, but for the last');
        $this->assertIdsIncrease($events);
        $this->stack->publish($channel, 'and on');
        $slow->expect('and on');
    }

    public function test_a_client_that_comes_back_gets_the_newest_alone(): void
    {
        $channel = $this->channel('price');
        $client = $this->stack->listen("channel=$channel");
        $cursor = $client->opened();
        $client->close();
        $this->stack->publishRange($channel, '', 1, 20);
        $this->waitForNewest("channel=$channel", '20');
        $this->stack->resume("channel=$channel", $cursor)->expect('20');
        self::assertSame(['20'], array_column($this->stack->poll("channel=$channel&cursor=$cursor")['messages'], 'data'));
    }

    public function test_beside_it_a_catch_up_channel_loses_nothing_and_the_order_holds(): void
    {
        $news = $this->channel();
        [$prices, $slow] = $this->pausedClient('price', "&channel=$news");
        for ($i = 1; $i <= self::MANY; $i++) {
            $this->stack->publish($i % 2 === 0 ? $news : $prices, self::large($i));
        }
        $this->waitForNewest("channel=$news", self::large(self::MANY));
        $slow->connection->resume();
        $events = $this->upTo(self::MANY, $slow);
        $numbers = array_map(static fn (Event $event): int => (int) $event->data, $events);
        self::assertSame(range(2, self::MANY, 2), array_values(array_filter($numbers, static fn (int $n) => $n % 2 === 0)));
        self::assertContains(self::MANY - 1, $numbers, 'the newest price');
        self::assertLessThan(self::MANY, count($numbers));
        $this->assertIdsIncrease($events);
    }

    public function test_history_that_moves_on_is_no_gap_on_a_latest_channel(): void
    {
        $this->start([
            'history.messages' => '3',
            'history.keep' => '0',
            'channel "prices"' => ['match' => 'price/*', 'slow.policy' => 'latest'],
        ]);
        [$channel, $slow] = $this->pausedClient('price');
        $this->publishMany($channel);
        $slow->connection->resume();
        $this->assertIdsIncrease($this->upTo(self::MANY, $slow));
    }

    public function test_a_client_that_falls_behind_on_a_close_channel_is_closed_and_resumes(): void
    {
        [$channel, $slow] = $this->pausedClient('order');
        $sockets = $this->stack->daemon->openSockets();
        $reader = $this->stack->daemon->fastcgi()->listen("channel=$channel");
        $reader->opened();
        for ($i = 1; $i <= self::MANY; $i++) {
            $this->stack->publish($channel, self::large($i));
            $reader->expect(self::large($i));
        }
        $this->eventually('the slow one to be closed', fn () => array_diff($sockets, $this->stack->daemon->openSockets()) !== []);
        $slow->connection->resume();
        $slow->connection->waitForClose();
        $got = $slow->pending();
        self::assertLessThan(self::MANY, $got);

        $slow->take($got);
        $again = $this->stack->resume("channel=$channel", $slow->cursor());
        self::assertSame(range($got + 1, self::MANY), array_map(intval(...), $again->takeData(self::MANY - $got)));
        $this->stack->daemon->process->signal(SIGUSR1);
        $this->stack->daemon->process->waitForLog('/subscribers_slow_closed=1 /');
    }

    public function test_a_reload_takes_the_policy_over(): void
    {
        $this->start();
        [$channel, $slow] = $this->pausedClient('price');
        $this->publishMany($channel);
        $this->stack->daemon->configure(['slow.policy' => 'latest']);
        $this->stack->daemon->process->signal(SIGHUP);
        $this->stack->daemon->process->waitForLog('/reload: done/');
        $slow->connection->resume();
        self::assertLessThan(self::MANY, count($this->upTo(self::MANY, $slow)));
    }

    /** @return array{string, EventStream} a new channel, and a client of it that does not read */
    private function pausedClient(string $name, string $more = ''): array
    {
        $channel = $this->channel($name);
        $slow = $this->stack->daemon->fastcgi()->listen("channel=$channel$more");
        $slow->opened();
        $slow->connection->pause();
        return [$channel, $slow];
    }

    private static function large(int $number): string
    {
        return str_pad("$number ", 65536, '.');
    }

    /** Returns when the daemon has taken the last of them in. */
    private function publishMany(string $channel): void
    {
        for ($i = 1; $i <= self::MANY; $i++) {
            $this->stack->publish($channel, self::large($i));
        }
        $this->waitForNewest("channel=$channel", self::large(self::MANY));
    }

    /** @return list<Event> messages, and nothing else, up to the one with this number */
    private function upTo(int $number, EventStream $client): array
    {
        $events = [];
        do {
            $events[] = $event = $client->next();
            self::assertSame('message', $event->type, $event->data);
        } while ((int) $event->data !== $number);
        return $events;
    }
}
