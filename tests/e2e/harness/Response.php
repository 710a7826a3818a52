<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** An answer that fills in while Loop runs, whatever connection it comes over. */
final class Response
{
    public int $status = 0;
    /** @var array<string, list<string>> by lower-case name */
    public array $headers = [];
    public string $body = '';
    /** No more will come. */
    public bool $complete = false;
    /** Complete, but the connection broke before the end that the protocol asks for. */
    public bool $cut = false;
    /** @var list<string> the body as it arrived, piece by piece */
    public array $pieces = [];

    public function header(string $name): ?string
    {
        $values = $this->headers[strtolower($name)] ?? null;
        return $values === null ? null : implode(', ', $values);
    }

    public function setHead(string $head): void
    {
        foreach (preg_split('/\r?\n/', trim($head)) as $line) {
            if (preg_match('~^HTTP/1\.[01] (\d{3})~', $line, $match) === 1) {
                $this->status = (int) $match[1];
                continue;
            }
            [$name, $value] = explode(':', $line, 2) + [1 => ''];
            $this->headers[strtolower($name)][] = trim($value);
        }
    }

    public function add(string $body): void
    {
        $this->body .= $body;
        $this->pieces[] = $body;
    }

    public function end(bool $cut = false): void
    {
        $this->cut = $cut && !$this->complete;
        $this->complete = true;
    }

    public function waitForHead(): self
    {
        Loop::until(fn () => $this->status !== 0 || $this->complete, 'the head of an answer');
        return $this;
    }

    public function wait(): self
    {
        Loop::until(fn () => $this->complete, 'the end of an answer');
        return $this;
    }

    /** @return array<string, mixed> */
    public function json(): array
    {
        return json_decode($this->wait()->body, true, 64, JSON_THROW_ON_ERROR);
    }
}
