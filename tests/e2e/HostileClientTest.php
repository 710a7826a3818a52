<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/**
 * A client that means harm: HTTP that is broken, too large, too slow or not what was asked for.
 *
 * @group hostile
 */
final class HostileClientTest extends HostileClientTestCase
{
    /** @dataProvider requests */
    public function test_a_request_is_answered(string $request, int $status, ?string $code = null): void
    {
        $this->assertAnswer($this->raw($request), $status, $code);
    }

    /** @return array<string, array{0: string, 1: int, 2?: ?string}> */
    public static function requests(): array
    {
        $get = static fn (string $headers): string => self::get('channel=a', $headers);
        $with = static fn (string $method, string $more = ''): string => "$method /events?channel=a HTTP/1.1\r\nHost: localhost\r\n$more\r\n";
        $poll = "Accept: application/json\r\n";
        return [
            // the request line; nginx refuses what is not HTTP
            'a raw control character' => ["GET /events?channel=a\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400],
            'a raw NUL' => ["GET /events?channel=a\0b HTTP/1.1\r\nHost: a\r\n\r\n", 400],
            'a raw DEL' => ["GET /events?channel=a\x7f HTTP/1.1\r\nHost: a\r\n\r\n", 400],
            'a raw space' => ["GET /events?channel=a b HTTP/1.1\r\nHost: a\r\n\r\n", 400],
            'a bare CR' => ["GET /events?channel=a\r" . self::MARK . ": 1 HTTP/1.1\r\nHost: a\r\n\r\n", 400],
            'no host' => ["GET /events?channel=a HTTP/1.1\r\n\r\n", 400],
            'two hosts' => [$get("Host: b\r\n"), 400],
            'HTTP/1.0' => ["GET /events?channel=a HTTP/1.0\r\n\r\n", 200],
            'HTTP/9.9' => ["GET /events?channel=a HTTP/9.9\r\nHost: a\r\n\r\n", 505],
            'the preface of HTTP/2' => ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
            'an absolute URI' => ["GET http://elsewhere/events?channel=a HTTP/1.1\r\nHost: localhost\r\n\r\n", 200],
            'a fragment' => ["GET /events?channel=a#%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", 200],
            // methods
            'HEAD' => [$with('HEAD'), 200],
            'HEAD of what is refused' => ["HEAD /events HTTP/1.1\r\nHost: localhost\r\n\r\n", 400],
            'OPTIONS' => [$with('OPTIONS'), 204],
            'TRACE' => [$with('TRACE'), 405],
            'CONNECT' => ["CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400],
            'a method of its own' => [$with('INJECT'), 405, 'method_not_allowed'],
            'a method of 60000 bytes' => [$with(str_repeat('X', 60000)), 405, 'method_not_allowed'],
            'a method in small letters' => [$with('get'), 400],
            'DELETE' => [$with('DELETE'), 405, 'method_not_allowed'],
            // bodies
            'a POST' => [$with('POST', "Content-Length: 5\r\n") . 'hello', 405, 'method_not_allowed'],
            'a chunked POST' => [$with('POST', "Transfer-Encoding: chunked\r\n") . "5\r\nhello\r\n0\r\n\r\n", 405, 'method_not_allowed'],
            'a chunked body that is none' => [$with('POST', "Transfer-Encoding: chunked\r\n") . "zz\r\n", 400],
            'a chunk beyond all numbers' => [$with('POST', "Transfer-Encoding: chunked\r\n") . "fffffffffffffffff\r\n", 400],
            'a length and chunks' => [$with('POST', "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") . "0\r\n\r\n", 400],
            'two lengths' => [$with('POST', "Content-Length: 5\r\nContent-Length: 6\r\n") . 'hello!', 400],
            'a negative length' => [$with('POST', "Content-Length: -1\r\n"), 400],
            'a length beyond all numbers' => [$with('POST', 'Content-Length: ' . str_repeat('9', 30) . "\r\n"), 400],
            'a length that nginx refuses' => [$with('POST', "Content-Length: 999999999\r\n"), 413],
            'a POST above fastcgi.max_body, of which no byte is passed on' => [$with('POST', "Content-Length: 100000\r\n") . str_repeat('x', 100000), 405, 'method_not_allowed'],
            'a GET with a body' => [$get("{$poll}Content-Length: 5\r\n") . 'hello', 200],
            'a GET with a chunked body' => [$get("{$poll}Transfer-Encoding: chunked\r\n") . "5\r\nhello\r\n0\r\n\r\n", 200],
            // headers
            'a range' => [$get("Range: bytes=0-1\r\n"), 200],
            'a thousand ranges' => [$get('Range: bytes=' . str_repeat('0-1,', 1000) . "5-\r\n"), 200],
            'conditions' => [$get("If-None-Match: *\r\nIf-Modified-Since: Fri, 27 Nov 2099 00:00:00 GMT\r\n"), 200],
            'an upgrade' => [$get("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n"), 200],
            'an expectation' => [$get("{$poll}Expect: 100-continue\r\n"), 100],
            'a proxy' => [$get("Proxy: http://elsewhere/\r\nX-Forwarded-For: " . self::MARK . "\r\n"), 200],
            'a redirect of its own' => [$get('X-Accel-Redirect: /' . self::MARK . "\r\nX-Sidecast-Channels: secret\r\n"), 200],
            'a header with a NUL' => [$get("X: a\0b\r\n"), 400],
            'a header without a colon' => [$get(self::MARK . "\r\n"), 200],
            'a folded header' => [$get("X: a\r\n " . self::MARK . ": b\r\n"), 400],
            'another origin' => [$get('Origin: https://' . self::MARK . "\r\n"), 200],
            'a header again and again' => [$get(str_repeat("Accept: application/json\r\n", 100)), 200],
            'no type that there is' => [$get("Accept: image/png, */*;q=0\r\n"), 200],
            'a type without end' => [$get('Accept: ' . str_repeat('text/event-stream;q=0.1,', 2000) . "\r\n"), 200],
            'a type of commas' => [$get('Accept: ' . str_repeat(',', 60000) . "\r\n"), 200],
            // more than a record of FastCGI holds, which nginx cannot pass on: the same as when sidecast is away
            'headers above 64 KiB' => [$get('Accept: ' . str_repeat('a', 70000) . "\r\n"), 200],
            'a query above 64 KiB' => [self::get('channel=a&' . str_repeat('x=1&', 17000), $poll), 503, 'unavailable'],
            // cookies and tokens
            'many cookies' => [$get('Cookie: ' . str_repeat('a=b; ', 10000) . "\r\n"), 200],
            'many Cookie headers' => [$get(str_repeat("Cookie: a=b\r\n", 100)), 200],
            'a token in a cookie' => [$get('Cookie: sidecast_token=' . self::MARK . "\r\n"), 401, 'token_not_supported'],
            'a token in the last of many cookies' => [$get('Cookie: ' . str_repeat('a=b; ', 5000) . "sidecast_token=x\r\n"), 401, 'token_not_supported'],
            'an empty token in a cookie' => [$get("Cookie: sidecast_token=; sidecast_token\r\n"), 200],
            'a bearer' => [$get('Authorization: Bearer ' . self::MARK . "\r\n"), 401, 'token_not_supported'],
            'a bearer of 60000 bytes' => [$get('Authorization: Bearer ' . str_repeat('a', 60000) . "\r\n"), 401, 'token_not_supported'],
            'a bearer of nothing' => [$get("Authorization: Bearer\r\n"), 401, 'token_not_supported'],
            'a password' => [$get('Authorization: Basic ' . base64_encode('a:' . self::MARK) . "\r\n"), 200],
        ];
    }

    /** nginx's own limits: a request line of 8 KiB, and each header. */
    public function test_8_kib_of_query_is_the_most_that_nginx_passes_on(): void
    {
        $fits = 'channel=a&x=' . str_repeat('x', 8192 - strlen("GET /events?channel=a&x= HTTP/1.1\r\n"));
        foreach ([[$fits, '', 200], [$fits . 'x', '', 414], ['channel=a', 'X: ' . str_repeat('x', 8192) . "\r\n", 400]] as [$query, $headers, $status]) {
            $response = $this->strict()->raw(self::get($query, $headers))->waitForHead();
            self::assertSame($status, $response->status);
            $this->assertNothingComesBack($response);
        }
        $encoded = 'channel=' . str_repeat('%61', intdiv(8192 - strlen("GET /events?channel= HTTP/1.1\r\n"), 3));
        self::assertSame('bad_channel', $this->strict()->raw(self::get($encoded))->json()['error']);
        $this->assertBystanderUntouched();
    }

    public function test_pipelined_requests_are_answered_in_their_order(): void
    {
        $connection = $this->stack->frontEnd()->connect();
        $queries = ['', 'channel=%zz', 'channel=a&transport=poll', 'channel=a,b'];
        $response = $connection->raw(implode('', array_map(static fn ($query) => self::get($query), $queries)));
        $codes = [];
        foreach ($queries as $number => $query) {
            $codes[] = $response->json()['error'] ?? 'none';
            $number < 3 && $response = $connection->raw('');
        }
        self::assertSame(['no_channel', 'bad_query', 'none', 'bad_channel'], $codes);
        $this->assertBystanderUntouched();
    }

    /** @testWith [1]
     *            [4]
     *            [20]
     *            [60]
     *            [95]
     */
    public function test_clients_that_leave_in_the_middle_of_their_request_leave_nothing(int $bytes): void
    {
        $request = self::get('channel=a', "Accept: application/json\r\nX: " . str_repeat('x', 20) . "\r\n");
        $before = count($this->stack->daemon->openSockets());
        for ($i = 0; $i < 50; $i++) {
            $connection = $this->stack->frontEnd()->connect();
            $connection->raw(substr($request, 0, $bytes));
            $connection->close();
        }
        $this->assertBystanderUntouched();
        $this->eventually('nothing to be left', fn () => count($this->stack->daemon->openSockets()) <= $before + 1); // the publisher's
    }

    /** nginx takes the whole of a request before sidecast hears of it: one that trickles in costs sidecast nothing. */
    public function test_requests_that_trickle_in_never_reach_the_daemon(): void
    {
        $this->assertBystanderUntouched();
        $before = count($this->stack->daemon->openSockets());
        $connections = [];
        for ($i = 0; $i < 100; $i++) {
            $connections[] = [$connection = $this->strict(), $connection->raw("GET /events?channel=a HTTP/1.1\r\nHost: a\r\nX: ")];
        }
        $posting = $this->strict();
        $posted = $posting->raw("POST /events?channel=a HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n");
        $this->eventually('all to be given up', function () use ($connections): bool {
            $open = array_filter($connections, static fn (array $one) => !$one[0]->closed);
            foreach ($open as [$connection]) {
                $connection->refused || $connection->send('x');
            }
            usleep(20000);
            return $open === [];
        });
        self::assertTrue($posted->wait()->cut);
        self::assertLessThanOrEqual($before, count($this->stack->daemon->openSockets()));
        $this->assertBystanderUntouched();
    }

    private function strict(): HttpConnection
    {
        return new HttpConnection("unix://{$this->stack->nginx()->strictSocket}");
    }
}
