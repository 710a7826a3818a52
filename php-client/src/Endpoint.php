<?php

declare(strict_types=1);

namespace Sidecast;

use Sidecast\Exception\InvalidConfiguration;
use Sidecast\Exception\TransportException;

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

    /** Where messages published here are confirmed, unless told otherwise: ipc only, `confirm.sock` beside it. */
    public function confirm(): ?self
    {
        $path = $this->path();
        $beside = $path === null ? '' : \rtrim(\dirname($path), '/') . '/confirm.sock';

        return $beside === '' || \strlen($beside) > self::IPC_PATH_BYTES ? null : self::parse("ipc://$beside");
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
            // who writes a password or a token into it does not want to read it in a log
            \addcslashes((string) \preg_replace(['~//.*@~s', '~\?.*~s'], ['//…@', '?…'], $endpoint), "\0..\37\177"),
        ));
    }

    /**
     * Insists that the process may connect, which libzmq would never tell: it queues and tries for ever. A socket that
     * is not there yet is not forbidden, unless its directory is.
     *
     * @throws TransportException if it may not
     */
    public function insistOnAccess(): void
    {
        $path = $this->path();
        if ($path !== null && self::isForbidden($path)) {
            throw new TransportException("cannot connect: no permission to write to $path");
        }
    }

    private static function isForbidden(string $path): bool
    {
        // with @, because outside open_basedir PHP warns and sees nothing, though libzmq can connect
        if (@\is_writable($path)) {
            return false;
        }
        $seen = $path;
        while ($seen !== '/' && !@\file_exists($seen)) {
            $seen = \dirname($seen);
        }

        return $seen === $path || @\is_dir($seen) && !@\is_executable($seen);
    }
}
