<?php

declare(strict_types=1);

namespace Sidecast\Transport;

use Sidecast\Endpoint;
use Sidecast\Exception\TransportException;

/**
 * Sends in pure PHP: ZMTP 3.0 over a persistent stream. Queues nothing, so each failure is reported at once.
 *
 * Everything one send() does (connect, handshake, write, a second attempt) happens within its one timeout. Only the
 * look-up of a host name is the resolver's, so give an address.
 */
final class ZmtpTransport implements TransportInterface
{
    private const COMMAND_BYTES = 8192;

    private readonly BoundedStream $stream;

    /** Connects to nothing yet: the first send() does. */
    public function __construct(Endpoint $endpoint)
    {
        $this->stream = new BoundedStream($endpoint->stream);
    }

    /**
     * Hands the message to the kernel for a connected server, or throws.
     *
     * @param float $timeout seconds that connecting, shaking hands and writing may take together
     *
     * @throws TransportException when it was not handed over; half a message never is: its connection is closed
     */
    public function send(array $frames, float $timeout): void
    {
        $deadline = \hrtime(true) + (int) ($timeout * 1e9);
        $bytes = Zmtp::message($frames);
        // also hides the warnings from handlers that make exceptions of them and do not respect @
        \set_error_handler(static fn (): bool => true);
        try {
            $this->deliver($bytes, $deadline);
        } finally {
            \restore_error_handler();
        }
    }

    /** @throws TransportException */
    private function deliver(string $bytes, int $deadline): void
    {
        $reused = $this->open($deadline);
        $written = $this->stream->write($bytes, $deadline);
        if ($written === 0 && $reused && \hrtime(true) < $deadline) {
            // the server went away while the stream lay unused; nothing of the message has left, so once more
            $this->stream->close();
            $this->open($deadline);
            $written = $this->stream->write($bytes, $deadline);
        }
        if ($written === \strlen($bytes)) {
            $this->stream->release();

            return;
        }
        $late = \hrtime(true) >= $deadline;
        if ($late && $written === 0) {
            $this->stream->release();
        } else {
            $this->stream->close(); // the next message must not follow half of this one
        }
        throw new TransportException($late ? 'the server does not take it in time' : 'the connection was lost');
    }

    /**
     * Connects and shakes hands, unless an earlier call has.
     *
     * @return bool whether the connection is an earlier one
     *
     * @throws TransportException
     */
    private function open(int $deadline): bool
    {
        if (!$this->stream->acquire($deadline)) {
            return true;
        }
        try {
            $this->shakeHands($deadline);
        } catch (TransportException $error) {
            $this->stream->close();
            throw $error;
        }

        return false;
    }

    /** @throws TransportException */
    private function shakeHands(int $deadline): void
    {
        $hello = Zmtp::hello();
        if ($this->stream->write($hello, $deadline) !== \strlen($hello)) {
            throw new TransportException('the connection was lost in the handshake');
        }
        $head = $this->stream->read(Zmtp::GREETING_HEAD_BYTES, $deadline);
        Zmtp::checkGreetingHead($head);
        $rest = $this->stream->read(Zmtp::GREETING_BYTES - Zmtp::GREETING_HEAD_BYTES, $deadline);
        Zmtp::checkGreeting($head . $rest);
        Zmtp::checkReady($this->readCommand($deadline));
    }

    /** @throws TransportException */
    private function readCommand(int $deadline): string
    {
        $flags = \ord($this->stream->read(1, $deadline));
        if (($flags & ~Zmtp::FLAG_LONG) !== Zmtp::FLAG_COMMAND) {
            throw new TransportException('the other side sent no READY');
        }
        $long = ($flags & Zmtp::FLAG_LONG) !== 0;
        $size = $this->stream->read($long ? 8 : 1, $deadline);
        $length = $long ? (\unpack('J', $size) ?: [1 => -1])[1] : \ord($size);
        if ($length < 0 || $length > self::COMMAND_BYTES) {
            throw new TransportException('the other side sent an oversized command');
        }

        return $this->stream->read($length, $deadline);
    }
}
