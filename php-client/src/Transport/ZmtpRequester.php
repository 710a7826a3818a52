<?php

declare(strict_types=1);

namespace Sidecast\Transport;

use Sidecast\Confirmation;
use Sidecast\Endpoint;
use Sidecast\Exception\TransportException;

/**
 * Asks the confirm endpoint in pure PHP, one request at a time. After anything but a whole reply the connection is
 * closed, so that a late reply never answers the next request.
 *
 * @internal
 */
final class ZmtpRequester
{
    public const REPLY_BYTES = 1048576;

    private readonly ZmtpConnection $connection;

    /** Connects to nothing yet: the first request() does. */
    public function __construct(Endpoint $endpoint)
    {
        $this->connection = new ZmtpConnection($endpoint->stream, 'DEALER', 'ROUTER');
    }

    /**
     * @param non-empty-list<string> $frames
     * @param int                    $items   how many messages are in it
     * @param float                  $timeout seconds that connecting, asking and the reply may take together
     *
     * @return list<Confirmation> one for each item, in order
     *
     * @throws TransportException when there was no reply
     */
    public function request(array $frames, int $items, float $timeout): array
    {
        $deadline = \hrtime(true) + (int) ($timeout * 1e9);
        // also hides the warnings from handlers that make exceptions of them and do not respect @
        \set_error_handler(static fn (): bool => true);
        $confirmations = null;
        try {
            $this->connection->open($deadline);
            $confirmations = $this->ask(Zmtp::message(['', ...$frames]), $items, $deadline);
            $this->connection->stream->release();
        } finally {
            if ($confirmations === null) {
                $this->connection->stream->close();
            }
            \restore_error_handler();
        }

        return $confirmations;
    }

    /**
     * @return list<Confirmation>
     *
     * @throws TransportException
     */
    private function ask(string $bytes, int $items, int $deadline): array
    {
        if ($this->connection->stream->write($bytes, $deadline) !== \strlen($bytes)) {
            throw new TransportException(
                \hrtime(true) >= $deadline ? 'the server does not take it in time' : 'the connection was lost',
            );
        }

        return Replies::parse($this->connection->receive($items + 1, self::REPLY_BYTES, $deadline), $items);
    }
}
