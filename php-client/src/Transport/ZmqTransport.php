<?php

declare(strict_types=1);

namespace Sidecast\Transport;

use Sidecast\Endpoint;
use Sidecast\Exception\InvalidConfiguration;
use Sidecast\Exception\TransportException;

/**
 * Sends through ext-zmq. Never waits: a message is queued in libzmq, whose own thread sends it, or refused at once.
 *
 * Context and socket are persistent, so they outlive the request in an FPM worker. That is what makes it quick, and
 * what lets libzmq finish sending after the page has ended.
 */
final class ZmqTransport implements TransportInterface
{
    /** Messages that a process keeps while the server does not take them, unless told otherwise. */
    public const QUEUE_LIMIT = 10000;

    /** Milliseconds that the end of a process waits for what is still queued. Without it, it may wait for ever. */
    private const LINGER_MS = 1000;

    private ?\ZMQSocket $socket = null;

    /** Process that $socket belongs to: a forked child has libzmq's memory but none of its threads. */
    private ?int $socketPid = null;

    /** Process that made the persistent context. */
    private static ?int $contextPid = null;

    /**
     * @param int $queueLimit messages (ZMQ_SNDHWM) that this process keeps while the server does not take them: they
     *                        cost memory in each worker; a message above the limit is refused, and reported
     *
     * @throws InvalidConfiguration without ext-zmq
     */
    public function __construct(
        private readonly Endpoint $endpoint,
        private readonly int $queueLimit = self::QUEUE_LIMIT,
    ) {
        if (!self::isAvailable()) {
            throw new InvalidConfiguration('ext-zmq is not loaded');
        }
        if ($queueLimit < 1) {
            throw new InvalidConfiguration('the queue limit must be at least 1');
        }
    }

    /** Whether this PHP has ext-zmq. */
    public static function isAvailable(): bool
    {
        return \extension_loaded('zmq');
    }

    /**
     * Queues the message in libzmq, at once.
     *
     * @param float $timeout not used: this never waits
     *
     * @throws TransportException when the queue is full, or the process may not write to the ipc socket
     */
    public function send(array $frames, float $timeout): void
    {
        $path = $this->endpoint->path();
        if ($path !== null && self::isForbidden($path)) {
            throw new TransportException("cannot connect: no permission to write to $path");
        }
        try {
            // false, not an exception, is how ext-zmq says "would block"
            $queued = $this->socket()->sendmulti($frames, \ZMQ::MODE_DONTWAIT) !== false;
        } catch (\ZMQException $error) {
            throw new TransportException('ext-zmq: ' . $error->getMessage(), 0, $error);
        }
        if (!$queued) {
            throw new TransportException('the send queue is full: the server is down or does not keep up');
        }
    }

    /**
     * Whether the process may not connect to this socket, which libzmq would never tell: it queues and tries for ever.
     * A socket that is not there yet is not forbidden, unless its directory is.
     */
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

    /** @throws \ZMQException */
    private function socket(): \ZMQSocket
    {
        $pid = (int) \getmypid();
        if ($this->socket === null || $this->socketPid !== $pid) {
            self::$contextPid ??= $pid;
            $context = new \ZMQContext(1, self::$contextPid === $pid);
            $this->socket = $context->getSocket(
                \ZMQ::SOCKET_PUSH,
                "sidecast {$this->endpoint->zmq} $this->queueLimit", // whoever has the same name shares the socket
                $this->prepare(...),
            );
            $this->socketPid = $pid;
        }

        return $this->socket;
    }

    /** Called by ext-zmq for a new socket only, not for one that an earlier request has left. */
    private function prepare(\ZMQSocket $socket): void
    {
        $socket->setSockOpt(\ZMQ::SOCKOPT_LINGER, self::LINGER_MS);
        $socket->setSockOpt(\ZMQ::SOCKOPT_SNDHWM, $this->queueLimit);
        // 1 would refuse the first message of each worker, because the connection is not there yet
        $socket->setSockOpt(\ZMQ::SOCKOPT_IMMEDIATE, 0);
        if (\str_contains($this->endpoint->zmq, '[')) {
            $socket->setSockOpt(\ZMQ::SOCKOPT_IPV6, 1);
        }
        $socket->connect($this->endpoint->zmq);
    }
}
