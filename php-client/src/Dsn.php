<?php

declare(strict_types=1);

namespace Sidecast;

use Sidecast\Exception\InvalidConfiguration;

/**
 * All that a publisher needs to know, in one line of configuration:
 *
 *     sidecast+ipc:///run/sidecast/publish.sock
 *     sidecast+tcp://127.0.0.1:5555?timeout=50ms&transport=zmtp
 *     sidecast+https://example.org/publish?timeout=2s&token_file=/etc/sidecast/publish.jwt
 *     sidecast+null:
 *
 * A bare endpoint (`ipc:///path`, `tcp://host:port`) is one without options. In the path of `sidecast+ipc` the signs
 * `?`, `#` and `%` are written as `%3F`, `%23` and `%25`, and in the value of an option `&` and `%` as `%26` and `%25`.
 *
 * | option        | value                    | default | meaning                                                    |
 * |---------------|--------------------------|---------|------------------------------------------------------------|
 * | `timeout`     | `50ms`, `2s`             | 50ms    | that one call may wait in all; above 0, at most 3600s      |
 * | `throws`      | yes, no                  | no      | throw PublishFailed when not everything was handed over    |
 * | `max_bytes`   | `65536`, `64KiB`, `1MiB` | 1MiB    | bytes of data that the server takes (publish.max_bytes)    |
 * | `channel_key` | text                     | channel | what the server reads as channel (publish.channel_key)     |
 *
 * With ipc and tcp only:
 *
 * | option            | value           | default          | meaning                                                |
 * |-------------------|-----------------|------------------|--------------------------------------------------------|
 * | `transport`       | auto, zmq, zmtp | auto             | zmq: ext-zmq; zmtp: pure PHP; auto: ext-zmq if there   |
 * | `queue`           | messages        | 10000            | that ext-zmq keeps in each process, the server being off |
 * | `confirm`         | an endpoint     | ipc: confirm.sock beside the other | where publishAndConfirm() asks       |
 * | `server_key`      | 40 Z85 or 64 hexadecimal digits | none | tcp: CURVE, the server's public key; needs ext-zmq |
 * | `client_key_file` | a path          | a new key        | its secret key, which the server must know: see Curve  |
 *
 * With http and https only, at most one of: `token` (a JWT), `token_file` (a file that holds one), `secret_file` (a
 * file with the secret of HS256: each publisher signs its own).
 */
final class Dsn
{
    public const AUTO = 'auto';
    public const ZMQ = 'zmq';
    public const ZMTP = 'zmtp';
    public const HTTP = 'http';
    public const NULL = 'null';

    private const OPTIONS = ['timeout', 'throws', 'max_bytes', 'channel_key'];
    private const ZMQ_OPTIONS = ['transport', 'queue', 'confirm', 'server_key', 'client_key_file'];
    private const HTTP_OPTIONS = ['token', 'token_file', 'secret_file'];

    private function __construct(
        /** Where to; null with the transports HTTP and NULL. */
        public readonly ?Endpoint $endpoint,
        /** Where to; null but with the transport HTTP. */
        public readonly ?string $url,
        /** AUTO, ZMQ, ZMTP, HTTP or NULL. */
        public readonly string $transport,
        /** Seconds that one call may wait in all. */
        public readonly float $timeout,
        /** Whether to throw when not everything was handed over. */
        public readonly bool $throws,
        /** Bytes of data that the server takes. */
        public readonly int $maxBytes,
        /** What the server reads as the channel in a batch. */
        public readonly string $channelKey,
        /** Messages that ext-zmq keeps in each process. */
        public readonly int $queueLimit,
        /** Where publishAndConfirm() asks; null if nothing is known of it. */
        public readonly ?Endpoint $confirm,
        /** Keys of CURVE; null: none. */
        public readonly ?Curve $curve,
        /** What shows the server that this may publish over HTTP. */
        public readonly ?Transport\Bearer $bearer,
    ) {
    }

    /** @throws InvalidConfiguration if it is malformed or has an unknown option; the text says what was expected */
    public static function parse(string $dsn): self
    {
        if (!\str_starts_with($dsn, 'sidecast+')) {
            return self::withOptions(Endpoint::parse($dsn), null, DsnOptions::parse('', []));
        }
        [$address, $query] = \explode('?', \substr($dsn, \strlen('sidecast+')), 2) + [1 => ''];
        $options = DsnOptions::parse($query, [...self::OPTIONS, ...self::ZMQ_OPTIONS, ...self::HTTP_OPTIONS]);
        if (\in_array($address, ['null:', 'null://'], true)) {
            return self::withOptions(null, null, $options);
        }
        if (\str_contains($address, '#')) {
            throw new InvalidConfiguration('a DSN has no fragment; write a # of the path as %23');
        }
        if (\preg_match('~\Ahttps?:~', $address) === 1) {
            $options->refuse(self::ZMQ_OPTIONS, 'http');

            return self::withOptions(null, Transport\HttpTransport::url($address), $options);
        }
        $options->refuse(self::HTTP_OPTIONS, 'ipc and tcp');
        if (\str_starts_with($address, 'ipc:')) {
            $address = \rawurldecode($address);
        }

        return self::withOptions(Endpoint::parse($address), null, $options);
    }

    /** @throws InvalidConfiguration */
    private static function withOptions(?Endpoint $endpoint, ?string $url, DsnOptions $options): self
    {
        $confirm = $options->text('confirm');
        $transport = $options->choice('transport', [self::AUTO, self::ZMQ, self::ZMTP]);
        $curve = Curve::of($options->text('server_key'), $options->text('client_key_file'));
        if ($curve !== null && $endpoint?->path() !== null) {
            throw new InvalidConfiguration('CURVE (server_key) goes with tcp only: an ipc socket has permissions');
        }

        return new self(
            $endpoint,
            $url,
            match (true) {
                $url !== null => self::HTTP,
                $endpoint === null => self::NULL,
                default => $transport,
            },
            $options->seconds('timeout', Publisher::TIMEOUT),
            $options->yesOrNo('throws'),
            $options->bytes('max_bytes', Publisher::MAX_BYTES),
            (string) $options->text('channel_key', 'channel'),
            $options->count('queue', Transport\ZmqTransport::QUEUE_LIMIT),
            $confirm === null ? $endpoint?->confirm() : Endpoint::parse($confirm),
            $curve,
            Transport\Bearer::of(
                $options->text('token'),
                $options->text('token_file'),
                $options->text('secret_file'),
            ),
        );
    }
}
