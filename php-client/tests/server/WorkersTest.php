<?php

declare(strict_types=1);

namespace Sidecast\Tests\server;

use Sidecast\EndToEnd\Loop;

/** php-fpm ends its workers: by a reload, or after pm.max_requests. */
final class WorkersTest extends ServerTestCase
{
    /** Seconds that the end of a worker may wait for what ext-zmq has queued, and what the machine adds. */
    private const LINGER_LIMIT_SECONDS = 1.0 + 1.5;

    /** @dataProvider transports */
    public function testReloadLosesNothingThatHasArrivedAndNewWorkersPublish(string $transport, string $scheme): void
    {
        $this->fpm(['pm.max_children' => 2]);
        $dsn = $this->dsn($transport, $scheme);
        $this->daemon->start();
        $client = $this->listen();
        $number = 0;
        for ($round = 0; $round < 3; $round++) {
            for ($i = 0; $i < 10; $i++) {
                self::assertSame([++$number], $this->publish($dsn, $number, 1)->handedOver);
                self::assertSame([$number], $this->take($client, 1));
            }
            $seconds = $this->fpm()->reload();
            $this->measured(\sprintf('reload %.0f ms', 1000 * $seconds));
        }
        $this->assertPublishes($dsn, $client);
    }

    /** @dataProvider transports */
    public function testAReloadRightAfterABurstLosesNothingIfWorkersMayFinish(string $transport, string $scheme): void
    {
        $this->fpm(['process_control_timeout' => '5s']);
        $dsn = $this->dsn($transport, $scheme);
        $this->daemon->start();
        $client = $this->listen();
        self::assertCount(2000, $this->publish($dsn, 1, 2000)->handedOver);
        $seconds = $this->fpm()->reload();
        $this->measured(\sprintf('reload %.0f ms', 1000 * $seconds));
        self::assertLessThan(self::LINGER_LIMIT_SECONDS, $seconds);
        self::assertSame(\range(1, 2000), $this->take($client, 2000));
    }

    /**
     * A worker that may finish does, and its page with it; else php-fpm kills it in the middle. Either way no half
     * message arrives, and nothing behind a hole.
     *
     * @testWith ["zmq", 0]
     *           ["zmq", "10s"]
     *           ["zmtp", 0]
     *           ["zmtp", "10s"]
     */
    public function testAReloadInTheMiddleOfAPage(string $transport, int|string $patience): void
    {
        $this->fpm(['process_control_timeout' => $patience]);
        $dsn = $this->dsn($transport);
        $this->daemon->start();
        $client = $this->listen();
        $progress = $this->path('progress');
        $request = $this->request($dsn, 1, 3000, ['bytes' => 2000, 'progress' => $progress]);
        Loop::until(static fn (): bool => \is_file($progress), 'the first call to return');
        $this->fpm()->reload();
        if ($patience === 0) {
            self::assertSame('', $request->body(), 'killed');
        } else {
            self::assertSame(\range(1, 3000), Answer::of($request)->handedOver);
        }
        \clearstatcache();
        $returned = (int) \filesize($progress);
        // pure PHP: a call that has returned is in the server's hands
        $received = $transport === 'zmtp' ? $this->take($client, $returned) : [];
        self::assertSame([4000], $this->publish($dsn, 4000, 1)->handedOver);
        while (($number = $this->take($client, 1)[0]) !== 4000) {
            $received[] = $number;
        }
        $count = \count($received);
        self::assertSame($count === 0 ? [] : \range(1, $count), $received);
        self::assertSame($patience !== 0, $count === 3000);
        $this->measured(\sprintf('%d calls returned, %d messages arrived', $returned, $count));
    }

    /**
     * What ext-zmq has queued is given up 1 s after the worker is told to end; at once where php-fpm kills it.
     *
     * @testWith ["zmq", 0]
     *           ["zmq", "5s"]
     *           ["zmtp", 0]
     *           ["zmtp", "5s"]
     */
    public function testAReloadWhileTheServerIsDownIsBounded(string $transport, int|string $patience): void
    {
        $this->fpm(['pm.max_children' => 2, 'process_control_timeout' => $patience]);
        $dsn = $this->dsn($transport);
        $queued = $this->publishBounded($dsn, 1, 100)->handedOver;
        self::assertCount($transport === 'zmq' ? 100 : 0, $queued);
        $seconds = $this->fpm()->reload();
        $this->measured(\sprintf('reload %.0f ms', 1000 * $seconds));
        self::assertLessThan(self::LINGER_LIMIT_SECONDS, $seconds);
        $this->daemon->start();
        $client = $this->listenFromTheBeginning();
        $this->assertPublishes($dsn, $client); // and nothing of what the old workers had queued
    }

    /** @dataProvider transports */
    public function testRecycledWorkersLoseNothing(string $transport, string $scheme): void
    {
        $this->fpm(['pm.max_children' => 2, 'pm.max_requests' => 4]);
        $dsn = $this->dsn($transport, $scheme);
        $this->daemon->start();
        $client = $this->listen();
        $workers = [];
        $slowest = 0.0;
        for ($first = 1; $first <= 400; $first += 10) {
            $answer = $this->publish($dsn, $first, 10);
            self::assertCount(10, $answer->handedOver, $answer->reason());
            $workers[$answer->pid] = true;
            $slowest = \max($slowest, $answer->slowestMs);
        }
        $received = $this->take($client, 400);
        \sort($received); // each worker has a connection of its own
        self::assertSame(\range(1, 400), $received);
        self::assertGreaterThanOrEqual(10, \count($workers));
        $this->measured(\sprintf('%d workers, slowest call %.2f ms', \count($workers), $slowest));
    }

    /** @dataProvider transports */
    public function testRecyclingGoesOnWhileTheServerIsDown(string $transport, string $scheme): void
    {
        $this->fpm(['pm.max_children' => 2, 'pm.max_requests' => 4]);
        $dsn = $this->dsn($transport, $scheme);
        $workers = [];
        $longest = 0.0;
        for ($number = 1; $number <= 16; $number++) {
            $start = \hrtime(true);
            $answer = $this->publishBounded($dsn, $number, 1);
            $longest = \max($longest, (\hrtime(true) - $start) / 1e6);
            $workers[$answer->pid] = true;
        }
        $this->measured(\sprintf('%d workers, longest request %.0f ms', \count($workers), $longest));
        self::assertGreaterThanOrEqual(4, \count($workers));
        // milliseconds, the wait for a free worker included
        self::assertLessThan(1000 * self::LINGER_LIMIT_SECONDS, $longest);
        $this->assertNoWorkerIsStuck();
    }
}
