<?php

declare(strict_types=1);

namespace Sidecast;

use Psr\Log\LoggerInterface;
use Sidecast\Exception\InvalidConfiguration;
use Sidecast\Exception\InvalidMessage;
use Sidecast\Exception\PublishFailed;
use Sidecast\Exception\TransportException;
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
        if (!($timeout > 0 && $timeout <= 3600)) { // so written, it refuses NAN too
            throw new InvalidConfiguration('the timeout must be above 0 and at most 3600 seconds');
        }
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
        try {
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
        $batch = new Batch($this->transport, $this->timeout, $this->batchBytes, $this->channelKey);
        $position = 0;
        foreach ($messages as $item) {
            try {
                $message = $this->messageOf($item);
                $this->checkSize($message);
                $batch->add($position, $message);
            } catch (InvalidMessage $error) {
                $batch->fail($position, $error->getMessage());
            }
            $position++;
        }
        $batch->flush();

        return $this->conclude($batch->result(), null);
    }

    /** @throws InvalidMessage */
    private function messageOf(mixed $item): Message
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
            $this->log($result, $channel);
            if ($this->throws) {
                throw new PublishFailed($result);
            }
        }

        return $result;
    }

    private function log(PublishResult $result, ?string $channel): void
    {
        $context = [
            'reason' => $result->reason(),
            'failed' => \count($result->failures),
            'total' => $result->total(),
        ];
        if ($channel !== null) {
            // it may be what a client sent: it must not forge lines of a log
            $context['channel'] = \addcslashes(\substr($channel, 0, 255), "\0..\37\177");
        }
        try {
            $this->logger?->warning(
                'sidecast: {failed} of {total} messages not handed over: {reason}',
                $context,
            );
        } catch (\Throwable) {
            // a log that cannot be written is no reason to break the page
        }
    }
}
