<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

use PHPUnit\Framework\Assert;

/**
 * One sidecast in a private directory, and what stands around it. The test starts the daemon; the front end and php-fpm start when they
 * are first needed.
 */
final class Stack
{
    public readonly string $directory;
    public readonly Daemon $daemon;
    private readonly FrontEnd $frontEnd;
    private readonly Fpm $fpm;
    private bool $frontEndRuns = false;
    private bool $fpmRuns = false;
    private ?Publisher $publisher = null;

    /** @param array<string, mixed> $options the daemon's, see Daemon */
    public function __construct(array $options = [])
    {
        $this->directory = dirname(__DIR__, 3) . '/build/e2e/' . bin2hex(random_bytes(4));
        mkdir($this->directory, 0755, true);
        // libzmq and the kernel cut longer socket paths
        Assert::assertLessThan(90, strlen($this->directory), 'the path to build/ is too long for unix sockets');
        $class = FrontEnd::chosen();
        $this->daemon = new Daemon($this->directory, $options + $class::DAEMON);
        $this->fpm = new Fpm($this->directory);
        $this->frontEnd = new $class($this->directory, $this->daemon, $this->fpm);
        $this->daemon->whenStarted = fn () => $this->frontEndRuns && $this->frontEnd->findAgain();
    }

    /** Stops all, insists on the daemon's clean end, and tidies up unless the logs are to be kept. */
    public function stop(bool $keepLogs = false): void
    {
        try {
            if ($this->daemon->isRunning()) {
                $this->daemon->stop();
            }
        } finally {
            $this->frontEndRuns && $this->frontEnd->stop();
            $this->fpmRuns && $this->fpm->stop();
        }
        if (!$keepLogs) {
            Process::run(['rm', '-rf', $this->directory]);
        }
    }

    /** The end of each log, for a failed test. */
    public function logs(): string
    {
        $text = '';
        foreach (glob("$this->directory/*.log") as $file) {
            $text .= "--- $file\n" . substr((string) file_get_contents($file), -3000) . "\n";
        }
        return $text;
    }

    public function frontEnd(): FrontEnd
    {
        if (!$this->frontEndRuns) {
            $this->frontEnd->start();
            $this->frontEndRuns = true;
        }
        return $this->frontEnd;
    }

    /** For what only nginx has. */
    public function nginx(): Nginx
    {
        $nginx = $this->frontEnd();
        assert($nginx instanceof Nginx);
        return $nginx;
    }

    public function fpm(): Fpm
    {
        if (!$this->fpmRuns) {
            $this->fpm->start();
            $this->fpmRuns = true;
        }
        return $this->fpm;
    }

    public function publisher(): Publisher
    {
        return $this->publisher ??= new Publisher($this->daemon->publishEndpoint());
    }

    /** @param array<string, mixed> $options */
    public function publish(string $channel, string $data, array $options = []): void
    {
        $this->publisher()->publish($channel, $data, $options);
    }

    /** Publishes $prefix followed by each number of the range, in order. */
    public function publishRange(string $channel, string $prefix, int $from, int $to): void
    {
        for ($number = $from; $number <= $to; $number++) {
            $this->publish($channel, "$prefix$number");
        }
    }

    /**
     * A request through the front end on a connection of its own.
     *
     * @param array<string, string> $headers
     */
    public function request(string $method, string $uri, array $headers = [], string $body = ''): Response
    {
        return $this->frontEnd()->connect()->request($method, $uri, $headers, $body);
    }

    /**
     * Listens to an event stream through the front end; returns when its head is there.
     *
     * @param array<string, string> $headers
     */
    public function listen(string $query, array $headers = [], string $path = FrontEnd::EVENTS): EventStream
    {
        $connection = $this->frontEnd()->connect();
        $response = $connection->request('GET', "$path?$query", $headers + ['Accept' => 'text/event-stream']);
        $response->waitForHead();
        Assert::assertSame(200, $response->status, $response->body);
        return new EventStream($connection, $response);
    }

    /** Listens with a cursor, as a browser that comes back. */
    public function resume(string $query, string $cursor): EventStream
    {
        return $this->listen($query, ['Last-Event-ID' => $cursor]);
    }

    /** Begins a long poll through the front end and does not wait for its answer. */
    public function startPoll(string $query, array $headers = []): Response
    {
        return $this->request('GET', FrontEnd::EVENTS . "?$query", $headers + ['Accept' => 'application/json']);
    }

    /**
     * A long poll and its answer.
     *
     * @return array{cursor: string, gap: bool, messages: list<array<string, mixed>>}
     */
    public function poll(string $query, array $headers = []): array
    {
        $response = $this->startPoll($query, $headers)->wait();
        Assert::assertSame(200, $response->status, $response->body);
        return $response->json();
    }

    /** The newest id that the daemon has given out. */
    public function now(): string
    {
        return $this->poll('channel=nobody-publishes-here')['cursor'];
    }

    /**
     * Calls a page of tests/e2e/pages and returns what it answers.
     *
     * @param mixed $input what the page reads as its JSON body
     * @param array<string, string> $headers
     */
    public function page(string $name, mixed $input, array $headers = []): mixed
    {
        $this->fpm();
        $body = json_encode($input, JSON_THROW_ON_ERROR);
        $response = $this->request('POST', "/$name", $headers + ['Content-Type' => 'application/json'], $body)->wait();
        Assert::assertSame(200, $response->status, $response->body);
        return json_decode($response->body, true) ?? Assert::fail("$name answered: $response->body");
    }
}
