<?php

declare(strict_types=1);

namespace Sidecast\Tests;

use Sidecast\Transport\HttpClientInterface;

/** Keeps what it is asked; gives the answers one by one, the last again and again. */
final class RecordingHttpClient implements HttpClientInterface
{
    /** @var list<array{string, array<string, string>, string}> URL, headers, body */
    public array $requests = [];

    /** @var list<array{int, string}> */
    private array $answers;

    /** @param array{int, string} ...$answers */
    public function __construct(array ...$answers)
    {
        $this->answers = \array_values($answers);
    }

    public function post(string $url, array $headers, string $body, float $timeout): array
    {
        $this->requests[] = [$url, $headers, $body];

        return \count($this->answers) > 1 ? \array_shift($this->answers) : $this->answers[0];
    }
}
