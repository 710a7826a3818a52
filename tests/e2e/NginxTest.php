<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** The snippets that users include, in a real nginx. */
final class NginxTest extends EndToEndTestCase
{
    public function test_a_reload_leaves_streams_alone(): void
    {
        $channel = $this->channel();
        $before = $this->stack->listen("channel=$channel");
        $before->opened();
        $this->stack->publish($channel, 'before the reload');
        $before->expect('before the reload');

        $this->stack->nginx()->reload();
        $this->stack->publish($channel, 'after the reload');
        $before->expect('after the reload');
        $after = $this->stack->listen("channel=$channel&last=1");
        $after->opened();
        $after->expect('after the reload');
    }

    public function test_an_event_stream_survives_while_sidecast_is_away(): void
    {
        $this->start();
        $this->stack->listen('channel=news')->opened();
        $this->stack->daemon->stop();

        $stream = $this->stack->listen('channel=news');
        self::assertStringStartsWith('text/event-stream', $stream->response->header('Content-Type'));
        $stream->waitForCleanEnd();
        self::assertSame(0, $stream->pending());
        self::assertGreaterThanOrEqual(5000, $stream->parser->retry);
        self::assertLessThanOrEqual(30000, $stream->parser->retry);
        self::assertSame(0, $stream->parser->emptyBlocks);

        $poll = $this->stack->startPoll('channel=news')->wait();
        self::assertSame(503, $poll->status);
        self::assertStringStartsWith('application/json', $poll->header('Content-Type'));
        self::assertGreaterThanOrEqual(5, (int) $poll->header('Retry-After'));
        self::assertSame(['error', 'message'], array_keys($poll->json()));
    }

    public function test_nginx_finds_sidecast_again_after_a_restart(): void
    {
        $this->start();
        $this->stack->poll('channel=news');
        $this->stack->daemon->stop();
        self::assertSame(503, $this->stack->startPoll('channel=news')->wait()->status);
        $this->stack->daemon->start();
        $this->stack->poll('channel=news');
        $this->stack->listen('channel=news')->opened();
    }

    public function test_long_polls_share_kept_connections(): void
    {
        $this->start();
        $this->stack->nginx();
        $none = $this->stack->daemon->openSockets();
        $this->stack->poll('channel=news');
        $one = $this->stack->daemon->openSockets();
        self::assertCount(1, array_diff($one, $none), 'nginx keeps its connection');
        for ($i = 0; $i < 5; $i++) {
            $this->stack->poll('channel=news');
            self::assertSame([], array_diff($this->stack->daemon->openSockets(), $one), 'and uses it again');
        }
    }

    public function test_a_client_can_poll_again_and_again_on_one_connection(): void
    {
        $channel = $this->channel();
        $cursor = $this->stack->now();
        $connection = $this->stack->nginx()->connect();
        for ($i = 0; $i < 5; $i++) {
            $poll = $connection->request('GET', "/events?channel=$channel&cursor=$cursor", ['Accept' => 'application/json']);
            $this->stack->publish($channel, "m$i");
            self::assertSame("m$i", $poll->json()['messages'][0]['data']);
            $cursor = $poll->json()['cursor'];
        }
    }

    public function test_a_client_that_leaves_is_noticed_in_sidecast(): void
    {
        $this->start();
        $this->stack->nginx();
        $before = $this->stack->daemon->openSockets();
        $stream = $this->stack->listen('channel=news');
        $stream->opened();
        $poll = $this->stack->nginx()->connect();
        $poll->request('GET', '/events?channel=news&cursor=9999999999999', ['Accept' => 'application/json']);
        $this->eventually('both to be there', fn () => count(array_diff($this->stack->daemon->openSockets(), $before)) === 2);
        $stream->close();
        $poll->close();
        $this->eventually('both to be gone', fn () => array_diff($this->stack->daemon->openSockets(), $before) === []);
    }

    public function test_a_grant_in_the_location_decides(): void
    {
        $client = $this->stack->listen('', [], '/granted');
        $client->opened();
        $this->stack->publish('granted/a', 'to a');
        $this->stack->publish('granted/b', 'to b');
        $client->expect('to a', 'to b');
        $response = $this->stack->request('GET', '/granted?channel=other')->wait();
        self::assertSame([403, 'not_allowed'], [$response->status, $response->json()['error']]);
    }

    public function test_the_access_log_never_holds_the_query(): void
    {
        $this->stack->startPoll('channel=news&token=secret-token')->wait();
        $this->stack->request('GET', '/events?token=secret-token', ['Referer' => 'http://localhost/?token=secret-token'])->wait();
        $log = $this->stack->nginx()->accessLog;
        $this->eventually('two lines in the access log', fn () => is_file($log) && substr_count(file_get_contents($log), "\n") >= 2);
        self::assertStringContainsString('GET /events ', file_get_contents($log));
        self::assertStringNotContainsString('secret-token', file_get_contents($log));
    }

    /** More than sidecast takes for a whole request: it would be a 431 if nginx passed them on. */
    public function test_cookies_stay_in_nginx(): void
    {
        $cookies = ['Cookie' => str_repeat('c', 70000)];
        $channel = $this->channel();
        $cursor = $this->stack->now();
        $stream = $this->stack->listen("channel=$channel", $cookies);
        $stream->opened();
        $this->stack->publish($channel, 'm');
        $stream->expect('m');
        $headers = $cookies + ['Accept' => 'application/json', 'Last-Event-ID' => $cursor];
        $poll = $this->stack->request('GET', "/events?channel=$channel", $headers)->wait();
        self::assertSame('m', $poll->json()['messages'][0]['data']);
    }

    public function test_large_messages_pass_through_small_buffers(): void
    {
        $channel = $this->channel();
        $client = $this->stack->listen("channel=$channel");
        $cursor = $client->opened();
        $data = str_repeat('0123456789abcde ', 65536);
        $this->stack->publish($channel, $data);
        $client->expect($data);
        self::assertSame($data, $this->stack->poll("channel=$channel&cursor=$cursor")['messages'][0]['data']);
    }
}
