<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** One event as a browser's EventSource would dispatch it. */
final class Event
{
    public function __construct(
        /** "message" if the block named none. */
        public readonly string $type,
        public readonly string $data,
        /** The last event id when this event was dispatched. */
        public readonly string $id,
        /** Whether the id stood in the event's own block, as it must for clients that keep no state. */
        public readonly bool $hasOwnId,
    ) {
    }

    /** @return array<string, mixed> */
    public function json(): array
    {
        return json_decode($this->data, true, 16, JSON_THROW_ON_ERROR);
    }
}
