<?php

declare(strict_types=1);

namespace Sidecast\Tests;

use PHPUnit\Framework\TestCase;
use Sidecast\Dsn;
use Sidecast\Endpoint;
use Sidecast\Exception\InvalidConfiguration;

final class DsnTest extends TestCase
{
    /** @dataProvider endpoints */
    public function testEndpoint(string $dsn, ?string $endpoint): void
    {
        self::assertSame($endpoint, Dsn::parse($dsn)->endpoint?->zmq);
    }

    /** @return iterable<string, array{string, ?string}> */
    public static function endpoints(): iterable
    {
        yield 'bare ipc' => ['ipc:///run/p.sock', 'ipc:///run/p.sock'];
        yield 'bare tcp' => ['tcp://[::1]:5555', 'tcp://[::1]:5555'];
        yield 'bare ipc, signs of a DSN' => ['ipc:///run/a%20b?c', 'ipc:///run/a%20b?c'];
        yield 'ipc' => ['sidecast+ipc:///run/p.sock', 'ipc:///run/p.sock'];
        yield 'ipc, encoded' => ['sidecast+ipc:///run/a%3Fb%23c%25d?timeout=1s', 'ipc:///run/a?b#c%d'];
        yield 'tcp' => ['sidecast+tcp://127.0.0.1:5555', 'tcp://127.0.0.1:5555'];
        yield 'tcp, options' => ['sidecast+tcp://hub.example:5555?timeout=1s', 'tcp://hub.example:5555'];
        yield 'an empty query' => ['sidecast+tcp://127.0.0.1:5555?', 'tcp://127.0.0.1:5555'];
        yield 'nowhere' => ['sidecast+null:', null];
        yield 'nowhere, with options' => ['sidecast+null://?timeout=1s', null];
    }

    public function testDefaults(): void
    {
        foreach (['tcp://127.0.0.1:5555', 'sidecast+tcp://127.0.0.1:5555'] as $dsn) {
            $dsn = Dsn::parse($dsn);
            self::assertSame(Dsn::AUTO, $dsn->transport);
            self::assertSame(0.05, $dsn->timeout);
            self::assertFalse($dsn->throws);
            self::assertSame(1048576, $dsn->maxBytes);
            self::assertSame('channel', $dsn->channelKey);
            self::assertSame(10000, $dsn->queueLimit);
        }
    }

    public function testEveryOption(): void
    {
        $dsn = Dsn::parse('sidecast+tcp://127.0.0.1:5555?timeout=250ms&transport=zmtp&throws=yes'
            . '&max_bytes=64KiB&channel_key=cat%26egory&queue=500');
        self::assertSame(0.25, $dsn->timeout);
        self::assertSame(Dsn::ZMTP, $dsn->transport);
        self::assertTrue($dsn->throws);
        self::assertSame(65536, $dsn->maxBytes);
        self::assertSame('cat&egory', $dsn->channelKey);
        self::assertSame(500, $dsn->queueLimit);
        self::assertSame(3600.0, Dsn::parse('sidecast+null:?timeout=3600s')->timeout);
        self::assertSame(2 * 1048576, Dsn::parse('sidecast+null:?max_bytes=2MiB')->maxBytes);
        self::assertSame(Dsn::ZMQ, Dsn::parse('sidecast+tcp://127.0.0.1:1?transport=zmq')->transport);
        self::assertSame(Dsn::NULL, Dsn::parse('sidecast+null:?transport=zmq')->transport);
    }

    public function testMessagesAreConfirmedBesideTheSocketUnlessToldOtherwise(): void
    {
        self::assertSame('ipc:///run/sidecast/confirm.sock', Dsn::parse(Endpoint::DEFAULT)->confirm?->zmq);
        self::assertSame('ipc:///a b/confirm.sock', Dsn::parse('sidecast+ipc:///a%20b/publish.sock')->confirm?->zmq);
        self::assertSame('ipc:///confirm.sock', Dsn::parse('ipc:///publish.sock')->confirm?->zmq);
        self::assertNull(Dsn::parse('ipc:///' . \str_repeat('a', 99) . '/p')->confirm, 'it would be too long');
        self::assertNull(Dsn::parse('tcp://127.0.0.1:5555')->confirm);
        $dsn = 'sidecast+tcp://127.0.0.1:5555?confirm=';
        self::assertSame('tcp://127.0.0.1:5556', Dsn::parse("{$dsn}tcp://127.0.0.1:5556")->confirm?->zmq);
        self::assertSame('ipc:///a&b', Dsn::parse("{$dsn}ipc:///a%26b")->confirm?->zmq);
    }

    public function testHttp(): void
    {
        $dsn = Dsn::parse('sidecast+https://example.org/publish?timeout=2s&token=a.b.c');
        self::assertSame([Dsn::HTTP, null, null], [$dsn->transport, $dsn->endpoint, $dsn->confirm]);
        self::assertSame(['https://example.org/publish', 2.0], [$dsn->url, $dsn->timeout]);
        self::assertSame('Bearer a.b.c', $dsn->bearer?->header());
        self::assertNull(Dsn::parse('sidecast+http://127.0.0.1:8080')->bearer);
    }

    public function testCurve(): void
    {
        $key = \str_repeat('0f', 32);
        self::assertNotNull(Dsn::parse("sidecast+tcp://hub.example:5555?server_key=$key")->curve);
        self::assertNull(Dsn::parse('sidecast+tcp://hub.example:5555')->curve);
    }

    public function testAnAddressIsQuotedWithoutPasswordAndToken(): void
    {
        $addresses = [
            'sidecast+tcp://me:geheim@127.0.0.1:5555', 'sidecast+http://me:geheim@a/', 'sidecast+https://a@geheim@a/',
            'http://a/publish?token=geheim', 'sidecast+http://me:ge/heim-geheim@a/',
        ];
        foreach ($addresses as $address) {
            try {
                Dsn::parse($address);
                self::fail('it was taken');
            } catch (InvalidConfiguration $error) {
                self::assertStringNotContainsString('geheim', $error->getMessage());
                self::assertStringContainsString('expected', $error->getMessage());
            }
        }
    }

    /** @dataProvider bad */
    public function testBadOnesSayWhatWasExpected(string $dsn, string $why): void
    {
        $this->expectException(InvalidConfiguration::class);
        $this->expectExceptionMessage($why);
        Dsn::parse($dsn);
    }

    /** @return iterable<string, array{string, string}> */
    public static function bad(): iterable
    {
        $good = 'sidecast+tcp://127.0.0.1:5555';
        yield 'nothing' => ['', 'expected ipc:///'];
        yield 'a scheme of another' => ['redis://127.0.0.1:6379', 'expected ipc:///'];
        yield 'options without the prefix' => ['tcp://127.0.0.1:5555?timeout=1s', 'expected ipc:///'];
        yield 'no port' => ['sidecast+tcp://127.0.0.1', 'expected ipc:///'];
        yield 'a user' => ['sidecast+tcp://me:secret@127.0.0.1:5555', 'expected ipc:///'];
        yield 'a fragment' => ['sidecast+ipc:///run/p.sock#a', '%23'];
        yield 'an encoded NUL' => ['sidecast+ipc:///run/p%00.sock', 'expected ipc:///'];
        yield 'a path too long' => ['sidecast+ipc:///' . \str_repeat('a', 107), '107 bytes'];
        yield 'unknown option' => ["$good?timeuot=1s", 'unknown option "timeuot"'];
        yield 'an option twice' => ["$good?timeout=1s&timeout=2s", 'timeout of a DSN is there twice'];
        yield 'a time without unit' => ["$good?timeout=50", 'with its unit'];
        yield 'a broken time' => ["$good?timeout=-1ms", 'with its unit'];
        yield 'no time' => ["$good?timeout=0ms", 'more than 0'];
        yield 'a time too long' => ["$good?timeout=3601s", 'at most 3600s'];
        yield 'null as an option' => ["$good?transport=null", 'auto, zmq or zmtp'];
        yield 'maybe' => ["$good?throws=maybe", 'yes or no'];
        yield 'no bytes' => ["$good?max_bytes=0", 'a size'];
        yield 'a unit of others' => ["$good?max_bytes=1M", 'a size'];
        yield 'no queue' => ["$good?queue=0", 'at least 1'];
        yield 'a confirm endpoint that is none' => ["$good?confirm=confirm.sock", 'expected ipc:///'];
        yield 'a key that is none' => ["$good?server_key=abc", 'server_key: expected a key of 40 Z85'];
        yield 'CURVE over ipc' => ['sidecast+ipc:///p?server_key=' . \str_repeat('0f', 32), 'tcp only'];
        yield 'a key of nobody' => ["$good?client_key_file=/x", 'of no use without server_key'];
        yield 'a token for ZeroMQ' => ["$good?token=a", 'token of a DSN does not go with ipc and tcp'];
        yield 'a queue for HTTP' => ['sidecast+http://a/?queue=5', 'queue of a DSN does not go with http'];
        yield 'a user of HTTP' => ['sidecast+http://me:x@a/', 'without user'];
        yield 'two tokens' => ['sidecast+http://a/?token=a&secret_file=/b', 'is enough'];
        yield 'HTTP without the prefix' => ['http://a/', 'expected ipc:///'];
        yield 'no channel key' => ["$good?channel_key=", 'expected text'];
    }
}
