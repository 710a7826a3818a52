<?php

declare(strict_types=1);

namespace Sidecast\Transport;

use Sidecast\Confirmation;
use Sidecast\Exception\TransportException;

/** A way to hand messages to the server that can also wait for its answer. */
interface ConfirmingTransportInterface extends TransportInterface
{
    /**
     * Hands over one multipart message and waits for what became of its items. Tries once: a caller that asks again
     * after an exception gives each item a key, since the server may have taken it and only its answer was lost.
     *
     * @param non-empty-list<string> $frames
     * @param int                    $items   how many messages are in it
     * @param float                  $timeout seconds that the call may wait in all, whatever it has to do
     *
     * @return list<Confirmation> one for each item, in order
     *
     * @throws TransportException when there was no answer; the text says why
     */
    public function request(array $frames, int $items, float $timeout): array;

    /** Whether send() waits for the answer all the same, so that request() says more at no cost. */
    public function alwaysConfirms(): bool;
}
