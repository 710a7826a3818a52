<?php

declare(strict_types=1);

namespace Sidecast\Tests;

use PHPUnit\Framework\TestCase;
use Sidecast\Exception\TransportException;
use Sidecast\Message;
use Sidecast\Publisher;
use Sidecast\Transport\InMemoryTransport;

final class InMemoryTransportTest extends TestCase
{
    public function testKeepsWhatIsPublishedAloneAndInBatches(): void
    {
        $transport = new InMemoryTransport();
        $publisher = new Publisher($transport);
        $publisher->publish('a', ['price' => 0.1], ['event' => 'e', 'ttl' => 5, 'store' => false, 'key' => 'k']);
        $batch = [
            new Message('b', '[1, 2]', except: 'x'),
            new Message('a', "\u{1F600}"),
        ];
        $publisher->publishBatch($batch);
        self::assertCount(3, $transport);
        self::assertEquals(
            [new Message('a', '{"price":0.1}', event: 'e', ttl: 5, store: false, key: 'k'), ...$batch],
            $transport->messages(),
        );
        self::assertSame(['{"price":0.1}', "\u{1F600}"], $transport->data('a'));
        self::assertSame(['{"price":0.1}', '[1, 2]', "\u{1F600}"], $transport->data());
        self::assertEquals($batch[0], $transport->last('b'));
        self::assertEquals($batch[1], $transport->last());
        self::assertNull($transport->last('c'));
        self::assertSame([], $transport->messages('c'));
    }

    public function testForgets(): void
    {
        $transport = new InMemoryTransport();
        (new Publisher($transport))->publish('a', '1');
        $transport->clear();
        self::assertCount(0, $transport);
        self::assertNull($transport->last());
    }

    public function testFailsAsLongAsItIsTold(): void
    {
        $transport = new InMemoryTransport();
        $publisher = new Publisher($transport);
        $transport->failWith('the server is down');
        self::assertSame('the server is down', $publisher->publish('a', '1')->reason());
        self::assertSame('the server is down', $publisher->publishBatch([new Message('a', '2')])->reason());
        $transport->failWith(null);
        self::assertTrue($publisher->publish('a', '3')->ok);
        self::assertSame(['3'], $transport->data());
    }

    public function testReadsTheChannelUnderAnotherKey(): void
    {
        $transport = new InMemoryTransport('category');
        $messages = [new Message('a', '1'), new Message('b', '2')];
        (new Publisher($transport, channelKey: 'category'))->publishBatch($messages);
        self::assertEquals($messages, $transport->messages());
    }

    /**
     * @param non-empty-list<string> $frames
     *
     * @dataProvider framesThatTheServerDrops
     */
    public function testRefusesWhatTheServerWouldDrop(array $frames): void
    {
        $this->expectException(TransportException::class);
        (new InMemoryTransport())->send($frames, 1.0);
    }

    /** @return iterable<string, array{non-empty-list<string>}> */
    public static function framesThatTheServerDrops(): iterable
    {
        yield 'no JSON' => [['nonsense']];
        yield 'JSON that is no object' => [['5']];
        yield 'an item that is no object' => [['[5]']];
        yield 'another channel key' => [['[{"category":"a","data":"1"}]']];
        yield 'a bad channel' => [['a b', '1']];
        yield 'options that are no object' => [['a', '1', '"e"']];
    }
}
