<?php

declare(strict_types=1);

namespace Sidecast\Soak;

/** A sidecast was killed: of what it had, a part was in a snapshot. */
final class Crash
{
    /**
     * @param int              $from      what stands at or before this was in the snapshot
     * @param int              $boundary  ids before it are of the lives until then, ids from it on of those after
     * @param array<int, true> $survivors what is still there of that between the two
     */
    public function __construct(
        public readonly int $from,
        public readonly int $boundary,
        public readonly array $survivors,
        public readonly float $time
    ) {
    }

    public function lost(int $id): bool
    {
        return $this->from < $id && $id < $this->boundary && !isset($this->survivors[$id]);
    }
}
