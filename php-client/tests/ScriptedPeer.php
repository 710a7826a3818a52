<?php

declare(strict_types=1);

namespace Sidecast\Tests;

/** The process that runs scripted-peer.php; see there for the steps. */
final class ScriptedPeer
{
    /** What a libzmq PULL socket sends: greeting, then READY with Socket-Type and Identity. In hexadecimal. */
    public const GREETING = 'ff00000000000000017f0301' . '4e554c4c' . '00000000000000000000000000000000'
        . '00' . '00000000000000000000000000000000000000000000000000000000000000';
    public const READY = '0427' . '055245414459' . '0b536f636b65742d54797065' . '00000004' . '50554c4c'
        . '084964656e74697479' . '00000000';

    /** Greeting and READY of the client. */
    public const HELLO_BYTES = 64 + 2 + 26;

    private const PATIENCE_SECONDS = 10;

    /** The endpoint to publish to. */
    public readonly string $endpoint;

    /** @var resource */
    private $process;

    /** @var array<int, resource> */
    private array $pipes = [];

    /** @param list<list<list<string|int>>> $script */
    public function __construct(string $address, array $script)
    {
        $process = \proc_open(
            [\PHP_BINARY, __DIR__ . '/scripted-peer.php', $address, \json_encode($script, \JSON_THROW_ON_ERROR)],
            [['pipe', 'r'], ['pipe', 'w'], \STDERR],
            $this->pipes,
        );
        if ($process === false) {
            throw new \RuntimeException('cannot start the peer');
        }
        $this->process = $process;
        $name = \explode(' ', $this->report())[1];
        $this->endpoint = \str_starts_with($address, 'unix://') ? "ipc://$name" : "tcp://$name";
    }

    /** @return list<list<string|int>> the steps of a PULL socket up to the first message */
    public static function handshake(): array
    {
        return [['read', self::HELLO_BYTES], ['send', self::GREETING . self::READY]];
    }

    /** The peer's next report; "read" ones as bytes. */
    public function bytes(): string
    {
        return (string) \hex2bin($this->report());
    }

    public function report(): string
    {
        $read = [$this->pipes[1]];
        $none = null;
        if (\stream_select($read, $none, $none, self::PATIENCE_SECONDS) !== 1) {
            throw new \RuntimeException('the peer reports nothing');
        }

        return \rtrim((string) \fgets($this->pipes[1]), "\n");
    }

    /** Ends a "pause". */
    public function goOn(): void
    {
        \fwrite($this->pipes[0], "\n");
    }

    /** Ends the process and with it its connections and its listener. */
    public function stop(): void
    {
        foreach ($this->pipes as $pipe) {
            \fclose($pipe);
        }
        if (\is_resource($this->process)) {
            \proc_terminate($this->process, 9);
            \proc_close($this->process);
        }
        $this->pipes = [];
    }

    public function __destruct()
    {
        $this->stop();
    }
}
