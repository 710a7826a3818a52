<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** FastCGI 1.0 as it may be spoken by any web server, and as it may be broken by anybody. */
final class FastCgiTest extends EndToEndTestCase
{
    protected const SHARED = ['fastcgi.request_timeout' => '200ms', 'history.messages' => '1000'];

    /** @testWith [1]
     *            [3]
     *            [256]
     *            [65535]
     */
    public function test_every_request_id_gets_the_same_text(int $id): void
    {
        $channel = $this->channel();
        $reference = $this->stack->daemon->fastcgi()->listen("channel=$channel");
        $connection = $this->stack->daemon->fastcgi();
        $client = $connection->listen("channel=$channel", [], $id);
        $reference->opened();
        $client->opened();
        $this->stack->publish($channel, "two\nlines", ['event' => 'named']);
        $this->stack->publish($channel, str_repeat('x', 200000));
        self::assertEquals($reference->take(2), $client->take(2));
        $withoutRetry = static fn (string $body) => preg_replace('/^:\nretry: \d+\n/', '', $body);
        self::assertSame($withoutRetry($reference->response->body), $withoutRetry($client->response->body));
        self::assertSame([$id], array_values(array_unique(array_column($connection->records, 'id'))));
        self::assertSame([0], array_values(array_unique(array_column($connection->records, 'padding'))));
    }

    public function test_a_poll_over_another_id_gets_the_same_text(): void
    {
        $channel = $this->channel();
        $cursor = $this->stack->now();
        $params = FastCgi::params("channel=$channel&cursor=$cursor", ['HTTP_ACCEPT' => 'application/json']);
        $one = $this->stack->daemon->fastcgi()->request($params, 1);
        $other = $this->stack->daemon->fastcgi()->request($params, 7);
        $this->stack->publish($channel, 'for both');
        self::assertSame($one->wait()->body, $other->wait()->body);
    }

    public function test_a_request_may_be_cut_at_every_byte(): void
    {
        $channel = $this->channel();
        $connection = $this->stack->daemon->fastcgi();
        $params = FastCgi::params("channel=$channel", ['SIDECAST_CHANNELS' => "$channel,other", 'HTTP_COOKIE' => str_repeat('c', 200)]);
        $client = new EventStream($connection, $connection->expectResponse(1));
        $connection->sendInPieces(FastCgi::request(1, $params));
        $client->opened();
        $this->stack->publish($channel, 'understood');
        $client->expect('understood');
    }

    /** @testWith [7]
     *            [8]
     *            [9]
     *            [100]
     */
    public function test_a_request_may_come_in_pieces_of_any_size(int $size): void
    {
        $connection = $this->stack->daemon->fastcgi();
        $client = new EventStream($connection, $connection->expectResponse(1));
        $connection->sendInPieces(FastCgi::request(1, FastCgi::params('channel=news')), $size);
        $client->opened();
    }

    public function test_padding_and_many_small_records_are_understood(): void
    {
        $connection = $this->stack->daemon->fastcgi();
        $client = new EventStream($connection, $connection->expectResponse(1));
        $bytes = FastCgi::begin(1);
        foreach (str_split(FastCgi::pairs(FastCgi::params('channel=news')), 10) as $piece) {
            $bytes .= FastCgi::record(FastCgi::PARAMS, 1, $piece, 6);
        }
        $connection->send($bytes . FastCgi::record(FastCgi::PARAMS, 1, '', 8) . FastCgi::record(FastCgi::STDIN, 1, '', 255));
        $client->opened();
    }

    public function test_values_are_told_truthfully(): void
    {
        $connection = $this->stack->daemon->fastcgi();
        $asked = ['FCGI_MAX_CONNS' => '', 'FCGI_MAX_REQS' => '', 'FCGI_MPXS_CONNS' => '', 'FCGI_NONSENSE' => ''];
        $connection->send(FastCgi::record(FastCgi::GET_VALUES, 0, FastCgi::pairs($asked)));
        $values = FastCgi::parsePairs($connection->waitForRecord(FastCgi::GET_VALUES_RESULT)['content']);
        self::assertSame('0', $values['FCGI_MPXS_CONNS']);
        self::assertArrayNotHasKey('FCGI_NONSENSE', $values);

        $connection->listen('channel=news')->opened();
    }

    public function test_an_unknown_management_record_is_named_as_such(): void
    {
        $connection = $this->stack->daemon->fastcgi();
        $connection->send(FastCgi::record(99, 0, 'whatever'));
        $record = $connection->waitForRecord(FastCgi::UNKNOWN_TYPE);
        self::assertSame(0, $record['id']);
        self::assertSame(99, ord($record['content'][0]));
        $connection->listen('channel=news')->opened();
    }

    public function test_a_second_request_on_a_busy_connection_is_refused_and_the_first_goes_on(): void
    {
        $channel = $this->channel();
        $connection = $this->stack->daemon->fastcgi();
        $client = $connection->listen("channel=$channel");
        $client->opened();
        $connection->send(FastCgi::request(2, FastCgi::params('channel=other')));
        self::assertSame(['app' => 0, 'protocol' => FastCgi::CANT_MPX_CONN], $connection->waitForEnd());
        $this->stack->publish($channel, 'the first goes on');
        $client->expect('the first goes on');
    }

    public function test_a_second_request_within_the_first_ones_parameters_is_refused(): void
    {
        $connection = $this->stack->daemon->fastcgi();
        $client = new EventStream($connection, $connection->expectResponse(1));
        $connection->send(FastCgi::begin(1)
            . FastCgi::request(2, FastCgi::params('channel=other'))
            . FastCgi::streamOf(FastCgi::PARAMS, 1, FastCgi::pairs(FastCgi::params('channel=news')))
            . FastCgi::record(FastCgi::STDIN, 1, ''));
        $client->opened();
        $end = $connection->waitForRecord(FastCgi::END_REQUEST);
        self::assertSame([2, FastCgi::CANT_MPX_CONN], [$end['id'], ord($end['content'][4])]);
    }

    public function test_another_role_is_refused(): void
    {
        $connection = $this->stack->daemon->fastcgi();
        $connection->send(FastCgi::begin(1, false, FastCgi::AUTHORIZER));
        self::assertSame(FastCgi::UNKNOWN_ROLE, $connection->waitForEnd()['protocol']);
    }

    public function test_an_abort_ends_the_request(): void
    {
        $connection = $this->stack->daemon->fastcgi();
        $connection->listen('channel=news')->opened();
        $connection->send(FastCgi::abort(1));
        self::assertSame(FastCgi::REQUEST_COMPLETE, $connection->waitForEnd()['protocol']);
        $connection->waitForClose();
    }

    public function test_an_abort_on_a_kept_connection_leaves_it_for_the_next_request(): void
    {
        $connection = $this->stack->daemon->fastcgi();
        $first = new EventStream($connection, $connection->request(FastCgi::params('channel=news'), 1, true));
        $first->opened();
        $connection->send(FastCgi::abort(1));
        self::assertSame(FastCgi::REQUEST_COMPLETE, $connection->waitForEnd()['protocol']);
        $connection->listen('channel=news')->opened();
    }

    public function test_a_kept_connection_serves_one_request_after_the_other(): void
    {
        $channel = $this->channel();
        $cursor = $this->stack->now();
        $connection = $this->stack->daemon->fastcgi();
        foreach ([1, 5, 1] as $number => $id) {
            $params = FastCgi::params("channel=$channel&cursor=$cursor", ['HTTP_ACCEPT' => 'application/json']);
            $response = $connection->request($params, $id, true);
            $this->stack->publish($channel, "m$number");
            self::assertSame("m$number", $response->json()['messages'][0]['data']);
            $cursor = $response->json()['cursor'];
        }
        self::assertFalse($connection->closed);
    }

    public function test_a_connection_that_is_not_to_be_kept_is_closed_after_its_answer(): void
    {
        $connection = $this->stack->daemon->fastcgi();
        $connection->request(FastCgi::params('channel=news', ['HTTP_ACCEPT' => 'application/json']))->wait();
        $connection->waitForClose();
    }

    public function test_an_idle_kept_connection_is_closed_after_its_time(): void
    {
        $this->start(['fastcgi.keep_timeout' => '100ms']);
        $connection = $this->stack->daemon->fastcgi();
        $connection->request(FastCgi::params('channel=news', ['HTTP_ACCEPT' => 'application/json']), 1, true)->wait();
        $connection->waitForClose();
    }

    public function test_half_a_request_is_closed_after_its_time(): void
    {
        $request = FastCgi::request(1, FastCgi::params('channel=news'));
        $connections = [];
        foreach ([0, 3, 16, 40, strlen($request) - 1] as $bytes) {
            $connections[] = $connection = $this->stack->daemon->fastcgi();
            $connection->send(substr($request, 0, $bytes));
        }
        foreach ($connections as $connection) {
            $connection->waitForClose();
        }
        $this->stack->daemon->fastcgi()->listen('channel=news')->opened();
    }

    /** @dataProvider garbage */
    public function test_garbage_closes_its_connection_and_nothing_else(string $bytes): void
    {
        $channel = $this->channel();
        $client = $this->stack->daemon->fastcgi()->listen("channel=$channel");
        $client->opened();
        $connection = $this->stack->daemon->fastcgi();
        $connection->send($bytes);
        $connection->waitForClose();
        $this->stack->publish($channel, 'all the same');
        $client->expect('all the same');
    }

    /** @return array<string, array{string}> */
    public static function garbage(): array
    {
        $stdin = FastCgi::record(FastCgi::STDIN, 1, '');
        return [
            'HTTP' => ["GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"],
            'zeros' => [str_repeat("\0", 64)],
            'another version' => ["\x02" . substr(FastCgi::begin(1), 1)],
            'pairs that run beyond their end' => [FastCgi::begin(1) . FastCgi::streamOf(FastCgi::PARAMS, 1, "\x7f\x7fshort") . $stdin],
            'a long pair that runs beyond' => [FastCgi::begin(1) . FastCgi::streamOf(FastCgi::PARAMS, 1, "\xff\xff\xff\xff\x01x") . $stdin],
            'a short begin' => [FastCgi::record(FastCgi::BEGIN_REQUEST, 1, 'xyz')],
            'params without a request' => [FastCgi::streamOf(FastCgi::PARAMS, 1, '')],
        ];
    }

    public function test_parameters_of_64_kib_are_read_and_more_are_refused(): void
    {
        $params = FastCgi::params('channel=news');
        $rest = 65536 - strlen(FastCgi::pairs($params)) - strlen(FastCgi::pairs(['HTTP_X' => str_repeat('x', 1000)])) + 1000;
        $this->stack->daemon->fastcgi()->listen('channel=news', ['HTTP_X' => str_repeat('x', $rest)])->opened();
        $response = $this->stack->daemon->fastcgi()->request($params + ['HTTP_X' => str_repeat('x', $rest + 1)])->wait();
        self::assertSame(431, $response->status);
        self::assertSame(['error', 'message'], array_keys($response->json()));
    }

    public function test_a_client_that_half_closes_or_leaves_is_noticed(): void
    {
        $before = $this->stack->daemon->openSockets();
        $closing = $this->stack->daemon->fastcgi();
        $halfClosing = $this->stack->daemon->fastcgi();
        foreach ([$closing, $halfClosing] as $connection) {
            $connection->listen('channel=news')->opened();
        }
        $closing->close();
        stream_socket_shutdown($halfClosing->stream(), STREAM_SHUT_WR);
        $halfClosing->waitForClose();
        $this->eventually('both to be gone', fn () => array_diff($this->stack->daemon->openSockets(), $before) === []);
    }
}
