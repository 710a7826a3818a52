<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/**
 * What a client that listens to an event stream gets.
 *
 * @group front-end
 */
final class SubscribeTest extends EndToEndTestCase
{
    protected const SHARED = ['sse.retry' => '2s'];

    public function test_a_message_reaches_a_client_that_listens(): void
    {
        $channel = $this->channel();
        $client = $this->stack->listen("channel=$channel");
        $client->opened();
        $this->stack->publish($channel, 'hello');
        $client->expect('hello');
    }

    public function test_the_answer_begins_with_comment_and_retry_and_says_where_it_starts(): void
    {
        $client = $this->stack->listen('channel=' . $this->channel());
        $cursor = $client->opened();

        self::assertStringStartsWith('text/event-stream', $client->response->header('Content-Type'));
        self::assertSame('no-store', $client->response->header('Cache-Control'));
        self::assertMatchesRegularExpression('/\A:\nretry: \d+\n(event|id|data): /', $client->response->body);
        self::assertStringContainsString("\ndata: {\"cursor\":\"$cursor\"}\n", $client->response->body);
        self::assertMatchesRegularExpression('/^\d{13}-\d+$/D', $cursor);
        self::assertSame(0, $client->parser->emptyBlocks);
    }

    public function test_headers_and_first_bytes_travel_in_one_record_without_padding(): void
    {
        $connection = $this->stack->daemon->fastcgi();
        $client = $connection->listen('channel=' . $this->channel());
        $client->opened();
        $first = $connection->records[0];

        self::assertSame(FastCgi::STDOUT, $first['type']);
        self::assertSame(0, $first['padding']);
        self::assertMatchesRegularExpression('/\r\n\r\n:\nretry: /', $first['content']);
        self::assertSame('no', $client->response->header('X-Accel-Buffering'));
    }

    public function test_each_client_is_told_another_time_to_come_back(): void
    {
        $retries = [];
        for ($i = 0; $i < 20; $i++) {
            $client = $this->stack->daemon->fastcgi()->listen('channel=' . $this->channel());
            $client->opened();
            $retries[] = $client->parser->retry;
            $client->close();
        }
        self::assertGreaterThanOrEqual(1000, min($retries), '50 % of sse.retry');
        self::assertLessThanOrEqual(3000, max($retries), '150 % of sse.retry');
        self::assertGreaterThan(5, count(array_unique($retries)));
    }

    public function test_a_client_with_a_cursor_is_not_told_where_it_starts(): void
    {
        $channel = $this->channel();
        $client = $this->stack->resume("channel=$channel", $this->stack->now());
        $this->stack->publish($channel, 'the first event');
        $client->expect('the first event');
    }

    public function test_the_open_event_can_be_switched_off(): void
    {
        $this->start(['sse.open_event' => 'no']);
        $client = $this->stack->listen('channel=news');
        $this->stack->publish('news', 'the first event');
        $client->expect('the first event');
    }

    /** @dataProvider texts */
    public function test_data_arrives_as_event_source_shows_it(string $published, string $shown): void
    {
        $channel = $this->channel();
        $client = $this->stack->listen("channel=$channel");
        $client->opened();
        $this->stack->publish($channel, $published);
        $client->expect($shown);
        self::assertSame(0, $client->parser->emptyBlocks);
    }

    /** @return array<string, array{string, string}> */
    public static function texts(): array
    {
        return [
            'plain' => ['plain', 'plain'],
            'empty' => ['', ''],
            'leading space' => [' x', ' x'],
            'all kinds of line ends' => ["a\nb\r\nc\rd", "a\nb\nc\nd"],
            'ends with a line end' => ["a\n", "a\n"],
            'only line ends' => ["\n\n", "\n\n"],
            'looks like a field' => ["id: 5\nevent: x\n\n: no", "id: 5\nevent: x\n\n: no"],
            'unicode' => ["Grüße 🐘", "Grüße 🐘"],
            'as long as one record' => [str_repeat('x', 65535), str_repeat('x', 65535)],
            'several records' => [str_repeat("0123456789\n", 40000), str_repeat("0123456789\n", 40000)],
        ];
    }

    public function test_a_message_of_an_event_name_arrives_as_that_event(): void
    {
        $channel = $this->channel();
        $client = $this->stack->listen("channel=$channel");
        $client->opened();
        $this->stack->publish($channel, '17', ['event' => 'price']);
        $this->stack->publish($channel, 'plain again');

        [$price, $plain] = $client->take(2);
        self::assertSame(['price', '17'], [$price->type, $price->data]);
        self::assertSame(['message', 'plain again'], [$plain->type, $plain->data]);
    }

    public function test_several_channels_on_one_connection_keep_one_order_for_everybody(): void
    {
        [$a, $b, $c] = [$this->channel('a'), $this->channel('b'), $this->channel('c')];
        $first = $this->stack->listen("channel=$a&channel=$b&channel=$c");
        $second = $this->stack->listen("channel=$c&channel=$b&channel=$a");
        $first->opened();
        $second->opened();
        $published = [];
        for ($i = 0; $i < 300; $i++) {
            $published[] = "message $i";
            $this->stack->publish([$a, $b, $c][$i * 7 % 3], "message $i");
        }

        $events = $first->take(300);
        self::assertSame($published, array_column($events, 'data'));
        self::assertEquals($events, $second->take(300));
        $this->assertIdsIncrease($events);
    }

    public function test_a_client_gets_nothing_of_channels_it_did_not_ask_for(): void
    {
        [$mine, $other] = [$this->channel(), $this->channel()];
        $client = $this->stack->listen("channel=$mine");
        $client->opened();
        $this->stack->publish($other, 'not for you');
        $this->stack->publish($mine, 'for you');
        $client->expect('for you');
    }

    public function test_a_channel_name_may_be_any_text_that_the_query_encodes(): void
    {
        $channel = $this->channel('größe/+&=%');
        $client = $this->stack->listen('channel=' . rawurlencode($channel));
        $client->opened();
        $this->stack->publish($channel, 'found');
        $client->expect('found');
    }

    public function test_an_envelope_names_channel_and_event(): void
    {
        $channel = $this->channel();
        $client = $this->stack->listen("channel=$channel&envelope=1");
        $plain = $this->stack->listen("channel=$channel");
        $client->opened();
        $plain->opened();
        $this->stack->publish($channel, "two\nlines \"quoted\"", ['event' => 'note']);
        $this->stack->publish($channel, 'no event name');

        [$named, $unnamed] = $client->take(2);
        self::assertSame('note', $named->type);
        self::assertSame(['channel' => $channel, 'event' => 'note', 'data' => "two\nlines \"quoted\""], $named->json());
        self::assertSame($channel, $unnamed->json()['channel']);
        self::assertSame('no event name', $unnamed->json()['data']);
        self::assertSame("two\nlines \"quoted\"", $plain->next()->data);
    }

    public function test_the_sender_is_left_out(): void
    {
        $channel = $this->channel();
        $sender = $this->stack->listen("channel=$channel&client=alice");
        $other = $this->stack->listen("channel=$channel&client=bob");
        $nameless = $this->stack->listen("channel=$channel");
        foreach ([$sender, $other, $nameless] as $client) {
            $client->opened();
        }
        $this->stack->publish($channel, 'from alice', ['except' => 'alice']);
        $this->stack->publish($channel, 'to all');

        $sender->expect('to all');
        $other->expect('from alice', 'to all');
        $nameless->expect('from alice', 'to all');
    }

    public function test_the_client_id_that_nginx_sets_wins_over_the_one_a_browser_sends(): void
    {
        $client = $this->stack->listen('client=browser', [], '/granted');
        $client->opened();
        $this->stack->publish('granted/a', 'left out', ['except' => 'from-nginx']);
        $this->stack->publish('granted/a', 'not left out', ['except' => 'browser']);
        $client->expect('not left out');
    }

    public function test_a_heartbeat_comes_in_silence(): void
    {
        $this->start(['sse.heartbeat' => '100ms']);
        $client = $this->stack->listen('channel=news');
        $client->opened();
        $client->waitForComment();
        $client->waitForComment();
        $this->stack->publish('news', 'still here');
        $client->expect('still here');
        self::assertSame(0, $client->parser->emptyBlocks);
    }

    public function test_the_form_of_a_heartbeat_is_configurable(): void
    {
        $this->start(['sse.heartbeat' => '100ms', 'sse.heartbeat_text' => ': still here']);
        $client = $this->stack->listen('channel=news');
        $client->opened();
        $client->waitForComment();
        self::assertStringEndsWith("\n: still here\n", $client->response->body);
    }

    public function test_no_heartbeat_comes_while_messages_do(): void
    {
        $this->start(['sse.heartbeat' => '1s', 'hub.pace' => '0ms']);
        $client = $this->stack->listen('channel=news');
        $client->opened();
        $comments = $client->parser->comments;
        $start = Loop::now();
        while (Loop::now() < $start + 1.5) {
            $this->stack->publish('news', 'tick');
            $client->expect('tick');
        }
        self::assertSame($comments, $client->parser->comments);
    }

    public function test_a_stream_ends_cleanly_at_its_age_and_nothing_is_lost(): void
    {
        $this->start(['sse.max_age' => '300ms']);
        $start = Loop::now();
        $client = $this->stack->listen('channel=news');
        $cursor = $client->opened();
        $client->waitForCleanEnd();
        self::assertGreaterThanOrEqual(0.24, Loop::now() - $start, '80 % of sse.max_age');
        self::assertStringNotContainsString('prematurely closed', $this->stack->frontEnd()->log());

        $this->stack->publish('news', 'while nobody listened');
        $this->stack->resume('channel=news', $cursor)->expect('while nobody listened');
    }

    /** @dataProvider transports */
    public function test_the_transport_follows_accept_unless_the_query_says_otherwise(string $accept, string $query, string $type): void
    {
        $headers = $accept === '' ? [] : ['Accept' => $accept];
        $response = $this->stack->request('GET', "/events?channel=news$query", $headers)->waitForHead();
        self::assertSame(200, $response->status);
        self::assertStringStartsWith($type, $response->header('Content-Type'));
    }

    /** @return list<array{string, string, string}> */
    public static function transports(): array
    {
        return [
            ['text/event-stream', '', 'text/event-stream'],
            ['application/json', '', 'application/json'],
            ['application/json, text/plain, */*', '', 'application/json'],
            ['*/*', '', 'text/event-stream'],
            ['', '', 'text/event-stream'],
            ['application/json', '&transport=sse', 'text/event-stream'],
            ['text/event-stream', '&transport=poll', 'application/json'],
        ];
    }
}
