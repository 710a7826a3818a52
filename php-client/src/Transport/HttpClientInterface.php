<?php

declare(strict_types=1);

namespace Sidecast\Transport;

use Sidecast\Exception\TransportException;

/**
 * Sends one HTTP request and waits for its answer.
 *
 * @internal
 */
interface HttpClientInterface
{
    /** Bytes of an answer: more is an error. */
    public const ANSWER_BYTES = 4194304;

    /**
     * @param string                $url     http or https, without user, with its query
     * @param array<string, string> $headers name => value
     * @param float                 $timeout seconds that all of it may take together
     *
     * @return array{int, string} status and body
     *
     * @throws TransportException when there was no whole answer in time
     */
    public function post(string $url, array $headers, string $body, float $timeout): array;
}
