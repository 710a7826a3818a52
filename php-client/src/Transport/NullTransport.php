<?php

declare(strict_types=1);

namespace Sidecast\Transport;

/** Sends nothing and always succeeds: for where Sidecast is switched off. In a DSN: `sidecast+null:`. */
final class NullTransport implements TransportInterface
{
    /** Does nothing, at once. */
    public function send(array $frames, float $timeout): void
    {
    }
}
