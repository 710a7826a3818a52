<?php

declare(strict_types=1);

namespace Sidecast\Transport;

use Sidecast\Confirmation;
use Sidecast\Exception\InvalidMessage;
use Sidecast\Exception\TransportException;
use Sidecast\Message;

/**
 * Keeps what is published, for an application's own tests:
 *
 *     $transport = new InMemoryTransport();
 *     $shop = new Shop(new Publisher($transport));
 *     $shop->sell('tea');
 *     self::assertSame(['{"sold":"tea"}'], $transport->data('shop'));
 *
 * A message reads the same whether it was published alone or in a batch. Nothing is ever dropped: for a process that
 * lives long, clear() it.
 */
final class InMemoryTransport implements ConfirmingTransportInterface, \Countable
{
    /** @var list<Message> */
    private array $messages = [];

    private ?string $failure = null;

    /** @param string $channelKey the publisher's channelKey, if it has another than the default */
    public function __construct(private readonly string $channelKey = 'channel')
    {
    }

    /**
     * Keeps the messages, at once.
     *
     * @throws TransportException after failWith(), or if the server would drop the frames
     */
    public function send(array $frames, float $timeout): void
    {
        if ($this->failure !== null) {
            throw new TransportException($this->failure);
        }
        try {
            \array_push($this->messages, ...Frames::messages($frames, $this->channelKey));
        } catch (InvalidMessage $error) {
            throw new TransportException($error->getMessage(), 0, $error);
        }
    }

    /**
     * Keeps the messages and confirms each, at once: the first has the id `1-0`.
     *
     * @throws TransportException as send() does
     */
    public function request(array $frames, int $items, float $timeout): array
    {
        $before = \count($this->messages);
        $this->send($frames, $timeout);

        return \array_map(
            static fn (int $number): Confirmation => Confirmation::taken(["$number-0"]),
            \range($before + 1, \count($this->messages)),
        );
    }

    public function alwaysConfirms(): bool
    {
        return false;
    }

    /**
     * What was published, in order.
     *
     * @param ?string $channel only to this channel
     *
     * @return list<Message>
     */
    public function messages(?string $channel = null): array
    {
        $wanted = static fn (Message $message): bool => $channel === null || $message->channel === $channel;

        return \array_values(\array_filter($this->messages, $wanted));
    }

    /**
     * The data of what was published, in order, as clients would get it: what was no string is JSON text.
     *
     * @param ?string $channel only to this channel
     *
     * @return list<string>
     */
    public function data(?string $channel = null): array
    {
        return \array_map(static fn (Message $message): string => $message->data, $this->messages($channel));
    }

    /**
     * The message that was published last; null if there is none.
     *
     * @param ?string $channel only to this channel
     */
    public function last(?string $channel = null): ?Message
    {
        $messages = $this->messages($channel);

        return $messages === [] ? null : $messages[\count($messages) - 1];
    }

    /** How many messages were published: `assertCount(1, $transport)`. */
    public function count(): int
    {
        return \count($this->messages);
    }

    /** Forgets what was published. */
    public function clear(): void
    {
        $this->messages = [];
    }

    /**
     * Makes every send() from now on fail, as when the server is down.
     *
     * @param ?string $reason what the exception says; null: work again
     */
    public function failWith(?string $reason): void
    {
        $this->failure = $reason;
    }
}
