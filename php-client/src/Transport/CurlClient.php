<?php

declare(strict_types=1);

namespace Sidecast\Transport;

use Sidecast\Exception\TransportException;

/**
 * HTTP through ext-curl. Keeps its handle, and with it the connection for the next request of this page.
 *
 * @internal
 */
final class CurlClient implements HttpClientInterface
{
    private ?\CurlHandle $handle = null;

    /** Process that $handle belongs to: a forked child would write into its parent's connection. */
    private ?int $pid = null;

    public function post(string $url, array $headers, string $body, float $timeout): array
    {
        $milliseconds = (int) \floor($timeout * 1000);
        if ($milliseconds < 1) {
            throw new TransportException('cannot connect in time'); // to curl, 0 is for ever
        }
        $answer = '';
        $handle = $this->handle();
        \curl_setopt_array($handle, [
            \CURLOPT_URL => $url,
            \CURLOPT_POSTFIELDS => $body,
            \CURLOPT_HTTPHEADER => self::lines($headers),
            \CURLOPT_TIMEOUT_MS => $milliseconds,
            \CURLOPT_CONNECTTIMEOUT_MS => $milliseconds,
            \CURLOPT_WRITEFUNCTION => static function (\CurlHandle $handle, string $part) use (&$answer): int {
                $answer .= $part;

                return \strlen($answer) > self::ANSWER_BYTES ? -1 : \strlen($part);
            },
        ]);
        if (\curl_exec($handle) === false) {
            throw new TransportException(match (\curl_errno($handle)) {
                \CURLE_OPERATION_TIMEDOUT => 'the server does not answer in time',
                \CURLE_WRITE_ERROR => 'the answer is too large',
                default => 'cannot connect: ' . \curl_error($handle),
            });
        }

        return [(int) \curl_getinfo($handle, \CURLINFO_RESPONSE_CODE), $answer];
    }

    /**
     * @param array<string, string> $headers
     *
     * @return list<string>
     */
    private static function lines(array $headers): array
    {
        $lines = ['Expect:']; // else a large body waits up to 1 s for "100 Continue"
        foreach ($headers as $name => $value) {
            $lines[] = "$name: $value";
        }

        return $lines;
    }

    private function handle(): \CurlHandle
    {
        $pid = (int) \getmypid();
        if ($this->handle === null || $this->pid !== $pid) {
            $handle = \curl_init();
            if ($handle === false) {
                throw new TransportException('curl cannot be used');
            }
            \curl_setopt_array($handle, [
                \CURLOPT_POST => true,
                \CURLOPT_NOSIGNAL => true, // timeouts below 1 s
                \CURLOPT_FOLLOWLOCATION => false, // a token is for this server only
                \CURLOPT_PROTOCOLS => \CURLPROTO_HTTP | \CURLPROTO_HTTPS,
            ]);
            $this->handle = $handle;
            $this->pid = $pid;
        }

        return $this->handle;
    }
}
