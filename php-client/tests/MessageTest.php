<?php

declare(strict_types=1);

namespace Sidecast\Tests;

use PHPUnit\Framework\TestCase;
use Sidecast\Exception\InvalidMessage;
use Sidecast\Message;

final class MessageTest extends TestCase
{
    /** @dataProvider goodChannels */
    public function testGoodChannel(string $channel): void
    {
        self::assertSame($channel, (new Message($channel, ''))->channel);
    }

    /** @return iterable<string, array{string}> */
    public static function goodChannels(): iterable
    {
        yield 'one byte' => ['a'];
        yield 'a path' => ['news/sport:1#x?y'];
        yield '255 bytes' => [\str_repeat('a', 255)];
        yield 'umlauts' => ['grün/日本'];
        yield 'the last code point' => ["\u{10FFFF}"];
    }

    /** @dataProvider badChannels */
    public function testBadChannel(string $channel, string $why): void
    {
        $this->expectException(InvalidMessage::class);
        $this->expectExceptionMessage($why);
        new Message($channel, '');
    }

    /** @return iterable<string, array{string, string}> */
    public static function badChannels(): iterable
    {
        yield 'empty' => ['', '1 to 255 bytes'];
        yield '256 bytes' => [\str_repeat('a', 256), '1 to 255 bytes'];
        yield '128 characters, 256 bytes' => [\str_repeat('ü', 128), '1 to 255 bytes'];
        yield 'space' => ['a b', 'spaces'];
        yield 'comma' => ['a,b', 'commas'];
        yield 'asterisk' => ['news/*', 'asterisks'];
        yield 'NUL' => ["a\0", 'control'];
        yield 'a last newline' => ["a\n", 'control'];
        yield 'DEL' => ["a\x7f", 'control'];
        yield 'C1 control' => ["a\u{85}", 'control'];
        yield 'not UTF-8' => ["a\xff", 'UTF-8'];
        yield 'surrogate' => ["a\xed\xa0\x80", 'UTF-8'];
        yield 'overlong' => ["a\xc0\xaf", 'UTF-8'];
    }

    /** @dataProvider texts */
    public function testTextOfData(mixed $data, string $text): void
    {
        self::assertSame(['c', $text], (new Message('c', $data))->frames());
    }

    /** @return iterable<string, array{mixed, string}> */
    public static function texts(): iterable
    {
        yield 'a string is sent as it is' => ['{"not": parsed}', '{"not": parsed}'];
        yield 'the empty string' => ['', ''];
        yield 'lines' => ["a\r\nb\0c", "a\r\nb\0c"];
        yield 'an array' => [['a' => 'ü/', 'b' => [0.1, 1]], '{"a":"ü/","b":[0.1,1]}'];
        yield 'a list' => [[1, 2], '[1,2]'];
        yield 'null' => [null, 'null'];
        yield 'false' => [false, 'false'];
        yield 'a number' => [9007199254740993, '9007199254740993'];
        yield 'an object' => [(object) [], '{}'];
    }

    /** @dataProvider badData */
    public function testBadData(mixed $data, string $why): void
    {
        $this->expectException(InvalidMessage::class);
        $this->expectExceptionMessage($why);
        new Message('c', $data);
    }

    /** @return iterable<string, array{mixed, string}> */
    public static function badData(): iterable
    {
        yield 'bytes that are not UTF-8' => ["\xff", 'UTF-8'];
        yield 'the same in an array' => [["\xff"], 'JSON'];
        yield 'infinity' => [\INF, 'JSON'];
        yield 'a resource' => [\STDIN, 'JSON'];
        $thrower = new class implements \JsonSerializable {
            public function jsonSerialize(): mixed
            {
                throw new \LogicException('not me');
            }
        };
        yield 'an object that throws' => [$thrower, 'not me'];
    }

    /**
     * @param array<array-key, mixed> $options
     *
     * @dataProvider goodOptions
     */
    public function testOptions(array $options, ?string $json): void
    {
        $frames = Message::withOptions('c', 'd', $options)->frames();
        self::assertSame($json === null ? ['c', 'd'] : ['c', 'd', $json], $frames);
    }

    /** @return iterable<string, array{array<array-key, mixed>, ?string}> */
    public static function goodOptions(): iterable
    {
        yield 'none' => [[], null];
        yield 'null is not given' => [['event' => null, 'ttl' => null, 'store' => null], null];
        yield 'the default needs no frame' => [['store' => true], null];
        yield 'event' => [['event' => 'tick/ü'], '{"event":"tick/ü"}'];
        yield 'all' => [
            ['key' => 'k', 'store' => false, 'ttl' => 1, 'except' => '7', 'event' => 'e'],
            '{"event":"e","except":"7","ttl":1,"store":false,"key":"k"}',
        ];
        yield '255 bytes' => [['key' => \str_repeat('k', 255)], '{"key":"' . \str_repeat('k', 255) . '"}'];
    }

    /**
     * @param array<array-key, mixed> $options
     *
     * @dataProvider badOptions
     */
    public function testBadOptions(array $options, string $why): void
    {
        $this->expectException(InvalidMessage::class);
        $this->expectExceptionMessage($why);
        Message::withOptions('c', 'd', $options);
    }

    /** @return iterable<string, array{array<array-key, mixed>, string}> */
    public static function badOptions(): iterable
    {
        yield 'unknown' => [['evnt' => 'x'], 'unknown option "evnt"'];
        yield 'a list' => [['x'], 'unknown option "0"'];
        yield 'unknown, with bytes for a log' => [["a\nb" => 1], 'unknown option "a\nb"'];
        yield 'ttl 0' => [['ttl' => 0], 'at least 1'];
        yield 'ttl as text' => [['ttl' => '5'], 'integer'];
        yield 'ttl with a fraction' => [['ttl' => 1.5], 'integer'];
        yield 'store as number' => [['store' => 0], 'boolean'];
        yield 'event as number' => [['event' => 5], 'string'];
        yield 'event with a newline' => [['event' => "a\n"], 'control'];
        yield 'event not UTF-8' => [['event' => "\xff"], 'UTF-8'];
        yield 'except too long' => [['except' => \str_repeat('a', 256)], '255'];
        yield 'key with NUL' => [['key' => "\0"], 'control'];
    }

    public function testObjectOfABatchHoldsTheSameTextAsTheDataFrame(): void
    {
        $message = new Message('c', ['x' => '"ü'], event: 'e', store: false);
        $object = '{"channel":"c","data":"{\"x\":\"\\\\\"ü\"}","event":"e","store":false}';
        self::assertSame($object, $message->toJson());
        self::assertSame($message->data, \json_decode($object, true)['data']);
        self::assertStringStartsWith('{"category":"c","data":', $message->toJson('category'));
    }

    /**
     * @param array<array-key, mixed> $item
     *
     * @dataProvider badItems
     */
    public function testBadItem(array $item, string $why): void
    {
        $this->expectException(InvalidMessage::class);
        $this->expectExceptionMessage($why);
        Message::fromArray($item);
    }

    /** @return iterable<string, array{array<array-key, mixed>, string}> */
    public static function badItems(): iterable
    {
        yield 'no channel' => [['data' => 1], 'channel'];
        yield 'a channel that is a number' => [['channel' => 1, 'data' => 1], 'channel'];
        yield 'no data' => [['channel' => 'c'], 'data is missing'];
        yield 'an unknown option' => [['channel' => 'c', 'data' => 1, 'to' => 'x'], 'unknown option "to"'];
    }

    public function testItemMayHaveNullAsData(): void
    {
        self::assertSame(['c', 'null'], Message::fromArray(['channel' => 'c', 'data' => null])->frames());
    }
}
