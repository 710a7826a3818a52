<?php

declare(strict_types=1);

namespace Sidecast\Transport;

use Sidecast\Exception\TransportException;

/**
 * The bytes of ZMTP 3.0 (https://rfc.zeromq.org/spec/23/) as far as a socket with the NULL mechanism needs them. Knows
 * no stream and no time.
 *
 * @internal
 */
final class Zmtp
{
    public const GREETING_BYTES = 64;

    /** Signature and major version: enough to see that the other side will never send the rest. */
    public const GREETING_HEAD_BYTES = 11;

    public const FLAG_MORE = 0x01;
    public const FLAG_LONG = 0x02;
    public const FLAG_COMMAND = 0x04;

    private const SHORT_BYTES = 255;
    private const MECHANISM_BYTES = 20;

    /**
     * What a socket says first: its greeting and, as NULL asks nothing of the other side, READY with it.
     *
     * @param string $type PUSH, DEALER …
     */
    public static function hello(string $type): string
    {
        $greeting = "\xff\0\0\0\0\0\0\0\0\x7f"                       // signature
            . "\x03\x00"                                             // version 3.0
            . \str_pad('NULL', self::MECHANISM_BYTES, "\0")
            . "\0"                                                   // as-server
            . \str_repeat("\0", 31);                                 // filler
        $ready = "\x05READY" . "\x0bSocket-Type" . \pack('N', \strlen($type)) . $type;

        return $greeting . self::frame($ready, self::FLAG_COMMAND);
    }

    /**
     * A multipart message.
     *
     * @param non-empty-list<string> $frames
     */
    public static function message(array $frames): string
    {
        $last = \array_pop($frames);
        $bytes = '';
        foreach ($frames as $frame) {
            $bytes .= self::frame($frame, self::FLAG_MORE);
        }

        return $bytes . self::frame($last, 0);
    }

    private static function frame(string $body, int $flags): string
    {
        $length = \strlen($body);

        return $length <= self::SHORT_BYTES
            ? \chr($flags) . \chr($length) . $body
            : \chr($flags | self::FLAG_LONG) . \pack('J', $length) . $body;
    }

    /**
     * Checks the first GREETING_HEAD_BYTES of a greeting.
     *
     * @throws TransportException
     */
    public static function checkGreetingHead(string $head): void
    {
        if ($head[0] !== "\xff" || (\ord($head[9]) & 0x01) !== 0x01) {
            throw new TransportException('the other side does not speak ZeroMQ');
        }
        if (\ord($head[10]) < 3) {
            throw new TransportException('the other side speaks an old ZeroMQ protocol, below ZMTP 3');
        }
    }

    /**
     * Checks a whole greeting.
     *
     * @throws TransportException
     */
    public static function checkGreeting(string $greeting): void
    {
        self::checkGreetingHead($greeting);
        $mechanism = \rtrim(\substr($greeting, 12, self::MECHANISM_BYTES), "\0");
        if ($mechanism !== 'NULL') {
            throw new TransportException(\sprintf(
                'the server asks for security mechanism "%s", this transport has NULL only, ext-zmq has CURVE',
                \addcslashes($mechanism, "\0..\37\177..\377"),
            ));
        }
    }

    /**
     * Checks the body of the command that follows the greeting: READY.
     *
     * @param string $wanted what the other side must be: PULL, ROUTER …
     *
     * @throws TransportException
     */
    public static function checkReady(string $body, string $wanted): void
    {
        if (\str_starts_with($body, "\x05ERROR")) {
            $reason = \addcslashes(\substr($body, 7), "\0..\37\177..\377");
            throw new TransportException('the server refused the connection: ' . $reason);
        }
        if (!\str_starts_with($body, "\x05READY")) {
            throw new TransportException('the other side sent no READY');
        }
        $type = self::property(\substr($body, 6), 'socket-type') ?? '';
        if ($type !== $wanted) {
            throw new TransportException(\sprintf(
                'the other side is no %s socket but "%s"',
                $wanted,
                \addcslashes($type, "\0..\37\177..\377"),
            ));
        }
    }

    /**
     * Value of a property of READY, null if it is not there.
     *
     * @throws TransportException if the properties are malformed
     */
    private static function property(string $metadata, string $wanted): ?string
    {
        for ($at = 0; $at < \strlen($metadata); $at += $length) {
            $nameLength = \ord($metadata[$at]);
            $name = \substr($metadata, $at + 1, $nameLength);
            $at += 1 + $nameLength;
            $size = \unpack('N', \substr($metadata, $at, 4) . "\xff\xff\xff\xff");
            $length = $size === false ? 0 : $size[1];
            $at += 4;
            if ($at + $length > \strlen($metadata)) {
                break;
            }
            if (\strtolower($name) === $wanted) {
                return \substr($metadata, $at, $length);
            }
        }
        if ($at !== \strlen($metadata)) {
            throw new TransportException('the other side sent a malformed READY');
        }

        return null;
    }

    private function __construct()
    {
    }
}
