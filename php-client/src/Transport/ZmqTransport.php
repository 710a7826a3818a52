<?php

declare(strict_types=1);

namespace Sidecast\Transport;

use Sidecast\Curve;
use Sidecast\Endpoint;
use Sidecast\Exception\InvalidConfiguration;
use Sidecast\Exception\TransportException;

/**
 * Sends through ext-zmq. Never waits: a message is queued in libzmq, whose own thread sends it, or refused at once.
 *
 * Context and socket are persistent, so they outlive the request in an FPM worker. That is what makes it quick, and
 * what lets libzmq finish sending after the page has ended.
 */
final class ZmqTransport implements ConfirmingTransportInterface
{
    /** Messages that a process keeps while the server does not take them, unless told otherwise. */
    public const QUEUE_LIMIT = 10000;

    /** Milliseconds that the end of a process waits for what is still queued. Without it, it may wait for ever. */
    private const LINGER_MS = 1000;

    private readonly ?ZmqRequester $requester;
    private ?\ZMQSocket $socket = null;

    /** Process that $socket belongs to: a forked child has libzmq's memory but none of its threads. */
    private ?int $socketPid = null;

    /** Process that made the persistent context. */
    private static ?int $contextPid = null;

    /**
     * @param int $queueLimit messages (ZMQ_SNDHWM) that this process keeps while the server does not take them: they
     *                        cost memory in each worker; a message above the limit is refused, and reported
     *
     * @param ?Endpoint $confirm where request() asks
     * @param ?Curve    $curve   keys, for both over tcp; null: no encryption
     *
     * @throws InvalidConfiguration without ext-zmq, or with keys that this one cannot use
     */
    public function __construct(
        private readonly Endpoint $endpoint,
        private readonly int $queueLimit = self::QUEUE_LIMIT,
        ?Endpoint $confirm = null,
        private readonly ?Curve $curve = null,
    ) {
        if (!self::isAvailable()) {
            throw new InvalidConfiguration('ext-zmq is not loaded');
        }
        if ($queueLimit < 1) {
            throw new InvalidConfiguration('the queue limit must be at least 1');
        }
        if ($curve !== null) {
            Curve::insist();
        }
        $confirmCurve = $confirm?->path() === null ? $curve : null;
        $this->requester = $confirm === null ? null : new ZmqRequester($confirm, $confirmCurve);
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
        $this->endpoint->insistOnAccess();
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
     * {@inheritDoc}
     *
     * Over a socket of its own to the confirm endpoint. While the server is down it waits for the whole timeout, since
     * libzmq does not tell.
     */
    public function request(array $frames, int $items, float $timeout): array
    {
        return $this->requester?->request(self::context(...), $frames, $items, $timeout)
            ?? throw new TransportException('no confirm endpoint is known: give the DSN its option confirm');
    }

    public function alwaysConfirms(): bool
    {
        return false;
    }

    /** The persistent context, or one of its own for a forked child. */
    private static function context(): \ZMQContext
    {
        self::$contextPid ??= (int) \getmypid();

        return new \ZMQContext(1, self::$contextPid === (int) \getmypid());
    }

    /** @throws \ZMQException */
    private function socket(): \ZMQSocket
    {
        $pid = (int) \getmypid();
        if ($this->socket === null || $this->socketPid !== $pid) {
            $this->socket = self::context()->getSocket(
                \ZMQ::SOCKET_PUSH,
                $this->name(),
                $this->prepare(...),
            );
            $this->socketPid = $pid;
        }

        return $this->socket;
    }

    /** Whoever has the same one shares the socket. */
    private function name(): string
    {
        return \rtrim("sidecast {$this->endpoint->zmq} $this->queueLimit " . $this->curve?->name());
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
        $this->curve?->secure($socket);
        $socket->connect($this->endpoint->zmq);
    }
}
