<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** Sockets that outlive the process, what it tells of itself, and how its streams end: a restart that nobody is refused in. */
final class ActivationTest extends EndToEndTestCase
{
    protected const SHARED = null;
    private const LONG_HISTORY = ['history.messages' => '100000'];

    public function test_it_serves_on_sockets_that_were_passed_in_and_leaves_them_there(): void
    {
        $daemon = $this->startPassed();
        $files = [$daemon->socket, $daemon->publishSocket, $daemon->confirmSocket];
        $inodes = array_map(fileinode(...), $files);
        $client = $this->stack->listen('channel=news');
        $client->opened();
        $this->stack->publish('news', 'by PUSH');
        $client->expect('by PUSH');
        (new Requester($daemon->confirmEndpoint()))->publish('news', 'by REQ');
        $client->expect('by REQ');
        self::assertStringContainsString("fastcgi listens on $daemon->socket, which was passed in", $daemon->process->err->text);
        self::assertStringContainsString("publish listens on ipc://$daemon->publishSocket, which was passed in", $daemon->process->err->text);

        $daemon->stop();
        $client->waitForCleanEnd();
        clearstatcache();
        self::assertSame($inodes, array_map(fileinode(...), $files));
    }

    public function test_there_may_be_several_of_a_name_and_what_is_not_passed_is_made(): void
    {
        $daemon = $this->prepare()->daemon;
        $daemon->passed = new PassedSockets();
        $first = $daemon->passed->listen('fastcgi', 'tcp://127.0.0.1:0');
        $daemon->passed->listen('fastcgi', "unix://$daemon->socket");
        $endpoint = $daemon->passed->listen('publish', 'tcp://127.0.0.1:0');
        $daemon->start();
        $clients = [$daemon->fastcgi()->listen('channel=news'), (new FastCgiConnection("tcp://$first"))->listen('channel=news')];
        foreach ($clients as $client) {
            $client->opened();
        }
        (new Publisher("tcp://$endpoint"))->publish('news', 'over tcp');
        foreach ($clients as $client) {
            $client->expect('over tcp');
        }
        (new Requester($daemon->confirmEndpoint()))->publish('news', 'at a socket of its own');
        foreach ($clients as $client) {
            $client->expect('at a socket of its own');
        }
        self::assertFileDoesNotExist($daemon->publishSocket);
        $daemon->stop();
        self::assertFileExists($daemon->socket);
        self::assertFileDoesNotExist($daemon->confirmSocket);
    }

    /** @dataProvider mistakes */
    public function test_what_cannot_be_used_ends_the_start_with_what_was_expected(string $name, string $kind, string $says): void
    {
        $daemon = $this->prepare()->daemon;
        $daemon->passed = new PassedSockets();
        $daemon->passed->add($name, match ($kind) {
            'listening' => stream_socket_server('tcp://127.0.0.1:0'),
            'world' => stream_socket_server('tcp://0.0.0.0:0'),
            'datagrams' => stream_socket_server('udp://127.0.0.1:0', $number, $message, STREAM_SERVER_BIND),
            'connected' => stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0)[0],
            'file' => fopen('/dev/null', 'r'),
        });
        $daemon->launch();
        self::assertSame(4, $daemon->process->waitForExit());
        self::assertStringContainsString($says, $daemon->process->err->text);
    }

    /** @return array<string, list<string>> */
    public static function mistakes(): array
    {
        return [
            'an unknown name' => ['http', 'listening', 'expected fastcgi, publish or confirm as the name of each socket (FileDescriptorName=), got `http`'],
            'the name of a unit' => ['sidecast.socket', 'listening', 'got `sidecast.socket`'],
            'two names for one' => ['fastcgi:publish', 'listening', 'expected 1 names'],
            'datagrams' => ['publish', 'datagrams', 'expected descriptor 3 (publish) to be a listening stream socket, unix or TCP: it is no stream socket'],
            'a connection' => ['fastcgi', 'connected', 'it does not listen'],
            'a file' => ['confirm', 'file', 'it is no stream socket'],
            'the world' => ['fastcgi', 'world', 'expected descriptor 3 (fastcgi) to be on a loopback address, unless fastcgi.insecure = yes, got 0.0.0.0:'],
        ];
    }

    public function test_sockets_for_another_process_are_not_touched(): void
    {
        $daemon = $this->prepare()->daemon;
        $daemon->environment = ['LISTEN_PID' => '1', 'LISTEN_FDS' => '1', 'LISTEN_FDNAMES' => 'what'];
        $daemon->start();
        self::assertStringNotContainsString('passed in', $daemon->process->err->text);
    }

    /** The reference of the protocol: it listens, waits for the first to come, and becomes the program. */
    public function test_systemd_starts_it_for_whoever_comes_first(): void
    {
        if (!is_executable('/usr/bin/systemd-socket-activate')) {
            self::markTestSkipped('systemd-socket-activate is not there');
        }
        $daemon = $this->prepare()->daemon;
        $daemon->configure([]);
        // it hands on no variable that it is not told of, and a sanitizer must know what it is to leave out
        $sanitizers = preg_grep('/^(A|T|UB)SAN_OPTIONS=/', explode("\0", rtrim(file_get_contents('/proc/self/environ'), "\0")));
        $kept = array_map(static fn (string $variable): string => "--setenv=$variable", $sanitizers);
        $process = new Process(['systemd-socket-activate', ...$kept, '--fdname=fastcgi:publish:confirm', '-l', $daemon->socket, '-l', $daemon->publishSocket,
            '-l', $daemon->confirmSocket, Daemon::binary(), '-c', $daemon->configFile], "{$this->stack->directory}/sidecast.log");
        $daemon->process = $process;
        $this->eventually('systemd to listen', fn () => file_exists($daemon->confirmSocket));
        $client = $daemon->fastcgi()->listen('channel=news');
        $client->opened();
        (new Requester($daemon->confirmEndpoint()))->publish('news', 'awake');
        $client->expect('awake');
        self::assertStringContainsString('which was passed in', $process->err->text);
        self::assertSame([], array_diff($sanitizers, explode("\0", file_get_contents("/proc/$process->pid/environ"))));
    }

    /** Some come just before the end, some while the streams end, some while nobody is there, some during the start. */
    public function test_nobody_is_refused_between_two_processes(): void
    {
        $daemon = $this->startPassed(['hub.drain' => '500ms']);
        $streams = array_map(static fn () => $daemon->fastcgi()->listen('channel=news'), range(1, 10));
        foreach ($streams as $stream) {
            $stream->opened();
        }
        $answers = [];
        $ask = static function (int $count, string $query, array $params) use (&$answers, $daemon): void {
            for ($i = 0; $i < $count; $i++) {
                $answers[] = $daemon->fastcgi()->request(FastCgi::params($query, $params));
            }
        };
        $daemon->process->signal(SIGSTOP);
        $ask(20, '', ['SIDECAST_ENDPOINT' => 'health']);
        $daemon->process->signal(SIGTERM);
        $daemon->process->signal(SIGCONT);
        $daemon->process->waitForLog('/stop: clients=/');
        // a process that ends answers 503
        $poll = ['channel=news', ['HTTP_ACCEPT' => 'application/json']];
        while ($daemon->process->isRunning()) {
            $ask(5, ...$poll);
            $this->pass(0.02);
        }
        $daemon->assertCleanEnd();
        $ask(150, ...$poll);
        $daemon->launch();
        $ask(150, ...$poll);
        foreach ($answers as $number => $answer) {
            $answer->wait();
            self::assertSame([200, false], [$answer->status, $answer->cut], "request $number of " . count($answers) . ": $answer->body");
        }
        self::assertGreaterThan(320, count($answers));
    }

    public function test_what_is_acknowledged_across_a_restart_arrives(): void
    {
        $daemon = $this->startPassed(self::LONG_HISTORY);
        $client = $daemon->fastcgi()->listen('channel=news');
        $client->opened();
        $publishers = array_map(static fn (int $number) => new AcknowledgedPublisher($daemon->confirmEndpoint(), "p$number"), range(1, 4));
        $publish = static function (callable $isEnough) use ($publishers): void {
            Loop::until(static function () use ($publishers, $isEnough): bool {
                foreach ($publishers as $publisher) {
                    $publisher->goOn();
                }
                return $isEnough();
            }, 'publishers to go on');
        };
        $acknowledged = static fn (): int => array_sum(array_map(static fn ($publisher) => count($publisher->acknowledged), $publishers));
        $publish(static fn () => $acknowledged() >= 100);
        $daemon->process->signal(SIGTERM);
        $publish(static fn () => !$daemon->isRunning());
        $daemon->assertCleanEnd();
        $before = $acknowledged();
        $daemon->launch();
        $publish(static fn () => $acknowledged() >= $before + 200);

        $client->waitForCleanEnd();
        $got = $client->take($client->pending());
        $back = $daemon->fastcgi()->listen('channel=news', ['HTTP_LAST_EVENT_ID' => end($got)->id]);
        self::assertSame(end($got)->id, $back->gap()['after']);
        (new Requester($daemon->confirmEndpoint()))->publish('news', 'the last');
        do {
            $got[] = $event = $back->next();
        } while ($event->data !== 'the last');
        $data = array_column($got, 'data', 'id');
        foreach ($publishers as $publisher) {
            foreach ($publisher->acknowledged as $id => $text) {
                self::assertSame($text, $data[$id] ?? 'nothing', "what was acknowledged as $id");
            }
        }
        $this->assertIdsIncrease($got);
    }

    /** A part of them is back before the old process has gone. */
    public function test_event_sources_behind_a_front_end_miss_nothing_in_silence_across_a_restart(): void
    {
        $daemon = $this->startPassed(['hub.drain' => '400ms', 'sse.retry' => '400ms', 'history.messages' => '100000']);
        $frontEnd = $this->stack->frontEnd();
        $clients = array_map(static fn () => new EventSource($frontEnd, 'channel=news'), range(1, 300));
        $publisher = null;
        $live = static function (callable $isEnough, string $what) use ($clients, &$publisher): void {
            Loop::until(static function () use ($clients, &$publisher, $isEnough): bool {
                $publisher?->goOn();
                foreach ($clients as $client) {
                    $client->goOn();
                }
                return $isEnough();
            }, $what, 60);
        };
        $areOpen = static fn (): bool => array_filter($clients, static fn (EventSource $client) => !$client->isOpen()) === [];
        $live($areOpen, 'all clients to listen');
        $publisher = new AcknowledgedPublisher($daemon->confirmEndpoint(), 'm');
        $live(static fn () => count($publisher->acknowledged) >= 50, 'messages before the restart');
        $daemon->process->signal(SIGTERM);
        $live(static fn () => !$daemon->isRunning(), 'the old process to go');
        $daemon->assertCleanEnd();
        $daemon->launch();
        $live(static fn () => min(array_column($clients, 'connects')) > 1 && $areOpen(), 'all clients to come back');
        $enough = count($publisher->acknowledged) + 50;
        $live(static fn () => count($publisher->acknowledged) >= $enough, 'messages after the restart');
        $acknowledged = $publisher->acknowledged;
        $last = array_key_last($acknowledged);
        $publisher = null;
        $live(static fn () => array_filter($clients, static fn (EventSource $client) => !$client->knowsOf($last)) === [], 'the last message to arrive');

        self::assertGreaterThan(100, count($acknowledged));
        foreach ($clients as $number => $client) {
            self::assertLessThan(1000, $client->longestRetry, "client $number met nobody, and the front end answered");
            $this->assertIdsIncrease($client->events);
            foreach ($acknowledged as $id => $data) {
                if (!$client->knowsOf((string) $id)) {
                    self::fail("client $number was neither given nor told of $id: $data");
                }
            }
        }
    }

    /**
     * With history that comes over the restart, what was acknowledged is there for each client once, in order, and no gap is told. On sockets that were
     * passed in whoever comes back too early waits for the next process; on its own ones it would be told to wait for long, so here it comes later.
     *
     * @group not-apache
     *
     * @testWith [true, "400ms"]
     *           [false, "2s"]
     */
    public function test_two_thousand_clients_have_what_was_acknowledged_once_across_a_restart(bool $arePassed, string $retry): void
    {
        mkdir($state = "{$this->prepare()->directory}/state", 0700);
        $daemon = $this->stack->daemon;
        $daemon->configure(['hub.drain' => '400ms', 'sse.retry' => $retry, 'hub.state_dir' => $state, 'history.messages' => '10000']);
        $daemon->passed = $arePassed ? PassedSockets::of($daemon) : null;
        $daemon->start();
        $crowd = new Crowd(2000, $this->stack->frontEnd(), '/events?channel=news', static fn () => []);
        $crowd->until(static fn (CrowdMember $member) => $member->others === ['sidecast.open'], 'all to be in');
        $publisher = new AcknowledgedPublisher($daemon->confirmEndpoint(), 'm');
        $next = 0;
        $publish = static function () use ($publisher, &$next): void {
            if (Loop::now() >= $next) {
                $publisher->goOn();
                $next = Loop::now() + 0.05;
            }
        };
        $crowd->until(static fn (CrowdMember $member) => count($member->messages) >= 10, 'messages before the restart', $publish);
        $daemon->process->signal(SIGTERM);
        $crowd->until(static fn () => !$daemon->isRunning(), 'the old process to go', $publish);
        $daemon->assertCleanEnd();
        $daemon->launch();
        $crowd->until(static fn (CrowdMember $member) => $member->streams > 1, 'all to come back', $publish);
        $enough = count($publisher->acknowledged) + 10;
        $crowd->until(static fn () => count($publisher->acknowledged) >= $enough, 'messages after the restart', $publish);
        $acknowledged = array_values($publisher->acknowledged);
        $last = end($acknowledged);
        $crowd->until(static fn (CrowdMember $member) => in_array($last, $member->messages, true), 'the last message to arrive at all');
        foreach ($crowd->members as $number => $member) {
            self::assertSame($acknowledged, array_values(array_intersect($member->messages, $acknowledged)), "client $number");
            self::assertSame($member->messages, array_values(array_unique($member->messages)), "client $number: none twice");
            self::assertSame(['sidecast.open'], $member->others, "client $number: no gap");
        }
        $crowd->leave();
    }

    public function test_what_it_tells_of_itself_comes_in_order(): void
    {
        $daemon = $this->prepare()->daemon;
        $told = $this->tell($daemon);
        $daemon->start();
        $told->waitForNews(1);
        $daemon->process->signal(SIGHUP);
        $told->waitForNews(3);
        $daemon->configure(['sse.retry' => 'soon']);
        $daemon->process->signal(SIGHUP);
        $told->waitForNews(5);
        $daemon->stop();
        $told->waitForNews(6);
        $first = array_map(static fn (string $message) => strtok($message, "\n"), $told->news());
        self::assertSame(['READY=1', 'RELOADING=1', 'READY=1', 'RELOADING=1', 'READY=1', 'STOPPING=1'], $first);
        self::assertMatchesRegularExpression('/^RELOADING=1\nMONOTONIC_USEC=\d+$/', $told->news()[1]);
        foreach ([0, 2, 5] as $index) {
            self::assertMatchesRegularExpression('/\nSTATUS=.{10}/', $told->news()[$index]);
        }
        self::assertSame(0, $told->pings());
    }

    public function test_a_start_that_fails_is_not_ready(): void
    {
        $daemon = $this->prepare()->daemon;
        $told = $this->tell($daemon);
        file_put_contents($daemon->socket, 'something of value');
        $daemon->launch();
        self::assertSame(4, $daemon->process->waitForExit());
        $this->pass(0.05);
        self::assertSame([], $told->messages);
    }

    public function test_the_watchdog_hears_of_it_while_its_loop_turns_and_only_then(): void
    {
        $daemon = $this->prepare()->daemon;
        $told = $this->tell($daemon);
        $daemon->environment['WATCHDOG_USEC'] = '200000';
        $daemon->start();
        $told->waitForPings(5);
        $daemon->process->signal(SIGSTOP);
        $this->pass(0.1); // what was on its way
        $before = $told->pings();
        $this->pass(0.6);
        self::assertSame($before, $told->pings());
        $daemon->process->signal(SIGCONT);
        $told->waitForPings($before + 3);
    }

    /** A ping each half of its time, not each turn. */
    public function test_the_watchdog_is_not_told_more_often_than_it_asks(): void
    {
        $daemon = $this->prepare()->daemon;
        $told = $this->tell($daemon);
        $daemon->environment['WATCHDOG_USEC'] = '1000000';
        $daemon->start();
        $told->waitForPings(1);
        $start = Loop::now();
        $this->stack->publishRange('news', 'm', 1, 500);
        $told->waitForPings(4);
        self::assertGreaterThan(1.3, Loop::now() - $start);
    }

    public function test_streams_end_spread_over_the_drain_and_are_served_until_then(): void
    {
        $this->start(['hub.drain' => '2s']);
        $daemon = $this->stack->daemon;
        $clients = [];
        for ($i = 0; $i < 200; $i++) {
            $clients[] = $daemon->fastcgi()->listen('channel=news');
        }
        foreach ($clients as $client) {
            $client->opened();
        }
        $daemon->process->signal(SIGTERM);
        $daemon->process->waitForLog('/stop: clients=200/');
        $this->stack->publish('news', 'meanwhile');
        $refused = $daemon->fastcgi()->listen('channel=news');
        $refused->waitForCleanEnd();
        self::assertSame(0, $refused->pending());
        self::assertGreaterThanOrEqual(5000, $refused->parser->retry);

        $slices = array_fill(0, 10, 0);
        $start = Loop::now();
        $daemon->assertCleanEnd();
        $end = Loop::now();
        $served = 0;
        foreach ($clients as $client) {
            $client->waitForCleanEnd();
            $moment = (end($client->connection->reads) - $start) / ($end - $start);
            $slices[max(0, min(9, (int) ($moment * 10)))]++;
            $served += $client->pending();
        }
        self::assertGreaterThan(1.0, $end - $start, 'the time in which streams ended');
        self::assertGreaterThan(100, $served, 'those who got what was published meanwhile');
        self::assertLessThan(80, max($slices), 'ends by tenths of the time: ' . implode(' ', $slices));
        self::assertGreaterThanOrEqual(7, count(array_filter($slices)), 'ends by tenths of the time: ' . implode(' ', $slices));
    }

    public function test_a_second_signal_ends_the_drain(): void
    {
        $this->start(['hub.drain' => '30s', 'hub.stop_timeout' => '40s']);
        $daemon = $this->stack->daemon;
        $clients = array_map(static fn () => $daemon->fastcgi()->listen('channel=news'), range(1, 10));
        foreach ($clients as $client) {
            $client->opened();
        }
        $daemon->process->signal(SIGTERM);
        $daemon->process->waitForLog('/stop: clients=10/');
        $daemon->process->signal(SIGTERM);
        $daemon->assertCleanEnd();
        foreach ($clients as $client) {
            $client->waitForCleanEnd();
        }
    }

    public function test_without_clients_nothing_is_waited_for(): void
    {
        $this->start(['hub.drain' => '30s', 'hub.stop_timeout' => '40s']);
        $this->stack->daemon->process->signal(SIGTERM);
        $this->stack->daemon->assertCleanEnd();
    }

    /** nginx may take a connection out of its pool that has just been closed: for a GET it tries another, for a POST it does not. */
    public function test_who_publishes_over_http_meets_no_connection_that_the_end_has_closed(): void
    {
        $daemon = $this->startPassed();
        $nginx = $this->stack->nginx();
        $client = $nginx->connect();
        self::assertSame(202, $client->request('POST', '/publish?channel=news', [], 'before')->wait()->status);
        $this->stack->poll('channel=news'); // leaves a connection in the pool
        $worker = $nginx->workers()[0];
        posix_kill($worker, SIGSTOP);
        try {
            // the worker sees this one first, and only then what was closed
            $response = $client->request('POST', '/publish?channel=news', [], 'after');
            $daemon->stop();
            $daemon->start();
        } finally {
            posix_kill($worker, SIGCONT);
        }
        self::assertSame(202, $response->wait()->status);
    }

    /** @param array<string, mixed> $options */
    private function startPassed(array $options = []): Daemon
    {
        $daemon = $this->prepare($options)->daemon;
        $daemon->passed = PassedSockets::of($daemon);
        $daemon->start();
        return $daemon;
    }

    private function tell(Daemon $daemon): NotifySocket
    {
        $told = new NotifySocket("{$this->stack->directory}/notify.sock");
        $daemon->environment['NOTIFY_SOCKET'] = $told->path;
        return $told;
    }

    /** Where nothing is to happen, all that can be done is to let time pass. */
    private function pass(float $seconds): void
    {
        $end = Loop::now() + $seconds;
        Loop::until(static fn () => Loop::now() > $end, 'time to pass');
    }
}
