<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** HTTP/1.1 client: one request after the other on one connection. */
final class HttpConnection extends Connection
{
    private ?Response $response = null;
    private string $input = '';
    private bool $bodyless = false;
    /** Bytes that the present part of the body still has; null: until the connection ends. */
    private ?int $left = null;
    private bool $chunked = false;

    /** @param array<string, string> $headers */
    public function request(string $method, string $uri, array $headers = [], string $body = ''): Response
    {
        $headers += ['Host' => 'localhost'] + ($body === '' ? [] : ['Content-Length' => (string) strlen($body)]);
        $head = "$method $uri HTTP/1.1\r\n";
        foreach ($headers as $name => $value) {
            $head .= "$name: $value\r\n";
        }
        return $this->raw("$head\r\n$body", $method === 'HEAD');
    }

    /** Sends these bytes, a request or what passes for one. The answer may be there already, behind the one before. */
    public function raw(string $bytes, bool $bodyless = false): Response
    {
        $this->bodyless = $bodyless;
        $this->response = new Response();
        $response = $this->response;
        $this->send($bytes);
        $this->received('');
        return $response;
    }

    protected function received(string $bytes): void
    {
        $this->input .= $bytes;
        while ($this->response !== null && $this->step()) {
        }
    }

    protected function ended(): void
    {
        $this->response?->end($this->response->status === 0 || $this->chunked || $this->left !== null);
    }

    /** Takes one thing (head, chunk size, body bytes) off the input; false if it is not there in full. */
    private function step(): bool
    {
        if ($this->response->status === 0) {
            return $this->head();
        }
        if ($this->chunked && $this->left === null) {
            return $this->chunkSize();
        }
        return $this->body();
    }

    private function head(): bool
    {
        $end = strpos($this->input, "\r\n\r\n");
        if ($end === false) {
            return false;
        }
        $response = $this->response;
        $response->setHead(substr($this->input, 0, $end));
        $this->input = substr($this->input, $end + 4);
        $this->chunked = strtolower((string) $response->header('Transfer-Encoding')) === 'chunked';
        $length = $response->header('Content-Length');
        $this->left = $length === null ? null : (int) $length;
        if ($this->bodyless || in_array($response->status, [204, 304], true) || $this->left === 0) {
            $this->finish();
        }
        return true;
    }

    private function chunkSize(): bool
    {
        if (preg_match('/^(?:\r\n)?([0-9a-fA-F]+)[^\r\n]*\r\n/', $this->input, $match) !== 1) {
            return false;
        }
        $size = (int) hexdec($match[1]);
        if ($size === 0) {
            if (!str_ends_with($this->input, "\r\n\r\n")) {
                return false;
            }
            $this->input = '';
            $this->finish();
            return true;
        }
        $this->input = substr($this->input, strlen($match[0]));
        $this->left = $size;
        return true;
    }

    private function body(): bool
    {
        if ($this->input === '') {
            return false;
        }
        $bytes = $this->left === null ? $this->input : substr($this->input, 0, $this->left);
        $this->input = substr($this->input, strlen($bytes));
        $this->response->add($bytes);
        if ($this->left === null) {
            return false;
        }
        $this->left -= strlen($bytes);
        if ($this->left === 0) {
            $this->left = null;
            if (!$this->chunked) {
                $this->finish();
            }
        }
        return true;
    }

    private function finish(): void
    {
        $this->response->end();
        $this->response = null;
        $this->chunked = false;
        $this->left = null;
    }
}
