<?php

declare(strict_types=1);

namespace Sidecast\Transport;

use Sidecast\Exception\InvalidMessage;
use Sidecast\Exception\TransportException;
use Sidecast\Message;

/**
 * Remembers of each send of another transport: channels, size, duration, outcome. For profilers and debug bars.
 *
 * Reading the channels of a batch means decoding it, after the send and outside the measured time: nothing for a
 * production server.
 */
final class TraceableTransport implements ConfirmingTransportInterface
{
    /** @var list<Trace> */
    private array $traces = [];

    /**
     * @param TransportInterface $inner      the one that sends
     * @param int                $limit      sends to remember: the oldest go first, for processes that live long
     * @param string             $channelKey the publisher's channelKey, if it has another than the default
     */
    public function __construct(
        private readonly TransportInterface $inner,
        private readonly int $limit = 1000,
        private readonly string $channelKey = 'channel',
    ) {
    }

    /**
     * Sends through the other transport.
     *
     * @throws TransportException the other's, after it was noted
     */
    public function send(array $frames, float $timeout): void
    {
        $this->noting($frames, function () use ($frames, $timeout): ?string {
            $this->inner->send($frames, $timeout);

            return null;
        });
    }

    /**
     * Asks through the other transport.
     *
     * @throws TransportException the other's, after it was noted; or if it cannot ask
     */
    public function request(array $frames, int $items, float $timeout): array
    {
        $inner = $this->inner;
        if (!$inner instanceof ConfirmingTransportInterface) {
            throw new TransportException('this transport cannot confirm: ' . $inner::class);
        }
        $confirmations = [];
        $this->noting($frames, static function () use ($inner, $frames, $items, $timeout, &$confirmations): ?string {
            $confirmations = $inner->request($frames, $items, $timeout);
            foreach ($confirmations as $confirmation) {
                if ($confirmation->code !== null) {
                    return $confirmation->message;
                }
            }

            return null;
        });

        return $confirmations;
    }

    public function alwaysConfirms(): bool
    {
        return $this->inner instanceof ConfirmingTransportInterface && $this->inner->alwaysConfirms();
    }

    /**
     * What was sent since the beginning or the last reset(), oldest first.
     *
     * @return list<Trace>
     */
    public function traces(): array
    {
        return $this->traces;
    }

    /** Seconds that all remembered sends took together. */
    public function seconds(): float
    {
        return (float) \array_sum(\array_map(static fn (Trace $trace): float => $trace->seconds, $this->traces));
    }

    /**
     * The remembered sends that failed.
     *
     * @return list<Trace>
     */
    public function failures(): array
    {
        return \array_values(\array_filter($this->traces, static fn (Trace $trace): bool => $trace->error !== null));
    }

    /** Forgets what was noted: between two requests of a process that serves many. */
    public function reset(): void
    {
        $this->traces = [];
    }

    /**
     * @param non-empty-list<string> $frames
     * @param \Closure(): ?string    $send   returns why it was refused, null if it was not
     */
    private function noting(array $frames, \Closure $send): void
    {
        $reason = null;
        $start = \hrtime(true);
        try {
            $reason = $send();
        } catch (\Throwable $error) {
            $reason = $error->getMessage();
            throw $error;
        } finally {
            $this->note($frames, (\hrtime(true) - $start) / 1e9, $reason);
        }
    }

    /** @param non-empty-list<string> $frames */
    private function note(array $frames, float $seconds, ?string $error): void
    {
        try {
            $messages = Frames::messages($frames, $this->channelKey);
        } catch (InvalidMessage) {
            $messages = []; // the other transport may know why
        }
        $channels = \array_map(static fn (Message $message): string => $message->channel, $messages);
        $this->traces[] = new Trace(
            \array_values(\array_unique($channels)),
            \count($messages),
            \array_sum(\array_map('strlen', $frames)),
            $seconds,
            $error,
        );
        if (\count($this->traces) > $this->limit) {
            \array_shift($this->traces);
        }
    }
}
