<?php

declare(strict_types=1);

namespace Sidecast\Transport;

use Sidecast\Exception\TransportException;

/** A way to hand ZeroMQ messages to the server. */
interface TransportInterface
{
    /**
     * Hands over one multipart message, whole or not at all.
     *
     * @param non-empty-list<string> $frames
     * @param float                  $timeout seconds that the call may wait in all, whatever it has to do
     *
     * @throws TransportException when it was not handed over; the text says why
     */
    public function send(array $frames, float $timeout): void;
}
