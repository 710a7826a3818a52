<?php

declare(strict_types=1);

namespace Sidecast\Tests;

use PHPUnit\Framework\TestCase;
use Sidecast\Confirmation;
use Sidecast\Endpoint;
use Sidecast\Exception\TransportException;
use Sidecast\Transport\ZmtpTransport;

/** request() of the pure-PHP transport against a confirm endpoint that follows a script, so that each byte is known. */
final class ZmtpConfirmTest extends TestCase
{
    use Scratch;

    private const TIMEOUT = 5.0;

    /** Bound used where it is meant to be reached, and what a loaded machine may add to it. */
    private const SHORT = 0.05;
    private const SLACK = 0.45;

    /** Greeting and READY of a DEALER. */
    private const HELLO_BYTES = 64 + 2 + 28;

    /** READY of a libzmq ROUTER. */
    private const READY = '0429' . '055245414459' . '0b536f636b65742d54797065' . '00000006' . '524f55544552'
        . '084964656e74697479' . '00000000';

    private const EMPTY = '0100'; // a frame, and more follow

    /** The bytes of ['', 'c', 'd']. */
    private const REQUEST_BYTES = 8;

    public function testRequestAndHelloAreByteExact(): void
    {
        $peer = $this->peer([[...self::handshake(), ['read', self::REQUEST_BYTES], ['send', self::ok('1-0')]]]);
        $this->request($peer);
        self::assertSame(
            "\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06DEALER",
            \substr($peer->bytes(), 64),
        );
        self::assertSame("\x01\0\x01\x01c\0\x01d", $peer->bytes());
    }

    public function testTheIdsComeBack(): void
    {
        $peer = $this->peer([[...self::handshake(), ['send', self::ok('1795432800000-0 1795432800000-1')]]]);
        self::assertEquals([Confirmation::taken(['1795432800000-0', '1795432800000-1'])], $this->request($peer));
    }

    public function testEachItemHasItsFrame(): void
    {
        $answer = self::EMPTY . self::frame('ok 1-0', true) . self::frame('error bad_channel no such name', true)
            . self::frame('ok 1-1');
        $peer = $this->peer([[...self::handshake(), ['send', $answer]]]);
        self::assertEquals(
            [
                Confirmation::taken(['1-0']),
                Confirmation::refused('bad_channel', 'no such name'),
                Confirmation::taken(['1-1']),
            ],
            $this->request($peer, 3),
        );
    }

    public function testOneErrorForABatchIsThatOfEachItem(): void
    {
        $peer = $this->peer([[...self::handshake(), ['send', self::EMPTY . self::frame('error too_large')]]]);
        $refused = Confirmation::refused('too_large', '');
        self::assertSame('too_large', $refused->message);
        self::assertEquals([$refused, $refused], $this->request($peer, 2));
    }

    public function testTheConnectionIsKeptForTheNextRequest(): void
    {
        $peer = $this->peer([[
            ...self::handshake(),
            ['read', self::REQUEST_BYTES],
            ['send', self::ok('1-0')],
            ['read', self::REQUEST_BYTES],
            ['send', self::ok('2-0')],
        ]]);
        $transport = $this->transport($peer);
        self::assertSame(['1-0'], $transport->request(['c', 'd'], 1, self::TIMEOUT)[0]->ids);
        self::assertSame(['2-0'], $transport->request(['c', 'd'], 1, self::TIMEOUT)[0]->ids);
    }

    public function testALateReplyNeverAnswersTheNextRequest(): void
    {
        $peer = $this->peer([
            [...self::handshake(), ['read', self::REQUEST_BYTES], ['pause'], ['drip', self::ok('1-0'), 0]],
            [...self::handshake(), ['read', self::REQUEST_BYTES], ['send', self::ok('2-0')]],
        ]);
        $transport = $this->transport($peer);
        $this->assertFailsInTime($transport, 'answer in time');
        $peer->goOn();
        self::assertSame(['2-0'], $transport->request(['c', 'd'], 1, self::TIMEOUT)[0]->ids);
    }

    public function testAHalfReplyEndsTheConnection(): void
    {
        $peer = $this->peer([
            [...self::handshake(), ['send', self::EMPTY . '0006' . '6f6b']],
            [...self::handshake(), ['send', self::ok('2-0')]],
        ]);
        $transport = $this->transport($peer);
        $this->assertFailsInTime($transport, 'answer in time');
        self::assertSame(['2-0'], $transport->request(['c', 'd'], 1, self::TIMEOUT)[0]->ids);
    }

    public function testAReplyThatDripsDoesNotStretchTheBound(): void
    {
        $peer = $this->peer([[...self::handshake(), ['drip', self::ok('1-0'), 30]]]);
        $this->assertFailsInTime($this->transport($peer), 'answer in time');
    }

    public function testAServerThatIsNotThereIsReportedAtOnce(): void
    {
        $nowhere = Endpoint::parse("ipc://$this->scratch/confirm.sock");
        $this->assertFailsInTime(new ZmtpTransport($nowhere, $nowhere), 'No such file');
    }

    public function testAServerThatEndsIsReported(): void
    {
        $peer = $this->peer([[...self::handshake(), ['read', self::REQUEST_BYTES], ['close']]]);
        $this->assertFailsInTime($this->transport($peer), 'closed the connection');
    }

    public function testCommandsBetweenFramesArePassedOver(): void
    {
        $ping = '0407' . \bin2hex("\x04PING\0\0");
        $peer = $this->peer([[...self::handshake(), ['send', $ping . self::ok('1-0')]]]);
        self::assertSame(['1-0'], $this->request($peer)[0]->ids);
    }

    public function testAPublishEndpointDoesNotConfirm(): void
    {
        $peer = $this->peer([[['read', self::HELLO_BYTES], ['send', ScriptedPeer::GREETING . ScriptedPeer::READY]]]);
        $this->assertFailsInTime($this->transport($peer), 'no ROUTER socket but "PULL"');
    }

    /** @dataProvider malformed */
    public function testAReplyThatIsNoneIsRefusedAndTheConnectionClosed(string $answer, string $why): void
    {
        $peer = $this->peer([[...self::handshake(), ['send', $answer], ['read', self::REQUEST_BYTES], ['read all']]]);
        try {
            $this->request($peer);
            self::fail('it was taken');
        } catch (TransportException $error) {
            self::assertStringContainsString($why, $error->getMessage());
        }
        $peer->bytes();
        $peer->bytes();
        self::assertSame('', $peer->bytes(), 'the end of the connection');
    }

    /** @return iterable<string, array{string, string}> */
    public static function malformed(): iterable
    {
        yield 'no empty frame' => [self::frame('ok 1-0'), 'empty frame'];
        yield 'nothing after it' => ['0000', '0 messages, there were 1'];
        yield 'two replies' => [self::EMPTY . self::frame('ok 1-0', true) . self::frame('ok 1-1'), 'too many frames'];
        yield 'another word' => [self::EMPTY . self::frame('yes 1-0'), 'neither ok nor error'];
        yield 'ok without an id' => [self::EMPTY . self::frame('ok'), 'neither ok nor error'];
        yield 'an id that is none' => [self::EMPTY . self::frame('ok 1'), 'neither ok nor error'];
        yield 'an error without a code' => [self::EMPTY . self::frame('error '), 'neither ok nor error'];
        yield 'a huge frame' => [self::EMPTY . '02' . '0000000000100001', 'oversized frame'];
        yield 'a negative size' => [self::EMPTY . '02' . 'ffffffffffffffff', 'oversized frame'];
    }

    public function testWithoutAConfirmEndpointItSaysSo(): void
    {
        $transport = new ZmtpTransport(Endpoint::parse('tcp://127.0.0.1:1'));
        $this->expectException(TransportException::class);
        $this->expectExceptionMessage('its option confirm');
        $transport->request(['c', 'd'], 1, self::TIMEOUT);
    }

    /** @return list<list<string|int>> */
    private static function handshake(): array
    {
        return [['read', self::HELLO_BYTES], ['send', ScriptedPeer::GREETING . self::READY]];
    }

    private static function ok(string $ids): string
    {
        return self::EMPTY . self::frame("ok $ids");
    }

    private static function frame(string $text, bool $more = false): string
    {
        return ($more ? '01' : '00') . \bin2hex(\chr(\strlen($text)) . $text);
    }

    /** @param list<list<list<string|int>>> $script */
    private function peer(array $script): ScriptedPeer
    {
        return new ScriptedPeer("unix://$this->scratch/confirm.sock", $script);
    }

    private function transport(ScriptedPeer $peer): ZmtpTransport
    {
        $confirm = Endpoint::parse($peer->endpoint);

        return new ZmtpTransport(Endpoint::parse('tcp://127.0.0.1:1'), $confirm);
    }

    /** @return list<Confirmation> */
    private function request(ScriptedPeer $peer, int $items = 1): array
    {
        return $this->transport($peer)->request(['c', 'd'], $items, self::TIMEOUT);
    }

    private function assertFailsInTime(ZmtpTransport $transport, string $why): void
    {
        $start = \hrtime(true);
        try {
            $transport->request(['c', 'd'], 1, self::SHORT);
            self::fail('it was confirmed');
        } catch (TransportException $error) {
            self::assertStringContainsString($why, $error->getMessage());
        }
        self::assertLessThan(self::SHORT + self::SLACK, (\hrtime(true) - $start) / 1e9);
    }
}
