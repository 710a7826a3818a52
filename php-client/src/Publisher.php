<?php

declare(strict_types=1);

namespace Sidecast;

use Psr\Log\LoggerInterface;
use Sidecast\Exception\InvalidConfiguration;
use Sidecast\Exception\InvalidMessage;
use Sidecast\Exception\PublishFailed;
use Sidecast\Exception\TransportException;
use Sidecast\Transport\ConfirmingTransportInterface;
use Sidecast\Transport\TransportFactory;
use Sidecast\Transport\TransportInterface;

/**
 * Publishes messages. A call never waits longer than the timeout (50 ms unless told otherwise) and does not throw
 * unless told to: what was not handed over is in the result, and in the log if there is a logger.
 */
final class Publisher implements PublisherInterface
{
    /** Seconds that one call may wait in all. */
    public const TIMEOUT = 0.05;

    /** Seconds that a confirmed call may wait in all, unless it is told otherwise. */
    public const CONFIRM_TIMEOUT = 1.0;

    /** The server's default of publish.max_bytes. */
    public const MAX_BYTES = 1048576;

    private const BATCH_BYTES = 1048576;

    /**
     * @param TransportInterface $transport  what sends
     * @param ?LoggerInterface   $logger     gets one warning for each call that fails, never the data
     * @param bool               $throws     throw PublishFailed when not everything was handed over
     * @param float              $timeout    seconds that one call may wait in all
     * @param int                $maxBytes   bytes of data that the server takes (its option publish.max_bytes)
     * @param string             $channelKey what the server reads as the channel in a batch (publish.channel_key)
     * @param int                $batchBytes bytes after which a batch goes on in a further ZeroMQ message
     *
     * @throws InvalidConfiguration if the timeout is no bound
     */
    public function __construct(
        private readonly TransportInterface $transport,
        private readonly ?LoggerInterface $logger = null,
        private readonly bool $throws = false,
        private readonly float $timeout = self::TIMEOUT,
        private readonly int $maxBytes = self::MAX_BYTES,
        private readonly string $channelKey = 'channel',
        private readonly int $batchBytes = self::BATCH_BYTES,
    ) {
        self::bound($timeout);
    }

    /**
     * A publisher made from one line of configuration. Nothing connects before the first message.
     *
     * @param string|Dsn          $dsn       see {@see Dsn}; a bare endpoint (`ipc:///path`, `tcp://host:port`) will do
     * @param ?LoggerInterface    $logger    gets one warning for each call that fails, never the data
     * @param ?bool               $throws    throw PublishFailed when not everything was handed over;
     *                                       null: as the DSN says
     * @param ?TransportInterface $transport in place of the DSN's: a TraceableTransport around it, for example
     *
     * @throws InvalidConfiguration if the DSN is malformed, or asks for ext-zmq where that is not loaded
     */
    public static function connect(
        string|Dsn $dsn = Endpoint::DEFAULT,
        ?LoggerInterface $logger = null,
        ?bool $throws = null,
        ?TransportInterface $transport = null,
    ): self {
        $dsn = \is_string($dsn) ? Dsn::parse($dsn) : $dsn;

        return new self(
            $transport ?? TransportFactory::create($dsn),
            $logger,
            $throws ?? $dsn->throws,
            $dsn->timeout,
            $dsn->maxBytes,
            $dsn->channelKey,
        );
    }

    /**
     * {@inheritDoc}
     *
     * Waits at most the timeout.
     */
    public function publish(string $channel, mixed $data, array $options = []): PublishResult
    {
        if ($this->transport instanceof ConfirmingTransportInterface && $this->transport->alwaysConfirms()) {
            return $this->one(Delivery::once($this->transport), $this->timeout, $channel, $data, $options);
        }
        try { // without a batch: this is the call that pages make most
            $message = Message::withOptions($channel, $data, $options);
            $this->checkSize($message);
            $this->transport->send($message->frames(), $this->timeout);
            $result = new PublishResult(1);
        } catch (InvalidMessage | TransportException $error) {
            $result = new PublishResult(0, [$error->getMessage()]);
        }

        return $this->conclude($result, $channel);
    }

    /**
     * {@inheritDoc}
     *
     * All sends together wait at most the timeout; what the iterable does between them does not count.
     */
    public function publishBatch(iterable $messages): PublishResult
    {
        return $this->all($this->batch(Delivery::once($this->transport), $this->timeout), $messages, false);
    }

    public function publishAndConfirm(
        string $channel,
        mixed $data,
        array $options = [],
        float $timeout = self::CONFIRM_TIMEOUT,
    ): PublishResult {
        $options['key'] ??= Delivery::key();

        return $this->one(Delivery::confirmed($this->transport), self::bound($timeout), $channel, $data, $options);
    }

    public function publishBatchAndConfirm(iterable $messages, float $timeout = self::CONFIRM_TIMEOUT): PublishResult
    {
        return $this->all($this->batch(Delivery::confirmed($this->transport), self::bound($timeout)), $messages, true);
    }

    /** @param \Closure(non-empty-list<string>, int, float): ?list<Confirmation> $deliver see {@see Batch} */
    private function batch(\Closure $deliver, float $timeout): Batch
    {
        return new Batch($deliver, $timeout, $this->batchBytes, $this->channelKey);
    }

    /**
     * @param \Closure(non-empty-list<string>, int, float): ?list<Confirmation> $deliver see {@see Batch}
     * @param array<string, mixed>                                              $options
     *
     * @throws PublishFailed
     */
    private function one(
        \Closure $deliver,
        float $timeout,
        string $channel,
        mixed $data,
        array $options,
    ): PublishResult {
        $batch = $this->batch($deliver, $timeout);
        try {
            $message = Message::withOptions($channel, $data, $options);
            $this->checkSize($message);
            $batch->addOnly($message);
        } catch (InvalidMessage $error) {
            $batch->fail(0, $error->getMessage());
        }
        $batch->flush();

        return $this->conclude($batch->result(), $channel);
    }

    /**
     * @param iterable<Message|array<string, mixed>> $messages
     *
     * @throws PublishFailed
     */
    private function all(Batch $batch, iterable $messages, bool $keys): PublishResult
    {
        $position = 0;
        foreach ($messages as $item) {
            try {
                $message = self::messageOf($item);
                $this->checkSize($message);
                $batch->add($position, $keys ? $message->withKey(Delivery::key()) : $message);
            } catch (InvalidMessage $error) {
                $batch->fail($position, $error->getMessage());
            }
            $position++;
        }
        $batch->flush();

        return $this->conclude($batch->result(), null);
    }

    /** @throws InvalidMessage */
    private static function messageOf(mixed $item): Message
    {
        return match (true) {
            $item instanceof Message => $item,
            \is_array($item) => Message::fromArray($item),
            default => throw new InvalidMessage('an item of a batch must be a Message or an array'),
        };
    }

    /** @throws InvalidMessage */
    private function checkSize(Message $message): void
    {
        if (\strlen($message->data) > $this->maxBytes) {
            throw new InvalidMessage("data must have at most $this->maxBytes bytes");
        }
    }

    /** @throws PublishFailed */
    private function conclude(PublishResult $result, ?string $channel): PublishResult
    {
        if (!$result->ok) {
            FailureLog::write($this->logger, $result, $channel);
            if ($this->throws) {
                throw new PublishFailed($result);
            }
        }

        return $result;
    }

    /** @throws InvalidConfiguration */
    private static function bound(float $timeout): float
    {
        if (!($timeout > 0 && $timeout <= 3600)) { // so written, it refuses NAN too
            throw new InvalidConfiguration('the timeout must be above 0 and at most 3600 seconds');
        }

        return $timeout;
    }
}
