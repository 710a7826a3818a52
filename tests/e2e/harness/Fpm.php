<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

use PHPUnit\Framework\Assert;

/** php-fpm with two workers, so that pages meet used and unused persistent connections. */
final class Fpm
{
    public readonly string $socket;
    private Process $process;

    public function __construct(private readonly string $directory)
    {
        $this->socket = "$directory/php.sock";
    }

    public function start(): void
    {
        $root = posix_getuid() === 0;
        $identity = $root ? "user = root\ngroup = root\n" : '';
        file_put_contents("$this->directory/fpm.conf", <<<CONF
            [global]
            error_log = /proc/self/fd/2
            daemonize = no
            [pages]
            $identity
            listen = $this->socket
            listen.mode = 0666
            pm = static
            pm.max_children = 2
            catch_workers_output = yes
            php_admin_flag[display_errors] = on
            php_admin_value[session.save_path] = $this->directory
            php_admin_flag[html_errors] = off
            CONF);
        $command = [self::binary(), '-n', ...self::extensions(), '-y', "$this->directory/fpm.conf", '-F', ...($root ? ['-R'] : [])];
        $this->process = new Process($command, "$this->directory/fpm.log");
        Loop::until(function (): bool {
            Assert::assertTrue($this->process->isRunning(), "php-fpm did not start:\n" . $this->process->err->text);
            return @stream_socket_client("unix://$this->socket", $number, $message, 1) !== false;
        }, 'php-fpm to serve');
    }

    public function stop(): void
    {
        $this->process->signal(SIGTERM);
        $this->process->waitForExit();
    }

    private static function binary(): string
    {
        $found = glob('/usr/sbin/php-fpm*');
        Assert::assertNotEmpty($found, 'php-fpm is not installed');
        return $found[0];
    }

    /** @return list<string> no php.ini of the machine, but php-zmq */
    private static function extensions(): array
    {
        return ['-d', 'extension=zmq.so'];
    }
}
