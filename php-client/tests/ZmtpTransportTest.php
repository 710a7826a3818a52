<?php

declare(strict_types=1);

namespace Sidecast\Tests;

use PHPUnit\Framework\TestCase;
use Sidecast\Endpoint;
use Sidecast\Exception\TransportException;
use Sidecast\Transport\ZmtpTransport;

/** The pure-PHP transport against a server that follows a script, so that each byte is known. */
final class ZmtpTransportTest extends TestCase
{
    use Scratch;

    private const TIMEOUT = 5.0;

    /** Bound used where it is meant to be reached, and what a loaded machine may add to it. */
    private const SHORT = 0.05;
    private const SLACK = 0.45;

    /** More than a socket's buffers hold. */
    private const LARGE_BYTES = 8388608;

    public function testHelloIsByteExact(): void
    {
        $peer = $this->peer([ScriptedPeer::handshake()]);
        $this->transport($peer)->send(['c', 'd'], self::TIMEOUT);
        self::assertSame(
            "\xff\0\0\0\0\0\0\0\0\x7f\x03\0NULL" . \str_repeat("\0", 16 + 1 + 31)
            . "\x04\x1a\x05READY\x0bSocket-Type\0\0\0\x04PUSH",
            $peer->bytes(),
        );
    }

    /**
     * @param non-empty-list<string> $frames
     *
     * @dataProvider messages
     */
    public function testMessageIsByteExact(array $frames, string $bytes): void
    {
        $peer = $this->peer([[...ScriptedPeer::handshake(), ['read', \strlen($bytes)]]]);
        $this->transport($peer)->send($frames, self::TIMEOUT);
        $peer->bytes();
        self::assertSame(\bin2hex($bytes), $peer->report());
    }

    /** @return iterable<string, array{non-empty-list<string>, string}> */
    public static function messages(): iterable
    {
        $short = \str_repeat('s', 255);
        $long = \str_repeat('l', 256);
        yield 'one frame' => [['abc'], "\0\x03abc"];
        yield 'two frames' => [['c', 'data'], "\x01\x01c\0\x04data"];
        yield 'three frames' => [['c', 'd', '{}'], "\x01\x01c\x01\x01d\0\x02{}"];
        yield 'an empty frame' => [['c', ''], "\x01\x01c\0\0"];
        yield '255 bytes are a short frame' => [[$short], "\0\xff$short"];
        yield '256 bytes are a long frame' => [[$long], "\x02\0\0\0\0\0\0\x01\0$long"];
        yield 'long and more' => [[$long, 'x'], "\x03\0\0\0\0\0\0\x01\0$long\0\x01x"];
    }

    /** @dataProvider addresses */
    public function testConnectionIsKeptForTheNextMessageAndTheNextObject(string $address): void
    {
        $peer = $this->peer([[...ScriptedPeer::handshake(), ['read', 18]]], $address);
        $transport = $this->transport($peer);
        $transport->send(['c', '1'], self::TIMEOUT);
        $transport->send(['c', '2'], self::TIMEOUT);
        $this->transport($peer)->send(['c', '3'], self::TIMEOUT);
        $peer->bytes();
        $frames = "\x01\x01c\0\x01";
        self::assertSame("{$frames}1{$frames}2{$frames}3", $peer->bytes());
    }

    /** @return iterable<string, array{string}> */
    public static function addresses(): iterable
    {
        yield 'tcp' => ['tcp://127.0.0.1:0'];
        yield 'ipc' => [''];
    }

    /** @dataProvider addresses */
    public function testConnectionThatTheServerEndedIsReplacedWithoutLoss(string $address): void
    {
        $peer = $this->peer([
            [...ScriptedPeer::handshake(), ['read', 6], ['close']],
            [...ScriptedPeer::handshake(), ['read', 6]],
        ], $address);
        $transport = $this->transport($peer);
        $transport->send(['c', '1'], self::TIMEOUT);
        $peer->bytes();
        $peer->bytes();
        self::assertSame('closed', $peer->report());
        $transport->send(['c', '2'], self::TIMEOUT);
        $peer->bytes();
        self::assertSame("\x01\x01c\0\x01" . '2', $peer->bytes());
    }

    public function testMessageOfWhichNothingHasLeftIsTriedOnceMoreOnANewConnection(): void
    {
        $peer = $this->peer([
            [...ScriptedPeer::handshake(), ['read', 6], ['deafen']],
            [...ScriptedPeer::handshake(), ['read', 6]],
        ]);
        $transport = $this->transport($peer);
        $transport->send(['c', '1'], self::TIMEOUT);
        $peer->bytes();
        $peer->bytes();
        self::assertSame('deaf', $peer->report());
        $transport->send(['c', '2'], self::TIMEOUT);
        $peer->bytes();
        self::assertSame("\x01\x01c\0\x01" . '2', $peer->bytes());
    }

    public function testConnectionOnWhichTheServerSpokeIsReplaced(): void
    {
        $peer = $this->peer([
            [...ScriptedPeer::handshake(), ['read', 6], ['send', '0400'], ['read all']],
            [...ScriptedPeer::handshake(), ['read', 6]],
        ]);
        $transport = $this->transport($peer);
        $transport->send(['c', '1'], self::TIMEOUT);
        $peer->bytes();
        $peer->bytes();
        // the peer's bytes are on their way since the report; this waits for them without reading any
        $this->awaitReadable();
        $transport->send(['c', '2'], self::TIMEOUT);
        self::assertSame('', $peer->bytes(), 'nothing more on the old connection');
        $peer->bytes();
        self::assertSame("\x01\x01c\0\x01" . '2', $peer->bytes());
    }

    public function testConnectionLeftInTheMiddleOfAMessageIsReplaced(): void
    {
        $peer = $this->peer([
            [...ScriptedPeer::handshake(), ['read', 6], ['read all']],
            [...ScriptedPeer::handshake(), ['read', 6]],
        ]);
        $transport = $this->transport($peer);
        $transport->send(['c', '1'], self::TIMEOUT);
        $stream = $this->persistentStream($peer);
        \stream_set_blocking($stream, false); // as exit() within send() leaves it
        \fwrite($stream, "\x01\x05half");
        $this->transport($peer)->send(['c', '2'], self::TIMEOUT);
        $peer->bytes();
        $peer->bytes();
        self::assertSame("\x01\x05half", $peer->bytes());
        $peer->bytes();
        self::assertSame("\x01\x01c\0\x01" . '2', $peer->bytes());
    }

    public function testAnotherObjectMayCloseTheSharedConnection(): void
    {
        $peer = $this->peer([ScriptedPeer::handshake(), [...ScriptedPeer::handshake(), ['read', 6]]]);
        $transport = $this->transport($peer);
        $transport->send(['c', '1'], self::TIMEOUT);
        \fclose($this->persistentStream($peer));
        $transport->send(['c', '2'], self::TIMEOUT);
        $peer->bytes();
        $peer->bytes();
        self::assertSame("\x01\x01c\0\x01" . '2', $peer->bytes());
    }

    public function testForkedChildDoesNotWriteIntoItsParentsConnection(): void
    {
        if (!\function_exists('pcntl_fork')) {
            self::markTestSkipped('pcntl is not loaded');
        }
        $peer = $this->peer([
            [...ScriptedPeer::handshake(), ['read', 6]],
            [...ScriptedPeer::handshake(), ['read', 6]],
        ]);
        $transport = $this->transport($peer);
        $transport->send(['c', '1'], self::TIMEOUT);
        $child = \pcntl_fork();
        if ($child === 0) {
            try {
                $transport->send(['c', '2'], self::TIMEOUT);
            } finally {
                \posix_kill((int) \getmypid(), 9); // without PHPUnit's end, and without closing what is the parent's
            }
        }
        \pcntl_waitpid($child, $status);
        foreach (['1', '2'] as $data) {
            $peer->bytes();
            self::assertSame("\x01\x01c\0\x01$data", $peer->bytes());
        }
    }

    public function testLargeMessageArrivesWholeThroughManyPartialWrites(): void
    {
        $data = \random_bytes(self::LARGE_BYTES);
        $peer = $this->peer([[...ScriptedPeer::handshake(), ['sip', self::LARGE_BYTES + 9, 300000, 1]]]);
        $this->transport($peer)->send([$data], self::TIMEOUT);
        $peer->bytes();
        self::assertSame(\md5("\x02" . \pack('J', self::LARGE_BYTES) . $data), \md5($peer->bytes()));
    }

    public function testStuckPeerIsReportedWithinTheBoundAndHalfAMessageEndsTheConnection(): void
    {
        $peer = $this->peer([
            [...ScriptedPeer::handshake(), ['pause'], ['read all']],
            [...ScriptedPeer::handshake(), ['read', 6]],
        ]);
        $transport = $this->transport($peer);
        $this->assertFailsInTime($transport, [\str_repeat('x', self::LARGE_BYTES)], 'in time');
        $peer->goOn();
        $peer->bytes();
        self::assertLessThan(self::LARGE_BYTES, \strlen($peer->bytes()), 'the connection has ended');
        $transport->send(['c', '2'], self::TIMEOUT);
        $peer->bytes();
        self::assertSame("\x01\x01c\0\x01" . '2', $peer->bytes());
    }

    public function testWhileThePeerIsStuckNothingIsLostOrRepeated(): void
    {
        $peer = $this->peer([[...ScriptedPeer::handshake(), ['pause'], ['read', 0], ['read all']]]);
        $transport = $this->transport($peer);
        $accepted = $this->fill($transport);
        $this->assertFailsInTime($transport, ['late'], 'in time');
        $peer->goOn();
        $transport->send(['last'], self::TIMEOUT);
        \fclose($this->persistentStream($peer));
        $peer->bytes();
        $peer->bytes();
        self::assertSame($accepted . "\0\x04last", $peer->bytes());
    }

    public function testReaderThatDripsDoesNotStretchTheBound(): void
    {
        $peer = $this->peer([[...ScriptedPeer::handshake(), ['sip', self::LARGE_BYTES, 200000, 40]]]);
        $this->assertFailsInTime($this->transport($peer), [\str_repeat('x', self::LARGE_BYTES)], 'in time');
    }

    public function testHandshakeThatDripsDoesNotStretchTheBound(): void
    {
        $peer = $this->peer([[['drip', ScriptedPeer::GREETING . ScriptedPeer::READY, 30]]]);
        $this->assertFailsInTime($this->transport($peer), ['x'], 'answer in time');
    }

    public function testPeerThatNeverAnswersIsReportedWithinTheBound(): void
    {
        $peer = $this->peer([[]]);
        $this->assertFailsInTime($this->transport($peer), ['x'], 'answer in time');
    }

    /** @dataProvider addresses */
    public function testDeadPeerIsReportedAtOnce(string $address): void
    {
        $peer = $this->peer([ScriptedPeer::handshake()], $address);
        $transport = $this->transport($peer);
        $transport->send(['x'], self::TIMEOUT);
        $peer->stop();
        $this->assertFailsInTime($transport, ['x'], 'connect');
    }

    public function testPeerThatWasNeverThereIsReportedAtOnce(): void
    {
        $transport = new ZmtpTransport(Endpoint::parse("ipc://$this->scratch/nobody.sock"));
        $this->assertFailsInTime($transport, ['x'], 'No such file');
    }

    /** @dataProvider refusals */
    public function testWrongPeerIsRefusedAndNothingIsSent(string $answer, string $why): void
    {
        $peer = $this->peer([[['read', ScriptedPeer::HELLO_BYTES], ['send', $answer], ['read all']]]);
        try {
            $this->transport($peer)->send(['secret'], self::TIMEOUT);
            self::fail('it was sent');
        } catch (TransportException $error) {
            self::assertStringContainsString($why, $error->getMessage());
        }
        $peer->bytes();
        self::assertSame('', $peer->bytes());
    }

    /** @return iterable<string, array{string, string}> */
    public static function refusals(): iterable
    {
        $greeting = ScriptedPeer::GREETING;
        $ready = ScriptedPeer::READY;
        $body = '055245414459' . '0b536f636b65742d54797065';
        yield 'HTTP' => [\bin2hex("HTTP/1.1 400 Bad Request\r\n\r\n"), 'does not speak ZeroMQ'];
        yield 'ZMTP 2' => ['ff00000000000000017f01', 'old ZeroMQ'];
        yield 'CURVE' => [\str_replace('4e554c4c00', '4355525645', $greeting), '"CURVE"'];
        yield 'SUB socket' => [$greeting . \str_replace('50554c4c', '53554221', $ready), 'no PULL socket but "SUB!"'];
        yield 'PULL as a part only' => ["{$greeting}041b{$body}00000005" . '50554c4c58', '"PULLX"'];
        yield 'PULL in another property' => [$greeting . '0410' . '055245414459' . '0158' . '0000000450554c4c', '""'];
        yield 'no properties' => [$greeting . '0406' . '055245414459', 'no PULL'];
        yield 'property cut short' => ["{$greeting}041a{$body}00000009" . '50554c4c', 'malformed'];
        yield 'property length cut short' => ["{$greeting}0414{$body}0000", 'malformed'];
        yield 'ERROR' => [$greeting . '0409' . '054552524f52' . '024e6f', 'refused the connection: No'];
        yield 'another command' => [$greeting . '0405' . '0450494e47', 'no READY'];
        yield 'a message instead' => [$greeting . '0001' . '41', 'no READY'];
        yield 'oversized command' => [$greeting . '06' . '0000000000002001', 'oversized'];
        yield 'hugely oversized command' => [$greeting . '06' . 'ffffffffffffffff', 'oversized'];
    }

    public function testServerThatClosesInTheHandshakeIsReported(): void
    {
        $peer = $this->peer([[['read', ScriptedPeer::HELLO_BYTES], ['send', ScriptedPeer::GREETING], ['close']]]);
        $this->assertFailsInTime($this->transport($peer), ['x'], 'closed the connection');
    }

    public function testReadyMayBeALongCommandInAnyCaseAndOrder(): void
    {
        $ready = "\x05READY" . "\x01X\0\0\x01\0" . \str_repeat('x', 256) . "\x0bSOCKET-type\0\0\0\x04PULL";
        $answer = ScriptedPeer::GREETING . '06' . \bin2hex(\pack('J', \strlen($ready)) . $ready);
        $peer = $this->peer([[['read', ScriptedPeer::HELLO_BYTES], ['send', $answer], ['read', 3]]]);
        $this->transport($peer)->send(['x'], self::TIMEOUT);
        $peer->bytes();
        self::assertSame("\0\1x", $peer->bytes());
    }

    public function testErrorHandlerOfThePageIsNotCalled(): void
    {
        \set_error_handler(static function (int $level, string $text): never {
            throw new \ErrorException($text);
        });
        try {
            $this->expectException(TransportException::class);
            (new ZmtpTransport(Endpoint::parse("ipc://$this->scratch/nobody.sock")))->send(['x'], self::TIMEOUT);
        } finally {
            \restore_error_handler();
        }
    }

    /** @param list<list<list<string|int>>> $script */
    private function peer(array $script, string $address = ''): ScriptedPeer
    {
        return new ScriptedPeer($address === '' ? "unix://$this->scratch/peer.sock" : $address, $script);
    }

    private function transport(ScriptedPeer $peer): ZmtpTransport
    {
        return new ZmtpTransport(Endpoint::parse($peer->endpoint));
    }

    /** @param non-empty-list<string> $frames */
    private function assertFailsInTime(ZmtpTransport $transport, array $frames, string $why): void
    {
        $start = \hrtime(true);
        try {
            $transport->send($frames, self::SHORT);
            self::fail('it was sent');
        } catch (TransportException $error) {
            self::assertStringContainsString($why, $error->getMessage());
        }
        self::assertLessThan(self::SHORT + self::SLACK, (\hrtime(true) - $start) / 1e9);
    }

    /** Sends until the kernel takes not one byte more; returns the bytes sent. */
    private function fill(ZmtpTransport $transport): string
    {
        $sent = '';
        for ($i = 0; $i < 100000; $i++) {
            try {
                $transport->send([\sprintf('%06d', $i)], self::SHORT);
                $sent .= "\0\x06" . \sprintf('%06d', $i);
            } catch (TransportException) {
                return $sent;
            }
        }
        self::fail('the peer is not stuck');
    }

    /** @return resource */
    private function persistentStream(ScriptedPeer $peer)
    {
        $stream = \stream_socket_client(
            Endpoint::parse($peer->endpoint)->stream,
            flags: \STREAM_CLIENT_CONNECT | \STREAM_CLIENT_PERSISTENT,
        );
        self::assertIsResource($stream);
        self::assertGreaterThan(0, \ftell($stream), 'it is the one that the transport has opened');

        return $stream;
    }

    private function awaitReadable(): void
    {
        $stream = \stream_socket_client(
            "unix://$this->scratch/peer.sock",
            flags: \STREAM_CLIENT_CONNECT | \STREAM_CLIENT_PERSISTENT,
        );
        self::assertIsResource($stream);
        $read = [$stream];
        $none = null;
        self::assertSame(1, \stream_select($read, $none, $none, 5));
    }
}
