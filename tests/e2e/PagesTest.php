<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** The main job: a PHP page publishes, through real php-fpm, and browsers behind real nginx receive. */
final class PagesTest extends EndToEndTestCase
{
    /** @dataProvider transports */
    public function test_what_a_page_publishes_reaches_event_streams_and_long_polls(string $with): void
    {
        $channel = $this->channel();
        $client = $this->stack->listen("channel=$channel");
        $cursor = $client->opened();
        $poll = $this->stack->startPoll("channel=$channel&cursor=$cursor");

        $handedOver = $this->stack->page('publish.php', ['with' => $with, 'messages' => [[$channel, 'from a page']]]);
        self::assertSame([true], $handedOver);
        $client->expect('from a page');
        self::assertSame('from a page', $poll->json()['messages'][0]['data']);
    }

    /** @dataProvider transports */
    public function test_a_page_passes_options_on(string $with): void
    {
        $channel = $this->channel();
        $client = $this->stack->listen("channel=$channel&client=alice");
        $client->opened();
        $this->stack->page('publish.php', ['with' => $with, 'messages' => [
            [$channel, 'not for alice', ['except' => 'alice']],
            [$channel, ['price' => 17], ['event' => 'price', 'ttl' => 60, 'key' => 'once']],
            [$channel, 'again', ['key' => 'once']],
            [$channel, 'last'],
        ]]);
        $price = $client->next();
        self::assertSame(['price', ['price' => 17]], [$price->type, $price->json()]);
        $client->expect('last');
    }

    /** @dataProvider transports */
    public function test_page_after_page_uses_the_same_connection_and_keeps_the_order(string $with): void
    {
        $channel = $this->channel();
        $client = $this->stack->listen("channel=$channel");
        $client->opened();
        for ($i = 0; $i < 20; $i++) {
            $this->stack->page('publish.php', ['with' => $with, 'messages' => [[$channel, "page $i"]]]);
            $client->expect("page $i");
        }
    }

    /** @return array<string, array{string}> */
    public static function transports(): array
    {
        return ['ext-zmq' => ['zmq'], 'pure PHP' => ['zmtp'], 'one function' => ['function']];
    }

    /** @testWith ["zmq"]
     *            ["zmtp"]
     */
    public function test_a_batch_of_a_page_arrives_in_order(string $with): void
    {
        $channel = $this->channel();
        $client = $this->stack->listen("channel=$channel");
        $client->opened();
        $messages = array_map(static fn (int $i) => [$channel, "item $i"], range(1, 500));
        self::assertSame(500, $this->stack->page('publish.php', ['with' => $with, 'messages' => $messages, 'batch' => true]));
        self::assertSame(array_column($messages, 1), $client->takeData(500));
    }

    public function test_an_ordinary_page_needs_nothing_of_ours(): void
    {
        $channel = $this->channel();
        $client = $this->stack->listen("channel=$channel");
        $cursor = $client->opened();
        $poll = $this->stack->startPoll("channel=$channel&cursor=$cursor");

        $queued = $this->stack->page('ordinary.php', [
            json_encode(['channel' => $channel, 'data' => ['one' => 'frame']]),
            [$channel, 'two frames'],
            [$channel, 'three frames', '{"event": "three"}'],
        ]);
        self::assertSame([true, true, true], $queued);
        $client->expect('{"one":"frame"}', 'two frames');
        $three = $client->next();
        self::assertSame(['three', 'three frames'], [$three->type, $three->data]);
        self::assertSame('{"one":"frame"}', $poll->json()['messages'][0]['data']);
    }

    public function test_an_ordinary_page_keeps_publishing_page_after_page(): void
    {
        $channel = $this->channel();
        $client = $this->stack->listen("channel=$channel");
        $client->opened();
        for ($i = 0; $i < 20; $i++) {
            $this->stack->page('ordinary.php', [[$channel, "page $i"]]);
            $client->expect("page $i");
        }
    }
}
