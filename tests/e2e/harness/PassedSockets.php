<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** Listening sockets that outlive the processes they are passed to, as those of systemd's socket units do. */
final class PassedSockets
{
    private const FIRST = 3;
    private const BACKLOG = 4096;
    /** @var list<array{string, resource}> name and socket */
    private array $sockets = [];

    /** The three that a daemon has. */
    public static function of(Daemon $daemon): self
    {
        $passed = new self();
        $passed->listen('fastcgi', "unix://$daemon->socket");
        chmod($daemon->socket, 0666); // for front ends that run as another user
        $passed->listen('publish', "unix://$daemon->publishSocket");
        $passed->listen('confirm', "unix://$daemon->confirmSocket");
        return $passed;
    }

    /** @return string where it listens, with the port that was chosen */
    public function listen(string $name, string $address): string
    {
        $context = stream_context_create(['socket' => ['backlog' => self::BACKLOG]]);
        $socket = stream_socket_server($address, $number, $message, STREAM_SERVER_BIND | STREAM_SERVER_LISTEN, $context);
        if ($socket === false) {
            throw new \RuntimeException("$address: $message");
        }
        $this->add($name, $socket);
        return stream_socket_get_name($socket, false);
    }

    /** @param resource $stream */
    public function add(string $name, $stream): void
    {
        $this->sockets[] = [$name, $stream];
    }

    /** @return array<int, resource> */
    public function descriptors(): array
    {
        $descriptors = [];
        foreach ($this->sockets as $index => [, $socket]) {
            $descriptors[self::FIRST + $index] = $socket;
        }
        return $descriptors;
    }

    /**
     * What stands before a command so that it finds them: the process id in LISTEN_PID is its own.
     *
     * @return list<string>
     */
    public function launcher(): array
    {
        $names = implode(':', array_column($this->sockets, 0));
        $script = 'export LISTEN_PID=$$ LISTEN_FDS="$1" LISTEN_FDNAMES="$2"; shift 2; exec "$@"';
        $last = self::FIRST + count($this->sockets) - 1;
        return [...Process::alone($last), 'sh', '-c', $script, 'launcher', (string) count($this->sockets), $names];
    }
}
