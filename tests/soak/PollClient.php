<?php

declare(strict_types=1);

namespace Sidecast\Soak;

/** Long-polls, with the cursor of the last answer. */
final class PollClient extends Client
{
    private string $body = '';
    private ?int $retryAfter = null;

    protected function options(): array
    {
        $this->body = '';
        $this->retryAfter = null;
        return [
            CURLOPT_HTTPHEADER => ['Accept: application/json'],
            CURLOPT_WRITEFUNCTION => function ($transfer, string $bytes): int {
                $this->body .= $bytes;
                return strlen($bytes);
            },
            CURLOPT_HEADERFUNCTION => function ($transfer, string $line): int {
                $this->retryAfter = preg_match('/^Retry-After: (\d+)/i', $line, $match) === 1 ? (int) $match[1] : $this->retryAfter;
                return strlen($line);
            },
        ];
    }

    protected function query(string $cursor): string
    {
        return "&cursor=$cursor";
    }

    protected function ended(\CurlHandle $transfer, int $error): void
    {
        $this->transfer = null;
        $status = curl_getinfo($transfer, CURLINFO_RESPONSE_CODE);
        $this->comesAt = microtime(true) + mt_rand(100, 1000) / 1000;
        if ($status === 503 && $this->retryAfter !== null) {
            $this->world->figures->count('polls refused for the moment');
            $this->comesAt = microtime(true) + $this->retryAfter;
        } elseif ($status === 200 && $error === CURLE_OK) {
            $this->answer(json_decode($this->body, true, 16, JSON_THROW_ON_ERROR));
        } elseif (!($status === 200 && $this->metKill())) {
            $this->world->findings->add(Findings::OPEN, "$this->name got $status, " . curl_strerror($error) . ": $this->body");
        }
    }

    /** @param array{cursor: string, gap: bool, messages: list<array<string, mixed>>} $answer */
    private function answer(array $answer): void
    {
        if ($this->cursor === null && $this->start() === '') {
            $this->trace->from = EventId::number($answer['cursor']);
        }
        if ($answer['gap']) {
            $this->gap($this->cursor ?? '0-0', $this->channels, false);
        }
        foreach ($answer['messages'] as $message) {
            $this->message($message['id'], $message['data']);
        }
        $this->expectGap(false);
        $this->cursor = $answer['cursor'];
        if (EventId::number($this->cursor) < $this->trace->cursor) {
            $this->world->findings->add(Findings::ONCE, "$this->name was led back, from {$this->trace->cursor} to $this->cursor");
        }
        $this->trace->moveTo(EventId::number($this->cursor));
    }
}
