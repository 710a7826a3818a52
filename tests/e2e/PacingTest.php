<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** Pacing: fewer, larger writes; never other messages. */
final class PacingTest extends EndToEndTestCase
{
    protected const SHARED = [
        'hub.pace' => '10s',
        'channel "half a second"' => ['match' => 'half/*', 'hub.pace' => '500ms'],
        'channel "off"' => ['match' => 'off/*', 'hub.pace' => '0'],
    ];

    public function test_the_first_message_after_a_pause_is_written_at_once(): void
    {
        $channel = $this->channel('slow');
        $client = $this->stack->listen("channel=$channel");
        $client->opened();
        $start = Loop::now();
        $this->stack->publish($channel, 'first');
        $client->expect('first');
        self::assertLessThan(5, Loop::now() - $start);
    }

    public function test_what_follows_within_the_interval_comes_together_at_its_end(): void
    {
        $channel = $this->channel('half');
        $client = $this->stack->daemon->fastcgi()->listen("channel=$channel");
        $client->opened();
        $start = Loop::now();
        $this->stack->publish($channel, 'first');
        $client->expect('first');
        $reads = count($client->connection->reads);
        $this->stack->publishRange($channel, 'm', 1, 50);

        $client->expect(...array_map(static fn (int $i) => "m$i", range(1, 50)));
        // the daemon counts in whole milliseconds
        self::assertGreaterThanOrEqual($start + 0.498, $client->connection->reads[$reads], 'not before the interval ended');
        self::assertSame($reads + 1, count($client->connection->reads), 'in one write');
    }

    public function test_a_channel_with_pace_zero_waits_for_nothing(): void
    {
        $channel = $this->channel('off');
        $client = $this->stack->listen("channel=$channel");
        $client->opened();
        $start = Loop::now();
        for ($i = 0; $i < 50; $i++) {
            $this->stack->publish($channel, "m$i");
            $client->expect("m$i");
        }
        self::assertLessThan(10, Loop::now() - $start);
    }

    public function test_a_client_that_comes_within_the_interval_gets_history_at_once(): void
    {
        $channel = $this->channel('slow');
        $client = $this->stack->listen("channel=$channel");
        $client->opened();
        $this->stack->publish($channel, 'first');
        $client->expect('first');
        $start = Loop::now();
        $this->stack->listen("channel=$channel&cursor=0")->expect('first');
        self::assertLessThan(5, Loop::now() - $start);
    }

    public function test_an_end_of_the_daemon_does_not_wait_for_the_interval_and_loses_nothing(): void
    {
        $this->start(['hub.pace' => '10s']);
        $client = $this->stack->listen('channel=news');
        $client->opened();
        $this->stack->publish('news', 'first');
        $client->expect('first');
        $this->stack->publish('news', 'held back');
        $this->waitForNewest('channel=news', 'held back');
        $start = Loop::now();
        $this->stack->daemon->process->signal(SIGTERM);
        $client->expect('held back');
        $client->waitForCleanEnd();
        $this->stack->daemon->assertCleanEnd();
        self::assertLessThan(8, Loop::now() - $start);
    }
}
