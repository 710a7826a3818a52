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
final class ZmtpTransport implements ConfirmingTransportInterface
{
    private readonly ZmtpConnection $connection;

    private readonly ?ZmtpRequester $requester;

    /**
     * Connects to nothing yet: the first send() does.
     *
     * @param ?Endpoint $confirm where request() asks
     */
    public function __construct(Endpoint $endpoint, ?Endpoint $confirm = null)
    {
        $this->connection = new ZmtpConnection($endpoint->stream, 'PUSH', 'PULL');
        $this->requester = $confirm === null ? null : new ZmtpRequester($confirm);
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

    /**
     * {@inheritDoc}
     *
     * Over a connection of its own to the confirm endpoint.
     */
    public function request(array $frames, int $items, float $timeout): array
    {
        return $this->requester?->request($frames, $items, $timeout)
            ?? throw new TransportException('no confirm endpoint is known: give the DSN its option confirm');
    }

    public function alwaysConfirms(): bool
    {
        return false;
    }

    /** @throws TransportException */
    private function deliver(string $bytes, int $deadline): void
    {
        $stream = $this->connection->stream;
        $reused = $this->connection->open($deadline);
        $written = $stream->write($bytes, $deadline);
        if ($written === 0 && $reused && \hrtime(true) < $deadline) {
            // the server went away while the stream lay unused; nothing of the message has left, so once more
            $stream->close();
            $this->connection->open($deadline);
            $written = $stream->write($bytes, $deadline);
        }
        if ($written === \strlen($bytes)) {
            $stream->release();

            return;
        }
        $late = \hrtime(true) >= $deadline;
        if ($late && $written === 0) {
            $stream->release();
        } else {
            $stream->close(); // the next message must not follow half of this one
        }
        throw new TransportException($late ? 'the server does not take it in time' : 'the connection was lost');
    }
}
