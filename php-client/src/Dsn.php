<?php

declare(strict_types=1);

namespace Sidecast;

use Sidecast\Exception\InvalidConfiguration;

/**
 * All that a publisher needs to know, in one line of configuration:
 *
 *     sidecast+ipc:///run/sidecast/publish.sock
 *     sidecast+tcp://127.0.0.1:5555?timeout=50ms&transport=zmtp
 *     sidecast+null:
 *
 * A bare endpoint (`ipc:///path`, `tcp://host:port`) is one without options. In the path of `sidecast+ipc` the signs
 * `?`, `#` and `%` are written as `%3F`, `%23` and `%25`.
 *
 * | option        | value                    | default | meaning                                                    |
 * |---------------|--------------------------|---------|------------------------------------------------------------|
 * | `timeout`     | `50ms`, `2s`             | 50ms    | that one call may wait in all; above 0, at most 3600s      |
 * | `transport`   | auto, zmq, zmtp          | auto    | zmq: ext-zmq; zmtp: pure PHP; auto: ext-zmq if it is there |
 * | `throws`      | yes, no                  | no      | throw PublishFailed when not everything was handed over    |
 * | `max_bytes`   | `65536`, `64KiB`, `1MiB` | 1MiB    | bytes of data that the server takes (publish.max_bytes)    |
 * | `channel_key` | text                     | channel | what the server reads as channel (publish.channel_key)     |
 * | `queue`       | number of messages       | 10000   | that ext-zmq keeps in each process while the server is off |
 */
final class Dsn
{
    public const AUTO = 'auto';
    public const ZMQ = 'zmq';
    public const ZMTP = 'zmtp';
    public const NULL = 'null';

    private const OPTIONS = ['timeout', 'transport', 'throws', 'max_bytes', 'channel_key', 'queue'];

    private function __construct(
        /** Where to; null with the transport NULL, which sends nothing. */
        public readonly ?Endpoint $endpoint,
        /** AUTO, ZMQ, ZMTP or NULL. */
        public readonly string $transport = self::AUTO,
        /** Seconds that one call may wait in all. */
        public readonly float $timeout = Publisher::TIMEOUT,
        /** Whether to throw when not everything was handed over. */
        public readonly bool $throws = false,
        /** Bytes of data that the server takes. */
        public readonly int $maxBytes = Publisher::MAX_BYTES,
        /** What the server reads as the channel in a batch. */
        public readonly string $channelKey = 'channel',
        /** Messages that ext-zmq keeps in each process. */
        public readonly int $queueLimit = Transport\ZmqTransport::QUEUE_LIMIT,
    ) {
    }

    /** @throws InvalidConfiguration if it is malformed or has an unknown option; the text says what was expected */
    public static function parse(string $dsn): self
    {
        if (!\str_starts_with($dsn, 'sidecast+')) {
            return new self(Endpoint::parse($dsn));
        }
        [$address, $query] = \explode('?', \substr($dsn, \strlen('sidecast+')), 2) + [1 => ''];
        $options = self::options($query);
        if (\in_array($address, ['null:', 'null://'], true)) {
            return self::withOptions(null, $options, self::NULL);
        }
        if (\str_contains($address, '#')) {
            throw new InvalidConfiguration('a DSN has no fragment; write a # of the path as %23');
        }
        if (\str_starts_with($address, 'ipc:')) {
            $address = \rawurldecode($address);
        }

        return self::withOptions(Endpoint::parse($address), $options, null);
    }

    /**
     * @param array<string, string> $options
     * @param ?string               $transport what the address says already
     *
     * @throws InvalidConfiguration
     */
    private static function withOptions(?Endpoint $endpoint, array $options, ?string $transport): self
    {
        $given = $options['transport'] ?? self::AUTO;
        if (!\in_array($given, [self::AUTO, self::ZMQ, self::ZMTP], true)) {
            throw self::expected('transport', 'auto, zmq or zmtp');
        }

        return new self(
            $endpoint,
            $transport ?? $given,
            self::seconds($options['timeout'] ?? null),
            self::yesOrNo($options['throws'] ?? 'no'),
            self::bytes($options['max_bytes'] ?? null),
            self::name($options['channel_key'] ?? 'channel'),
            self::count($options['queue'] ?? null),
        );
    }

    /**
     * @return array<string, string>
     *
     * @throws InvalidConfiguration
     */
    private static function options(string $query): array
    {
        $options = [];
        foreach ($query === '' ? [] : \explode('&', $query) as $pair) {
            [$name, $value] = \explode('=', $pair, 2) + [1 => ''];
            if (!\in_array($name, self::OPTIONS, true)) {
                throw new InvalidConfiguration(\sprintf(
                    'unknown option "%s" in a DSN, known are %s',
                    \addcslashes($name, "\0..\37\177..\377"),
                    \implode(', ', self::OPTIONS),
                ));
            }
            if (isset($options[$name])) {
                throw new InvalidConfiguration("the option $name of a DSN is there twice");
            }
            $options[$name] = \rawurldecode($value);
        }

        return $options;
    }

    private static function seconds(?string $value): float
    {
        if ($value === null) {
            return Publisher::TIMEOUT;
        }
        if (\preg_match('/\A([0-9]{1,7})(ms|s)\z/', $value, $match) !== 1) {
            throw self::expected('timeout', 'a time with its unit, as 50ms or 2s');
        }
        $seconds = (int) $match[1] / ($match[2] === 'ms' ? 1000 : 1);
        if ($seconds <= 0 || $seconds > 3600) {
            throw self::expected('timeout', 'more than 0 and at most 3600s');
        }

        return $seconds;
    }

    private static function yesOrNo(string $value): bool
    {
        return match ($value) {
            'yes', '1', 'true' => true,
            'no', '0', 'false' => false,
            default => throw self::expected('throws', 'yes or no'),
        };
    }

    private static function bytes(?string $value): int
    {
        if ($value === null) {
            return Publisher::MAX_BYTES;
        }
        if (\preg_match('/\A([1-9][0-9]{0,9})(KiB|MiB)?\z/', $value, $match) !== 1) {
            throw self::expected('max_bytes', 'a size of at least 1, as 65536, 64KiB or 1MiB');
        }

        return (int) $match[1] * match ($match[2] ?? '') {
            'KiB' => 1024,
            'MiB' => 1048576,
            default => 1,
        };
    }

    private static function count(?string $value): int
    {
        if ($value === null) {
            return Transport\ZmqTransport::QUEUE_LIMIT;
        }
        if (\preg_match('/\A[1-9][0-9]{0,8}\z/', $value) !== 1) {
            throw self::expected('queue', 'a number of messages, at least 1');
        }

        return (int) $value;
    }

    private static function name(string $value): string
    {
        return \preg_match('/\A[^\p{Cc}]+\z/u', $value) === 1 ? $value : throw self::expected('channel_key', 'text');
    }

    private static function expected(string $option, string $what): InvalidConfiguration
    {
        return new InvalidConfiguration("the option $option of a DSN: expected $what");
    }
}
