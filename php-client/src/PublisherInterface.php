<?php

declare(strict_types=1);

namespace Sidecast;

use Sidecast\Exception\PublishFailed;

/** Publishes messages to channels. Type-hint this one: tests can then put a stub in its place. */
interface PublisherInterface
{
    /**
     * Publishes one message.
     *
     * @param string               $channel 1-255 bytes of UTF-8 without control characters, spaces, commas and `*`
     * @param mixed                $data    a string goes out as it is, anything else as its JSON text
     * @param array<string, mixed> $options event, except, ttl, store, key: see {@see Message}
     *
     * @throws PublishFailed only if the publisher was made to throw; else the result says what failed
     */
    public function publish(string $channel, mixed $data, array $options = []): PublishResult;

    /**
     * Publishes many messages in few sends, in their order.
     *
     * A message that breaks a rule is left out and reported. After the first failure of the transport nothing more is
     * tried, so what was handed over is always the beginning of the (valid) messages, without holes.
     *
     * @param iterable<Message|array<string, mixed>> $messages an array has `channel`, `data` and any options;
     *                                                         what the iterable itself throws is passed on
     *
     * @throws PublishFailed only if the publisher was made to throw; else the result says what failed
     */
    public function publishBatch(iterable $messages): PublishResult;
}
