<?php

declare(strict_types=1);

namespace Sidecast\Transport;

use Sidecast\Exception\TransportException;

/**
 * HTTP without ext-curl: a connection for each request. Not PHP's own http:// streams, whose timeout counts anew with
 * every byte, and which may be switched off (allow_url_fopen).
 *
 * @internal
 */
final class StreamClient implements HttpClientInterface
{
    private const CHUNK_BYTES = 65536;

    public function post(string $url, array $headers, string $body, float $timeout): array
    {
        $deadline = \hrtime(true) + (int) ($timeout * 1e9);
        // also hides the warnings from handlers that make exceptions of them and do not respect @
        \set_error_handler(static fn (): bool => true);
        $stream = null;
        try {
            $stream = $this->connect($url, $deadline);
            $this->write($stream, self::request($url, $headers, $body), $deadline);

            return self::parse($this->readAll($stream, $deadline));
        } finally {
            if ($stream !== null) {
                \fclose($stream);
            }
            \restore_error_handler();
        }
    }

    /** @param array<string, string> $headers */
    private static function request(string $url, array $headers, string $body): string
    {
        \preg_match('~\Ahttps?://([^/?]+)(.*)\z~s', $url, $part);
        $target = \str_starts_with($part[2], '/') ? $part[2] : "/$part[2]";
        // 1.0: then the answer ends with its connection and is not in chunks
        $lines = "POST $target HTTP/1.0\r\nHost: $part[1]\r\nConnection: close\r\n";
        foreach ($headers + ['Content-Length' => (string) \strlen($body)] as $name => $value) {
            $lines .= "$name: $value\r\n";
        }

        return "$lines\r\n$body";
    }

    /**
     * @return resource non-blocking
     *
     * @throws TransportException
     */
    private function connect(string $url, int $deadline)
    {
        \preg_match('~\A(https?)://(\[[^\]]*\]|[^/:?]+)(?::([0-9]+))?~', $url, $part);
        $secure = $part[1] === 'https';
        $port = $part[3] ?? ($secure ? '443' : '80');
        $stream = \stream_socket_client(
            "tcp://$part[2]:$port",
            $code,
            $reason,
            self::secondsUntil($deadline),
            \STREAM_CLIENT_CONNECT,
            \stream_context_create(['ssl' => ['peer_name' => $part[2]], 'socket' => ['tcp_nodelay' => true]]),
        );
        if ($stream === false) {
            throw new TransportException('cannot connect: ' . $reason);
        }
        \stream_set_blocking($stream, false);
        if ($secure) {
            self::secure($stream, $part[2], $deadline);
        }

        return $stream;
    }

    /**
     * @param resource $stream
     *
     * @throws TransportException
     */
    private static function secure($stream, string $host, int $deadline): void
    {
        $method = \STREAM_CRYPTO_METHOD_TLS_CLIENT;
        while (($done = \stream_socket_enable_crypto($stream, true, $method)) !== true) {
            if ($done === false) {
                throw new TransportException("cannot connect: TLS failed, or the certificate is not good for $host");
            }
            self::wait($stream, false, $deadline);
        }
    }

    /**
     * @param resource $stream
     *
     * @throws TransportException
     */
    private function write($stream, string $bytes, int $deadline): void
    {
        for ($at = 0; $at < \strlen($bytes); $at += $count) {
            $count = \fwrite($stream, \substr($bytes, $at, self::CHUNK_BYTES));
            if ($count === false) {
                throw new TransportException('the connection was lost');
            }
            if ($count === 0) {
                self::wait($stream, true, $deadline);
            }
        }
    }

    /**
     * @param resource $stream
     *
     * @throws TransportException
     */
    private function readAll($stream, int $deadline): string
    {
        $answer = '';
        while (!\feof($stream)) {
            $part = \fread($stream, self::CHUNK_BYTES);
            if ($part === false || $part === '') {
                \feof($stream) || self::wait($stream, false, $deadline);
            } elseif (\strlen($answer .= $part) > self::ANSWER_BYTES) {
                throw new TransportException('the answer is too large');
            }
        }

        return $answer;
    }

    /**
     * @return array{int, string} status and body
     *
     * @throws TransportException if it was cut
     */
    private static function parse(string $answer): array
    {
        [$head, $body] = \explode("\r\n\r\n", $answer, 2) + [1 => null];
        if ($body === null || \preg_match('~\AHTTP/1\.[01] ([0-9]{3})\b~', $head, $status) !== 1) {
            throw new TransportException('the server closed the connection');
        }
        $hasLength = \preg_match('~\r\nContent-Length: *([0-9]+)~i', $head, $length) === 1;
        if ($hasLength && \strlen($body) < (int) $length[1]) {
            throw new TransportException('the answer was cut');
        }

        return [(int) $status[1], $body];
    }

    /** @throws TransportException if no time is left */
    private static function secondsUntil(int $deadline): float
    {
        $seconds = ($deadline - \hrtime(true)) / 1e9;

        return $seconds > 0 ? $seconds : throw new TransportException('the server does not answer in time');
    }

    /**
     * @param resource $stream
     *
     * @throws TransportException if no time is left
     */
    private static function wait($stream, bool $write, int $deadline): void
    {
        $microseconds = (int) (1e6 * self::secondsUntil($deadline));
        $read = $write ? null : [$stream];
        $written = $write ? [$stream] : null;
        $except = null;
        if (\stream_select($read, $written, $except, 0, $microseconds) === false) {
            \usleep(\min(1000, $microseconds)); // a signal came, or the descriptor is above select's 1024
        }
    }
}
