<?php

declare(strict_types=1);

namespace Sidecast;

use Sidecast\Exception\TransportException;

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

    /** @var array<int, list<string>> */
    private array $ids = [];

    /** @var array<int, string> */
    private array $codes = [];

    /**
     * @param \Closure(non-empty-list<string>, int, float): ?list<Confirmation> $deliver sends frames with so many
     *         messages
     *                         within so many seconds; what became of each, or null: they are handed over
     * @param float $seconds that all sends may wait together
     */
    public function __construct(
        private readonly \Closure $deliver,
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

    /** Takes in the only message that there will be, which then needs no JSON of its own. */
    public function addOnly(Message $message): void
    {
        $this->messages = [$message];
        $this->objects = [''];
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

        return new PublishResult($this->handedOver, $this->failures, $this->ids, $this->codes);
    }

    private function send(): void
    {
        // one alone goes as publish() sends it, so that JSON's escapes never enlarge a large message
        $frames = \count($this->objects) === 1
            ? $this->messages[\array_key_first($this->messages)]->frames()
            : ['[' . \implode(',', $this->objects) . ']'];
        $start = \hrtime(true);
        try {
            $confirmations = ($this->deliver)($frames, \count($this->messages), $this->seconds);
            $confirmations === null ? $this->handedOver += \count($this->messages) : $this->note($confirmations);
        } catch (TransportException $error) {
            $this->broken = $error->getMessage();
        }
        $this->seconds = \max(0.0, $this->seconds - (\hrtime(true) - $start) / 1e9);
    }

    /** @param list<Confirmation> $confirmations one for each message that was sent */
    private function note(array $confirmations): void
    {
        foreach (\array_keys($this->messages) as $i => $position) {
            $confirmation = $confirmations[$i];
            if ($confirmation->code === null) {
                $this->handedOver++;
                $this->ids[$position] = $confirmation->ids;
            } else {
                $this->fail($position, $confirmation->message);
                $this->codes[$position] = $confirmation->code;
            }
        }
    }
}
