<?php

declare(strict_types=1);

namespace Sidecast\Transport;

use Sidecast\Confirmation;
use Sidecast\Curve;
use Sidecast\Endpoint;
use Sidecast\Exception\TransportException;

/**
 * Asks the confirm endpoint through ext-zmq, one request at a time. After anything but a reply the socket is closed, so
 * that a late reply never answers the next request. That is why it is not persistent, as the one that publishes is: PHP
 * could not close it.
 *
 * @internal
 */
final class ZmqRequester
{
    private ?\ZMQSocket $socket = null;

    /** Process that $socket belongs to: a forked child has libzmq's memory but none of its threads. */
    private ?int $pid = null;

    /** Connects to nothing yet: the first request() does. */
    public function __construct(private readonly Endpoint $endpoint, private readonly ?Curve $curve = null)
    {
    }

    /**
     * @param \Closure(): \ZMQContext $context of this process
     * @param non-empty-list<string>  $frames
     * @param int                     $items   how many messages are in it
     * @param float                   $timeout seconds that the reply may take
     *
     * @return list<Confirmation> one for each item, in order
     *
     * @throws TransportException when there was no reply
     */
    public function request(\Closure $context, array $frames, int $items, float $timeout): array
    {
        $this->endpoint->insistOnAccess();
        $confirmations = null;
        try {
            $socket = $this->socket($context);
            $socket->setSockOpt(\ZMQ::SOCKOPT_RCVTIMEO, \max(1, (int) \ceil($timeout * 1000)));
            if ($socket->sendmulti(['', ...$frames], \ZMQ::MODE_DONTWAIT) === false) {
                throw new TransportException('the server does not take it');
            }
            // false, not an exception, is how ext-zmq says that nothing came
            $reply = $socket->recvMulti() ?: throw new TransportException('the server does not answer in time');
            $confirmations = Replies::parse($reply, $items);
        } catch (\ZMQException $error) {
            throw new TransportException('ext-zmq: ' . $error->getMessage(), 0, $error);
        } finally {
            if ($confirmations === null) {
                $this->socket = null; // closes it; its linger of 0 throws away what it has not sent
            }
        }

        return $confirmations;
    }

    /**
     * @param \Closure(): \ZMQContext $context
     *
     * @throws \ZMQException
     */
    private function socket(\Closure $context): \ZMQSocket
    {
        $pid = (int) \getmypid();
        if ($this->socket === null || $this->pid !== $pid) {
            // DEALER, with the empty frame of our own: REQ would not let go after a timeout
            $socket = $context()->getSocket(\ZMQ::SOCKET_DEALER);
            $socket->setSockOpt(\ZMQ::SOCKOPT_LINGER, 0);
            if (\str_contains($this->endpoint->zmq, '[')) {
                $socket->setSockOpt(\ZMQ::SOCKOPT_IPV6, 1);
            }
            $this->curve?->secure($socket);
            $socket->connect($this->endpoint->zmq);
            $this->socket = $socket;
            $this->pid = $pid;
        }

        return $this->socket;
    }
}
