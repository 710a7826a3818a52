<?php

declare(strict_types=1);

namespace Sidecast\Transport;

use Sidecast\Confirmation;

/** Sends nothing and always succeeds: for where Sidecast is switched off. In a DSN: `sidecast+null:`. */
final class NullTransport implements ConfirmingTransportInterface
{
    /** Does nothing, at once. */
    public function send(array $frames, float $timeout): void
    {
    }

    /** Does nothing, at once: each message was taken, and has no id. */
    public function request(array $frames, int $items, float $timeout): array
    {
        return \array_fill(0, $items, Confirmation::taken([]));
    }

    public function alwaysConfirms(): bool
    {
        return false;
    }
}
