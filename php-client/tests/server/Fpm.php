<?php

declare(strict_types=1);

namespace Sidecast\Tests\server;

use PHPUnit\Framework\Assert;
use Sidecast\EndToEnd\FastCgi;
use Sidecast\EndToEnd\FastCgiConnection;
use Sidecast\EndToEnd\Loop;
use Sidecast\EndToEnd\Process;

/** php-fpm with one pool on a unix socket. Pages are asked for over FastCGI, as a web server would. */
final class Fpm
{
    private readonly string $socket;
    private readonly Process $process;

    /** @var list<self> */
    private static array $running = [];

    /** @param array<string, string|int> $pool further settings of the pool; process_control_timeout is the master's */
    public function __construct(private readonly string $directory, array $pool)
    {
        $this->socket = "$directory/php.sock";
        \file_put_contents("$directory/fpm.conf", $this->configuration($pool));
        $extension = self::hasZmq() ? ['-d', 'extension=zmq.so'] : [];
        $this->process = new Process([
            (\glob('/usr/sbin/php-fpm*') ?: ['php-fpm'])[0],
            '-n', // no php.ini of the machine
            ...$extension,
            '-y', "$directory/fpm.conf",
            '-F',
            ...(\posix_getuid() === 0 ? ['-R'] : []),
        ], "$directory/fpm.log");
        self::$running[] = $this;
        Loop::until(function (): bool {
            Assert::assertTrue($this->process->isRunning(), "php-fpm did not start:\n" . $this->process->err->text);
            return @\stream_socket_client("unix://$this->socket") !== false;
        }, 'php-fpm to serve');
    }

    /** Whether its workers can have ext-zmq. */
    public static function hasZmq(): bool
    {
        return \glob('/usr/lib/php/*/zmq.so') !== [];
    }

    /**
     * Asks for the page that publishes and does not wait for it.
     *
     * @param array<string, mixed> $input see pages/publish.php
     */
    public function request(array $input): Request
    {
        $body = \json_encode($input, \JSON_THROW_ON_ERROR);

        return $this->send([
            'REQUEST_METHOD' => 'POST',
            'SCRIPT_FILENAME' => __DIR__ . '/pages/publish.php',
            'CONTENT_TYPE' => 'application/json',
            'CONTENT_LENGTH' => (string) \strlen($body),
        ], $body);
    }

    /** How many workers are busy; none of them is the one that tells, for php-fpm has a pool of its own for that. */
    public function busyWorkers(): int
    {
        $status = \json_decode($this->send([
            'REQUEST_METHOD' => 'GET',
            'SCRIPT_NAME' => '/status',
            'SCRIPT_FILENAME' => '/status',
            'QUERY_STRING' => 'json',
        ], '', "$this->directory/status.sock")->body(), true);
        Assert::assertIsArray($status);

        return (int) $status['active processes'];
    }

    /** @return list<int> process ids of all workers, those of the status pool included */
    public function workers(): array
    {
        $pid = $this->process->pid;
        $children = (string) @\file_get_contents("/proc/$pid/task/$pid/children");

        return \array_map(intval(...), \array_filter(\explode(' ', \trim($children))));
    }

    /** Reloads as `systemctl reload` does; returns the seconds until it is ready and none of its old workers is left. */
    public function reload(): float
    {
        $before = $this->workers();
        $starts = $this->starts();
        $start = Loop::now();
        $this->process->signal(\SIGUSR2);
        Loop::until(
            fn (): bool => $this->starts() > $starts && \array_intersect($this->workers(), $before) === [],
            'php-fpm to reload',
        );

        return Loop::now() - $start;
    }

    private function starts(): int
    {
        return \substr_count($this->process->err->text, 'ready to handle connections');
    }

    /** Ends it at once, as `systemctl stop` does. */
    public function stop(): void
    {
        $this->process->signal(\SIGTERM);
        $this->process->waitForExit();
        self::$running = \array_values(\array_filter(self::$running, fn (self $fpm): bool => $fpm !== $this));
    }

    /** Ends what an interrupted run has left: workers too, which outlive a master that is killed. */
    public static function stopAll(): void
    {
        foreach (self::$running as $fpm) {
            if ($fpm->process->isRunning()) {
                foreach ([$fpm->process->pid, ...$fpm->workers()] as $pid) {
                    \posix_kill($pid, \SIGKILL);
                }
            }
        }
    }

    /** @param array<string, string> $params */
    private function send(array $params, string $body, ?string $socket = null): Request
    {
        $connection = new FastCgiConnection('unix://' . ($socket ?? $this->socket));

        return new Request($connection, $connection->request($params, body: $body));
    }

    /** @param array<string, string|int> $pool */
    private function configuration(array $pool): string
    {
        $patience = $pool['process_control_timeout'] ?? 0;
        unset($pool['process_control_timeout']);
        $pool += ['listen' => $this->socket, 'pm' => 'static', 'pm.max_children' => 1];
        $pool += ['pm.status_path' => '/status', 'pm.status_listen' => "$this->directory/status.sock"];
        $pool += \posix_getuid() === 0 ? ['user' => 'root', 'group' => 'root'] : [];
        $lines = "[global]\nerror_log = /proc/self/fd/2\nprocess_control_timeout = $patience\n[pages]\n";
        foreach ($pool as $name => $value) {
            $lines .= "$name = $value\n";
        }

        return $lines;
    }
}
