<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** Event stream parser after the HTML Living Standard, 9.2.6, fed with bytes cut anywhere. */
final class SseParser
{
    public int $comments = 0;
    /** Blocks that ended without data: some clients take them for empty messages, so the daemon must not send any. */
    public int $emptyBlocks = 0;
    public ?int $retry = null;
    public string $lastEventId = '';
    private string $buffer = '';
    private bool $started = false;
    private bool $blockHasId = false;
    private string $type = '';
    /** @var ?list<string> */
    private ?array $data = null;

    /** @return list<Event> those that the bytes completed */
    public function feed(string $bytes): array
    {
        $this->buffer .= $bytes;
        if (!$this->started && strlen($this->buffer) >= 3) {
            $this->buffer = preg_replace('/^\xEF\xBB\xBF/', '', $this->buffer);
            $this->started = true;
        }
        $events = [];
        $from = 0;
        // a CR at the very end may be the first half of CRLF: left for the next feed
        while (preg_match('/\G([^\r\n]*)(?:\r\n|\n|\r(?!$))/D', $this->buffer, $match, 0, $from) === 1) {
            $from += strlen($match[0]);
            $event = $match[1] === '' ? $this->dispatch() : $this->line($match[1]);
            if ($event !== null) {
                $events[] = $event;
            }
        }
        $this->buffer = substr($this->buffer, $from);
        return $events;
    }

    /** Whether the stream would end in the middle of an event now. */
    public function isMidEvent(): bool
    {
        return $this->buffer !== '' || $this->data !== null || $this->type !== '';
    }

    private function line(string $line): ?Event
    {
        if ($line[0] === ':') {
            $this->comments++;
            return null;
        }
        [$field, $value] = explode(':', $line, 2) + [1 => ''];
        $value = str_starts_with($value, ' ') ? substr($value, 1) : $value;
        match ($field) {
            'event' => $this->type = $value,
            'data' => $this->data[] = $value,
            'id' => $this->setId($value),
            'retry' => $this->retry = ctype_digit($value) ? (int) $value : $this->retry,
            default => null,
        };
        return null;
    }

    private function setId(string $id): void
    {
        if (!str_contains($id, "\0")) {
            $this->lastEventId = $id;
            $this->blockHasId = true;
        }
    }

    private function dispatch(): ?Event
    {
        $event = null;
        if ($this->data !== null) {
            $event = new Event($this->type ?: 'message', implode("\n", $this->data), $this->lastEventId, $this->blockHasId);
        } else {
            $this->emptyBlocks++;
        }
        $this->blockHasId = false;
        $this->type = '';
        $this->data = null;
        return $event;
    }
}
