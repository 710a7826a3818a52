<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** Publishing by HTTP, through the snippet in a real front end and in raw FastCGI. */
final class HttpPublishTest extends EndToEndTestCase
{
    protected const SHARED = ['publish.max_bytes' => '64KiB'];
    private const JSON = ['Content-Type' => 'application/json'];

    public function test_a_body_is_the_data_of_its_channel(): void
    {
        [$channel, $client] = $this->listener();
        $id = $this->publish("channel=$channel", "{\"looks\": 0.10}\nlike json", self::JSON)[0];
        $event = $client->next();
        self::assertSame([$id, 'message', "{\"looks\": 0.10}\nlike json"], [$event->id, $event->type, $event->data]);
    }

    public function test_each_channel_gets_a_message_in_the_order_of_the_query(): void
    {
        [$a, $b] = [$this->channel('a'), $this->channel('b')];
        $client = $this->stack->listen("channel=$a&channel=$b&envelope=1");
        $client->opened();
        $ids = $this->publish("channel=$b&channel=$a", 'for both');
        $events = $client->take(2);
        self::assertSame($ids, array_column($events, 'id'));
        self::assertSame([$b, $a], array_map(static fn (Event $event) => $event->json()['channel'], $events));
    }

    public function test_options_come_in_the_query_or_in_headers(): void
    {
        [$channel, $client] = $this->listener();
        $this->publish("channel=$channel&event=caf%C3%A9", 'one', ['X-Sidecast-Event' => 'not this']);
        $this->publish("channel=$channel", 'two', ['X-Sidecast-Event' => 'header', 'X-Sidecast-Store' => '0', 'X-Sidecast-Ttl' => '60']);
        self::assertSame([['café', 'one'], ['header', 'two']], array_map(static fn (Event $e) => [$e->type, $e->data], $client->take(2)));
        self::assertSame(['one'], array_column($this->stack->poll("channel=$channel&cursor=0")['messages'], 'data'), 'two was not stored');
    }

    public function test_the_sender_is_left_out(): void
    {
        $channel = $this->channel();
        $sender = $this->stack->listen("channel=$channel&client=me");
        $other = $this->stack->listen("channel=$channel&client=you");
        $sender->opened();
        $other->opened();
        $this->publish("channel=$channel&except=me", 'one');
        $this->publish("channel=$channel", 'two', ['X-Sidecast-Except' => 'you']);
        $other->expect('one');
        $sender->expect('two');
    }

    public function test_a_key_is_answered_with_the_first_id(): void
    {
        [$channel, $client] = $this->listener();
        $first = $this->publish("channel=$channel&key=k", 'one');
        self::assertSame($first, $this->publish("channel=$channel", 'again', ['X-Sidecast-Key' => 'k']));
        $batch = json_encode([['channel' => $channel, 'data' => 'again', 'key' => 'k'], ['channel' => $channel, 'data' => 'two']]);
        $ids = $this->publish('', $batch, self::JSON);
        self::assertSame($first[0], $ids[0]);
        $client->expect('one', 'two');
    }

    public function test_a_document_is_published_as_over_zeromq(): void
    {
        [$channel, $client] = $this->listener();
        $name = json_encode($channel);
        $ids = $this->publish('', "{\"channel\":$name,\"data\":{\"price\": 0.10},\"event\":\"tick\"}", ['Content-Type' => 'application/json; charset=utf-8']);
        $event = $client->next();
        self::assertSame([$ids[0], 'tick', '{"price": 0.10}'], [$event->id, $event->type, $event->data]);
    }

    public function test_a_batch_tells_what_became_of_each_item(): void
    {
        [$channel, $client] = $this->listener();
        $other = $this->channel('other');
        $batch = [
            ['channel' => $channel, 'data' => 'one'],
            ['channel' => 'a b', 'data' => 'lost'],
            ['channels' => [$channel, $other], 'data' => 'two'],
            ['channel' => $channel, 'data' => 'lost', 'ttl' => 0],
        ];
        $response = $this->request('', json_encode($batch), self::JSON);
        self::assertSame(202, $response->status);
        $answer = $response->json();
        self::assertCount(5, $answer['ids'], 'two for the item with two channels');
        self::assertSame([1, 4], array_keys($answer['ids'], null, true));
        self::assertSame([[1, 'bad_channel'], [3, 'bad_option']], array_map(static fn ($e) => [$e['item'], $e['error']], $answer['errors']));
        $events = $client->take(2);
        self::assertSame(['one', 'two'], array_column($events, 'data'));
        self::assertSame([$answer['ids'][0], $answer['ids'][2]], array_column($events, 'id'));
    }

    /** @dataProvider faults */
    public function test_a_fault_is_told_and_nothing_published(int $status, string $code, string $query, string $body, array $headers = []): void
    {
        $before = $this->stack->now();
        $response = $this->request($query, $body, $headers);
        self::assertSame([$status, $code], [$response->status, $response->json()['error']], $response->body);
        self::assertGreaterThan(10, strlen($response->json()['message']));
        self::assertSame('application/json', $response->header('Content-Type'));
        self::assertSame($before, $this->stack->now());
    }

    public static function faults(): array
    {
        return [
            'nothing named' => [400, 'no_channel', '', 'x'],
            'no document' => [400, 'no_channel', '', '{}', ['Content-Type' => 'text/plain']],
            'bad channel' => [400, 'bad_channel', 'channel=a&channel=a%20b', 'x'],
            'a pattern' => [400, 'bad_channel', 'channel=a*', 'x'],
            'bad UTF-8 in the query' => [400, 'bad_channel', 'channel=%FF', 'x'],
            'bad UTF-8 in an option' => [400, 'bad_option', 'channel=a&event=%FF', 'x'],
            'bad UTF-8 in a header' => [400, 'bad_option', 'channel=a', 'x', ['X-Sidecast-Event' => "\xff"]],
            'bad UTF-8 in data' => [400, 'bad_data', 'channel=a', "\xff"],
            'bad UTF-8 in a document' => [400, 'bad_json', '', "{\"channel\":\"a\",\"data\":\"\xff\"}", self::JSON],
            'an option nobody knows' => [400, 'bad_option', 'channel=a&evnt=e', 'x'],
            'no time' => [400, 'bad_option', 'channel=a&ttl=soon', 'x'],
            'no flag' => [400, 'bad_option', 'channel=a', 'x', ['X-Sidecast-Store' => 'no']],
            'options beside a document' => [400, 'bad_option', 'event=e', '{"channel":"a","data":1}', self::JSON],
            'no JSON' => [400, 'bad_json', '', '{"channel":', self::JSON],
            'an empty document' => [400, 'bad_json', '', '', self::JSON],
            'an empty batch' => [400, 'bad_json', '', '[]', self::JSON],
            'a batch of nothing good' => [400, 'bad_channel', '', '[{"channel":"*","data":1},7]', self::JSON],
            'too much data' => [413, 'too_large', 'channel=a', str_repeat('x', 65537)],
        ];
    }

    public function test_drops_are_counted_and_logged_like_others(): void
    {
        $this->start();
        $this->request('', '{"channel":', self::JSON);
        $this->request('channel=*', 'x');
        $process = $this->stack->daemon->process;
        $process->waitForLog('/publication dropped: not a JSON object/');
        $process->waitForLog('/publication dropped: channel= takes names/');
        $process->signal(SIGUSR1);
        $process->waitForLog('/metrics .*dropped_bad_json=1/');
        $process->waitForLog('/metrics .*dropped_bad_channel=1/');
    }

    /** @testWith ["GET"]
     *            ["HEAD"]
     *            ["PUT"]
     *            ["DELETE"]
     */
    public function test_other_methods_are_refused(string $method): void
    {
        $response = $this->stack->request($method, '/publish?channel=a')->wait();
        self::assertSame([405, 'POST, OPTIONS'], [$response->status, $response->header('Allow')]);
    }

    public function test_options_is_answered(): void
    {
        $response = $this->stack->request('OPTIONS', '/publish')->wait();
        self::assertSame([204, 'POST, OPTIONS'], [$response->status, $response->header('Allow')]);
    }

    public function test_a_page_in_a_browser_of_this_host_publishes_nothing(): void
    {
        $before = $this->stack->now();
        foreach (['https://evil.example', 'null'] as $origin) { // a form and a simple fetch() need no preflight
            self::assertSame(403, $this->request('channel=a', 'x', ['Origin' => $origin, 'Content-Type' => 'text/plain'])->status);
        }
        self::assertSame($before, $this->stack->now());
    }

    public function test_without_a_grant_of_the_front_end_a_token_has_to_allow_it(): void
    {
        $secret = Token::keyFile("{$this->prepare()->directory}/secret", Token::SECRET);
        $this->stack->daemon->start(['token.secret_file' => $secret]);
        $post = fn (string $query, array $headers = []) => $this->stack->request('POST', "/publish-token?$query", $headers, 'x')->wait();
        $bearer = static fn (string $token) => ['Authorization' => "Bearer $token"];

        $orders = Token::make(['publish' => ['orders/*']]);
        self::assertSame(202, $post('channel=orders/7', $bearer($orders))->status);
        self::assertSame(202, $post("channel=orders/7&token=$orders")->status);
        $rows = [
            [403, 'not_allowed', $post('channel=orders/7')],
            [403, 'not_allowed', $post('channel=news', $bearer($orders))],
            [403, 'not_allowed', $post('channel=orders/7', $bearer(Token::make(['channels' => ['orders/*']])))],
            [403, 'not_allowed', $post('channel=orders/7', ['Cookie' => "sidecast_token=$orders"])],
            [401, 'token_expired', $post('channel=orders/7', $bearer(Token::make(['publish' => ['**'], 'exp' => time() - 60])))],
            [401, 'token_invalid', $post('channel=orders/7', $bearer(substr($orders, 0, -2)))],
        ];
        foreach ($rows as $row => [$status, $error, $response]) {
            self::assertSame([$status, $error], [$response->status, $response->json()['error']], "row $row");
        }
    }

    public function test_only_what_the_front_end_grants_may_be_published(): void
    {
        self::assertSame(202, $this->stack->request('POST', '/publish-orders?channel=orders/7', [], 'x')->wait()->status);
        $before = $this->stack->now();
        foreach (['/publish-orders?channel=news', '/publish-orders?channel=orders/7&channel=news'] as $uri) {
            $response = $this->stack->request('POST', $uri, [], 'x')->wait();
            self::assertSame([403, 'not_allowed'], [$response->status, $response->json()['error']]);
        }
        $batch = '[{"channel":"orders/7","data":1},{"channels":["orders/8","news"],"data":1}]';
        self::assertSame(403, $this->stack->request('POST', '/publish-orders', self::JSON, $batch)->wait()->status);
        foreach ([[], ['SIDECAST_PUBLISH' => ''], ['SIDECAST_PUBLISH' => 'news'], ['HTTP_SIDECAST_PUBLISH' => '**']] as $params) {
            self::assertSame(403, $this->raw('channel=orders/7', 'x', $params)->wait()->status);
        }
        self::assertSame($before, $this->stack->now());
    }

    public function test_what_was_answered_is_there_for_whoever_comes(): void
    {
        $channel = $this->channel();
        $kept = [$this->stack->daemon->fastcgi(), $this->stack->daemon->fastcgi(), $this->stack->daemon->fastcgi(), $this->stack->daemon->fastcgi()];
        for ($i = 1; $i <= 50; $i++) {
            [$id] = $this->publish("channel=$channel", "$i");
            self::assertSame($id, $this->stack->poll("channel=$channel&last=1")['cursor']);
            $params = FastCgi::params("channel=$channel&last=1", ['HTTP_ACCEPT' => 'application/json']);
            self::assertSame($id, $kept[$i % 4]->request($params, 1, true)->json()['cursor']);
        }
    }

    public function test_order_holds_across_both_ways_to_publish(): void
    {
        [$channel, $client] = $this->listener();
        $ids = [];
        for ($i = 1; $i <= 20; $i += 2) {
            $ids[] = $this->publish("channel=$channel", "$i")[0];
            $this->stack->publish($channel, (string) ($i + 1));
            $event = $client->take(2)[1];
            self::assertSame((string) ($i + 1), $event->data);
            $ids[] = $event->id;
        }
        $messages = $this->stack->poll("channel=$channel&cursor=0")['messages'];
        self::assertSame(array_map(strval(...), range(1, 20)), array_column($messages, 'data'));
        self::assertSame($ids, array_column($messages, 'id'));
    }

    public function test_many_at_once_are_all_answered_and_in_the_order_of_their_ids(): void
    {
        [$channel, $client] = $this->listener();
        $responses = [];
        for ($i = 0; $i < 100; $i++) {
            $responses[] = $this->raw("channel=$channel", "$i", ['SIDECAST_PUBLISH' => '**']);
        }
        $ids = array_map(static fn (Response $response) => $response->json()['ids'][0], $responses);
        $events = $client->take(100);
        $this->assertIdsIncrease($events);
        self::assertEqualsCanonicalizing($ids, array_column($events, 'id'));
        foreach ($events as $event) {
            self::assertSame($ids[(int) $event->data], $event->id);
        }
    }

    public function test_a_kept_connection_publishes_again_and_again(): void
    {
        [$channel, $client] = $this->listener();
        $connection = $this->stack->daemon->fastcgi();
        for ($i = 1; $i <= 20; $i++) {
            $response = $connection->request($this->params("channel=$channel"), 1, true, "$i")->wait();
            self::assertSame(202, $response->status);
            self::assertFalse($response->cut);
        }
        $client->expect(...array_map(strval(...), range(1, 20)));
    }

    public function test_a_body_may_come_in_pieces(): void
    {
        [$channel, $client] = $this->listener();
        $connection = $this->stack->daemon->fastcgi();
        $response = $connection->expectResponse(1);
        $data = str_repeat('0123456789abcdef', 4096);
        $connection->sendInPieces(FastCgi::request(1, $this->params("channel=$channel"), false, $data), 1000);
        self::assertSame(202, $response->wait()->status);
        $client->expect($data);
    }

    public function test_what_is_above_the_limit_of_the_front_end_is_refused(): void
    {
        self::assertSame(413, $this->request('channel=a', str_repeat('x', (1 << 20) + 1))->status);
    }

    /** @testWith ["large"]
     *            ["unbuffered"]
     * @group not-apache
     */
    public function test_too_large_a_body_is_told_through_the_front_end(string $location): void
    {
        foreach ([(1 << 20) + 1, 20 << 20] as $size) {
            $connection = $this->stack->frontEnd()->connect();
            $response = $connection->request('POST', "/publish/$location?channel=a", [], str_repeat('x', $size))->wait();
            self::assertSame([413, 'body_too_large'], [$response->status, $response->json()['error']]);
            self::assertFalse($response->cut);
        }
        self::assertSame(202, $this->stack->request('POST', "/publish/$location?channel=a", [], 'x')->wait()->status);
        self::assertSame(413, $this->stack->request('POST', "/publish/$location?channel=a", [], str_repeat('x', 65537))->wait()->status);
    }

    /** @group nginx */
    public function test_too_large_a_body_is_told_before_it_is_there(): void
    {
        $connection = $this->stack->frontEnd()->connect();
        $response = $connection->request('POST', '/publish/unbuffered?channel=a', ['Content-Length' => (string) (50 << 20)], str_repeat('x', 100000));
        self::assertSame(413, $response->wait()->status);
        $connection->close();

        $connection = $this->stack->frontEnd()->connect();
        $chunk = str_repeat('x', 1 << 20);
        $response = $connection->request('POST', '/publish/unbuffered?channel=a', ['Transfer-Encoding' => 'chunked']);
        $connection->send(dechex(1 << 20) . "\r\n$chunk\r\n" . dechex(1 << 20) . "\r\n$chunk\r\n");
        self::assertSame(413, $response->wait()->status);
    }

    public function test_a_chunked_body_is_published(): void
    {
        foreach (['', '/unbuffered'] as $location) {
            [$channel, $client] = $this->listener();
            $connection = $this->stack->frontEnd()->connect();
            $response = $connection->request('POST', "/publish$location?channel=$channel", ['Transfer-Encoding' => 'chunked']);
            $connection->send("5\r\nHello\r\n0\r\n\r\n");
            self::assertSame(202, $response->wait()->status, $response->body);
            $client->expect('Hello');
        }
    }

    /** @testWith [""]
     *            ["/unbuffered"]
     */
    public function test_a_client_that_dies_within_its_body_leaves_nothing(string $location): void
    {
        $this->start();
        $client = $this->stack->listen('channel=news');
        $client->opened();
        $frontEnd = $this->stack->frontEnd();
        $this->publish('channel=other', 'warm');
        $sockets = count($this->stack->daemon->openSockets()); // listeners, the client, and the one that the front end keeps
        for ($i = 0; $i < 20; $i++) {
            $connection = $frontEnd->connect();
            $connection->request('POST', "/publish$location?channel=news", ['Content-Length' => '100000'], str_repeat('x', 50000 + $i));
            $connection->close();
        }
        for ($i = 0; $i < 50; $i++) {
            $raw = $this->stack->daemon->fastcgi();
            $bytes = FastCgi::request(1, $this->params('channel=news'), $i % 2 === 0, 'half');
            $raw->send(substr($bytes, 0, intdiv(strlen($bytes) * $i, 50)));
            $raw->close();
        }
        $this->publish('channel=news', 'whole');
        $client->expect('whole');
        $this->eventually('their connections to be closed', fn () => count($this->stack->daemon->openSockets()) <= $sockets);
        $this->stack->daemon->process->signal(SIGUSR1);
        $this->stack->daemon->process->waitForLog('/messages_published=2\b/');
    }

    public function test_at_the_end_every_request_is_answered(): void
    {
        $this->start();
        $client = $this->stack->daemon->fastcgi()->listen('channel=news');
        $client->opened();
        $responses = [];
        for ($i = 0; $i < 50; $i++) {
            $responses[] = $this->raw('channel=news', "$i", ['SIDECAST_PUBLISH' => '**']);
        }
        $responses[0]->wait();
        $this->stack->daemon->process->signal(SIGTERM);
        $ids = [];
        foreach ($responses as $response) {
            $response->wait();
            self::assertContains($response->status, [202, 503]);
            self::assertFalse($response->cut);
            if ($response->status === 202) {
                $ids[] = $response->json()['ids'][0];
            } else {
                self::assertMatchesRegularExpression('/^\d+$/D', (string) $response->header('Retry-After'));
            }
        }
        $client->waitForCleanEnd();
        self::assertEqualsCanonicalizing($ids, array_column($client->take($client->pending()), 'id'), 'who listened got all that was answered');
        $this->stack->daemon->assertCleanEnd();
    }

    /** @return array{string, EventStream} */
    private function listener(): array
    {
        $channel = $this->channel();
        $client = $this->stack->listen("channel=$channel");
        $client->opened();
        return [$channel, $client];
    }

    /** @param array<string, string> $headers */
    private function request(string $query, string $body, array $headers = []): Response
    {
        return $this->stack->request('POST', "/publish?$query", $headers + ['Content-Length' => (string) strlen($body)], $body)->wait();
    }

    /**
     * @param array<string, string> $headers
     * @return list<string> the ids
     */
    private function publish(string $query, string $body, array $headers = []): array
    {
        $response = $this->request($query, $body, $headers);
        self::assertSame(202, $response->status, $response->body);
        self::assertSame(['ids'], array_keys($response->json()));
        return $response->json()['ids'];
    }

    /** @return array<string, string> */
    private function params(string $query): array
    {
        return FastCgi::params($query, ['REQUEST_METHOD' => 'POST', 'SIDECAST_ENDPOINT' => 'publish', 'SIDECAST_PUBLISH' => '**']);
    }

    /** @param array<string, string> $params */
    private function raw(string $query, string $body, array $params): Response
    {
        $params += ['REQUEST_METHOD' => 'POST', 'SIDECAST_ENDPOINT' => 'publish'];
        return $this->stack->daemon->fastcgi()->request(FastCgi::params($query, $params), 1, false, $body);
    }
}
