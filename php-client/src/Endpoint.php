<?php

declare(strict_types=1);

namespace Sidecast;

use Sidecast\Exception\InvalidConfiguration;

/** Where the server takes messages in, in ZeroMQ's spelling: `ipc:///absolute/path` or `tcp://host:port`. */
final class Endpoint
{
    public const DEFAULT = 'ipc:///run/sidecast/publish.sock';

    /** sun_path holds 108 bytes, the last of them NUL; PHP cuts longer ones and would connect elsewhere. */
    private const IPC_PATH_BYTES = 107;

    private function __construct(
        /** As ZeroMQ wants it. */
        public readonly string $zmq,
        /** As PHP's stream functions want it. */
        public readonly string $stream,
    ) {
    }

    /** Path of the ipc socket; null with tcp. */
    public function path(): ?string
    {
        return \str_starts_with($this->zmq, 'ipc://') ? \substr($this->zmq, \strlen('ipc://')) : null;
    }

    /** @throws InvalidConfiguration */
    public static function parse(string $endpoint): self
    {
        if (\preg_match('~\Aipc://(/[^\x00-\x1f\x7f]+)\z~', $endpoint, $match) === 1) {
            if (\strlen($match[1]) > self::IPC_PATH_BYTES) {
                throw new InvalidConfiguration('the path of an ipc endpoint may have 107 bytes: ' . $endpoint);
            }

            return new self($endpoint, 'unix://' . $match[1]);
        }
        if (\preg_match('~\Atcp://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})\z~', $endpoint, $match) === 1) {
            if ((int) $match[1] >= 1 && (int) $match[1] <= 65535) {
                return new self($endpoint, $endpoint);
            }
        }

        throw new InvalidConfiguration(\sprintf(
            'endpoint "%s": expected ipc:///absolute/path or tcp://host:port',
            \addcslashes($endpoint, "\0..\37\177..\377"),
        ));
    }
}
