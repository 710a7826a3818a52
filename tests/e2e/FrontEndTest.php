<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/**
 * What every front end has to do: nginx, and the others that docs/front-ends.md has snippets for (make check-frontends).
 *
 * @group front-end
 */
final class FrontEndTest extends EndToEndTestCase
{
    /** @var list<list<string>> of the log, that tell metrics */
    private array $lines = [];

    public function test_an_event_stream_survives_while_sidecast_is_away(): void
    {
        $this->start();
        $this->stack->listen('channel=news')->opened();
        $this->stack->daemon->stop();
        self::assertSame(FrontEnd::chosen()::AWAY, $this->stack->startPoll('channel=news')->wait()->status);
        if (!FrontEnd::chosen()::STANDS_IN) {
            self::assertSame(503, $this->stack->request('GET', '/events?channel=news')->wait()->status);
            return;
        }
        $stream = $this->stack->listen('channel=news');
        self::assertStringStartsWith('text/event-stream', $stream->response->header('Content-Type'));
        $stream->waitForCleanEnd();
        self::assertSame(0, $stream->pending());
        self::assertGreaterThanOrEqual(5000, $stream->parser->retry);
        self::assertLessThanOrEqual(30000, $stream->parser->retry);
        self::assertSame(0, $stream->parser->emptyBlocks);
    }

    public function test_sidecast_is_found_again_after_a_restart(): void
    {
        $this->start();
        $this->stack->poll('channel=news');
        $this->stack->daemon->stop();
        self::assertSame(FrontEnd::chosen()::AWAY, $this->stack->startPoll('channel=news')->wait()->status);
        $this->stack->daemon->start();
        // one that asks for itself whether it is there again may need a moment
        $this->eventually('sidecast to be found again', fn () => $this->stack->startPoll('channel=news')->wait()->status === 200);
        $this->stack->listen('channel=news')->opened();
    }

    public function test_a_client_can_poll_again_and_again_on_one_connection(): void
    {
        $channel = $this->channel();
        $cursor = $this->stack->now();
        $connection = $this->stack->frontEnd()->connect();
        for ($i = 0; $i < 5; $i++) {
            $poll = $connection->request('GET', "/events?channel=$channel&cursor=$cursor", ['Accept' => 'application/json']);
            $this->stack->publish($channel, "m$i");
            self::assertSame("m$i", $poll->json()['messages'][0]['data']);
            $cursor = $poll->json()['cursor'];
        }
    }

    public function test_long_polls_share_kept_connections(): void
    {
        $this->start();
        $frontEnd = $this->stack->frontEnd();
        $none = $this->stack->daemon->openSockets();
        $poll = fn () => $this->stack->request('GET', ($frontEnd::KEEPS ?? '/events') . '?channel=news', ['Accept' => 'application/json'])->wait();
        self::assertSame(200, $poll()->status);
        if ($frontEnd::KEEPS === null) {
            $this->eventually('the connection to be closed', fn () => array_diff($this->stack->daemon->openSockets(), $none) === []);
            return;
        }
        for ($i = 0; $i < 5; $i++) {
            // one more may be there for a moment, where the front end looks whether sidecast is
            $this->eventually('one connection to be kept', fn () => count(array_diff($this->stack->daemon->openSockets(), $none)) === 1);
            self::assertSame(200, $poll()->status);
        }
    }

    public function test_a_client_that_leaves_is_noticed_in_sidecast(): void
    {
        // at the next write, where the front end does not tell
        $this->start(FrontEnd::chosen()::TELLS_OF_LEAVING ? [] : ['sse.heartbeat' => '100ms', 'poll.timeout' => '500ms']);
        $stream = $this->stack->listen('channel=news');
        $cursor = $stream->opened();
        $poll = $this->stack->frontEnd()->connect();
        $poll->request('GET', "/events?channel=news&cursor=$cursor", ['Accept' => 'application/json']);
        $this->eventually('both to be there', fn () => $this->subscribers() === 2);
        $stream->close();
        $poll->close();
        $this->eventually('both to be gone', fn () => $this->subscribers() === 0);
    }

    public function test_a_grant_of_the_front_end_decides(): void
    {
        $client = $this->stack->listen('', [], '/granted');
        $client->opened();
        $this->stack->publish('granted/a', 'to a');
        $this->stack->publish('granted/b', 'to b');
        $client->expect('to a', 'to b');
        $response = $this->stack->request('GET', '/granted?channel=other')->wait();
        self::assertSame([403, 'not_allowed'], [$response->status, $response->json()['error']]);
    }

    public function test_a_client_cannot_set_what_only_the_front_end_may(): void
    {
        $headers = ['Sidecast-Channels' => 'granted/a,other', 'Sidecast_Channels' => 'other', 'Proxy' => 'x'];
        $response = $this->stack->request('GET', '/granted?channel=other', $headers)->wait();
        self::assertSame(403, $response->status);
    }

    public function test_a_token_in_the_authorization_header_arrives(): void
    {
        $response = $this->stack->request('GET', '/events?channel=news', ['Authorization' => 'Bearer abc'])->wait();
        self::assertSame([401, 'token_not_supported'], [$response->status, $response->json()['error']]);
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

    public function test_sixty_streams_at_once_each_get_every_message(): void
    {
        $channel = $this->channel();
        $clients = [];
        for ($i = 0; $i < 60; $i++) {
            $clients[$i] = $this->stack->listen("channel=$channel");
            $clients[$i]->opened();
        }
        $this->stack->publishRange($channel, 'm', 1, 50);
        foreach ($clients as $client) {
            self::assertSame(array_map(static fn (int $i) => "m$i", range(1, 50)), $client->takeData(50));
        }
    }

    private function subscribers(): int
    {
        $process = $this->stack->daemon->process;
        $told = fn (): int => preg_match_all('/metrics .*requests=.*$/m', $process->err->text, $this->lines);
        $before = $told();
        $process->signal(SIGUSR1);
        Loop::until(fn () => $told() > $before, 'metrics in the log');
        return preg_match('/ subscribers=(\d+)/', end($this->lines[0]), $match) === 1 ? (int) $match[1] : 0;
    }
}
