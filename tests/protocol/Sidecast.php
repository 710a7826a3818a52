<?php

declare(strict_types=1);

namespace Sidecast\Protocol;

use RuntimeException;
use Sidecast\EndToEnd\FastCgi;

/** A request and what came back, in FastCGI. */
final class Exchange
{
    public string $output = '';   // STDOUT so far
    public int $compared = 0;     // bytes of it
    public bool $ended = false;   // END_REQUEST came
    private string $input = '';
    /** @var resource */
    private $stream;

    /** @param array<string, string> $params */
    public function __construct(string $socket, array $params, string $body = '')
    {
        $stream = stream_socket_client("unix://$socket", $number, $message, 5);
        if ($stream === false) {
            throw new RuntimeException("cannot connect: $message");
        }
        $this->stream = $stream;
        fwrite($stream, FastCgi::request(1, $params, false, $body));
        stream_set_blocking($stream, false);
    }

    /** Waits for bytes until `$isDone`; false after five seconds, or when there will be no more. */
    public function waitUntil(callable $isDone): bool
    {
        $end = hrtime(true) + 5_000_000_000;
        while (!$isDone()) {
            if (hrtime(true) > $end || feof($this->stream)) {
                return false;
            }
            $this->read(100_000);
        }

        return true;
    }

    /** Takes what is there, or the first that comes within the time. */
    public function read(int $microseconds = 0): void
    {
        $read = [$this->stream];
        $none = null;
        if (stream_select($read, $none, $none, 0, $microseconds) > 0) {
            $this->take((string) fread($this->stream, 65536));
        }
    }

    private function take(string $bytes): void
    {
        $this->input .= $bytes;
        while (strlen($this->input) >= 8) {
            $header = unpack('Cversion/Ctype/nid/nlength/Cpadding', $this->input);
            if (strlen($this->input) < 8 + $header['length'] + $header['padding']) {
                return;
            }
            if ($header['type'] === FastCgi::STDOUT) {
                $this->output .= substr($this->input, 8, $header['length']);
            }
            $this->ended = $this->ended || $header['type'] === FastCgi::END_REQUEST;
            $this->input = substr($this->input, 8 + $header['length'] + $header['padding']);
        }
    }
}

/** The daemon in a directory of its own, with a publisher. */
final class Sidecast
{
    private const SYNC = 'protocol/sync';

    private readonly string $directory;
    /** @var resource */
    private $process;
    private \ZMQContext $zmq;
    private \ZMQSocket $publisher;
    private \ZMQSocket $requester;
    private ?Exchange $sync = null;
    private int $synced = 0;

    public function __construct(string $binary, string $config)
    {
        $this->directory = sys_get_temp_dir() . '/sidecast-protocol.' . bin2hex(random_bytes(6));
        mkdir($this->directory, 0700);
        $file = "$this->directory/sidecast.ini";
        file_put_contents($file, "[fastcgi]\nlisten = {$this->socket()}\n[publish]\nlisten = ipc://$this->directory/publish.sock\n"
            . "confirm_listen = ipc://$this->directory/confirm.sock\n"
            . "[access]\npublic = **\n$config");
        $outputs = [['file', '/dev/null', 'r'], ['file', '/dev/null', 'w'], ['file', $this->logFile(), 'w']];
        $this->process = proc_open([$binary, '-c', $file], $outputs, $pipes);
        $this->waitForLog('is ready');
        $this->zmq = new \ZMQContext(1, false);
        $this->publisher = $this->zmq->getSocket(\ZMQ::SOCKET_PUSH);
        $this->publisher->setSockOpt(\ZMQ::SOCKOPT_LINGER, 1000);
        $this->publisher->connect("ipc://$this->directory/publish.sock");
        $this->requester = $this->zmq->getSocket(\ZMQ::SOCKET_REQ);
        $this->requester->setSockOpt(\ZMQ::SOCKOPT_LINGER, 0);
        $this->requester->setSockOpt(\ZMQ::SOCKOPT_RCVTIMEO, 10000);
        $this->requester->connect("ipc://$this->directory/confirm.sock");
    }

    /** @param list<string> $frames */
    public function publish(array $frames): void
    {
        // Here a page would use MODE_DONTWAIT; a test may wait for its daemon.
        $this->publisher->sendmulti($frames);
    }

    /**
     * @param list<string> $frames
     * @return list<string> the frames of the reply
     */
    public function confirm(array $frames): array
    {
        $this->requester->sendmulti($frames);

        return $this->requester->recvMulti() ?: throw new RuntimeException("a request was not answered; log:\n" . $this->log());
    }

    /** Waits until the daemon has everything that was published so far: one publisher's messages stay in order. */
    public function sync(): void
    {
        $this->sync ??= $this->request(['REQUEST_METHOD' => 'GET', 'QUERY_STRING' => 'last=1&channel=' . urlencode(self::SYNC)]);
        $this->publish([self::SYNC, 'sync ' . ++$this->synced]);
        $mark = "data: sync $this->synced\n";
        if (!$this->sync->waitUntil(fn () => str_contains($this->sync->output, $mark))) {
            throw new RuntimeException("a published message did not arrive; log:\n" . $this->log());
        }
    }

    /** @param array<string, string> $params */
    public function request(array $params, string $body = ''): Exchange
    {
        return new Exchange($this->socket(), $params, $body);
    }

    public function log(): string
    {
        return (string) file_get_contents($this->logFile());
    }

    /** Ends it; its log is returned if it did not end well. */
    public function stop(): ?string
    {
        proc_terminate($this->process, SIGTERM);
        $this->sync = null;
        $end = hrtime(true) + 20_000_000_000;
        while (($status = proc_get_status($this->process))['running'] && hrtime(true) < $end) {
            usleep(2000);
        }
        if ($status['running']) {
            proc_terminate($this->process, SIGKILL);
        }
        $log = $this->log();
        proc_close($this->process);
        array_map('unlink', glob("$this->directory/*"));
        rmdir($this->directory);
        $isWell = !$status['running'] && $status['exitcode'] === 0;

        return $isWell ? null : "sidecast ended with {$status['exitcode']}:\n$log";
    }

    private function socket(): string
    {
        return "$this->directory/fastcgi.sock";
    }

    private function logFile(): string
    {
        return "$this->directory/sidecast.log";
    }

    private function waitForLog(string $text): void
    {
        $end = hrtime(true) + 10_000_000_000;
        while (!str_contains($this->log(), $text)) {
            if (hrtime(true) > $end || !proc_get_status($this->process)['running']) {
                throw new RuntimeException("sidecast does not start:\n" . $this->log());
            }
            usleep(2000);
        }
    }
}
