<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/**
 * Long-poll: JSON answers for clients that cannot or do not want to hold a stream.
 *
 * @group front-end
 */
final class PollTest extends EndToEndTestCase
{
    protected const SHARED = ['poll.max_messages' => '10', 'history.messages' => '1000'];

    public function test_without_a_cursor_the_answer_comes_at_once_with_the_cursor_of_now(): void
    {
        $channel = $this->channel();
        $response = $this->stack->startPoll("channel=$channel")->wait();
        self::assertStringStartsWith('application/json', $response->header('Content-Type'));
        self::assertSame('no-store', $response->header('Cache-Control'));
        $answer = $response->json();
        self::assertSame(['cursor', 'gap', 'messages'], array_keys($answer));
        self::assertFalse($answer['gap']);
        self::assertSame([], $answer['messages']);

        $this->stack->publish($channel, 'after that');
        self::assertSame(['after that'], $this->data($this->stack->poll("channel=$channel&cursor={$answer['cursor']}")));
    }

    public function test_what_is_there_is_answered_at_once(): void
    {
        [$channel, $cursor] = $this->channelWith('one', "two\r\nlines");
        $answer = $this->stack->poll("channel=$channel&cursor=$cursor");
        self::assertSame(['one', "two\nlines"], $this->data($answer));
        self::assertSame(end($answer['messages'])['id'], $answer['cursor']);
        self::assertSame(['id', 'channel', 'event', 'data'], array_keys($answer['messages'][0]));
        self::assertSame($channel, $answer['messages'][0]['channel']);
        self::assertNull($answer['messages'][0]['event']);
    }

    public function test_a_poll_waits_until_something_is_published(): void
    {
        $channel = $this->channel();
        $poll = $this->stack->startPoll("channel=$channel&cursor=" . $this->stack->now());
        $this->stack->publish($this->channel('other'), 'not this');
        $this->stack->now();
        self::assertFalse($poll->complete);
        $this->stack->publish($channel, 'this', ['event' => 'named']);
        $message = $poll->json()['messages'][0];
        self::assertSame(['named', 'this'], [$message['event'], $message['data']]);
    }

    public function test_a_poll_that_waited_in_vain_gets_a_cursor_that_loses_nothing(): void
    {
        $this->start(['poll.timeout' => '100ms']);
        $start = Loop::now();
        $answer = $this->stack->poll('channel=news&cursor=' . $this->stack->now());
        self::assertGreaterThanOrEqual(0.1, Loop::now() - $start);
        self::assertSame([], $answer['messages']);
        self::assertFalse($answer['gap']);
        $this->stack->publish('news', 'next');
        self::assertSame(['next'], $this->data($this->stack->poll("channel=news&cursor={$answer['cursor']}")));
    }

    public function test_polls_one_after_the_other_get_every_message_once_page_by_page(): void
    {
        $channel = $this->channel();
        $cursor = $this->stack->now();
        $this->stack->publishRange($channel, 'm', 1, 105);
        $seen = [];
        while (count($seen) < 105) {
            $answer = $this->stack->poll("channel=$channel&cursor=$cursor");
            self::assertLessThanOrEqual(10, count($answer['messages']), 'poll.max_messages');
            self::assertNotSame([], $answer['messages']);
            $seen = [...$seen, ...$this->data($answer)];
            $cursor = $answer['cursor'];
        }
        self::assertSame(array_map(static fn (int $i) => "m$i", range(1, 105)), $seen);
    }

    public function test_an_answer_stays_below_its_bytes_but_has_at_least_one_message(): void
    {
        $this->start(['poll.max_bytes' => '1KiB']);
        $cursor = $this->stack->now();
        foreach (['a' => 400, 'b' => 400, 'c' => 400, 'd' => 4000] as $letter => $size) {
            $this->stack->publish('news', str_repeat($letter, $size));
        }
        $this->waitForNewest('channel=news', str_repeat('d', 4000));
        $letters = [];
        while (!in_array('d', $letters, true)) {
            $answer = $this->stack->poll("channel=news&cursor=$cursor");
            $new = array_map(static fn (string $data) => $data[0], $this->data($answer));
            self::assertTrue(count($new) === 1 || strlen(json_encode($answer)) <= 1200);
            $letters = [...$letters, ...$new];
            $cursor = $answer['cursor'];
        }
        self::assertSame(['a', 'b', 'c', 'd'], $letters);
    }

    public function test_last_gives_the_last_messages_from_the_oldest_on(): void
    {
        [$channel] = $this->channelWith('one', 'two', 'three');
        $answer = $this->stack->poll("channel=$channel&last=2");
        self::assertSame(['two', 'three'], $this->data($answer));
        self::assertSame($answer['messages'][1]['id'], $answer['cursor']);
    }

    public function test_last_of_more_than_one_answer_holds_goes_on_by_cursor(): void
    {
        [$channel] = $this->channelWith(...array_map(static fn (int $i) => "m$i", range(1, 30)));
        $first = $this->stack->poll("channel=$channel&last=15");
        $second = $this->stack->poll("channel=$channel&cursor={$first['cursor']}");
        self::assertSame(array_map(static fn (int $i) => "m$i", range(16, 30)), [...$this->data($first), ...$this->data($second)]);
    }

    public function test_last_of_an_empty_channel_is_answered_at_once(): void
    {
        self::assertSame([], $this->stack->poll('channel=' . $this->channel() . '&last=5')['messages']);
    }

    public function test_two_polls_with_the_same_cursor_get_the_same_answer(): void
    {
        $channel = $this->channel();
        $cursor = $this->stack->now();
        $first = $this->stack->startPoll("channel=$channel&cursor=$cursor");
        $second = $this->stack->startPoll("channel=$channel&cursor=$cursor");
        $this->stack->publish($channel, 'for both');
        self::assertSame($first->wait()->body, $second->wait()->body);
        self::assertSame($first->body, $this->stack->startPoll("channel=$channel&cursor=$cursor")->wait()->body);
    }

    public function test_an_answer_hides_from_one_client_what_another_gets(): void
    {
        $channel = $this->channel();
        $cursor = $this->stack->now();
        $alice = $this->stack->startPoll("channel=$channel&cursor=$cursor&client=alice");
        $bob = $this->stack->startPoll("channel=$channel&cursor=$cursor&client=bob");
        $this->stack->publish($channel, 'from alice', ['except' => 'alice']);
        self::assertSame(['from alice'], $this->data($bob->json()));
        self::assertFalse($alice->complete, 'a hidden message does not end a poll');
        $this->stack->publish($channel, 'for all');
        self::assertSame(['for all'], $this->data($alice->json()));
    }

    public function test_a_lost_cursor_is_a_gap_and_all_of_history_follows(): void
    {
        [$channel] = $this->channelWith('one', 'two');
        foreach (['9999999999999-0', 'nonsense'] as $cursor) {
            $answer = $this->stack->poll("channel=$channel&cursor=$cursor");
            self::assertTrue($answer['gap']);
            self::assertSame(['one', 'two'], $this->data($answer));
        }
        self::assertFalse($this->stack->poll("channel=$channel&cursor=0")['gap']);
    }

    public function test_a_gap_with_nothing_after_it_is_answered_at_once(): void
    {
        $answer = $this->stack->poll('channel=' . $this->channel() . '&cursor=nonsense');
        self::assertTrue($answer['gap']);
        self::assertSame([], $answer['messages']);
    }

    public function test_several_channels_are_answered_in_one_order(): void
    {
        [$a, $b] = [$this->channel('a'), $this->channel('b')];
        $cursor = $this->stack->now();
        foreach ([$a, $b, $b, $a] as $index => $channel) {
            $this->stack->publish($channel, "m$index");
        }
        $this->waitForNewest("channel=$a", 'm3');
        $answer = $this->stack->poll("channel=$b&channel=$a&cursor=$cursor");
        self::assertSame(['m0', 'm1', 'm2', 'm3'], $this->data($answer));
        self::assertSame([$a, $b, $b, $a], array_column($answer['messages'], 'channel'));
    }

    /** @return array{string, string} a channel and a cursor below its messages, which have been taken in */
    private function channelWith(string ...$data): array
    {
        $channel = $this->channel();
        $client = $this->stack->listen("channel=$channel");
        $cursor = $client->opened();
        foreach ($data as $one) {
            $this->stack->publish($channel, $one);
        }
        $client->take(count($data));
        $client->close();
        return [$channel, $cursor];
    }

    /**
     * @param array{messages: list<array<string, mixed>>} $answer
     * @return list<string>
     */
    private function data(array $answer): array
    {
        return array_column($answer['messages'], 'data');
    }
}
