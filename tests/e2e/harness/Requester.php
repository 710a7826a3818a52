<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

use PHPUnit\Framework\Assert;

/** A publisher that is answered, through ext-zmq: REQ or DEALER. */
final class Requester
{
    private static ?\ZMQContext $context = null;
    public readonly \ZMQSocket $socket;

    /** @param array{server: string, public: string, secret: string}|null $curve its keys */
    public function __construct(string $endpoint, int $type = \ZMQ::SOCKET_REQ, ?array $curve = null)
    {
        // persistent: at its end PHP may free another context before its sockets, which then waits for them forever
        self::$context ??= new \ZMQContext(1, true);
        $this->socket = new \ZMQSocket(self::$context, $type);
        $this->socket->setSockOpt(\ZMQ::SOCKOPT_SNDHWM, 0);
        $this->socket->setSockOpt(\ZMQ::SOCKOPT_RCVHWM, 0);
        $this->socket->setSockOpt(\ZMQ::SOCKOPT_LINGER, 0);
        $this->socket->setSockOpt(\ZMQ::SOCKOPT_RECONNECT_IVL, 10);
        if ($curve !== null) {
            $this->socket->setSockOpt(\ZMQ::SOCKOPT_CURVE_SERVERKEY, $curve['server']);
            $this->socket->setSockOpt(\ZMQ::SOCKOPT_CURVE_PUBLICKEY, $curve['public']);
            $this->socket->setSockOpt(\ZMQ::SOCKOPT_CURVE_SECRETKEY, $curve['secret']);
        }
        $this->socket->connect($endpoint);
    }

    public function send(string ...$frames): void
    {
        Assert::assertNotFalse($this->socket->sendmulti(array_values($frames), \ZMQ::MODE_DONTWAIT), 'the request was not queued');
    }

    /** @return list<string> the frames of the next reply; waits for it */
    public function receive(): array
    {
        $frames = false;
        Loop::until(function () use (&$frames): bool {
            return ($frames = $this->socket->recvMulti(\ZMQ::MODE_DONTWAIT)) !== false;
        }, 'an answer to a request');
        return $frames;
    }

    /** @return list<string>|false */
    public function tryReceive(): array|false
    {
        return $this->socket->recvMulti(\ZMQ::MODE_DONTWAIT);
    }

    /** @return list<string> */
    public function ask(string ...$frames): array
    {
        $this->send(...$frames);
        return $this->receive();
    }

    /** Asks for one publication and returns its id. */
    public function publish(string ...$frames): string
    {
        $reply = $this->ask(...$frames);
        Assert::assertMatchesRegularExpression('/^ok \d+-\d+$/', $reply[0]);
        Assert::assertCount(1, $reply);
        return substr($reply[0], 3);
    }
}
