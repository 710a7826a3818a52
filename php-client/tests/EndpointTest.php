<?php

declare(strict_types=1);

namespace Sidecast\Tests;

use PHPUnit\Framework\TestCase;
use Sidecast\Endpoint;
use Sidecast\Exception\InvalidConfiguration;

final class EndpointTest extends TestCase
{
    /** @dataProvider good */
    public function testGood(string $endpoint, string $stream): void
    {
        self::assertSame($stream, Endpoint::parse($endpoint)->stream);
        self::assertSame($endpoint, Endpoint::parse($endpoint)->zmq);
    }

    /** @return iterable<string, array{string, string}> */
    public static function good(): iterable
    {
        yield 'ipc' => ['ipc:///run/a b/p.sock', 'unix:///run/a b/p.sock'];
        yield 'ipc, 107 bytes' => ['ipc:///' . \str_repeat('a', 106), 'unix:///' . \str_repeat('a', 106)];
        yield 'tcp' => ['tcp://127.0.0.1:5555', 'tcp://127.0.0.1:5555'];
        yield 'tcp, name' => ['tcp://hub_1.example:65535', 'tcp://hub_1.example:65535'];
        yield 'tcp, IPv6' => ['tcp://[::1]:5555', 'tcp://[::1]:5555'];
    }

    /** @dataProvider bad */
    public function testBad(string $endpoint): void
    {
        $this->expectException(InvalidConfiguration::class);
        Endpoint::parse($endpoint);
    }

    /** @return iterable<string, array{string}> */
    public static function bad(): iterable
    {
        yield 'empty' => [''];
        yield 'ipc, relative' => ['ipc://p.sock'];
        yield 'ipc, 108 bytes: PHP would cut it' => ['ipc:///' . \str_repeat('a', 107)];
        yield 'ipc, NUL' => ["ipc:///a\0b"];
        yield 'tcp, no port' => ['tcp://127.0.0.1'];
        yield 'tcp, port 0' => ['tcp://127.0.0.1:0'];
        yield 'tcp, port 65536' => ['tcp://127.0.0.1:65536'];
        yield 'tcp, bare IPv6' => ['tcp://::1:5555'];
        yield 'tcp, a last newline' => ["tcp://127.0.0.1:5555\n"];
        yield 'another transport' => ['udp://127.0.0.1:5555'];
    }
}
