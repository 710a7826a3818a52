<?php

declare(strict_types=1);

namespace Sidecast\Transport;

use Sidecast\Exception\TransportException;

/**
 * A persistent stream on which ZMTP 3.0 is spoken: shakes hands once, then carries messages.
 *
 * Deadlines are instants of hrtime(), in nanoseconds. Warnings of PHP's stream functions are for the caller to silence.
 *
 * @internal
 */
final class ZmtpConnection
{
    private const COMMAND_BYTES = 8192;

    public readonly BoundedStream $stream;

    /**
     * Connects to nothing yet: open() does.
     *
     * @param string $address as stream_socket_client() takes it
     * @param string $type    what this is: PUSH, DEALER …
     * @param string $peer    what the other side must be: PULL, ROUTER …
     */
    public function __construct(string $address, private readonly string $type, private readonly string $peer)
    {
        $this->stream = new BoundedStream($address);
    }

    /**
     * Connects and shakes hands, unless an earlier call has.
     *
     * @return bool whether the connection is an earlier one
     *
     * @throws TransportException
     */
    public function open(int $deadline): bool
    {
        if (!$this->stream->acquire($deadline)) {
            return true;
        }
        try {
            $this->shakeHands($deadline);
        } catch (TransportException $error) {
            $this->stream->close();
            // libzmq with a key says nothing to those who come without
            throw $error->getCode() !== BoundedStream::CLOSED ? $error : new TransportException(
                $error->getMessage() . ' in the handshake: it may ask for CURVE, which ext-zmq has',
                BoundedStream::CLOSED,
                $error,
            );
        }

        return false;
    }

    /**
     * The next multipart message. What the other side commands meanwhile is passed over.
     *
     * @param int $limitFrames     more than so many are an error
     * @param int $limitFrameBytes a larger one is an error
     *
     * @return non-empty-list<string>
     *
     * @throws TransportException if it does not come whole and in time: the connection is then of no use any more
     */
    public function receive(int $limitFrames, int $limitFrameBytes, int $deadline): array
    {
        $frames = [];
        do {
            [$flags, $body] = $this->read($limitFrameBytes, $deadline);
            if (($flags & Zmtp::FLAG_COMMAND) !== 0) {
                $flags = Zmtp::FLAG_MORE;
            } elseif (\count($frames) < $limitFrames) {
                $frames[] = $body;
            } else {
                throw new TransportException('the other side sent too many frames');
            }
        } while (($flags & Zmtp::FLAG_MORE) !== 0);

        return $frames;
    }

    /** @throws TransportException */
    private function shakeHands(int $deadline): void
    {
        $hello = Zmtp::hello($this->type);
        if ($this->stream->write($hello, $deadline) !== \strlen($hello)) {
            throw new TransportException('the connection was lost in the handshake');
        }
        $head = $this->stream->read(Zmtp::GREETING_HEAD_BYTES, $deadline);
        Zmtp::checkGreetingHead($head);
        $rest = $this->stream->read(Zmtp::GREETING_BYTES - Zmtp::GREETING_HEAD_BYTES, $deadline);
        Zmtp::checkGreeting($head . $rest);
        [, $body] = $this->read(self::COMMAND_BYTES, $deadline, Zmtp::FLAG_COMMAND);
        Zmtp::checkReady($body, $this->peer);
    }

    /**
     * One frame.
     *
     * @param ?int $expected the flags that it must have, but for FLAG_LONG
     *
     * @return array{int, string} flags and body
     *
     * @throws TransportException
     */
    private function read(int $limitBytes, int $deadline, ?int $expected = null): array
    {
        $flags = \ord($this->stream->read(1, $deadline));
        if ($expected !== null && ($flags & ~Zmtp::FLAG_LONG) !== $expected) {
            throw new TransportException('the other side sent no READY');
        }
        $long = ($flags & Zmtp::FLAG_LONG) !== 0;
        $size = $this->stream->read($long ? 8 : 1, $deadline);
        $length = $long ? (\unpack('J', $size) ?: [1 => -1])[1] : \ord($size);
        if ($length < 0 || $length > $limitBytes) {
            $what = ($flags & Zmtp::FLAG_COMMAND) !== 0 ? 'command' : 'frame';
            throw new TransportException("the other side sent an oversized $what");
        }

        return [$flags, $this->stream->read($length, $deadline)];
    }
}
