<?php

declare(strict_types=1);

namespace Sidecast\Tests\server;

use Sidecast\EndToEnd\EventStream;

/** The server is not there, or comes and goes. */
final class OutageTest extends ServerTestCase
{
    /** @dataProvider transportsAndSchemes */
    public function testServerThatIsNotThereYet(string $transport, string $scheme): void
    {
        $dsn = $this->dsn($transport, $scheme);
        $answer = $this->publishBounded($dsn, 1, 20);
        $this->expectOutage($transport, $answer, 20);
        $this->daemon->start();
        $this->expectWhatWasHandedOver($this->listenFromTheBeginning(), $dsn, $answer);
    }

    /** @dataProvider transportsAndSchemes */
    public function testServerThatWasKilled(string $transport, string $scheme): void
    {
        $dsn = $this->dsn($transport, $scheme);
        $this->daemon->start();
        $before = $this->listen();
        $this->publish($dsn, 1, 1);
        self::assertSame([1], $this->take($before, 1));
        $this->daemon->kill();

        $answer = $this->publishBounded($dsn, 2, 20);
        $this->expectOutage($transport, $answer, 20);
        $this->daemon->start();
        $this->expectWhatWasHandedOver($this->listenFromTheBeginning(), $dsn, $answer);
    }

    public function testTheQueueOfTheExtensionIsBoundedAndItsEndReported(): void
    {
        $dsn = $this->dsn('zmq', options: '&queue=50');
        $answer = $this->publishBounded($dsn, 1, 200);
        self::assertSame(\range(1, 50), $answer->handedOver);
        self::assertStringContainsString('queue is full', $answer->reason());
        $this->daemon->start();
        $this->expectWhatWasHandedOver($this->listenFromTheBeginning(), $dsn, $answer);
    }

    /**
     * A page a message, while the server is restarted: it takes in what it has, ends, is gone for a while and comes
     * back.
     *
     * @dataProvider transports
     */
    public function testServerThatIsRestarted(string $transport, string $scheme): void
    {
        $dsn = $this->dsn($transport, $scheme);
        $this->daemon->start();
        $before = $this->listen();
        $number = 0;
        $handedOver = [];
        $page = function () use ($dsn, &$number, &$handedOver): bool {
            $answer = $this->publishBounded($dsn, ++$number, 1);
            \array_push($handedOver, ...$answer->handedOver);

            return $answer->handedOver !== [];
        };
        \array_map($page, \range(1, 20));
        $received = $this->takeUntil($before, 20); // else ext-zmq's own thread may not have sent them yet
        $toldToEnd = $number;
        $this->daemon->process->signal(\SIGTERM);
        while ($this->daemon->isRunning()) {
            $page();
        }
        $gone = $number;
        $this->daemon->assertCleanEnd();
        $whileDown = \array_filter(\array_map($page, \range(1, 20)));
        self::assertCount($transport === 'zmq' ? 20 : 0, $whileDown);
        $this->daemon->start();
        $after = $this->listenFromTheBeginning();
        for ($last = $number + 20; $number < $last;) {
            \array_push($handedOver, ...$this->publish($dsn, ++$number, 1)->handedOver);
        }
        self::assertSame(\range($number - 19, $number), \array_slice($handedOver, -20), 'all is well at once');

        $received = [...$received, ...$this->takeUntil($before, null), ...$this->takeUntil($after, $number)];
        self::assertSame($received, \array_values(\array_intersect($handedOver, $received)), 'in order, none twice');
        $lost = \array_values(\array_diff($handedOver, $received));
        if ($lost !== []) {
            // only what was on its way when the connection ended: PUSH cannot know
            self::assertGreaterThan($toldToEnd, $lost[0]);
            self::assertLessThanOrEqual($gone, \end($lost));
            self::assertSame(\range($lost[0], \end($lost)), $lost);
        }
        $this->measured(\sprintf('%d pages, %d handed over, %d lost', $number, \count($handedOver), \count($lost)));
    }

    private function expectOutage(string $transport, Answer $answer, int $count): void
    {
        $this->measured(\sprintf('%d calls, slowest %.2f ms: %s', $count, $answer->slowestMs, $answer->reason()));
        if ($transport === 'zmq') {
            self::assertCount($count, $answer->handedOver, $answer->reason());
        } else {
            self::assertSame([], $answer->handedOver);
            self::assertStringContainsString('cannot connect', $answer->reason());
        }
        $this->assertNoWorkerIsStuck();
    }

    /** Insists that all of it arrives, nothing else, and that pages can publish again. */
    private function expectWhatWasHandedOver(EventStream $client, string $dsn, Answer $answer): void
    {
        self::assertSame($answer->handedOver, $this->take($client, \count($answer->handedOver)));
        $this->assertPublishes($dsn, $client);
    }

    /** @return list<int> what arrives up to this number; null: up to the end of the stream */
    private function takeUntil(EventStream $stream, ?int $last): array
    {
        if ($last === null) {
            $stream->waitForCleanEnd();

            return $this->take($stream, $stream->pending());
        }
        $numbers = [];
        do {
            [$numbers[]] = $this->take($stream, 1);
        } while (\end($numbers) !== $last);

        return $numbers;
    }
}
