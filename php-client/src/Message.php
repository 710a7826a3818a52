<?php

declare(strict_types=1);

namespace Sidecast;

use Sidecast\Exception\InvalidMessage;

/**
 * One message, checked against the rules of the protocol when it is made: the server drops what breaks them without
 * an answer, so here is the only place where a page can learn of it.
 */
final class Message
{
    private const JSON_FLAGS = \JSON_THROW_ON_ERROR | \JSON_UNESCAPED_SLASHES | \JSON_UNESCAPED_UNICODE;
    private const OPTIONS = ['event', 'except', 'ttl', 'store', 'key'];

    /** The text that clients get. */
    public readonly string $data;

    /**
     * @param string  $channel 1-255 bytes of UTF-8 without control characters, spaces, commas and `*`
     * @param mixed   $data    a string (valid UTF-8) is taken as it is, anything else as its JSON text
     * @param ?string $event   SSE event name, at most 255 bytes
     * @param ?string $except  id of the client that must not get it (the sender), at most 255 bytes
     * @param ?int    $ttl     seconds (1 or more) after which nobody gets it any more
     * @param bool    $store   false: only for those who are connected now
     * @param ?string $key     idempotency key: a repetition on the same channel is dropped, at most 255 bytes
     *
     * @throws InvalidMessage
     */
    public function __construct(
        public readonly string $channel,
        mixed $data,
        public readonly ?string $event = null,
        public readonly ?string $except = null,
        public readonly ?int $ttl = null,
        public readonly bool $store = true,
        public readonly ?string $key = null,
    ) {
        self::check(Name::whyNoChannel($channel));
        self::check(Name::whyNoText('event', $event));
        self::check(Name::whyNoText('except', $except));
        self::check(Name::whyNoText('key', $key));
        if ($ttl !== null && $ttl < 1) {
            throw new InvalidMessage('ttl must be at least 1 second');
        }
        $this->data = self::text($data);
    }

    /**
     * A message with its options as an array. An option that is null counts as not given.
     *
     * @param array<array-key, mixed> $options event, except, ttl, store, key
     *
     * @throws InvalidMessage
     */
    public static function withOptions(string $channel, mixed $data, array $options): self
    {
        if ($options === []) { // as in most pages, where each microsecond counts
            return new self($channel, $data);
        }
        $options = \array_filter($options, static fn (mixed $value): bool => $value !== null);
        foreach (\array_keys($options) as $name) {
            if (!\in_array($name, self::OPTIONS, true)) {
                throw new InvalidMessage(\sprintf(
                    'unknown option "%s", known are %s',
                    \addcslashes((string) $name, "\0..\37\177..\377"),
                    \implode(', ', self::OPTIONS),
                ));
            }
        }

        return new self(
            $channel,
            $data,
            self::stringOption($options, 'event'),
            self::stringOption($options, 'except'),
            self::ttlOption($options),
            self::storeOption($options),
            self::stringOption($options, 'key'),
        );
    }

    /**
     * A message from one array with `channel`, `data` and options.
     *
     * @param array<array-key, mixed> $item
     *
     * @throws InvalidMessage
     */
    public static function fromArray(array $item): self
    {
        $channel = $item['channel'] ?? null;
        if (!\is_string($channel)) {
            throw new InvalidMessage('channel must be a string');
        }
        if (!\array_key_exists('data', $item)) {
            throw new InvalidMessage('data is missing');
        }
        $data = $item['data'];
        unset($item['channel'], $item['data']);

        return self::withOptions($channel, $data, $item);
    }

    /** The same message, with this key if it has none. */
    public function withKey(string $key): self
    {
        return $this->key !== null ? $this : new self(
            $this->channel,
            $this->data,
            $this->event,
            $this->except,
            $this->ttl,
            $this->store,
            $key,
        );
    }

    /**
     * The frames of the ZeroMQ message that publishes this one: channel, data and, if there are any, options.
     *
     * @return non-empty-list<string>
     */
    public function frames(): array
    {
        $options = $this->options();

        return $options === []
            ? [$this->channel, $this->data]
            : [$this->channel, $this->data, \json_encode($options, self::JSON_FLAGS)];
    }

    /**
     * This message as an object of a batch. Its data is always a JSON string, whose content the server takes as the
     * data: so a message arrives as the same bytes whether it was published alone or in a batch.
     *
     * @param string $channelKey what the server reads as the channel (its option publish.channel_key)
     */
    public function toJson(string $channelKey = 'channel'): string
    {
        return \json_encode(
            [$channelKey => $this->channel, 'data' => $this->data] + $this->options(),
            self::JSON_FLAGS,
        );
    }

    /** @return array<string, string|int|false> the options that differ from the default */
    private function options(): array
    {
        $options = [];
        if ($this->event !== null) {
            $options['event'] = $this->event;
        }
        if ($this->except !== null) {
            $options['except'] = $this->except;
        }
        if ($this->ttl !== null) {
            $options['ttl'] = $this->ttl;
        }
        if (!$this->store) {
            $options['store'] = false;
        }
        if ($this->key !== null) {
            $options['key'] = $this->key;
        }

        return $options;
    }

    private static function check(?string $fault): void
    {
        if ($fault !== null) {
            throw new InvalidMessage($fault);
        }
    }

    private static function text(mixed $data): string
    {
        if (\is_string($data)) {
            if (\preg_match('//u', $data) !== 1) {
                throw new InvalidMessage('data must be valid UTF-8');
            }

            return $data;
        }
        try {
            return \json_encode($data, self::JSON_FLAGS);
        } catch (\Throwable $error) { // a JsonSerializable may throw anything
            throw new InvalidMessage('data cannot be written as JSON: ' . $error->getMessage(), 0, $error);
        }
    }

    /** @param array<array-key, mixed> $options */
    private static function stringOption(array $options, string $name): ?string
    {
        $value = $options[$name] ?? null;
        if ($value !== null && !\is_string($value)) {
            throw new InvalidMessage("$name must be a string");
        }

        return $value;
    }

    /** @param array<array-key, mixed> $options */
    private static function ttlOption(array $options): ?int
    {
        $value = $options['ttl'] ?? null;
        if ($value !== null && !\is_int($value)) {
            throw new InvalidMessage('ttl must be an integer (seconds)');
        }

        return $value;
    }

    /** @param array<array-key, mixed> $options */
    private static function storeOption(array $options): bool
    {
        $value = $options['store'] ?? true;
        if (!\is_bool($value)) {
            throw new InvalidMessage('store must be a boolean');
        }

        return $value;
    }
}
