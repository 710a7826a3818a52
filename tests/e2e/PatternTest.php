<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** Subscriptions by pattern, with a token through nginx and with a grant of nginx in raw FastCGI, on one worker and on two. */
final class PatternTest extends EndToEndTestCase
{
    protected const SHARED = null;

    /** @testWith [1]
     *            [2]
     */
    public function test_channels_that_are_yet_to_come_are_had_by_their_pattern(int $workers): void
    {
        $this->startWithSecret(['hub.workers' => (string) $workers]);
        $clients = [];
        for ($i = 0; $i < 4; $i++) { // so that each worker has some
            $clients[] = $this->stack->listen('', $this->bearer(['orders/*']));
            $clients[] = $this->stack->listen($this->ask('orders/*'), $this->bearer(['**']));
            $clients[] = $this->stack->daemon->fastcgi()->listen('', ['SIDECAST_PATTERNS' => 'orders/*']);
            $clients[] = $this->stack->daemon->fastcgi()->listen($this->ask('orders/*'), ['SIDECAST_CHANNELS' => 'news', 'SIDECAST_PATTERNS' => '**']);
        }
        $this->stack->publish('orders/0', 'before they came');
        foreach ($clients as $client) {
            $client->opened();
        }
        $this->waitForNewest('channel=public/mark', $this->mark());
        $this->stack->publish('orders/1', 'new');
        $this->stack->publish('orders/1/lines', 'deeper');
        $this->stack->publish('orders', 'above');
        $this->stack->publish('others/1', 'beside');
        $this->stack->publish('orders/0', 'known');
        $this->stack->publish('orders/2', 'not kept', ['store' => false]);
        $this->stack->publish('orders/3', 'end');
        $expected = ['new', 'known', 'not kept', 'end'];
        $ids = null;
        foreach ($clients as $index => $client) {
            do { // what was on its way while this one came
                $event = $client->next();
            } while ($event->data === 'before they came');
            $events = [$event, ...$client->take(3)];
            self::assertSame($expected, array_column($events, 'data'), "client $index");
            $ids ??= array_column($events, 'id');
            self::assertSame($ids, array_column($events, 'id'), 'the same ids for all');
            self::assertSame(0, $client->pending());
        }
    }

    public function test_the_envelope_tells_the_channel_of_each_message(): void
    {
        $this->startWithSecret();
        $stream = $this->stack->listen('envelope=1', $this->bearer(['orders/*', 'news']));
        $stream->opened();
        $this->stack->publish('orders/7', 'paid', ['event' => 'state']);
        $this->stack->publish('news', 'Hello');
        self::assertSame(
            [['channel' => 'orders/7', 'event' => 'state', 'data' => 'paid'], ['channel' => 'news', 'event' => null, 'data' => 'Hello']],
            array_map(static fn (Event $event) => $event->json(), $stream->take(2))
        );
    }

    public function test_who_comes_back_gets_what_it_missed_of_old_and_new_channels(): void
    {
        $this->startWithSecret();
        $grant = $this->bearer(['orders/*']);
        $stream = $this->stack->listen('', $grant);
        $stream->opened();
        $this->stack->publish('orders/1', 'first');
        $stream->expect('first');
        $stream->close();
        $this->stack->publish('orders/1', 'second');
        $this->stack->publish('orders/2', 'third');
        $this->stack->publish('news/1', 'not for it');
        $this->waitForNewest('channel=public/mark', $this->mark());
        $stream = $this->stack->listen('', $grant + ['Last-Event-ID' => $stream->cursor()]);
        $stream->expect('second', 'third');
        $this->stack->publish('orders/3', 'fourth');
        $stream->expect('fourth');
        $this->stack->listen('last=2', $grant)->take(3);
    }

    public function test_a_channel_that_is_named_and_matched_tells_each_message_once(): void
    {
        $this->startWithSecret();
        $query = 'channel=orders/7&' . $this->ask('orders/*') . '&' . $this->ask('**');
        $stream = $this->stack->listen($query, $this->bearer(['**']));
        $stream->opened();
        $this->stack->publish('orders/7', 'one');
        $this->stack->publish('orders/8', 'two');
        $this->stack->publish('orders/7', 'three', ['except' => 'somebody']);
        $stream->expect('one', 'two', 'three');
    }

    /** @testWith [1]
     *            [2]
     */
    public function test_long_polls_wait_for_channels_that_are_yet_to_come(int $workers): void
    {
        $this->startWithSecret(['hub.workers' => (string) $workers]);
        $grant = $this->bearer(['orders/*']);
        $cursor = $this->stack->poll('', $grant)['cursor'];
        $polls = [];
        for ($i = 0; $i < 4; $i++) {
            $polls[] = $this->stack->startPoll("cursor=$cursor", $grant);
        }
        $other = $this->stack->startPoll("cursor=$cursor", $this->bearer(['news/*']));
        $this->stack->publish('orders/7', 'paid');
        foreach ($polls as $poll) {
            $answer = $poll->wait()->json();
            self::assertFalse($answer['gap']);
            self::assertSame([['orders/7', 'paid']], array_map(static fn (array $m) => [$m['channel'], $m['data']], $answer['messages']));
        }
        $this->stack->publish('orders/8', 'between two polls');
        $this->waitForNewest('channel=public/mark', $this->mark());
        self::assertSame(['between two polls'], array_column($this->stack->poll("cursor={$answer['cursor']}", $grant)['messages'], 'data'));
        self::assertFalse($other->complete, 'another pattern is still waiting');
        $this->stack->publish('news/1', 'for the other');
        self::assertSame(['for the other'], array_column($other->wait()->json()['messages'], 'data'));
    }

    public function test_a_gap_names_the_pattern_and_a_poll_says_so(): void
    {
        $this->startWithSecret(['history.messages' => '1', 'history.keep' => '0', 'poll.timeout' => '200ms']);
        $grant = $this->bearer(['orders/*', 'news']);
        $stream = $this->stack->listen('', $grant);
        $cursor = $stream->opened();
        $stream->close();
        foreach (['lost', 'kept'] as $data) {
            $this->stack->publish('orders/7', $data);
        }
        $this->stack->publish('news', 'nothing lost here');
        $this->waitForNewest('channel=public/mark', $this->mark());
        $stream = $this->stack->listen('', $grant + ['Last-Event-ID' => $cursor]);
        $gap = $stream->gap();
        self::assertSame([$cursor, ['orders/*']], [$gap['after'], $gap['channels']]);
        $stream->expect('kept', 'nothing lost here');
        $poll = $this->stack->poll("cursor=$cursor", $grant);
        self::assertSame([true, ['kept', 'nothing lost here']], [$poll['gap'], array_column($poll['messages'], 'data')]);
        $poll = $this->stack->poll("cursor={$poll['cursor']}", $grant);
        self::assertSame([false, []], [$poll['gap'], $poll['messages']], 'told once');
    }

    public function test_what_went_with_its_channel_is_told_in_its_directory_alone(): void
    {
        $this->startWithSecret(['history.age' => '100ms', 'history.keep' => '0', 'poll.timeout' => '200ms']);
        $cursor = $this->stack->poll('channel=public/mark')['cursor'];
        $this->stack->publish('orders/7', 'gone');
        $this->stack->publish('public/other', 'later');
        $this->eventually('its history to go', fn () => $this->stack->poll('channel=orders/7&cursor=0', $this->bearer(['**']))['messages'] === []);
        $gap = $this->stack->listen('', $this->bearer(['orders/*']) + ['Last-Event-ID' => $cursor])->gap();
        self::assertSame([$cursor, null, ['orders/*']], [$gap['after'], $gap['oldest'], $gap['channels']]);
        self::assertTrue($this->stack->poll("cursor=$cursor", $this->bearer(['**']))['gap']);
        self::assertFalse($this->stack->poll("cursor=$cursor", $this->bearer(['others/*']))['gap'], 'nothing went there');
    }

    public function test_more_channels_than_are_held_are_no_loss_to_who_reads(): void
    {
        $this->startWithSecret(['subscribe.max_matched' => '8', 'hub.pace' => '0']);
        $stream = $this->stack->listen('', $this->bearer(['orders/*']));
        $stream->opened();
        for ($round = 0; $round < 3; $round++) {
            for ($i = 0; $i < 30; $i++) {
                $this->stack->publish("orders/$i", "$round of $i");
                $stream->expect("$round of $i");
            }
        }
        $late = $this->stack->listen('cursor=0', $this->bearer(['orders/*']));
        self::assertSame(['orders/*'], $late->gap()['channels'], 'who comes begins with the newest, and is told of the others');
        $late->expect('0 of 22');
    }

    /** @dataProvider refusals */
    public function test_a_pattern_has_to_be_granted(int $status, string $code, string $query, array $channels): void
    {
        $this->startWithSecret(['access.public' => '**']);
        $response = $this->stack->startPoll($query, $channels === [] ? [] : $this->bearer($channels))->wait();
        self::assertSame([$status, $code], [$response->status, $response->json()['error']]);
    }

    /** @return array<string, array{int, string, string, list<string>}> */
    public static function refusals(): array
    {
        return [
            'what is public' => [403, 'not_allowed', 'channel=orders/*', []],
            'everything that is public' => [403, 'not_allowed', 'channel=**', []],
            'what is public, beside a token' => [403, 'not_allowed', 'channel=news/*', ['orders/*']],
            'more than the token has' => [403, 'not_allowed', 'channel=orders/**', ['orders/*']],
            'another segment' => [403, 'not_allowed', 'channel=*/7', ['orders/*']],
            'two that only together cover it' => [403, 'not_allowed', 'channel=orders/*', ['orders/a*', 'orders/b*']],
            'one of two' => [403, 'not_allowed', 'channel=orders/*&channel=news/*', ['orders/*']],
            'encoded' => [403, 'not_allowed', 'channel=orders/%2A%2A', ['orders/*']],
            'in pieces' => [400, 'bad_channel', 'channel=orders/*%2C**', ['orders/*']],
            'too many' => [400, 'too_many_patterns', implode('&', array_map(static fn (int $i) => "channel=orders/$i*", range(1, 11))), ['**']],
        ];
    }

    /** @param array<string, mixed> $options */
    private function startWithSecret(array $options = []): void
    {
        $stack = $this->prepare($options + ['access.public' => 'public/*']);
        $stack->daemon->start(['token.secret_file' => Token::keyFile("$stack->directory/secret", Token::SECRET)]);
    }

    /**
     * @param list<string> $channels
     * @return array<string, string>
     */
    private function bearer(array $channels): array
    {
        return ['Authorization' => 'Bearer ' . Token::make(['channels' => $channels])];
    }

    private function ask(string $pattern): string
    {
        return 'channel=' . rawurlencode($pattern);
    }

    /** Publishes behind all that was published so far; returns the data. */
    private function mark(): string
    {
        $data = $this->channel('mark');
        $this->stack->publish('public/mark', $data);
        return $data;
    }
}
