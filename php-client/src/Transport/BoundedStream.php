<?php

declare(strict_types=1);

namespace Sidecast\Transport;

use Sidecast\Exception\TransportException;

/**
 * A persistent stream on which nothing waits past a deadline.
 *
 * The stream survives the request, so the next one may find it in any state. Two marks of the stream itself tell which:
 * its position is 0 as long as no byte has moved, and it is non-blocking only between acquire() and release(). Found
 * non-blocking, it was left in the middle of a message (by exit() in a signal handler, for example) and is not used.
 *
 * Deadlines are instants of hrtime(), in nanoseconds. Warnings of PHP's stream functions are for the caller to silence.
 *
 * @internal
 */
final class BoundedStream
{
    /** Bytes of one write at most, so that a partial write of a large message does not copy all of it again. */
    private const CHUNK_BYTES = 262144;

    /** Code of the exception that says that the other side has closed. */
    public const CLOSED = 1;

    /** @var resource|null */
    private $stream = null;

    /**
     * The process that last used the stream, by address. A forked child inherits the descriptor: if both wrote,
     * their frames would mix.
     *
     * @var array<string, int>
     */
    private static array $users = [];

    /** @param string $address as stream_socket_client() takes it */
    public function __construct(private readonly string $address)
    {
    }

    /**
     * Makes the stream ready to write: the one that is there, if it is sound, else a new one.
     *
     * @return bool whether it is new, so that the protocol must begin
     *
     * @throws TransportException if there is no connection
     */
    public function acquire(int $deadline): bool
    {
        $stream = $this->connect($deadline);
        if (\ftell($stream) !== 0 && !$this->isSound($stream)) {
            $this->close();
            $stream = $this->connect($deadline);
        }
        self::$users[$this->address] = (int) \getmypid();
        \stream_set_blocking($stream, false);
        \stream_set_read_buffer($stream, 0);

        return \ftell($stream) === 0;
    }

    /** Marks the stream as fit for the next message: call it when only whole messages have been written. */
    public function release(): void
    {
        \stream_set_blocking($this->stream(), true);
    }

    /** Ends the connection. */
    public function close(): void
    {
        if (\is_resource($this->stream)) {
            \fclose($this->stream);
        }
        $this->stream = null;
    }

    /** Writes until all is written, the deadline is over or the connection is lost; returns the bytes written. */
    public function write(string $bytes, int $deadline): int
    {
        $stream = $this->stream();
        $written = 0;
        $length = \strlen($bytes);
        while ($written < $length && \hrtime(true) < $deadline) {
            $count = \fwrite($stream, \substr($bytes, $written, self::CHUNK_BYTES));
            if ($count === false) {
                break;
            }
            $written += $count;
            if ($count === 0) {
                $this->wait(null, [$stream], $deadline);
            }
        }

        return $written;
    }

    /**
     * Reads exactly so many bytes. Never more: what stayed in PHP's buffer would hide the end of the connection.
     *
     * @throws TransportException if they do not come in time
     */
    public function read(int $length, int $deadline): string
    {
        $stream = $this->stream();
        $bytes = '';
        while (($missing = $length - \strlen($bytes)) > 0) {
            $part = \fread($stream, $missing);
            if ($part !== false && $part !== '') {
                $bytes .= $part;
            } elseif (\stream_get_meta_data($stream)['eof']) {
                throw new TransportException('the server closed the connection', self::CLOSED);
            } else {
                $this->wait([$stream], null, $deadline);
            }
            if (\strlen($bytes) < $length && \hrtime(true) >= $deadline) {
                throw new TransportException('the server does not answer in time');
            }
        }

        return $bytes;
    }

    /** @return resource */
    private function stream()
    {
        return \is_resource($this->stream) ? $this->stream : throw new TransportException('not connected');
    }

    /**
     * The stream of this object or, through PHP's persistent list, of an earlier one or a new one.
     *
     * @return resource
     *
     * @throws TransportException
     */
    private function connect(int $deadline)
    {
        // another object may have closed the stream under this one
        if (\is_resource($this->stream)) {
            return $this->stream;
        }
        $seconds = ($deadline - \hrtime(true)) / 1e9;
        if ($seconds <= 0) {
            throw new TransportException('cannot connect in time');
        }
        $stream = \stream_socket_client(
            $this->address,
            $code,
            $reason,
            $seconds,
            \STREAM_CLIENT_CONNECT | \STREAM_CLIENT_PERSISTENT,
            // Nagle would hold each second message back until the server's delayed ACK
            \stream_context_create(['socket' => ['tcp_nodelay' => true]]),
        );
        if ($stream === false) {
            throw new TransportException('cannot connect: ' . $reason);
        }

        return $this->stream = $stream;
    }

    /**
     * Whether a used stream is at rest, of this process and still connected.
     *
     * @param resource $stream
     */
    private function isSound($stream): bool
    {
        $atRest = \stream_get_meta_data($stream)['blocked'];
        if (!$atRest || (self::$users[$this->address] ?? \getmypid()) !== \getmypid()) {
            return false;
        }
        \stream_set_blocking($stream, false);

        // a PULL socket says nothing after its READY, so what can be read is the end or a stranger
        return \fread($stream, 1) === '' && !\stream_get_meta_data($stream)['eof'];
    }

    /**
     * Waits until the stream is ready or the deadline is over.
     *
     * @param list<resource>|null $read
     * @param list<resource>|null $write
     */
    private function wait(?array $read, ?array $write, int $deadline): void
    {
        $microseconds = \intdiv($deadline - \hrtime(true), 1000);
        $except = null;
        if ($microseconds > 0 && \stream_select($read, $write, $except, 0, $microseconds) === false) {
            // a signal came, or the descriptor is above select's 1024: look again soon
            \usleep(\min(1000, $microseconds));
        }
    }
}
