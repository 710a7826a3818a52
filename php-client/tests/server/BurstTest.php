<?php

declare(strict_types=1);

namespace Sidecast\Tests\server;

/** One page publishes 5000 messages. */
final class BurstTest extends ServerTestCase
{
    private const COUNT = 5000;

    /** @dataProvider transportsAndSchemes */
    public function testOneByOne(string $transport, string $scheme): void
    {
        $this->daemon->start();
        $client = $this->listen();
        $answer = $this->publish($this->dsn($transport, $scheme), 1, self::COUNT);
        self::assertSame(\range(1, self::COUNT), $answer->handedOver, $answer->reason());
        self::assertSame(\range(1, self::COUNT), $this->take($client, self::COUNT));
        $this->measured(\sprintf('%.0f ms in all, slowest call %.1f ms', $answer->totalMs, $answer->slowestMs));
    }

    /** @dataProvider transports */
    public function testAsABatch(string $transport, string $scheme): void
    {
        $this->daemon->start();
        $client = $this->listen();
        $answer = $this->publish($this->dsn($transport, $scheme), 1, self::COUNT, ['batch' => true]);
        self::assertSame(\range(1, self::COUNT), $answer->handedOver, $answer->reason());
        self::assertSame(\range(1, self::COUNT), $this->take($client, self::COUNT));
        $this->measured(\sprintf('%.1f ms', $answer->totalMs));
    }
}
