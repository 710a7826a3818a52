<?php

declare(strict_types=1);

namespace Sidecast\Transport;

/** What TraceableTransport saw of one send: never the data. */
final class Trace
{
    /**
     * @param list<string> $channels channels of the messages, each once; empty if the frames cannot be read
     * @param int          $messages how many messages it was: more than one in a batch
     * @param int          $bytes    of all frames together
     * @param float        $seconds  that the send took
     * @param ?string      $error    why it was not handed over; null if it was
     */
    public function __construct(
        public readonly array $channels,
        public readonly int $messages,
        public readonly int $bytes,
        public readonly float $seconds,
        public readonly ?string $error,
    ) {
    }
}
