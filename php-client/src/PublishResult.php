<?php

declare(strict_types=1);

namespace Sidecast;

/**
 * What became of the messages of one call.
 *
 * "Handed over" means given to the kernel for a connected server, or queued in libzmq: ZeroMQ's PUSH has no
 * acknowledgement, so nobody can know more at this place. Of publishAndConfirm(), and over HTTP, it means that the
 * server has published it; then there are ids.
 */
final class PublishResult
{
    /** Everything was handed over. */
    public readonly bool $ok;

    /**
     * @param int                       $handedOver number of messages handed over
     * @param array<int, string>        $failures   the others: position in the call (from 0) => why not
     * @param array<int, list<string>>  $ids        that the server gave: position in the call => ids
     * @param array<int, string>        $codes      the server's stable word for what is wrong: position => code
     */
    public function __construct(
        public readonly int $handedOver,
        public readonly array $failures = [],
        private readonly array $ids = [],
        public readonly array $codes = [],
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

    /**
     * The server's word for why the first message that failed was refused; null if all were handed over, or it was not
     * the server that said so. Without a word the server may have published it all the same: only its answer is
     * missing.
     */
    public function code(): ?string
    {
        $position = \array_key_first($this->failures);

        return $position === null ? null : $this->codes[$position] ?? null;
    }

    /**
     * The ids that the server gave, in order; none if it was not asked to confirm.
     *
     * @param ?int $position only of this message of the call (from 0)
     *
     * @return list<string>
     */
    public function ids(?int $position = null): array
    {
        return $position === null ? \array_merge(...\array_values($this->ids)) : $this->ids[$position] ?? [];
    }

    /** Number of messages that the call was given. */
    public function total(): int
    {
        return $this->handedOver + \count($this->failures);
    }
}
