<?php

declare(strict_types=1);

namespace Sidecast\Tests;

/** A PHP process of its own, as an old-style page is one: no autoloader, no composer, nothing loaded. */
final class PlainPhp
{
    public string $output = '';
    public string $errors = '';
    public int $status = -1;

    public function __construct(private readonly string $option = '-q')
    {
    }

    /**
     * Runs the code; $argv[1] is the package's directory, then come the arguments.
     *
     * @param list<string>          $arguments
     * @param array<string, string> $environment
     */
    public function run(string $code, array $arguments = [], array $environment = []): void
    {
        $process = \proc_open(
            [\PHP_BINARY, $this->option, '-d', 'error_log=', '-r', $code, '--', \dirname(__DIR__), ...$arguments],
            [['file', '/dev/null', 'r'], ['pipe', 'w'], ['pipe', 'w']],
            $pipes,
            null,
            $environment,
        );
        if ($process === false) {
            throw new \RuntimeException('cannot start PHP');
        }
        $this->output = (string) \stream_get_contents($pipes[1]);
        $this->errors = (string) \stream_get_contents($pipes[2]);
        $this->status = \proc_close($process);
    }
}
