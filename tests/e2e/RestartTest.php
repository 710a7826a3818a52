<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/**
 * Ends, restarts and reloads: clients lose nothing that could be kept, and are told of what could not.
 *
 * @group front-end
 */
final class RestartTest extends EndToEndTestCase
{
    protected const SHARED = null;

    /** @testWith ["an orderly end"]
     *            ["a crash"]
     */
    public function test_after_a_restart_each_client_gets_one_gap_and_then_every_message(string $how): void
    {
        $this->start();
        $clients = [$this->stack->listen('channel=news'), $this->stack->listen('channel=news&channel=calm')];
        foreach ($clients as $client) {
            $client->opened();
        }
        $this->stack->publish('news', 'before');
        foreach ($clients as $client) {
            $client->expect('before');
        }
        $how === 'a crash' ? $this->stack->daemon->kill() : $this->stack->daemon->stop();
        $this->stack->daemon->start();

        $back = $this->stack->resume('channel=news', $clients[0]->cursor());
        $gap = $back->gap();
        self::assertSame($clients[0]->cursor(), $gap['after']);
        self::assertNull($gap['oldest']);
        $this->stack->publishRange('news', 'after ', 1, 50);
        $expected = array_map(static fn (int $i) => "after $i", range(1, 50));
        $back->expect(...$expected);

        $late = $this->stack->resume('channel=news&channel=calm', $clients[1]->cursor());
        self::assertContains('news', $late->gap()['channels']);
        $late->expect(...$expected);
        $this->stack->resume('channel=news', $back->cursor());
        $this->stack->publish('news', 'to both');
        $back->expect('to both');
        $late->expect('to both');
    }

    public function test_ids_keep_increasing_over_restarts(): void
    {
        $state = $this->prepare()->directory . '/state';
        mkdir($state);
        $this->stack->daemon->start(['hub.state_dir' => $state]);
        $events = [$this->published('one')];
        $this->stack->daemon->stop();
        $this->stack->daemon->start();
        $events[] = $this->published('two');
        $this->stack->daemon->kill();
        $this->stack->daemon->start();
        $events[] = $this->published('three');
        $this->assertIdsIncrease($events);
        self::assertNotSame(['.', '..'], scandir($state));
    }

    public function test_publishers_come_back_by_themselves(): void
    {
        $this->start();
        $this->published('before');
        $this->stack->daemon->stop();
        $this->stack->daemon->start();
        $client = $this->stack->listen('channel=news');
        $client->opened();
        $this->stack->publish('news', 'through the same socket');
        $client->expect('through the same socket');
    }

    public function test_an_end_is_clean_for_streams_and_polls(): void
    {
        $this->start();
        $stream = $this->stack->listen('channel=news');
        $cursor = $stream->opened();
        $poll = $this->stack->startPoll("channel=news&cursor=$cursor");
        $raw = $this->stack->daemon->fastcgi();
        $raw->listen("channel=news&cursor=$cursor");
        $raw->waitForRecord(FastCgi::STDOUT);

        $this->stack->daemon->process->signal(SIGTERM);
        $stream->waitForCleanEnd();
        self::assertContains($poll->wait()->status, [200, 503, FrontEnd::chosen()::AWAY]);
        self::assertSame(['app' => 0, 'protocol' => FastCgi::REQUEST_COMPLETE], $raw->waitForEnd());
        $this->stack->daemon->assertCleanEnd();
        self::assertStringNotContainsString('prematurely closed', $this->stack->frontEnd()->log());
        self::assertFileDoesNotExist($this->stack->daemon->publishSocket);
    }

    public function test_what_was_sent_before_the_end_is_delivered(): void
    {
        $this->start();
        $client = $this->stack->listen('channel=news');
        $client->opened();
        $publisher = RawPublisher::connect($this->stack->daemon->publishEndpoint());
        $publisher->send(implode('', array_map(static fn (int $i) => RawPublisher::message('news', "m$i"), range(1, 1000))));
        $publisher->flush();
        $this->stack->daemon->process->signal(SIGTERM);
        self::assertSame(array_map(static fn (int $i) => "m$i", range(1, 1000)), $client->takeData(1000));
        $client->waitForCleanEnd();
        $this->stack->daemon->assertCleanEnd();
    }

    public function test_a_publisher_that_goes_on_is_stopped_and_loses_nothing_that_was_taken(): void
    {
        $this->start();
        $client = $this->stack->listen('channel=news');
        $client->opened();
        $publisher = RawPublisher::connect($this->stack->daemon->publishEndpoint());
        for ($taken = 0; true; $taken++) {
            $publisher->send(RawPublisher::message('news', 'm' . ($taken + 1)));
            $publisher->flush();
            if ($publisher->refused || $publisher->closed) {
                break;
            }
            if ($taken === 300) {
                $this->stack->daemon->process->signal(SIGTERM);
            }
        }
        self::assertGreaterThan(300, $taken);
        self::assertSame(array_map(static fn (int $i) => "m$i", range(1, $taken)), $client->takeData($taken));
        $client->waitForCleanEnd();
        $this->stack->daemon->assertCleanEnd();
    }

    public function test_an_end_asked_for_during_the_start_is_obeyed(): void
    {
        $daemon = $this->prepare()->daemon;
        for ($i = 0; $i < 20; $i++) {
            $daemon->launch();
            $daemon->process->waitForLog($i % 2 === 0 ? '/publish listens/' : '/fastcgi listens/');
            $daemon->process->signal(SIGTERM);
            // before it listens to signals itself, the signal ends it as it ends any program
            self::assertContains($daemon->process->waitForExit(), [0, -SIGTERM], "attempt $i");
        }
    }

    public function test_an_idle_kept_connection_is_closed_at_the_end(): void
    {
        $this->start();
        $kept = $this->stack->daemon->fastcgi();
        $kept->request(FastCgi::params('channel=news', ['HTTP_ACCEPT' => 'application/json']), 1, true)->wait();
        $this->stack->daemon->process->signal(SIGTERM);
        $kept->waitForClose();
        $this->stack->daemon->assertCleanEnd();
    }

    public function test_a_request_that_meets_the_end_on_a_kept_connection_is_answered(): void
    {
        $this->start();
        $process = $this->stack->daemon->process;
        $kept = $this->stack->daemon->fastcgi();
        $kept->request(FastCgi::params('channel=news', ['HTTP_ACCEPT' => 'application/json']), 1, true)->wait();
        // both wait for the daemon when it goes on, in whatever order it sees them
        $process->signal(SIGSTOP);
        $response = $kept->request(FastCgi::params('channel=news'), 1, true);
        $process->signal(SIGTERM);
        $process->signal(SIGCONT);

        $response->wait();
        self::assertFalse($response->cut);
        self::assertSame(200, $response->status);
        self::assertStringContainsString('retry: ', $response->body);
        $this->stack->daemon->assertCleanEnd();
    }

    public function test_the_end_comes_in_time_although_a_client_takes_nothing(): void
    {
        $this->start(['hub.stop_timeout' => '300ms']);
        $slow = $this->stack->daemon->fastcgi()->listen('channel=news');
        $slow->opened();
        $slow->connection->pause();
        for ($i = 0; $i < 50; $i++) {
            $this->stack->publish('news', str_repeat('x', 65536));
        }
        $this->stack->publish('news', 'the last');
        $this->waitForNewest('channel=news', 'the last');
        $start = Loop::now();
        $this->stack->daemon->process->signal(SIGTERM);
        $this->stack->daemon->assertCleanEnd();
        self::assertLessThan(8, Loop::now() - $start);
    }

    public function test_a_reload_opens_a_channel_and_says_what_it_cannot_change(): void
    {
        $this->start(['access.public' => 'news']);
        $client = $this->stack->listen('channel=news');
        $client->opened();
        self::assertSame(403, $this->stack->startPoll('channel=sports')->wait()->status);

        $this->stack->daemon->configure(['access.public' => ['news', 'sports'], 'publish.receive_hwm' => '77']);
        $this->stack->daemon->process->signal(SIGHUP);
        $this->eventually('the new channel to be public', fn () => $this->stack->startPoll('channel=sports')->wait()->status === 200);
        $this->stack->daemon->process->waitForLog('/publish\.receive_hwm/');
        $this->stack->publish('news', 'the stream went on');
        $client->expect('the stream went on');
    }

    public function test_a_reload_of_a_broken_file_changes_nothing(): void
    {
        $this->start();
        $client = $this->stack->listen('channel=news');
        $client->opened();
        $this->stack->daemon->configure(['sse.hartbeat' => '1s']);
        $this->stack->daemon->process->signal(SIGHUP);
        $this->stack->daemon->process->waitForLog('/hartbeat/');
        $this->stack->publish('news', 'still here');
        $client->expect('still here');
        $this->stack->listen('channel=news')->opened();
    }

    private function published(string $data): Event
    {
        $client = $this->stack->listen('channel=news');
        $client->opened();
        $this->stack->publish('news', $data);
        $event = $client->next();
        self::assertSame($data, $event->data);
        $client->close();
        return $event;
    }
}
