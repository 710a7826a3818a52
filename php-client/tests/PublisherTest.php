<?php

declare(strict_types=1);

namespace Sidecast\Tests;

use PHPUnit\Framework\TestCase;
use Psr\Log\AbstractLogger;
use Sidecast\Exception\InvalidConfiguration;
use Sidecast\Exception\PublishFailed;
use Sidecast\Exception\SidecastException;
use Sidecast\Message;
use Sidecast\Publisher;

final class PublisherTest extends TestCase
{
    public function testHandsOverTwoOrThreeFrames(): void
    {
        $transport = new RecordingTransport();
        $publisher = new Publisher($transport, timeout: 0.2);
        self::assertTrue($publisher->publish('c', ['a' => 1])->ok);
        self::assertTrue($publisher->publish('c', 'text', ['event' => 'e'])->ok);
        self::assertSame([['c', '{"a":1}'], ['c', 'text', '{"event":"e"}']], $transport->sent);
        self::assertSame([0.2, 0.2], $transport->timeouts);
    }

    public function testReportsAndLogsInvalidInputWithoutThrowing(): void
    {
        $transport = new RecordingTransport();
        $logger = new RecordingLogger();
        $result = (new Publisher($transport, $logger))->publish("evil\nline", 'x');
        self::assertFalse($result->ok);
        self::assertSame(0, $result->handedOver);
        self::assertStringContainsString('control characters', (string) $result->reason());
        self::assertSame([], $transport->sent);
        self::assertCount(1, $logger->lines);
        self::assertSame('warning', $logger->lines[0]['level']);
        self::assertSame('evil\nline', $logger->lines[0]['context']['channel']);
        self::assertSame($result->reason(), $logger->lines[0]['context']['reason']);
    }

    public function testReportsJsonFailure(): void
    {
        $result = (new Publisher(new RecordingTransport()))->publish('c', \NAN);
        self::assertStringContainsString('JSON', (string) $result->reason());
    }

    public function testReportsWhatIsTooLargeForTheServer(): void
    {
        $transport = new RecordingTransport();
        $publisher = new Publisher($transport, maxBytes: 10);
        self::assertTrue($publisher->publish('c', '0123456789')->ok);
        self::assertStringContainsString('10 bytes', (string) $publisher->publish('c', '0123456789a')->reason());
        self::assertFalse($publisher->publishBatch([['channel' => 'c', 'data' => '0123456789a']])->ok);
        self::assertCount(1, $transport->sent);
    }

    public function testReportsTransportFailure(): void
    {
        $result = (new Publisher(new RecordingTransport(0)))->publish('c', 'x');
        self::assertSame([0 => 'cable cut'], $result->failures);
    }

    public function testThrowsIfToldTo(): void
    {
        $publisher = new Publisher(new RecordingTransport(0), throws: true);
        try {
            $publisher->publish('c', 'x');
            self::fail('nothing was thrown');
        } catch (PublishFailed $error) {
            self::assertInstanceOf(SidecastException::class, $error);
            self::assertSame('cable cut', $error->getMessage());
            self::assertSame(0, $error->result->handedOver);
        }
        $this->expectException(PublishFailed::class);
        $publisher->publish('bad channel', 'x');
    }

    public function testConnectsAsTheDsnSays(): void
    {
        $transport = new RecordingTransport(1);
        $dsn = 'sidecast+null:?timeout=200ms&throws=yes&max_bytes=4&channel_key=category';
        $publisher = Publisher::connect($dsn, transport: $transport);
        $publisher->publishBatch([new Message('a', '1'), new Message('b', '2')]);
        self::assertSame([['[{"category":"a","data":"1"},{"category":"b","data":"2"}]']], $transport->sent);
        self::assertEqualsWithDelta(0.2, $transport->timeouts[0], 1e-9);
        self::assertStringContainsString('4 bytes', $this->failure($publisher, '12345'));
        self::assertSame('cable cut', $this->failure($publisher, '1234'));
        $quiet = Publisher::connect($dsn, throws: false, transport: new RecordingTransport(0));
        self::assertFalse($quiet->publish('c', 'x')->ok, 'an argument wins over the DSN');
    }

    private function failure(Publisher $publisher, string $data): string
    {
        try {
            $publisher->publish('c', $data);
        } catch (PublishFailed $error) {
            return $error->getMessage();
        }
        self::fail('nothing was thrown');
    }

    public function testPublishesNowhereAndSucceeds(): void
    {
        $publisher = Publisher::connect('sidecast+null:');
        self::assertTrue($publisher->publish('c', 'x')->ok);
        self::assertFalse($publisher->publish('a b', 'x')->ok, 'the rules hold all the same');
    }

    public function testABrokenLoggerDoesNotBreakThePage(): void
    {
        $logger = new class extends AbstractLogger {
            /**
             * @param mixed              $level
             * @param string|\Stringable $message
             * @param array<mixed>       $context
             */
            public function log($level, $message, array $context = []): void
            {
                throw new \UnexpectedValueException('disk full');
            }
        };
        self::assertFalse((new Publisher(new RecordingTransport(0), $logger))->publish('c', 'x')->ok);
    }

    public function testBatchIsOneJsonArray(): void
    {
        $transport = new RecordingTransport();
        $result = (new Publisher($transport))->publishBatch([
            new Message('a', 'one'),
            ['channel' => 'b', 'data' => [1, 0.1], 'event' => 'e'],
        ]);
        self::assertTrue($result->ok);
        self::assertSame(2, $result->handedOver);
        self::assertSame(
            [['[{"channel":"a","data":"one"},{"channel":"b","data":"[1,0.1]","event":"e"}]']],
            $transport->sent,
        );
    }

    public function testEmptyBatchSendsNothing(): void
    {
        $transport = new RecordingTransport();
        $result = (new Publisher($transport))->publishBatch([]);
        self::assertTrue($result->ok);
        self::assertSame(0, $result->total());
        self::assertSame([], $transport->sent);
    }

    public function testBatchTakesAGeneratorAndReportsWhatItLeftOut(): void
    {
        $logger = new RecordingLogger();
        $transport = new RecordingTransport();
        $items = (static function (): iterable {
            yield ['channel' => 'a', 'data' => 'one'];
            yield ['channel' => 'a b', 'data' => 'two'];
            yield 'three';
            yield ['channel' => 'a', 'data' => "\xff"];
            yield ['channel' => 'a', 'data' => 'five'];
        })();
        // @phpstan-ignore-next-line an item of a wrong type is the point
        $result = (new Publisher($transport, $logger))->publishBatch($items);
        self::assertSame(2, $result->handedOver);
        self::assertSame(5, $result->total());
        self::assertSame([1, 2, 3], \array_keys($result->failures));
        self::assertStringContainsString('UTF-8', $result->failures[3]);
        self::assertSame([['[{"channel":"a","data":"one"},{"channel":"a","data":"five"}]']], $transport->sent);
        self::assertCount(1, $logger->lines);
        self::assertSame(3, $logger->lines[0]['context']['failed']);
    }

    public function testBatchAboveTheSizeGoesOnInFurtherMessages(): void
    {
        $transport = new RecordingTransport();
        $object = '{"channel":"c","data":"0"}';
        $publisher = new Publisher($transport, batchBytes: 2 * \strlen($object) + 1);
        $items = \array_map(static fn (int $i): Message => new Message('c', (string) $i), \range(0, 4));
        self::assertSame(5, $publisher->publishBatch($items)->handedOver);
        self::assertSame([
            ['[{"channel":"c","data":"0"},{"channel":"c","data":"1"}]'],
            ['[{"channel":"c","data":"2"},{"channel":"c","data":"3"}]'],
            ['c', '4'],
        ], $transport->sent);
    }

    public function testBatchOfManySmallMessagesGoesOnInFurtherMessages(): void
    {
        $transport = new RecordingTransport();
        $items = \array_map(static fn (int $i): Message => new Message('c', (string) $i), \range(1, 2500));
        self::assertSame(2500, (new Publisher($transport))->publishBatch($items)->handedOver);
        self::assertSame([1000, 1000, 500], \array_map(
            static fn (array $frames): int => \count(\json_decode($frames[0], true)),
            $transport->sent
        ));
    }

    public function testBatchStopsAtTheFirstTransportFailure(): void
    {
        $transport = new RecordingTransport(1);
        $publisher = new Publisher($transport, batchBytes: 1);
        $items = [new Message('c', '0'), new Message('c', '1'), ['channel' => '', 'data' => ''], new Message('c', '3')];
        $result = $publisher->publishBatch($items);
        self::assertSame(1, $result->handedOver);
        self::assertSame([1, 2, 3], \array_keys($result->failures));
        self::assertSame('cable cut', $result->failures[1]);
        self::assertStringContainsString('channel', $result->failures[2]);
        self::assertSame('cable cut', $result->failures[3]);
        self::assertCount(2, $transport->timeouts, 'nothing is tried after a failure');
    }

    public function testOneTimeoutCoversAllSendsOfABatch(): void
    {
        $transport = new RecordingTransport(sleepMs: 5);
        $publisher = new Publisher($transport, timeout: 0.02, batchBytes: 1);
        $publisher->publishBatch(\array_fill(0, 6, new Message('c', 'x')));
        self::assertSame(0.02, $transport->timeouts[0]);
        self::assertLessThanOrEqual(0.015, $transport->timeouts[1]);
        self::assertSame(0.0, \end($transport->timeouts));
    }

    public function testBatchUsesTheConfiguredChannelKey(): void
    {
        $transport = new RecordingTransport();
        $publisher = new Publisher($transport, channelKey: 'category');
        $publisher->publishBatch([new Message('a', '1'), new Message('b', '2')]);
        self::assertSame([['[{"category":"a","data":"1"},{"category":"b","data":"2"}]']], $transport->sent);
    }

    /** @dataProvider badTimeouts */
    public function testTimeoutMustBeABound(float $timeout): void
    {
        $this->expectException(InvalidConfiguration::class);
        new Publisher(new RecordingTransport(), timeout: $timeout);
    }

    /** @return iterable<string, array{float}> */
    public static function badTimeouts(): iterable
    {
        yield 'zero' => [0.0];
        yield 'negative' => [-1.0];
        yield 'for ever' => [\INF];
        yield 'not a number' => [\NAN];
    }
}
