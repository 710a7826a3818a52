<?php

declare(strict_types=1);

namespace Sidecast;

use Sidecast\Exception\InvalidConfiguration;
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

    /**
     * Publishes one message and waits until the server says that it has: then the result has its id. If there is no
     * answer it is sent again, within the timeout, with the same key, so that nobody gets it twice.
     *
     * A failure without a code() says that no answer came; the server may have published it all the same. To go on
     * trying, call it again with a `key` of your own.
     *
     * @param array<string, mixed> $options as for publish(); without `key` it gets a random one
     * @param float                $timeout seconds that it may take in all
     *
     * @throws PublishFailed        only if the publisher was made to throw; else the result says what failed
     * @throws InvalidConfiguration if the timeout is no bound
     */
    public function publishAndConfirm(
        string $channel,
        mixed $data,
        array $options = [],
        float $timeout = Publisher::CONFIRM_TIMEOUT,
    ): PublishResult;

    /**
     * Publishes many messages and waits until the server says what became of each. An item that it refuses does not
     * keep the others back; after the first send without an answer nothing more is tried.
     *
     * @param iterable<Message|array<string, mixed>> $messages as for publishBatch(); each without `key` gets a random
     *         one
     * @param float                                  $timeout  seconds that it may wait in all
     *
     * @throws PublishFailed        only if the publisher was made to throw; else the result says what failed
     * @throws InvalidConfiguration if the timeout is no bound
     */
    public function publishBatchAndConfirm(
        iterable $messages,
        float $timeout = Publisher::CONFIRM_TIMEOUT,
    ): PublishResult;
}
