<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** One of a Crowd. */
final class CrowdMember
{
    public ?\CurlHandle $transfer = null;
    public float $comesAt = 0;
    public int $streams = 0;
    /** @var list<string> the data of all messages, over all its streams */
    public array $messages = [];
    /** @var list<string> other events: their types */
    public array $others = [];
    private string $lastEventId = '';
    private SseParser $parser;

    /** @param array<string, string> $headers */
    public function __construct(private readonly array $headers)
    {
    }

    /** @return list<string> the headers of its next request */
    public function begin(): array
    {
        $this->comesAt = INF;
        $this->streams++;
        $this->parser = new SseParser();
        $headers = ['Accept' => 'text/event-stream'] + $this->headers + ($this->lastEventId === '' ? [] : ['Last-Event-ID' => $this->lastEventId]);
        return array_map(static fn (string $name, string $value) => "$name: $value", array_keys($headers), $headers);
    }

    public function takes(string $bytes): int
    {
        foreach ($this->parser->feed($bytes) as $event) {
            $this->lastEventId = $event->id;
            $event->type === 'message' ? $this->messages[] = $event->data : $this->others[] = $event->type;
        }
        return strlen($bytes);
    }

    public function ended(): void
    {
        $this->transfer = null;
        $this->comesAt = Loop::now() + ($this->parser->retry ?? 3000) / 1000;
    }
}
