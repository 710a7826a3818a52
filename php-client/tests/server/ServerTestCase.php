<?php

declare(strict_types=1);

namespace Sidecast\Tests\server;

use PHPUnit\Framework\TestCase;
use Sidecast\EndToEnd\Daemon;
use Sidecast\EndToEnd\EventStream;
use Sidecast\EndToEnd\Loop;
use Sidecast\EndToEnd\Process;

/** One server and one php-fpm for each test, in a private directory. The test starts them. */
abstract class ServerTestCase extends TestCase
{
    protected const CHANNEL = 'numbers';

    /** A number that no test uses otherwise. */
    private const NEXT = 99999;

    /** The bound of pages whose server does not do its part. */
    protected const BOUND_MS = 200;

    /**
     * A call that waited twice its bound, or once for the connection and once for the message, is caught; what the
     * machine adds when it is busy is not.
     */
    protected const LIMIT_MS = 2 * self::BOUND_MS - 10;

    /** The bound of pages that must succeed, however busy the machine is. */
    private const PATIENCE_MS = 10000;

    protected Daemon $daemon;
    private ?Fpm $fpm = null;
    private ?Web $web = null;
    private string $directory;
    private int $port = 0;

    protected function setUp(): void
    {
        $this->directory = \dirname(__DIR__, 3) . '/build/php-client/' . \bin2hex(\random_bytes(4));
        \mkdir($this->directory, 0755, true);
        $this->port = self::freePort();
        $this->daemon = new Daemon($this->directory, [
            'publish.listen' => ["ipc://$this->directory/publish.sock", "tcp://127.0.0.1:$this->port"],
        ]);
    }

    protected function tearDown(): void
    {
        try {
            $this->web?->stop();
            $this->fpm?->stop();
        } finally {
            if ($this->daemon->isRunning()) {
                $this->daemon->stop();
            }
        }
        if ($this->isBroken()) {
            \fwrite(\STDERR, "\n{$this->testName()}: the logs are in $this->directory\n");
        } else {
            Process::run(['rm', '-rf', $this->directory]);
        }
    }

    /** @return array<string, array{string, string}> transport and scheme */
    public static function transports(): array
    {
        return ['ext-zmq' => ['zmq', 'ipc'], 'pure PHP' => ['zmtp', 'ipc']];
    }

    /** @return array<string, array{string, string}> */
    public static function transportsAndSchemes(): array
    {
        return [
            'ext-zmq, ipc' => ['zmq', 'ipc'],
            'ext-zmq, tcp' => ['zmq', 'tcp'],
            'pure PHP, ipc' => ['zmtp', 'ipc'],
            'pure PHP, tcp' => ['zmtp', 'tcp'],
        ];
    }

    /** @param array<string, string|int> $pool */
    protected function fpm(array $pool = []): Fpm
    {
        return $this->fpm ??= new Fpm($this->directory, $pool);
    }

    protected function web(): Web
    {
        return $this->web ??= new Web($this->directory, $this->daemon->socket, self::freePort());
    }

    /** For what must succeed. */
    protected function dsn(string $transport, string $scheme = 'ipc', string $options = ''): string
    {
        if ($transport === 'zmq' && !Fpm::hasZmq()) {
            self::markTestSkipped('php-zmq is not installed');
        }
        $address = $scheme === 'ipc' ? "ipc://$this->directory/publish.sock" : "tcp://127.0.0.1:$this->port";

        return "sidecast+$address?transport=$transport&timeout=" . self::PATIENCE_MS . "ms$options";
    }

    /** The same with the bound BOUND_MS. */
    protected function bounded(string $dsn): string
    {
        return \str_replace('timeout=' . self::PATIENCE_MS . 'ms', 'timeout=' . self::BOUND_MS . 'ms', $dsn);
    }

    /** @param array<string, mixed> $more see pages/publish.php */
    protected function request(string $dsn, int $first, int $count, array $more = []): Request
    {
        return $this->fpm()->request($more + [
            'dsn' => $dsn,
            'channel' => self::CHANNEL,
            'first' => $first,
            'count' => $count,
        ]);
    }

    /**
     * A page that publishes, and what it answers.
     *
     * @param array<string, mixed> $more see pages/publish.php
     */
    protected function publish(string $dsn, int $first, int $count, array $more = []): Answer
    {
        return Answer::of($this->request($dsn, $first, $count, $more));
    }

    /**
     * A page that publishes with the bound BOUND_MS: none of its calls takes longer.
     *
     * @param array<string, mixed> $more see pages/publish.php
     */
    protected function publishBounded(string $dsn, int $first, int $count, array $more = []): Answer
    {
        return $this->inTime($this->publish($this->bounded($dsn), $first, $count, $more));
    }

    protected function inTime(Answer $answer): Answer
    {
        self::assertLessThan(self::LIMIT_MS, $answer->slowestMs, 'milliseconds that the slowest call took');

        return $answer;
    }

    /** Insists that a page can publish and that its message is the next one that the client gets. */
    protected function assertPublishes(string $dsn, EventStream $client): void
    {
        $answer = $this->publish($dsn, self::NEXT, 1);
        self::assertSame([self::NEXT], $answer->handedOver, $answer->reason());
        self::assertSame([self::NEXT], $this->take($client, 1));
    }

    /** Everybody from now on. Ends when the server is ready for what is published. */
    protected function listen(): EventStream
    {
        $stream = $this->daemon->fastcgi()->listen('channel=' . self::CHANNEL);
        $stream->opened();

        return $stream;
    }

    /** Everybody from the beginning of history on. */
    protected function listenFromTheBeginning(): EventStream
    {
        return $this->daemon->fastcgi()->listen('channel=' . self::CHANNEL . '&cursor=0');
    }

    /** @return list<int> the numbers of the next messages */
    protected function take(EventStream $stream, int $count): array
    {
        return \array_map(intval(...), $stream->takeData($count));
    }

    /** Insists that all workers are free again. */
    protected function assertNoWorkerIsStuck(): void
    {
        Loop::until(fn (): bool => $this->fpm()->busyWorkers() === 0, 'all workers of php-fpm to be free', 5.0);
    }

    protected function path(string $name): string
    {
        return "$this->directory/$name";
    }

    /** For the table of the README. */
    protected function measured(string $what): void
    {
        if (\getenv('SIDECAST_MEASURE') !== false) {
            \fwrite(\STDERR, "{$this->testName()}: $what\n");
        }
    }

    /** PHPUnit 10 and later, or 9. */
    private function testName(): string
    {
        return \method_exists($this, 'name') ? $this->name() : $this->getName();
    }

    private function isBroken(): bool
    {
        if (!\method_exists($this, 'status')) {
            return $this->hasFailed(); // PHPUnit 9
        }

        return $this->status()->isFailure() || $this->status()->isError();
    }

    protected static function freePort(): int
    {
        $server = \stream_socket_server('tcp://127.0.0.1:0');
        self::assertIsResource($server);

        return (int) \substr((string) \strrchr((string) \stream_socket_get_name($server, false), ':'), 1);
    }
}
