<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

use PHPUnit\Framework\Assert;

/** A publisher of its own through ext-zmq, as a CLI script is one. What it sends arrives in order. */
final class Publisher
{
    private static ?\ZMQContext $context = null;
    private readonly \ZMQSocket $socket;

    public function __construct(string $endpoint)
    {
        // persistent: at its end PHP may free another context before its sockets, which then waits for them forever
        self::$context ??= new \ZMQContext(1, true);
        $this->socket = new \ZMQSocket(self::$context, \ZMQ::SOCKET_PUSH);
        $this->socket->setSockOpt(\ZMQ::SOCKOPT_SNDHWM, 200000);
        $this->socket->setSockOpt(\ZMQ::SOCKOPT_LINGER, 1000);
        // quick to come back after the daemon's restart
        $this->socket->setSockOpt(\ZMQ::SOCKOPT_RECONNECT_IVL, 10);
        $this->socket->connect($endpoint);
    }

    /** Sends one multipart message. */
    public function send(string ...$frames): void
    {
        $sent = $this->socket->sendmulti(array_values($frames), \ZMQ::MODE_DONTWAIT);
        Assert::assertNotFalse($sent, 'the message was not queued');
    }

    /** @param array<string, mixed> $options */
    public function publish(string $channel, string $data, array $options = []): void
    {
        $this->send($channel, $data, ...($options === [] ? [] : [json_encode($options, JSON_THROW_ON_ERROR)]));
    }
}
