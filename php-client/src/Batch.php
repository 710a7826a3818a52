<?php

declare(strict_types=1);

namespace Sidecast;

use Sidecast\Exception\TransportException;
use Sidecast\Transport\TransportInterface;

/**
 * Gathers the messages of one publishBatch() into ZeroMQ messages of a bounded size and keeps the account of them.
 *
 * One timeout covers the waiting of all sends together; the caller's own time between them does not count.
 *
 * @internal
 */
final class Batch
{
    /** Messages of one ZeroMQ message; the server takes at most publish.max_batch (10000). */
    private const LIMIT_MESSAGES = 1000;

    /** @var array<int, Message> gathered and not sent: position in the call => message */
    private array $messages = [];

    /** @var list<string> the same messages as objects of a JSON array */
    private array $objects = [];

    private int $bytes = 0;
    private int $handedOver = 0;

    /** @var array<int, string> */
    private array $failures = [];

    /** Why the transport failed: from then on nothing is tried, so that the account has no holes. */
    private ?string $broken = null;

    /** @param float $seconds that all sends may wait together */
    public function __construct(
        private readonly TransportInterface $transport,
        private float $seconds,
        private readonly int $limitBytes,
        private readonly string $channelKey,
    ) {
    }

    /** Takes the message of this position (from 0) in; sends what is there already if it would grow too large. */
    public function add(int $position, Message $message): void
    {
        $object = $message->toJson($this->channelKey);
        if ($this->bytes + \strlen($object) > $this->limitBytes || \count($this->messages) === self::LIMIT_MESSAGES) {
            $this->flush();
        }
        if ($this->broken !== null) {
            $this->fail($position, $this->broken);

            return;
        }
        $this->messages[$position] = $message;
        $this->objects[] = $object;
        $this->bytes += \strlen($object) + 1;
    }

    /** Notes that the message of this position is not handed over, and why. */
    public function fail(int $position, string $reason): void
    {
        $this->failures[$position] = $reason;
    }

    /** Sends what is gathered. */
    public function flush(): void
    {
        if ($this->messages === []) {
            return;
        }
        $this->send();
        if ($this->broken !== null) {
            foreach (\array_keys($this->messages) as $position) {
                $this->fail($position, $this->broken);
            }
        }
        $this->messages = [];
        $this->objects = [];
        $this->bytes = 0;
    }

    /** The account so far; complete after flush(). */
    public function result(): PublishResult
    {
        \ksort($this->failures);

        return new PublishResult($this->handedOver, $this->failures);
    }

    private function send(): void
    {
        // one alone goes as publish() sends it, so that JSON's escapes never enlarge a large message
        $frames = \count($this->objects) === 1
            ? $this->messages[\array_key_first($this->messages)]->frames()
            : ['[' . \implode(',', $this->objects) . ']'];
        $start = \hrtime(true);
        try {
            $this->transport->send($frames, $this->seconds);
            $this->handedOver += \count($this->messages);
        } catch (TransportException $error) {
            $this->broken = $error->getMessage();
        }
        $this->seconds = \max(0.0, $this->seconds - (\hrtime(true) - $start) / 1e9);
    }
}
