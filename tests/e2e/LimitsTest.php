<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** Limits are reached, told, and released; nobody pays for another's excess. */
final class LimitsTest extends EndToEndTestCase
{
    protected const SHARED = null;

    public function test_a_full_house_is_a_refusal_for_the_moment(): void
    {
        $this->start(['hub.max_clients' => '2', 'sse.refused_retry' => '1s']);
        $first = $this->stack->daemon->fastcgi()->listen('channel=news');
        $second = $this->stack->daemon->fastcgi()->listen('channel=news');
        $first->opened();
        $second->opened();

        $stream = $this->stack->listen('channel=news');
        $stream->waitForCleanEnd();
        self::assertSame(0, $stream->pending());
        self::assertGreaterThanOrEqual(1000, $stream->parser->retry);
        self::assertLessThanOrEqual(6000, $stream->parser->retry);
        self::assertSame(0, $stream->parser->emptyBlocks);

        $poll = $this->stack->startPoll('channel=news')->wait();
        self::assertSame(503, $poll->status);
        self::assertMatchesRegularExpression('/^\d+$/D', (string) $poll->header('Retry-After'));
        self::assertArrayHasKey('error', $poll->json());

        $this->stack->publish('news', 'the two go on');
        $first->expect('the two go on');
        $second->expect('the two go on');
    }

    public function test_the_place_of_a_client_that_leaves_is_free_again(): void
    {
        $this->start(['hub.max_clients' => '1']);
        $first = $this->stack->daemon->fastcgi()->listen('channel=news');
        $first->opened();
        $first->close();
        $next = null;
        $this->eventually('a place to be free', function () use (&$next): bool {
            $next = $this->stack->daemon->fastcgi()->listen('channel=news');
            Loop::until(fn () => $next->pending() > 0 || $next->response->complete, 'an answer');
            return $next->pending() > 0;
        });
        $next->opened();
        $this->stack->publish('news', 'welcome');
        $next->expect('welcome');
    }

    public function test_a_slow_client_stops_nobody_and_gets_the_rest_when_it_reads_again(): void
    {
        $this->start();
        $slow = $this->stack->daemon->fastcgi()->listen('channel=news');
        $fast = $this->stack->listen('channel=news');
        $slow->opened();
        $fast->opened();
        $slow->connection->pause();
        $expected = $this->publishLarge('news', 100);
        self::assertSame($expected, $this->numbers($fast->take(100)));
        self::assertSame(0, $slow->pending());

        $slow->connection->resume();
        self::assertSame($expected, $this->numbers($slow->take(100)));
    }

    public function test_a_client_overtaken_by_history_gets_a_gap_and_goes_on(): void
    {
        $this->start(['history.messages' => '5', 'history.keep' => '1ms']);
        $slow = $this->stack->daemon->fastcgi()->listen('channel=news');
        $fast = $this->stack->listen('channel=news');
        $cursor = $slow->opened();
        $fast->opened();
        $slow->connection->pause();
        $this->publishLarge('news', 200);
        // with so short a history even this one may meet gaps, but it comes to the end
        while ((int) $fast->next()->data !== 200) {
        }

        $slow->connection->resume();
        $before = $after = [];
        while (($event = $slow->next())->type !== 'sidecast.gap') {
            $before[] = $event;
        }
        while (end($after) !== 200) {
            $after[] = (int) $slow->next()->data;
        }
        self::assertSame(range(1, count($before)), array_map(intval(...), $this->numbers($before)), 'what it had begun to get comes first');
        self::assertSame($before === [] ? $cursor : end($before)->id, $event->json()['after']);
        self::assertSame(range($after[0], 200), $after, 'and nothing is missing after the gap');
        self::assertGreaterThan(count($before) + 1, $after[0]);
    }

    public function test_a_client_that_takes_nothing_for_too_long_is_closed(): void
    {
        $this->start(['slow.close_after' => '100ms']);
        $slow = $this->stack->daemon->fastcgi()->listen('channel=news');
        $fast = $this->stack->listen('channel=news');
        $slow->opened();
        $fast->opened();
        $slow->connection->pause();
        $sockets = $this->stack->daemon->openSockets();
        // one by one: a reader that this process has no time to read for, or nginx, would be taken for slow as well
        for ($i = 1; $i <= 100; $i++) {
            $this->stack->publish('news', $data = str_pad("$i ", 65536, '.'));
            $fast->expect($data);
        }
        $this->eventually('the slow one to be closed', fn () => array_diff($sockets, $this->stack->daemon->openSockets()) !== []);

        $this->stack->publish('news', 'the other goes on');
        $fast->expect('the other goes on');
        $slow->connection->resume();
        $slow->connection->waitForClose();
    }

    public function test_a_publisher_paused_by_back_pressure_goes_on_and_loses_nothing(): void
    {
        $this->start(['publish.receive_hwm' => '10']);
        $client = $this->stack->listen('channel=news');
        $client->opened();
        $publisher = RawPublisher::connect($this->stack->daemon->publishEndpoint());
        $expected = [];
        $bytes = '';
        for ($i = 1; $i <= 5000; $i++) {
            $expected[] = $data = str_pad("$i ", 1000, '.');
            $bytes .= RawPublisher::message('news', $data);
        }
        $this->stack->daemon->process->signal(SIGSTOP);
        $publisher->send($bytes);
        self::assertFalse($publisher->allSent(), 'what the daemon does not take stays with the publisher');

        $this->stack->daemon->process->signal(SIGCONT);
        $publisher->flush();
        self::assertTrue($publisher->isReady());
        self::assertSame($expected, $client->takeData(5000));
    }

    public function test_many_publishers_at_once_lose_nothing(): void
    {
        $this->start(['publish.receive_hwm' => '5']);
        $client = $this->stack->listen('channel=news');
        $client->opened();
        $publishers = [];
        for ($p = 0; $p < 20; $p++) {
            $publishers[] = RawPublisher::connect($this->stack->daemon->publishEndpoint());
        }
        foreach ($publishers as $p => $publisher) {
            $publisher->send(implode('', array_map(static fn (int $i) => RawPublisher::message('news', "$p:$i"), range(1, 200))));
        }
        $next = array_fill(0, 20, 1);
        foreach ($client->takeData(4000) as $data) {
            [$p, $i] = array_map(intval(...), explode(':', $data));
            self::assertSame($next[$p]++, $i, "messages of publisher $p stay in order");
        }
    }

    /** @testWith ["ipc"]
     *            ["tcp"]
     */
    public function test_a_flood_of_publishers_neither_ends_the_daemon_nor_starves_anybody(string $kind): void
    {
        $daemon = $this->prepare(['publish.max_connections' => '50'])->daemon;
        $endpoint = $kind === 'ipc' ? $daemon->publishEndpoint() : 'tcp://127.0.0.1:' . $this->freePort();
        $daemon->start(['publish.listen' => array_unique([$daemon->publishEndpoint(), $endpoint])], '400:400');
        $client = $this->stack->listen('channel=news');
        $client->opened();
        $early = RawPublisher::connect($endpoint);

        $address = str_replace('ipc://', 'unix://', $endpoint);
        $flood = [];
        for ($i = 0; $i < 600; $i++) {
            $flood[] = @stream_socket_client($address, $number, $message, 1);
        }
        $early->send(RawPublisher::message('news', 'in the flood'));
        $client->expect('in the flood');
        $late = $daemon->fastcgi()->listen('channel=news&last=1');
        $late->opened();
        $late->expect('in the flood');
        self::assertTrue($daemon->isRunning());

        unset($flood);
        $publisher = null;
        $this->eventually('a publisher to be let in again', function () use (&$publisher, $endpoint): bool {
            $publisher = RawPublisher::connect($endpoint);
            return $publisher->isReady();
        });
        $publisher->send(RawPublisher::message('news', 'after the flood'));
        $client->expect('after the flood');
        $late->expect('after the flood');
    }

    public function test_a_flood_of_clients_is_refused_and_publishing_goes_on(): void
    {
        $daemon = $this->prepare(['publish.max_connections' => '20'])->daemon;
        $daemon->start([], '400:400');
        $client = $daemon->fastcgi()->listen('channel=news');
        $client->opened();
        $flood = [];
        for ($i = 0; $i < 600; $i++) {
            $flood[] = @stream_socket_client("unix://$daemon->socket", $number, $message, 1);
        }
        $this->stack->publish('news', 'in the flood');
        $client->expect('in the flood');
        unset($flood);
        $this->eventually('a client to be let in again', function () use ($daemon): bool {
            $next = $daemon->fastcgi()->listen('channel=news');
            Loop::until(fn () => $next->pending() > 0 || $next->response->complete, 'an answer');
            return $next->pending() > 0;
        });
    }

    /** @return list<string> the numbers that the messages, 64 KiB each, begin with */
    private function publishLarge(string $channel, int $count): array
    {
        $numbers = [];
        for ($i = 1; $i <= $count; $i++) {
            $this->stack->publish($channel, str_pad("$i ", 65536, '.'));
            $numbers[] = "$i";
        }
        return $numbers;
    }

    /**
     * @param list<Event> $events
     * @return list<string>
     */
    private function numbers(array $events): array
    {
        return array_map(static fn (Event $event) => strtok($event->data, ' '), $events);
    }

    public function test_publishers_that_come_and_go_without_end_are_counted_and_stop_nothing(): void
    {
        $this->start();
        $client = $this->stack->daemon->fastcgi()->listen('channel=news');
        $client->opened();
        for ($i = 1; $i <= 2500; $i++) {
            RawPublisher::connect($this->stack->daemon->publishEndpoint())->close();
        }
        $this->stack->publish('news', 'still here');
        $client->expect('still here');
        $this->stack->daemon->process->signal(SIGUSR1);
        $this->stack->daemon->process->waitForLog('/publishers_gone=(2[0-9]{3}|1[0-9]{3})/');
    }

    public function test_an_idle_kept_connection_gives_its_place_to_the_next_client(): void
    {
        $this->start(['hub.max_clients' => '2']);
        $kept = [];
        for ($i = 0; $i < 2 + 64; $i++) {
            $kept[$i] = $this->stack->daemon->fastcgi();
            $kept[$i]->request(FastCgi::params('channel=news', ['HTTP_ACCEPT' => 'application/json']), 1, true)->wait();
        }
        $this->stack->daemon->fastcgi()->listen('channel=news')->opened();
        $kept[0]->waitForClose();
        self::assertFalse($kept[65]->closed);
    }

    public function test_a_client_that_found_every_place_in_a_request_is_served_when_one_becomes_idle(): void
    {
        // one place is the listener's, and each of two workers may have a request in hand
        $this->start(['hub.max_clients' => '3']);
        $listener = $this->stack->daemon->fastcgi()->listen('channel=news');
        $listener->opened();
        $request = FastCgi::request(1, FastCgi::params('channel=news', ['HTTP_ACCEPT' => 'application/json']), true);
        $taken = [];
        for ($i = 0; $i < 2 + 64; $i++) {
            $taken[$i] = $this->stack->daemon->fastcgi();
            $taken[$i]->send(substr($request, 0, 20));
        }
        $late = $this->stack->daemon->fastcgi();
        $response = $late->expectResponse(1);
        $late->send($request);
        foreach (['one', 'two'] as $turn) { // then the daemon has seen that somebody waits
            $this->stack->publish('news', $turn);
            $listener->expect($turn);
        }
        foreach ($taken as $connection) {
            $connection->send(substr($request, 20));
            $connection->waitForEnd();
        }
        self::assertSame(200, $response->wait()->status);
    }
}
