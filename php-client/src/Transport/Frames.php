<?php

declare(strict_types=1);

namespace Sidecast\Transport;

use Sidecast\Exception\InvalidMessage;
use Sidecast\Message;

/**
 * Reads the frames of a ZeroMQ message as the server would.
 *
 * @internal
 */
final class Frames
{
    /**
     * The messages in one multipart message, in order.
     *
     * @param non-empty-list<string> $frames
     * @param string                 $channelKey what is read as the channel in JSON (publish.channel_key)
     *
     * @return list<Message>
     *
     * @throws InvalidMessage if the server would drop it
     */
    public static function messages(array $frames, string $channelKey): array
    {
        if (\count($frames) > 1) {
            $options = self::decode($frames[2] ?? '{}');

            return [Message::withOptions($frames[0], $frames[1], $options)];
        }
        $decoded = self::decode($frames[0]);
        $items = \array_is_list($decoded) ? $decoded : [$decoded];

        return \array_map(static fn (mixed $item): Message => self::message($item, $channelKey), $items);
    }

    /** @throws InvalidMessage */
    private static function message(mixed $item, string $channelKey): Message
    {
        if (!\is_array($item)) {
            throw new InvalidMessage('an item of a batch must be a JSON object');
        }
        $channel = $item[$channelKey] ?? null;
        unset($item[$channelKey]);

        return Message::fromArray(['channel' => $channel] + $item);
    }

    /**
     * @return array<array-key, mixed>
     *
     * @throws InvalidMessage
     */
    private static function decode(string $json): array
    {
        $decoded = \json_decode($json, true);

        return \is_array($decoded) ? $decoded : throw new InvalidMessage('a JSON object or array is expected');
    }

    private function __construct()
    {
    }
}
