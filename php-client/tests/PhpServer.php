<?php

declare(strict_types=1);

namespace Sidecast\Tests;

/** PHP's own web server with one page: `header()` and its like do nothing in a test's own process. */
final class PhpServer
{
    public readonly string $address;

    /** @var resource */
    private $process;

    /** @var array<int, resource> */
    private array $pipes = [];

    public function __construct(string $page)
    {
        $process = \proc_open(
            [\PHP_BINARY, '-d', 'error_log=', '-S', '127.0.0.1:0', $page],
            [['file', '/dev/null', 'r'], ['file', '/dev/null', 'w'], ['pipe', 'w']],
            $this->pipes,
            \dirname($page),
        );
        if ($process === false) {
            throw new \RuntimeException('cannot start PHP');
        }
        $this->process = $process;
        $line = (string) \fgets($this->pipes[2]);
        if (\preg_match('~\((http://[0-9.]+:[0-9]+)\)~', $line, $match) !== 1) {
            throw new \RuntimeException("PHP's server did not start: $line");
        }
        $this->address = $match[1];
    }

    /**
     * Asks for the page.
     *
     * @return array{int, list<string>} status, and the header lines that are of interest
     */
    public function get(string $path = '/'): array
    {
        $context = \stream_context_create(['http' => ['ignore_errors' => true, 'follow_location' => 0]]);
        \file_get_contents($this->address . $path, false, $context);
        $lines = $http_response_header;
        $status = (int) \explode(' ', $lines[0])[1];
        $own = \preg_grep('/\A(HTTP|Host|Date|Connection|X-Powered-By|Content-type)/i', $lines, \PREG_GREP_INVERT);
        \sort($own);

        return [$status, $own];
    }

    public function __destruct()
    {
        \proc_terminate($this->process, 9);
        \array_map('fclose', $this->pipes);
        \proc_close($this->process);
    }
}
