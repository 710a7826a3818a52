<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** Several workers, each with connections and a history of its own, are one server to those outside. */
final class WorkersTest extends EndToEndTestCase
{
    protected const SHARED = null;
    private const OPTIONS = ['hub.workers' => '3'];

    public function test_there_is_a_thread_for_each_worker_and_none_for_a_single_one(): void
    {
        $one = count($this->threads(['hub.workers' => '1']));
        self::assertCount($one + 3, $this->threads(self::OPTIONS));
    }

    /** Clients join with cursors, by every road, while messages flow: each gets every message once, in one order. */
    public function test_each_client_gets_every_message_once_and_in_order_whenever_it_joins(): void
    {
        $count = 1500;
        $this->start(self::OPTIONS + ['history.messages' => (string) ($count + 1), 'poll.max_messages' => '1000']);
        $first = $this->stack->daemon->fastcgi()->listen('channel=news');
        $start = $first->opened();
        $clients = [$first];
        $published = [];
        for ($i = 1; $i <= $count; $i++) {
            $this->stack->publish('news', "$i");
            $published[] = "$i";
            if ($i % 50 === 0) {
                $clients[] = $this->stack->daemon->fastcgi()->listen("channel=news&cursor=$start");
            }
        }
        $orders = [];
        foreach ($clients as $client) {
            $events = $client->take($count);
            self::assertSame($published, array_map(static fn (Event $event) => $event->data, $events));
            $orders[] = implode(' ', array_map(static fn (Event $event) => $event->id, $events));
        }
        self::assertCount(1, array_unique($orders), 'the ids are the same for all');
    }

    /** What one client has seen was published before: no request that comes later may meet a worker without it. */
    public function test_who_asks_after_another_one_saw_a_message_gets_it_too(): void
    {
        $this->start(self::OPTIONS);
        $listeners = $kept = [];
        for ($i = 0; $i < 3; $i++) {
            $listeners[] = $this->stack->daemon->fastcgi()->listen('channel=news');
            $kept[] = $this->stack->daemon->fastcgi();
        }
        foreach ($listeners as $listener) {
            $listener->opened();
        }
        for ($i = 1; $i <= 60; $i++) {
            $this->stack->publish('news', "message $i");
            $listeners[$i % 3]->expect("message $i");
            $other = $kept[($i + 1) % 3]->request(FastCgi::params('channel=news&last=1', ['HTTP_ACCEPT' => 'application/json']), 1, true)->wait();
            self::assertSame("message $i", $other->json()['messages'][0]['data'], 'on a kept connection');
            $fresh = $this->stack->daemon->fastcgi()->request(FastCgi::params('channel=news&last=1', ['HTTP_ACCEPT' => 'application/json']))->wait();
            self::assertSame("message $i", $fresh->json()['messages'][0]['data'], 'on a new connection');
            foreach ([1, 2] as $step) {
                $listeners[($i + $step) % 3]->expect("message $i");
            }
        }
    }

    public function test_the_metrics_are_those_of_all_workers_together(): void
    {
        $this->start(self::OPTIONS);
        $clients = [];
        for ($i = 0; $i < 9; $i++) {
            $clients[] = $this->stack->daemon->fastcgi()->listen('channel=news');
        }
        foreach ($clients as $client) {
            $client->opened();
        }
        $this->stack->publish('news', 'to all');
        foreach ($clients as $client) {
            $client->expect('to all');
        }
        $this->stack->daemon->process->signal(SIGUSR1);
        $this->stack->daemon->process->waitForLog('/ subscribers=9 deliveries=9 /');
    }

    /** Settings change under workers that write. */
    public function test_a_reload_while_messages_flow_reaches_every_worker(): void
    {
        $this->start(self::OPTIONS + ['sse.retry' => '1s']);
        $listeners = [];
        for ($i = 0; $i < 3; $i++) {
            $listeners[$i] = $this->stack->daemon->fastcgi()->listen('channel=news');
            $listeners[$i]->opened(); // or the first messages were before it
        }
        for ($round = 1; $round <= 20; $round++) {
            $this->stack->daemon->configure(['sse.retry' => "{$round}min"]);
            $this->stack->publishRange('news', 'message ', ($round - 1) * 10 + 1, $round * 10);
            $this->stack->daemon->process->signal(SIGHUP);
            $this->eventually('the reload', fn () => substr_count($this->stack->daemon->process->err->text, 'reload: done') === $round);
            $clients = []; // one on each worker
            for ($i = 0; $i < 3; $i++) {
                $clients[$i] = $this->stack->daemon->fastcgi()->listen('channel=news');
                $clients[$i]->opened();
                self::assertGreaterThanOrEqual($round * 30000, $clients[$i]->parser->retry);
            }
        }
        foreach ($listeners as $listener) {
            self::assertSame(array_map(static fn (int $i) => "message $i", range(1, 200)), $listener->takeData(200));
        }
    }

    public function test_the_limit_of_clients_is_that_of_all_workers_together(): void
    {
        $this->start(self::OPTIONS + ['hub.max_clients' => '4']);
        $clients = [];
        for ($i = 0; $i < 4; $i++) {
            $clients[$i] = $this->stack->daemon->fastcgi()->listen('channel=news');
            $clients[$i]->opened();
        }
        for ($i = 0; $i < 3; $i++) {
            $refused = $this->stack->daemon->fastcgi()->listen('channel=news');
            $refused->waitForCleanEnd();
            self::assertSame(0, $refused->pending());
        }
        $clients[0]->close();
        $this->eventually('its place to be free for a client of another worker', function (): bool {
            $next = $this->stack->daemon->fastcgi()->listen('channel=news');
            Loop::until(fn () => $next->pending() > 0 || $next->response->complete, 'an answer');
            return $next->pending() > 0;
        });
    }

    public function test_at_the_end_every_worker_gives_out_what_was_published_before(): void
    {
        $this->start(self::OPTIONS);
        $clients = [];
        for ($i = 0; $i < 6; $i++) {
            $clients[] = $this->stack->daemon->fastcgi()->listen('channel=news');
        }
        foreach ($clients as $client) {
            $client->opened();
        }
        $publisher = RawPublisher::connect($this->stack->daemon->publishEndpoint());
        $publisher->send(implode('', array_map(static fn (int $i) => RawPublisher::message('news', "$i"), range(1, 3000))));
        $publisher->flush();
        $this->stack->daemon->process->signal(SIGTERM);
        foreach ($clients as $client) {
            self::assertSame(array_map(strval(...), range(1, 3000)), $client->takeData(3000));
            $client->waitForCleanEnd();
        }
        $this->stack->daemon->assertCleanEnd();
    }

    /**
     * Starts one and lists its threads.
     *
     * @param array<string, mixed> $options
     * @return list<string>
     */
    private function threads(array $options): array
    {
        $this->start($options);
        return glob("/proc/{$this->stack->daemon->process->pid}/task/*");
    }
}
