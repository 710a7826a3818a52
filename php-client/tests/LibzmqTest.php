<?php

declare(strict_types=1);

namespace Sidecast\Tests;

use PHPUnit\Framework\TestCase;
use Sidecast\Endpoint;
use Sidecast\Exception\TransportException;
use Sidecast\Publisher;
use Sidecast\Transport\TransportInterface;
use Sidecast\Transport\ZmqTransport;
use Sidecast\Transport\ZmtpTransport;

/**
 * Both transports against a real PULL socket of libzmq.
 *
 * @requires extension zmq
 */
final class LibzmqTest extends TestCase
{
    use Scratch;

    private const PATIENCE_MS = 5000;

    /** Enough for a handshake on a loaded machine: what is tested here is not the bound. */
    private const TIMEOUT = 5.0;

    private ?\ZMQSocket $pull = null;
    private string $endpoint = '';

    protected function tearDown(): void
    {
        $this->stopServer();
    }

    /**
     * @param class-string<TransportInterface> $transport
     *
     * @dataProvider transports
     */
    public function testOneTwoAndThreeFramesArrive(string $transport, string $endpoint): void
    {
        $this->startServer($endpoint);
        $sender = $this->transport($transport);
        $messages = [
            ['[{"channel":"c","data":1}]'],
            ['c', ''],
            ['c', \str_repeat('x', 255), '{"ttl":1}'],
            ['c', \str_repeat("\u{1F600}", 250000)],
        ];
        foreach ($messages as $frames) {
            $sender->send($frames, self::TIMEOUT);
        }
        foreach ($messages as $frames) {
            self::assertSame($frames, $this->receive());
        }
    }

    /**
     * @param class-string<TransportInterface> $transport
     *
     * @dataProvider transports
     */
    public function testBurstOf5000ArrivesWholeAndInOrder(string $transport, string $endpoint): void
    {
        $this->startServer($endpoint);
        $sender = $this->transport($transport);
        for ($i = 0; $i < 5000; $i++) {
            $sender->send(['c', "message $i"], self::TIMEOUT);
        }
        for ($i = 0; $i < 5000; $i++) {
            self::assertSame(['c', "message $i"], $this->receive());
        }
    }

    /**
     * @param class-string<TransportInterface> $transport
     *
     * @dataProvider transports
     */
    public function testPublishingGoesOnAfterTheServerHasRestarted(string $transport, string $endpoint): void
    {
        $this->startServer($endpoint);
        $sender = $this->transport($transport);
        $sender->send(['c', 'before'], self::TIMEOUT);
        self::assertSame(['c', 'before'], $this->receive());
        $this->stopServer();
        $this->startServer($this->endpoint);
        $sender->send(['c', 'after'], self::TIMEOUT);
        self::assertSame(['c', 'after'], $this->receive());
    }

    /**
     * @param class-string<TransportInterface> $transport
     *
     * @dataProvider transports
     */
    public function testServerThatIsDown(string $transport, string $endpoint): void
    {
        $this->startServer($endpoint);
        $sender = $this->transport($transport);
        $this->stopServer();
        $queues = $sender instanceof ZmqTransport;
        $start = \hrtime(true);
        $result = (new Publisher($sender))->publish('c', 'while down');
        self::assertLessThan(0.5, (\hrtime(true) - $start) / 1e9);
        self::assertSame($queues, $result->ok, 'libzmq queues, pure PHP reports');
        $this->startServer($this->endpoint);
        $sender->send(['c', 'again'], self::TIMEOUT);
        if ($queues) {
            self::assertSame(['c', 'while down'], $this->receive());
        }
        self::assertSame(['c', 'again'], $this->receive());
    }

    /**
     * @param class-string<TransportInterface> $transport
     *
     * @dataProvider transports
     */
    public function testBatchArrivesAsOneJsonArray(string $transport, string $endpoint): void
    {
        $this->startServer($endpoint);
        $publisher = new Publisher($this->transport($transport), timeout: self::TIMEOUT);
        self::assertTrue($publisher->publishBatch([
            ['channel' => 'a', 'data' => ['x' => 0.1]],
            ['channel' => 'b', 'data' => 'text', 'ttl' => 5],
        ])->ok);
        $frames = $this->receive();
        self::assertCount(1, $frames);
        self::assertSame(
            [
                ['channel' => 'a', 'data' => '{"x":0.1}'],
                ['channel' => 'b', 'data' => 'text', 'ttl' => 5],
            ],
            \json_decode($frames[0], true),
        );
    }

    /** @return iterable<string, array{class-string<TransportInterface>, string}> */
    public static function transports(): iterable
    {
        yield 'ext-zmq, ipc' => [ZmqTransport::class, 'ipc'];
        yield 'ext-zmq, tcp' => [ZmqTransport::class, 'tcp://127.0.0.1:*'];
        yield 'pure PHP, ipc' => [ZmtpTransport::class, 'ipc'];
        yield 'pure PHP, tcp' => [ZmtpTransport::class, 'tcp://127.0.0.1:*'];
    }

    public function testFullQueueIsReportedAtOnce(): void
    {
        $sender = new ZmqTransport(Endpoint::parse("ipc://$this->scratch/nobody.sock"), 3);
        for ($i = 0; $i < 3; $i++) {
            $sender->send(['c', 'x'], 0.0);
        }
        $start = \hrtime(true);
        try {
            $sender->send(['c', 'x'], 10.0);
            self::fail('it was queued');
        } catch (TransportException $error) {
            self::assertStringContainsString('queue is full', $error->getMessage());
        }
        self::assertLessThan(0.5, (\hrtime(true) - $start) / 1e9);
    }

    public function testQueueAndConnectionOutliveTheObject(): void
    {
        $this->startServer('ipc');
        $this->stopServer();
        $this->transport(ZmqTransport::class)->send(['c', 'early'], 0.0);
        $this->transport(ZmqTransport::class)->send(['c', 'late'], 0.0);
        $this->startServer($this->endpoint);
        self::assertSame(['c', 'early'], $this->receive());
        self::assertSame(['c', 'late'], $this->receive());
    }

    public function testSocketIsMadeByTheRecipe(): void
    {
        $sender = new ZmqTransport(Endpoint::parse("ipc://$this->scratch/nobody.sock"));
        $sender->send(['c', 'x'], 0.0);
        $socket = (new \ZMQContext(1, true))->getSocket(
            \ZMQ::SOCKET_PUSH,
            "sidecast ipc://$this->scratch/nobody.sock 10000",
            static fn () => self::fail('the socket is not persistent'),
        );
        self::assertSame(1000, $socket->getSockOpt(\ZMQ::SOCKOPT_LINGER));
        self::assertSame(10000, $socket->getSockOpt(\ZMQ::SOCKOPT_SNDHWM));
        self::assertSame(0, $socket->getSockOpt(\ZMQ::SOCKOPT_IMMEDIATE));
    }

    public function testPageEndsInTimeWhileTheServerIsDown(): void
    {
        $code = 'require $argv[1]; exit(sidecast_publish("c", "x") ? 0 : 1);';
        $start = \hrtime(true);
        $process = \proc_open(
            [\PHP_BINARY, '-r', $code, '--', \dirname(__DIR__) . '/functions.php'],
            [['file', '/dev/null', 'r'], ['pipe', 'w'], ['pipe', 'w']],
            $pipes,
            null,
            ['SIDECAST_PUBLISH' => "ipc://$this->scratch/nobody.sock"],
        );
        self::assertIsResource($process);
        self::assertSame('', \stream_get_contents($pipes[1]) . \stream_get_contents($pipes[2]));
        self::assertSame(0, \proc_close($process));
        self::assertLessThan(5.0, (\hrtime(true) - $start) / 1e9, 'the linger of 1 s bounds it');
    }

    public function testSocketWithoutPermissionIsReported(): void
    {
        $this->startServer('ipc');
        $path = "$this->scratch/pull.sock";
        \chmod($this->scratch, 0755);
        \chmod($path, 0400);
        $page = $this->publishAsNobody();
        self::assertStringContainsString("cannot connect: no permission to write to $path", $page->errors);
        self::assertSame(1, $page->status);

        \chmod($path, 0666);
        $page = $this->publishAsNobody();
        self::assertSame('', $page->errors);
        self::assertSame(0, $page->status);
        self::assertSame(['c', 'x'], $this->receive());
    }

    public function testSocketInAClosedDirectoryIsReported(): void
    {
        $this->startServer('ipc');
        \chmod($this->scratch, 0600);
        try {
            $page = $this->publishAsNobody();
        } finally {
            \chmod($this->scratch, 0700);
        }
        self::assertStringContainsString('cannot connect: no permission to write to', $page->errors);
        self::assertSame(1, $page->status);
    }

    public function testSocketThatIsNotThereYetIsWaitedForWithoutRootToo(): void
    {
        \chmod($this->scratch, 0755);
        $this->endpoint = "ipc://$this->scratch/nobody.sock";
        $page = $this->publishAsNobody();
        self::assertSame('', $page->errors);
        self::assertSame(0, $page->status);
    }

    /** A page of a user whom permissions bind: root, whom they do not, becomes nobody first. */
    private function publishAsNobody(): PlainPhp
    {
        if (!\function_exists('posix_setuid')) {
            self::markTestSkipped('posix is not loaded');
        }
        $page = new PlainPhp();
        $page->run(
            'require "$argv[1]/functions.php"; require "$argv[1]/src/load.php";
            posix_getuid() !== 0 || (posix_setgid(65534) && posix_setuid(65534)) || exit(2);
            exit(sidecast_publish("c", "x") ? 0 : 1);',
            [],
            ['SIDECAST_PUBLISH' => \rtrim($this->endpoint, "\0")],
        );

        return $page;
    }

    public function testForkedChildPublishesToo(): void
    {
        if (!\function_exists('pcntl_fork')) {
            self::markTestSkipped('pcntl is not loaded');
        }
        $this->startServer('ipc');
        $sender = $this->transport(ZmqTransport::class);
        $sender->send(['c', 'parent'], 0.0);
        self::assertSame(['c', 'parent'], $this->receive());
        $child = \pcntl_fork();
        if ($child === 0) {
            try {
                $sender->send(['c', 'child'], 0.0);
                \pcntl_sigtimedwait([\SIGUSR1], $info, 10); // until it has arrived
            } finally {
                \posix_kill((int) \getmypid(), 9); // without PHPUnit's end
            }
        }
        self::assertSame(['c', 'child'], $this->receive());
        \posix_kill($child, 9);
        \pcntl_waitpid($child, $status);
        $sender->send(['c', 'parent again'], 0.0);
        self::assertSame(['c', 'parent again'], $this->receive());
    }

    private function startServer(string $endpoint): void
    {
        $pull = (new \ZMQContext(1, false))->getSocket(\ZMQ::SOCKET_PULL);
        $pull->setSockOpt(\ZMQ::SOCKOPT_LINGER, 0);
        $pull->setSockOpt(\ZMQ::SOCKOPT_RCVTIMEO, self::PATIENCE_MS);
        // nobody reads while the burst is sent: libzmq holds it all
        $pull->setSockOpt(\ZMQ::SOCKOPT_RCVHWM, 0);
        $pull->bind($endpoint === 'ipc' ? "ipc://$this->scratch/pull.sock" : $endpoint);
        $this->endpoint = (string) $pull->getSockOpt(\ZMQ::SOCKOPT_LAST_ENDPOINT);
        $this->pull = $pull;
    }

    /** Ends socket and context, so that the connections are closed when it returns. */
    private function stopServer(): void
    {
        $this->pull = null;
    }

    /** @param class-string<TransportInterface> $class */
    private function transport(string $class): TransportInterface
    {
        return new $class(Endpoint::parse(\rtrim($this->endpoint, "\0")));
    }

    /** @return list<string> */
    private function receive(): array
    {
        $frames = $this->pull?->recvMulti();
        self::assertIsArray($frames, 'nothing came');

        return $frames;
    }
}
