<?php

declare(strict_types=1);

namespace Sidecast\Tests\server;

use Sidecast\EndToEnd\EventStream;
use Sidecast\EndToEnd\Loop;

/** The server is there, but does not read: stopped by SIGSTOP, or slower than the page. */
final class StoppedServerTest extends ServerTestCase
{
    /** More than the kernel holds for a connection, over tcp too. */
    private const LARGE = ['bytes' => 900000];
    private const LARGE_COUNT = 8;

    /** @dataProvider transportsAndSchemes */
    public function testSmallMessagesAreHandedOverAndArriveWhenItGoesOn(string $transport, string $scheme): void
    {
        $dsn = $this->dsn($transport, $scheme);
        $client = $this->warmUp($dsn);
        $this->freeze();
        $answer = $this->publishBounded($dsn, 1, 50);
        self::assertSame(\range(1, 50), $answer->handedOver, $answer->reason());
        $this->measured(\sprintf('50 calls, slowest %.2f ms', $answer->slowestMs));
        $this->thaw();
        self::assertSame(\range(1, 50), $this->take($client, 50));
    }

    /** @dataProvider transportsAndSchemes */
    public function testLargeMessagesAreReportedInTimeOrQueued(string $transport, string $scheme): void
    {
        $dsn = $this->dsn($transport, $scheme);
        $client = $this->warmUp($dsn);
        $this->freeze();
        $answer = $this->publishBounded($dsn, 1, self::LARGE_COUNT, self::LARGE);
        $this->assertNoWorkerIsStuck();
        $this->measured(\sprintf(
            '%d calls, slowest %.1f ms, %d handed over: %s',
            self::LARGE_COUNT,
            $answer->slowestMs,
            \count($answer->handedOver),
            $answer->reason(),
        ));
        if ($transport === 'zmq') {
            self::assertCount(self::LARGE_COUNT, $answer->handedOver);
        } else {
            self::assertLessThan(self::LARGE_COUNT, \count($answer->handedOver));
            self::assertStringContainsString('in time', $answer->reason());
        }
        $this->thaw();
        self::assertSame($answer->handedOver, $this->take($client, \count($answer->handedOver)));
        $this->assertPublishes($dsn, $client);
    }

    /**
     * Each worker has its first connection ahead, and the server does not shake hands.
     *
     * @dataProvider transports
     */
    public function testManyPagesAtOnceAreAllAnswered(string $transport, string $scheme): void
    {
        $this->fpm(['pm.max_children' => 4]);
        $dsn = $this->dsn($transport, $scheme);
        $this->daemon->start();
        $client = $this->listen();
        $this->freeze();
        $bounded = $this->bounded($dsn);
        $start = Loop::now();
        $requests = \array_map(fn (int $number) => $this->request($bounded, $number, 1), \range(1, 20));
        $handedOver = [];
        foreach ($requests as $request) {
            \array_push($handedOver, ...$this->inTime(Answer::of($request))->handedOver);
        }
        $seconds = Loop::now() - $start;
        $this->measured(\sprintf('20 pages, 4 workers: %.0f ms', 1000 * $seconds));
        self::assertCount($transport === 'zmq' ? 20 : 0, $handedOver);
        self::assertLessThan(20 / 4 * self::LIMIT_MS / 1000, $seconds);
        $this->assertNoWorkerIsStuck();
        $this->thaw();
        // in any order: each worker has a connection of its own
        self::assertEqualsCanonicalizing($handedOver, $this->take($client, \count($handedOver)));
        $this->assertPublishes($dsn, $client);
    }

    /** @dataProvider transportsAndSchemes */
    public function testABatchIsHandedOverFromItsBeginningWithoutHoles(string $transport, string $scheme): void
    {
        $dsn = $this->dsn($transport, $scheme);
        $client = $this->warmUp($dsn);
        $this->freeze();
        $answer = $this->publishBounded($dsn, 1, self::LARGE_COUNT, self::LARGE + ['batch' => true]);
        $count = \count($answer->handedOver);
        self::assertSame($count === 0 ? [] : \range(1, $count), $answer->handedOver);
        self::assertSame($transport === 'zmq', $count === self::LARGE_COUNT);
        $this->measured(\sprintf('%d of %d handed over in %.0f ms', $count, self::LARGE_COUNT, $answer->totalMs));
        $this->thaw();
        self::assertSame($answer->handedOver, $this->take($client, $count));
    }

    /**
     * The bound is not reached: the page waits for the server and goes on with it.
     *
     * @dataProvider transports
     */
    public function testASlowServerDelaysAPageButLosesNothing(string $transport, string $scheme): void
    {
        $dsn = $this->dsn($transport, $scheme);
        $client = $this->warmUp($dsn);
        $this->freeze();
        $progress = $this->path('progress');
        $more = ['bytes' => 100000, 'progress' => $progress];
        $request = $this->request($dsn, 1, 60, $more);
        Loop::until(static fn (): bool => \is_file($progress), 'the first call to return');
        if ($transport === 'zmtp') {
            self::assertFalse($request->isAnswered(), 'the kernel does not hold so much');
        }
        $this->thaw();
        $answer = Answer::of($request);
        self::assertSame(\range(1, 60), $answer->handedOver, $answer->reason());
        self::assertSame(\range(1, 60), $this->take($client, 60));
        $this->measured(\sprintf('6 MB in %.0f ms, slowest call %.0f ms', $answer->totalMs, $answer->slowestMs));
    }

    /** A client that listens to a running server, and one worker that is connected with it. */
    private function warmUp(string $dsn): EventStream
    {
        $this->daemon->start();
        $client = $this->listen();
        self::assertSame([0], $this->publish($dsn, 0, 1)->handedOver);
        self::assertSame([0], $this->take($client, 1));

        return $client;
    }

    /** Stops the server; returns when each of its threads stands still. */
    private function freeze(): void
    {
        $this->daemon->process->signal(\SIGSTOP);
        $threads = "/proc/{$this->daemon->process->pid}/task/*/stat";
        Loop::until(static function () use ($threads): bool {
            $stats = \array_map(file_get_contents(...), \glob($threads) ?: []);

            return \preg_grep('/\) T /', $stats, \PREG_GREP_INVERT) === []; // pid (name) state
        }, 'the server to stand still');
    }

    private function thaw(): void
    {
        $this->daemon->process->signal(\SIGCONT);
    }
}
