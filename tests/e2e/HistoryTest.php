<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/**
 * What history keeps, what it lets go, and that a client is told whenever it lost something.
 *
 * @group front-end
 */
final class HistoryTest extends EndToEndTestCase
{
    protected const SHARED = null;

    public function test_everybody_gets_all_of_a_burst_of_20000_messages_with_a_history_of_100(): void
    {
        $this->start(['history.messages' => '100']);
        $clients = [];
        for ($i = 0; $i < 5; $i++) {
            $clients[$i] = $this->stack->listen('channel=burst');
            $clients[$i]->opened();
        }
        $expected = array_map(static fn (int $i) => "m$i", range(1, 20000));
        $this->stack->publishRange('burst', 'm', 1, 20000);
        foreach ($clients as $client) {
            self::assertSame($expected, $client->takeData(20000));
        }
    }

    public function test_history_keeps_the_configured_number_per_channel(): void
    {
        $this->start([
            'history.messages' => '5',
            'history.keep' => '1ms',
            'channel "short"' => ['match' => 'short/*', 'history.messages' => '2'],
        ]);
        foreach (range(1, 10) as $i) {
            $this->stack->publish('long', "long $i");
            $this->stack->publish('short/a', "short $i");
        }
        $this->eventually('history to shrink to its limits', function (): bool {
            $this->stack->publish('other', 'something to do');
            return array_column($this->stack->poll('channel=short/a&cursor=0')['messages'], 'data') === ['short 9', 'short 10']
                && count($this->stack->poll('channel=long&cursor=0')['messages']) === 5;
        });
    }

    public function test_a_newcomer_is_given_what_history_is_for_and_who_was_away_for_a_moment_gets_all(): void
    {
        $this->start(['history.messages' => '3', 'history.keep' => '1min']);
        $events = $this->publishedAndDelivered('news', 50);
        $this->stack->listen('channel=news&cursor=0')->expect('m48', 'm49', 'm50');
        $last = $this->stack->poll('channel=news&last=10');
        self::assertSame(['m48', 'm49', 'm50'], array_column($last['messages'], 'data'));
        self::assertEquals(array_slice($events, 1), $this->stack->resume('channel=news', $events[0]->id)->take(49));
    }

    public function test_a_gap_tells_what_was_lost_and_the_stream_goes_on_after_it(): void
    {
        $this->start(['history.messages' => '3', 'history.keep' => '1ms']);
        $events = $this->publishedAndDelivered('news', 10);
        $this->eventually('history to shrink', fn () => count($this->stack->poll('channel=news&cursor=0')['messages']) === 3);

        $client = $this->stack->resume('channel=news&channel=calm', $events[2]->id);
        $gap = $client->gap();
        self::assertSame($events[2]->id, $gap['after']);
        self::assertSame($events[7]->id, $gap['oldest']);
        self::assertSame(['news'], $gap['channels']);
        $client->expect('m8', 'm9', 'm10');
        $this->stack->publish('news', 'live again');
        $client->expect('live again');
    }

    public function test_a_client_that_missed_nothing_of_what_went_is_not_told_of_a_gap(): void
    {
        $this->start(['history.messages' => '3', 'history.keep' => '1ms']);
        $events = $this->publishedAndDelivered('news', 10);
        $this->eventually('history to shrink', fn () => count($this->stack->poll('channel=news&cursor=0')['messages']) === 3);
        $this->stack->resume('channel=news', $events[6]->id)->expect('m8', 'm9', 'm10');
    }

    public function test_the_gap_of_a_channel_that_is_gone_is_still_told(): void
    {
        $this->start(['history.age' => '50ms', 'history.keep' => '1ms', 'poll.timeout' => '50ms']);
        $events = $this->publishedAndDelivered('news', 3);
        $this->eventually('the messages to grow too old', fn () => $this->stack->poll('channel=news&cursor=0&last=9')['messages'] === []);

        $client = $this->stack->resume('channel=news', $events[0]->id);
        $gap = $client->gap();
        self::assertSame($events[0]->id, $gap['after']);
        self::assertNull($gap['oldest']);
        $again = $this->stack->resume('channel=news', $client->cursor());
        $this->stack->publish('news', 'new');
        $client->expect('new');
        $again->expect('new');
    }

    public function test_all_channels_share_one_budget_of_bytes(): void
    {
        $this->start(['history.bytes' => '64KiB']);
        $cursor = $this->stack->now();
        for ($i = 1; $i <= 200; $i++) {
            $this->stack->publish('channel/' . $i % 4, str_pad("$i", 1024));
        }
        $all = 'channel=channel/0&channel=channel/1&channel=channel/2&channel=channel/3';
        $this->waitForNewest($all, str_pad('200', 1024));

        $client = $this->stack->resume($all, $cursor);
        $client->gap();
        $numbers = [];
        do {
            $numbers[] = (int) $client->next()->data;
        } while (end($numbers) < 200);
        self::assertSame(range($numbers[0], 200), $numbers, 'the oldest go first, over all channels');
        self::assertGreaterThan(10, count($numbers));
        self::assertLessThan(64, count($numbers));
    }

    public function test_an_expired_message_is_skipped_and_is_no_gap(): void
    {
        $this->start();
        $cursor = $this->stack->now();
        $this->stack->publish('news', 'short-lived', ['ttl' => 2]);
        $this->stack->publish('news', 'lasting');
        $this->stack->resume('channel=news', $cursor)->expect('short-lived', 'lasting');
        $this->eventually('the first message to expire', function () use ($cursor): bool {
            $answer = $this->stack->poll("channel=news&cursor=$cursor");
            self::assertFalse($answer['gap']);
            return array_column($answer['messages'], 'data') === ['lasting'];
        });
        $this->stack->resume('channel=news', $cursor)->expect('lasting');
    }

    public function test_a_message_that_is_not_stored_reaches_those_who_listen_and_nobody_later(): void
    {
        $this->start(['history.messages' => '2']);
        $client = $this->stack->listen('channel=news');
        $cursor = $client->opened();
        $this->stack->publish('news', 'one');
        foreach (range(1, 5) as $i) {
            $this->stack->publish('news', 'typing', ['store' => false]);
        }
        $this->stack->publish('news', 'two');
        $client->expect('one', 'typing', 'typing', 'typing', 'typing', 'typing', 'two');

        $this->stack->listen('channel=news&cursor=0')->expect('one', 'two');
        $this->stack->resume('channel=news', $cursor)->expect('one', 'two');
    }

    /** @return list<Event> */
    private function publishedAndDelivered(string $channel, int $count): array
    {
        $client = $this->stack->listen("channel=$channel");
        $client->opened();
        $events = [];
        for ($i = 1; $i <= $count; $i++) {
            $this->stack->publish($channel, "m$i");
            $events[] = $client->next();
        }
        $client->close();
        return $events;
    }
}
