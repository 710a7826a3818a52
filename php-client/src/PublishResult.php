<?php

declare(strict_types=1);

namespace Sidecast;

/**
 * What became of the messages of one call.
 *
 * "Handed over" means given to the kernel for a connected server, or queued in libzmq: ZeroMQ's PUSH has no
 * acknowledgement, so nobody can know more at this place.
 */
final class PublishResult
{
    /** Everything was handed over. */
    public readonly bool $ok;

    /**
     * @param int                $handedOver number of messages handed over
     * @param array<int, string> $failures   the others: position in the call (from 0) => why not
     */
    public function __construct(
        public readonly int $handedOver,
        public readonly array $failures = [],
    ) {
        $this->ok = $failures === [];
    }

    /** Why the first message that failed was not handed over; null if all were. */
    public function reason(): ?string
    {
        foreach ($this->failures as $reason) {
            return $reason;
        }

        return null;
    }

    /** Number of messages that the call was given. */
    public function total(): int
    {
        return $this->handedOver + \count($this->failures);
    }
}
