<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

use PHPUnit\Framework\Assert;

/** A client that listens: the events of one answer, in order, each handed out once. */
final class EventStream
{
    public readonly SseParser $parser;
    /** @var list<Event> */
    private array $events = [];
    private int $handedOut = 0;
    private int $parsed = 0;

    public function __construct(public readonly Connection $connection, public readonly Response $response)
    {
        $this->parser = new SseParser();
    }

    /** The next event of any type; waits for it. */
    public function next(): Event
    {
        Loop::until(
            fn () => $this->pump() > $this->handedOut || $this->response->complete,
            "event number {$this->handedOut} of a stream"
        );
        if ($this->pump() <= $this->handedOut) {
            Assert::fail("the stream ended after {$this->handedOut} events: " . substr($this->response->body, -500));
        }
        return $this->events[$this->handedOut++];
    }

    /** @return list<Event> */
    public function take(int $count): array
    {
        $events = [];
        while (count($events) < $count) {
            $events[] = $this->next();
        }
        return $events;
    }

    /** @return list<string> the data of the next events */
    public function takeData(int $count): array
    {
        return array_map(static fn (Event $event) => $event->data, $this->take($count));
    }

    /** Waits until the next event and insists that it is a message with this data. */
    public function expect(string ...$data): void
    {
        foreach ($data as $one) {
            $event = $this->next();
            Assert::assertSame($one, $event->data, "an event of type {$event->type}");
            Assert::assertTrue($event->hasOwnId, 'every event carries its id itself');
        }
    }

    /** Takes the open event and returns the cursor in it. */
    public function opened(): string
    {
        $event = $this->next();
        Assert::assertSame('sidecast.open', $event->type);
        Assert::assertSame($event->id, $event->json()['cursor']);
        return $event->id;
    }

    /**
     * Takes the gap event and returns what it tells.
     *
     * @return array<string, mixed>
     */
    public function gap(): array
    {
        $event = $this->next();
        Assert::assertSame('sidecast.gap', $event->type, $event->data);
        Assert::assertTrue($event->hasOwnId);
        return $event->json();
    }

    /** Events that have arrived and were not handed out yet. */
    public function pending(): int
    {
        return $this->pump() - $this->handedOut;
    }

    /** What a browser would send as Last-Event-ID after what was handed out. */
    public function cursor(): string
    {
        return $this->handedOut === 0 ? '' : $this->events[$this->handedOut - 1]->id;
    }

    public function waitForComment(): void
    {
        $had = $this->parser->comments;
        Loop::until(fn () => $this->pump() >= 0 && $this->parser->comments > $had, 'a heartbeat');
    }

    /** Waits until the stream ends and insists that it ended cleanly, between two events. */
    public function waitForCleanEnd(): void
    {
        $this->response->wait();
        $this->pump();
        Assert::assertFalse($this->response->cut, 'the connection was cut instead of ended');
        Assert::assertFalse($this->parser->isMidEvent(), 'the stream ended in the middle of an event');
    }

    public function close(): void
    {
        $this->connection->close();
    }

    /** Parses what has arrived; returns the number of all events so far. */
    private function pump(): int
    {
        if ($this->parsed < strlen($this->response->body)) {
            array_push($this->events, ...$this->parser->feed(substr($this->response->body, $this->parsed)));
            $this->parsed = strlen($this->response->body);
        }
        return count($this->events);
    }
}
