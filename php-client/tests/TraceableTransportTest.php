<?php

declare(strict_types=1);

namespace Sidecast\Tests;

use PHPUnit\Framework\TestCase;
use Sidecast\Exception\TransportException;
use Sidecast\Message;
use Sidecast\Publisher;
use Sidecast\Transport\Trace;
use Sidecast\Transport\TraceableTransport;
use Sidecast\Transport\TransportInterface;

final class TraceableTransportTest extends TestCase
{
    public function testNotesChannelsSizeDurationAndOutcome(): void
    {
        $inner = new RecordingTransport(2, sleepMs: 2);
        $transport = new TraceableTransport($inner);
        $publisher = new Publisher($transport, timeout: 0.2);
        $publisher->publish('alone', 'data', ['event' => 'e']);
        $publisher->publishBatch([new Message('a', '1'), new Message('b', '2'), new Message('a', '3')]);
        $publisher->publish('alone', 'lost');

        self::assertCount(2, $inner->sent);
        self::assertSame([0.2, 0.2, 0.2], $inner->timeouts);
        [$alone, $batch, $lost] = $transport->traces();
        self::assertSame([['alone'], 1, null], [$alone->channels, $alone->messages, $alone->error]);
        self::assertSame(\strlen('alone' . 'data' . '{"event":"e"}'), $alone->bytes);
        self::assertGreaterThanOrEqual(0.002, $alone->seconds);
        self::assertSame([['a', 'b'], 3, null], [$batch->channels, $batch->messages, $batch->error]);
        self::assertSame(\strlen($inner->sent[1][0]), $batch->bytes);
        self::assertSame([['alone'], 1, 'cable cut'], [$lost->channels, $lost->messages, $lost->error]);
        self::assertSame([$lost], $transport->failures());
        self::assertEqualsWithDelta($alone->seconds + $batch->seconds + $lost->seconds, $transport->seconds(), 1e-9);
    }

    public function testFailureOfTheOtherTransportIsPassedOn(): void
    {
        $this->expectExceptionObject(new TransportException('cable cut'));
        (new TraceableTransport(new RecordingTransport(0)))->send(['a', '1'], 1.0);
    }

    public function testNotesAlsoWhatItCannotReadAndWhatElseIsThrown(): void
    {
        $inner = $this->createStub(TransportInterface::class);
        $inner->method('send')->willThrowException(new \LogicException('a defect'));
        $transport = new TraceableTransport($inner);
        try {
            $transport->send(['no JSON'], 1.0);
            self::fail('nothing was thrown');
        } catch (\LogicException) {
            self::assertEquals([new Trace([], 0, 7, $transport->seconds(), 'a defect')], $transport->traces());
        }
    }

    public function testRemembersTheLastOnesOnly(): void
    {
        $transport = new TraceableTransport(new RecordingTransport(), limit: 2);
        foreach (['a', 'b', 'c'] as $channel) {
            $transport->send([$channel, ''], 1.0);
        }
        $channels = \array_map(static fn (Trace $trace): array => $trace->channels, $transport->traces());
        self::assertSame([['b'], ['c']], $channels);
        $transport->reset();
        self::assertSame([], $transport->traces());
        self::assertSame(0.0, $transport->seconds());
    }
}
