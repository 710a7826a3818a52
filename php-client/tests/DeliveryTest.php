<?php

declare(strict_types=1);

namespace Sidecast\Tests;

use PHPUnit\Framework\TestCase;
use Sidecast\Exception\InvalidConfiguration;
use Sidecast\Exception\PublishFailed;
use Sidecast\Message;
use Sidecast\Publisher;
use Sidecast\Transport\InMemoryTransport;
use Sidecast\Transport\TraceableTransport;

/** publishAndConfirm() whatever the transport. */
final class DeliveryTest extends TestCase
{
    public function testIntoMemoryIsConfirmed(): void
    {
        $transport = new InMemoryTransport();
        $publisher = new Publisher($transport);
        self::assertSame(['1-0'], $publisher->publishAndConfirm('a', ['x' => 1])->ids());
        $batch = [new Message('a', '2'), new Message('b', '3', key: 'mine')];
        self::assertSame(['2-0', '3-0'], $publisher->publishBatchAndConfirm($batch)->ids());
        self::assertSame(['{"x":1}', '2', '3'], $transport->data());
        self::assertSame('mine', $transport->last()?->key);
    }

    public function testNowhereIsConfirmedWithoutAnId(): void
    {
        $result = Publisher::connect('sidecast+null:')->publishAndConfirm('a', 'x');
        self::assertSame([true, []], [$result->ok, $result->ids()]);
    }

    public function testEachMessageHasAKeyOfItsOwn(): void
    {
        $transport = new InMemoryTransport();
        (new Publisher($transport))->publishBatchAndConfirm(\array_fill(0, 3, ['channel' => 'a', 'data' => 'x']));
        $keys = \array_map(static fn (Message $message): ?string => $message->key, $transport->messages());
        self::assertCount(3, \array_unique($keys));
        self::assertSame(32, \strlen((string) $keys[0]));
    }

    public function testATransportThatCannotConfirmSaysSo(): void
    {
        $result = (new Publisher(new RecordingTransport()))->publishAndConfirm('a', 'x');
        self::assertStringContainsString('cannot confirm', (string) $result->reason());
        $traced = new TraceableTransport(new RecordingTransport());
        self::assertStringContainsString(
            'cannot confirm',
            (string) (new Publisher($traced))->publishAndConfirm('a', 'x', timeout: 0.01)->reason(),
        );
    }

    public function testAFailureIsThrownIfThePublisherThrows(): void
    {
        $transport = new InMemoryTransport();
        $transport->failWith('the server is down');
        $this->expectException(PublishFailed::class);
        $this->expectExceptionMessage('not confirmed: the server is down');
        (new Publisher($transport, throws: true))->publishAndConfirm('a', 'x', timeout: 0.01);
    }

    public function testBadInputIsReportedAndNothingSent(): void
    {
        $transport = new InMemoryTransport();
        $publisher = new Publisher($transport, maxBytes: 3);
        self::assertStringContainsString('spaces', (string) $publisher->publishAndConfirm('a b', 'x')->reason());
        self::assertStringContainsString('3 bytes', (string) $publisher->publishAndConfirm('a', 'xxxx')->reason());
        self::assertCount(0, $transport);
    }

    public function testTheTimeoutMustBeABound(): void
    {
        $this->expectException(InvalidConfiguration::class);
        (new Publisher(new InMemoryTransport()))->publishAndConfirm('a', 'x', timeout: \INF);
    }

    public function testAProfilerSeesEachAttemptAndItsOutcome(): void
    {
        $client = new RecordingHttpClient([503, ''], [403, '{"error":"no","message":"not you"}']);
        $transport = new TraceableTransport(new \Sidecast\Transport\HttpTransport('http://x/', null, $client));
        $result = (new Publisher($transport))->publishAndConfirm('a', 'x');
        self::assertSame('no', $result->code());
        [$first, $second] = $transport->traces();
        self::assertStringContainsString('HTTP 503', (string) $first->error);
        self::assertSame([['a'], 'HTTP 403: not you'], [$second->channels, $second->error]);
        self::assertTrue($transport->alwaysConfirms());
    }

    public function testALargeBatchGoesOnInFurtherRequestsAndStopsAtTheFirstWithoutAnAnswer(): void
    {
        $client = new RecordingHttpClient([202, '{"ids":["1-0"]}'], [503, '']);
        $transport = new \Sidecast\Transport\HttpTransport('http://x/', null, $client);
        $publisher = new Publisher($transport, batchBytes: 1);
        $items = [new Message('c', '0'), new Message('c', '1'), new Message('c', '2')];
        $result = $publisher->publishBatchAndConfirm($items, 0.05);
        self::assertSame([1, ['1-0']], [$result->handedOver, $result->ids()]);
        self::assertSame([1, 2], \array_keys($result->failures));
        self::assertNull($result->code());
    }
}
