<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

use PHPUnit\Framework\Assert;

/** Listens through the front end as a browser does: when a stream ends it comes back after its `retry`, with the id of its last event. */
final class EventSource
{
    /** @var list<Event> */
    public array $events = [];
    public int $connects = 0;
    /** The longest time after which it was told to come back, in milliseconds. */
    public int $longestRetry = 0;
    private string $cursor = '';
    private ?EventStream $stream = null;
    private float $comesBack = 0;

    public function __construct(private readonly FrontEnd $frontEnd, private readonly string $query)
    {
    }

    public function goOn(): void
    {
        if ($this->stream === null) {
            if (Loop::now() >= $this->comesBack) {
                $this->connect();
            }
            return;
        }
        $isOver = $this->stream->response->complete;
        foreach ($this->stream->take($this->stream->pending()) as $event) {
            $this->events[] = $event;
            $this->cursor = $event->id;
        }
        if ($isOver) {
            $this->end();
        }
    }

    public function isOpen(): bool
    {
        return $this->stream !== null && $this->stream->parser->retry !== null;
    }

    /** Whether it has a message, or was told that it may lack it. */
    public function knowsOf(string $id): bool
    {
        $number = self::number($id);
        foreach ($this->events as $event) {
            if ($event->type === 'sidecast.gap') {
                if (self::number($event->json()['after']) < $number && $number <= self::number($event->id)) {
                    return true;
                }
            } elseif ($event->id === $id && $event->type === 'message') {
                return true;
            }
        }
        return false;
    }

    private function connect(): void
    {
        $headers = ['Accept' => 'text/event-stream'] + ($this->cursor === '' ? [] : ['Last-Event-ID' => $this->cursor]);
        $connection = $this->frontEnd->connect();
        $this->stream = new EventStream($connection, $connection->request('GET', Nginx::EVENTS . "?$this->query", $headers));
        $this->connects++;
    }

    private function end(): void
    {
        $response = $this->stream->response;
        Assert::assertSame([200, false], [$response->status, $response->cut], 'a browser would not come back');
        $retry = $this->stream->parser->retry ?? 0;
        $this->longestRetry = max($this->longestRetry, $retry);
        $this->comesBack = Loop::now() + $retry / 1000;
        $this->stream->close();
        $this->stream = null;
    }

    /** @return array{int, int} */
    private static function number(string $id): array
    {
        return array_map(intval(...), explode('-', $id));
    }
}
