<?php

declare(strict_types=1);

namespace Sidecast\Tests;

/** The process that runs scripted-router.php; see there for the steps. */
final class ScriptedRouter
{
    public readonly string $endpoint;

    /** @var resource */
    private $process;

    /** @var array<int, resource> */
    private array $pipes = [];

    /** @param list<non-empty-list<string>> $script */
    public function __construct(string $endpoint, array $script)
    {
        $process = \proc_open(
            [\PHP_BINARY, __DIR__ . '/scripted-router.php', $endpoint, \json_encode($script, \JSON_THROW_ON_ERROR)],
            [['pipe', 'r'], ['pipe', 'w'], \STDERR],
            $this->pipes,
        );
        if ($process === false) {
            throw new \RuntimeException('cannot start the router');
        }
        $this->process = $process;
        $this->endpoint = \explode(' ', $this->line())[1];
    }

    /** @return list<string> the frames of the next request */
    public function request(): array
    {
        return \json_decode($this->line(), true, 512, \JSON_THROW_ON_ERROR);
    }

    private function line(): string
    {
        $read = [$this->pipes[1]];
        $none = null;
        if (\stream_select($read, $none, $none, 10) !== 1) {
            throw new \RuntimeException('the router reports nothing');
        }

        return \rtrim((string) \fgets($this->pipes[1]), "\n");
    }

    public function __destruct()
    {
        \proc_terminate($this->process, 9);
        \array_map('fclose', $this->pipes);
        \proc_close($this->process);
    }
}
