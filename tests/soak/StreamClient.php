<?php

declare(strict_types=1);

namespace Sidecast\Soak;

use Sidecast\EndToEnd\Event;
use Sidecast\EndToEnd\SseParser;

/** Listens as an EventSource does, with or without envelope=1; may stop reading for a while. */
final class StreamClient extends Client
{
    public float $pausedUntil = 0;
    private SseParser $parser;
    private bool $isPaused = false;
    private bool $wasPaused = false;
    private float $cameAt = 0;
    private float $readAt = 0;

    /** @param list<string> $channels */
    public function __construct(string $name, array $channels, string $start, World $world, private readonly bool $envelope)
    {
        parent::__construct($name, $channels, $start, $world);
    }

    public function pause(float $until): void
    {
        $this->pausedUntil = $until;
        $this->wasPaused = true;
        $this->world->figures->count('pauses');
    }

    /** Reads on if it had stopped, and its time has come. */
    public function goOn(): void
    {
        if ($this->isPaused && $this->transfer !== null && microtime(true) >= $this->pausedUntil) {
            $this->isPaused = false;
            curl_pause($this->transfer, CURLPAUSE_CONT);
        }
    }

    protected function options(): array
    {
        $this->parser = new SseParser();
        $this->isPaused = $this->wasPaused = false;
        $this->pausedUntil = 0;
        $this->cameAt = microtime(true);
        $headers = ['Accept: text/event-stream', ...($this->cursor === null ? [] : ["Last-Event-ID: $this->cursor"])];
        return [CURLOPT_HTTPHEADER => $headers, CURLOPT_WRITEFUNCTION => $this->take(...)];
    }

    protected function form(): string
    {
        return $this->envelope ? '&envelope=1' : '';
    }

    /** The URL of an EventSource never changes. */
    protected function query(string $cursor): string
    {
        return $this->start();
    }

    protected function ended(\CurlHandle $transfer, int $error): void
    {
        $this->transfer = null;
        $status = curl_getinfo($transfer, CURLINFO_RESPONSE_CODE);
        $type = (string) curl_getinfo($transfer, CURLINFO_CONTENT_TYPE);
        if ($status !== 200 || !str_starts_with($type, 'text/event-stream')) {
            $this->world->findings->add(Findings::OPEN, "$this->name would be CLOSED: $status $type " . curl_strerror($error));
        }
        $isSlow = $this->wasPaused || $this->world->wasAwayAt > $this->cameAt;
        if ($this->parser->isMidEvent() && !$this->metKill() && !$isSlow) {
            $silence = round(microtime(true) - $this->readAt, 1);
            $this->world->findings->add(Findings::OPEN, "$this->name was cut in the middle of an event, $silence s after the bytes before");
        }
        $this->comesAt = microtime(true) + ($this->parser->retry ?? 3000) / 1000;
    }

    private function take(\CurlHandle $transfer, string $bytes): int
    {
        if (microtime(true) < $this->pausedUntil) {
            $this->isPaused = true;
            return CURL_WRITEFUNC_PAUSE;
        }
        $this->readAt = microtime(true);
        array_map($this->event(...), $this->parser->feed($bytes));
        return strlen($bytes);
    }

    private function event(Event $event): void
    {
        if ($event->type === 'sidecast.open' && $this->cursor === null) {
            $this->hasBegun = true;
            $this->trace->from = $this->start() === '' ? EventId::number($event->id) : null;
            $this->moveTo($event->id);
        } elseif ($event->type === 'sidecast.gap') {
            $gap = $event->json();
            $this->gap($gap['after'], $gap['channels'], true);
            $this->moveTo($event->id);
        } elseif (str_starts_with($event->type, 'sidecast.')) {
            $this->world->findings->add(Findings::OPEN, "$this->name got an unexpected $event->type");
        } else {
            $this->message($event->id, $this->envelope ? $event->json()['data'] : $event->data);
        }
    }

    private function moveTo(string $id): void
    {
        if (EventId::number($id) < $this->trace->cursor) {
            $this->world->findings->add(Findings::ONCE, "$this->name was led back, from {$this->trace->cursor} to $id");
        }
        $this->cursor = $id;
        $this->trace->moveTo(EventId::number($id));
    }
}
