<?php

declare(strict_types=1);

namespace Sidecast\Tests;

use Sidecast\Exception\TransportException;
use Sidecast\Transport\TransportInterface;

/** Keeps what it is given; fails from the given send on. */
final class RecordingTransport implements TransportInterface
{
    /** @var list<non-empty-list<string>> */
    public array $sent = [];

    /** @var list<float> */
    public array $timeouts = [];

    public function __construct(private readonly int $failFrom = \PHP_INT_MAX, private readonly int $sleepMs = 0)
    {
    }

    public function send(array $frames, float $timeout): void
    {
        $this->timeouts[] = $timeout;
        \usleep($this->sleepMs * 1000);
        if (\count($this->timeouts) > $this->failFrom) {
            throw new TransportException('cable cut');
        }
        $this->sent[] = $frames;
    }
}
