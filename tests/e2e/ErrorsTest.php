<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** Requests that are refused for good: with a JSON body, through nginx untouched. */
final class ErrorsTest extends EndToEndTestCase
{
    protected const SHARED = [
        'access.public' => ['news/*', 'open/**'],
        'subscribe.max_channels' => '3',
    ];

    /** @dataProvider refusals */
    public function test_a_refusal_says_why(string $query, int $status, string $code): void
    {
        foreach (['text/event-stream', 'application/json'] as $accept) {
            $response = $this->stack->request('GET', "/events?$query", ['Accept' => $accept]);
            $this->assertRefused($status, $code, $response);
        }
    }

    /** @return array<string, array{string, int, string}> */
    public static function refusals(): array
    {
        return [
            'no channel' => ['', 400, 'no_channel'],
            'an empty channel' => ['channel=', 400, 'bad_channel'],
            'a public pattern' => ['channel=news/*', 403, 'not_allowed'],
            'a pattern with a comma' => ['channel=news/*,x', 400, 'bad_channel'],
            'a space' => ['channel=news/a%20b', 400, 'bad_channel'],
            'a comma' => ['channel=news/a,b', 400, 'bad_channel'],
            'a control character' => ['channel=news/%07', 400, 'bad_channel'],
            'a name too long' => ['channel=news/' . str_repeat('n', 251), 400, 'bad_channel'],
            'not UTF-8' => ['channel=news/%e9', 400, 'bad_query'],
            'broken encoding' => ['channel=news/%zz', 400, 'bad_query'],
            'too many channels' => ['channel=news/1&channel=news/2&channel=news/3&channel=news/4', 400, 'too_many_channels'],
            'last is no number' => ['channel=news/1&last=many', 400, 'bad_query'],
            'a client id too long' => ['channel=news/1&client=' . str_repeat('c', 256), 400, 'bad_query'],
            'a channel that is not public' => ['channel=private', 403, 'not_allowed'],
            'one of two is not public' => ['channel=news/1&channel=private', 403, 'not_allowed'],
            'a star is one segment' => ['channel=news/1/2', 403, 'not_allowed'],
            'the pattern without its segment' => ['channel=news', 403, 'not_allowed'],
        ];
    }

    /** @testWith ["news/1"]
     *            ["open/1"]
     *            ["open/1/2/3"]
     */
    public function test_a_public_channel_is_open_to_everybody(string $channel): void
    {
        $client = $this->stack->listen("channel=$channel");
        $client->opened();
        $this->stack->publish($channel, 'for everybody');
        $client->expect('for everybody');
    }

    public function test_a_grant_decides_alone(): void
    {
        $this->assertRefused(403, 'not_allowed', $this->raw('channel=news/1', ['SIDECAST_CHANNELS' => '']));
        $this->assertRefused(403, 'not_allowed', $this->raw('channel=news/1', ['SIDECAST_CHANNELS' => 'a,b']));
        $this->assertRefused(403, 'not_allowed', $this->raw('channel=a&channel=c', ['SIDECAST_CHANNELS' => 'a,b']));
        $this->assertRefused(400, 'bad_channel', $this->raw('', ['SIDECAST_CHANNELS' => 'a,b*']));
    }

    public function test_a_grant_without_a_question_is_subscribed_as_a_whole(): void
    {
        $all = $this->stack->daemon->fastcgi()->listen('', ['SIDECAST_CHANNELS' => 'secret/a, secret/b']);
        $one = $this->stack->daemon->fastcgi()->listen('channel=secret/b', ['SIDECAST_CHANNELS' => 'secret/a,secret/b']);
        $all->opened();
        $one->opened();
        $this->stack->publish('secret/a', 'to a');
        $this->stack->publish('secret/b', 'to b');
        $all->expect('to a', 'to b');
        $one->expect('to b');
    }

    public function test_a_browser_cannot_grant_itself_anything(): void
    {
        $headers = ['Accept' => 'application/json', 'Sidecast-Channels' => 'private', 'SIDECAST_CHANNELS' => 'private'];
        $this->assertRefused(403, 'not_allowed', $this->stack->request('GET', '/events?channel=private', $headers));
        $query = 'channel=private&SIDECAST_CHANNELS=private';
        $this->assertRefused(403, 'not_allowed', $this->stack->request('GET', "/events?$query", $headers));
    }

    /** @testWith ["POST"]
     *            ["PUT"]
     *            ["DELETE"]
     */
    public function test_other_methods_are_refused(string $method): void
    {
        $response = $this->stack->request($method, '/events?channel=news/1');
        $this->assertRefused(405, 'method_not_allowed', $response);
    }

    public function test_options_are_answered_with_204(): void
    {
        foreach (['channel=news/1', 'channel=*&last=x', ''] as $query) { // a browser asks before it is told what is wrong
            $response = $this->stack->request('OPTIONS', "/events?$query")->wait();
            self::assertSame([204, ''], [$response->status, $response->body]);
        }
    }

    /** @testWith ["text/event-stream"]
     *            ["application/json"]
     */
    public function test_head_gives_the_headers_and_ends(string $accept): void
    {
        $connection = $this->stack->daemon->fastcgi();
        $response = $connection->request(FastCgi::params('channel=news/1', ['REQUEST_METHOD' => 'HEAD', 'HTTP_ACCEPT' => $accept]))->wait();
        self::assertSame([200, ''], [$response->status, $response->body]);
        self::assertStringStartsWith($accept, $response->header('Content-Type'));
        self::assertSame('no-store', $response->header('Cache-Control'));
        self::assertSame(200, $this->stack->request('HEAD', '/events?channel=news/1', ['Accept' => $accept])->wait()->status);
    }

    /** RFC 3875, 4.3.3; HAProxy makes a 502 of an answer that has one. */
    public function test_nothing_that_head_asks_for_has_a_body(): void
    {
        $rows = [
            [200, 'channel=news/1', []],
            [200, '', ['SIDECAST_ENDPOINT' => 'health']],
            [400, '', []],
            [403, 'channel=secret', ['SIDECAST_CHANNELS' => 'news/1']],
            [401, 'channel=news/1', ['HTTP_AUTHORIZATION' => 'Bearer abc']],
            [404, '', ['SIDECAST_ENDPOINT' => 'nothing']],
            [405, '', ['SIDECAST_ENDPOINT' => 'publish']],
        ];
        foreach ($rows as [$status, $query, $params]) {
            $answers = [];
            foreach ($status === 405 ? ['HEAD', 'DELETE'] : ['HEAD', 'GET'] as $method) {
                $params['REQUEST_METHOD'] = $method;
                $response = $this->stack->daemon->fastcgi()->request(FastCgi::params($query, $params));
                $response->waitForHead();
                $answers[$method] = [$response->status, $response->header('Content-Type'), $response->header('Allow')];
                if ($method === 'HEAD') {
                    self::assertSame([$status, ''], [$response->wait()->status, $response->body]);
                }
            }
            self::assertSame(...array_values($answers));
        }
    }

    public function test_an_unknown_endpoint_is_refused(): void
    {
        $this->assertRefused(404, 'unknown_endpoint', $this->raw('', ['SIDECAST_ENDPOINT' => 'teapot']));
    }

    /** @param array<string, string> $params */
    private function raw(string $query, array $params): Response
    {
        return $this->stack->daemon->fastcgi()->request(FastCgi::params($query, $params));
    }

    private function assertRefused(int $status, string $code, Response $response): void
    {
        $body = $response->json();
        self::assertSame($status, $response->status);
        self::assertSame(['error', 'message'], array_keys($body));
        self::assertSame($code, $body['error']);
        self::assertNotSame('', $body['message']);
        self::assertStringStartsWith('application/json', $response->header('Content-Type'));
        self::assertFalse($response->cut);
    }
}
