<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** The socket by which systemd is told how a service is: what arrives there, in order. */
final class NotifySocket implements Watched
{
    /** @var list<string> datagrams */
    public array $messages = [];
    /** @var resource */
    private $stream;

    public function __construct(public readonly string $path)
    {
        $this->stream = stream_socket_server("udg://$path", $number, $message, STREAM_SERVER_BIND);
        stream_set_blocking($this->stream, false);
        Loop::add($this);
    }

    public function close(): void
    {
        Loop::remove($this);
        fclose($this->stream);
    }

    /** Those that are no pings of the watchdog. @return list<string> */
    public function news(): array
    {
        return array_values(array_diff($this->messages, ['WATCHDOG=1']));
    }

    public function pings(): int
    {
        return count(array_keys($this->messages, 'WATCHDOG=1', true));
    }

    public function waitForNews(int $count): void
    {
        Loop::until(fn () => count($this->news()) >= $count, "news number $count");
    }

    public function waitForPings(int $count): void
    {
        Loop::until(fn () => $this->pings() >= $count, "ping number $count of the watchdog");
    }

    public function stream()
    {
        return $this->stream;
    }

    public function wantsRead(): bool
    {
        return true;
    }

    public function wantsWrite(): bool
    {
        return false;
    }

    public function readable(): void
    {
        $message = stream_socket_recvfrom($this->stream, 4096);
        if ($message !== false && $message !== '') {
            $this->messages[] = $message;
        }
    }

    public function writable(): void
    {
    }
}
