<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

use PHPUnit\Framework\TestCase;

/**
 * A class of tests that share one Stack, and start others of their own where they need different options. Every Stack ends with
 * the daemon's clean end; a failed test shows the logs.
 */
abstract class EndToEndTestCase extends TestCase
{
    /** Options of the shared daemon; null: there is none. */
    protected const SHARED = [];
    protected Stack $stack;
    private static ?Stack $shared = null;
    private static bool $sharedFailed = false;
    private static int $names = 0;
    /** @var list<Stack> */
    private array $own = [];

    public static function setUpBeforeClass(): void
    {
        if (static::SHARED !== null) {
            self::$sharedFailed = false;
            self::$shared = new Stack(static::SHARED);
            self::$shared->daemon->start();
        }
    }

    public static function tearDownAfterClass(): void
    {
        $stack = self::$shared;
        self::$shared = null;
        $stack?->stop(self::$sharedFailed);
    }

    protected function setUp(): void
    {
        if (self::$shared !== null) {
            self::assertTrue(self::$shared->daemon->isRunning(), "the shared sidecast is gone\n" . self::$shared->logs());
            $this->stack = self::$shared;
        }
    }

    protected function tearDown(): void
    {
        if ($this->failed()) {
            self::$sharedFailed = true;
            $name = method_exists($this, 'name') ? $this->name() : $this->getName(); // PHPUnit 10, or before
            foreach ([...$this->own, ...array_filter([self::$shared])] as $stack) {
                fwrite(STDERR, "\n" . $name . ":\n" . $stack->logs());
            }
        }
        foreach ($this->own as $stack) {
            $stack->stop($this->failed());
        }
    }

    private function failed(): bool
    {
        if (!method_exists($this, 'status')) { // PHPUnit 9
            return $this->hasFailed();
        }
        return $this->status()->isFailure() || $this->status()->isError();
    }

    /**
     * A stack of this test's own with a running daemon; from now on $this->stack.
     *
     * @param array<string, mixed> $options
     */
    protected function start(array $options = []): Stack
    {
        $this->prepare($options)->daemon->start();
        return $this->stack;
    }

    /**
     * A stack of this test's own whose daemon the test starts itself.
     *
     * @param array<string, mixed> $options
     */
    protected function prepare(array $options = []): Stack
    {
        return $this->own[] = $this->stack = new Stack($options);
    }

    /** What eventually becomes true by itself in the daemon (a time that passes) is asked for until it is. */
    protected function eventually(string $what, callable $isTrue): void
    {
        Loop::until($isTrue, $what);
    }

    /** Waits until the last message of the query's channels is this one: the daemon has taken in all that came before it. */
    protected function waitForNewest(string $query, string $data): void
    {
        $this->eventually('the last message to be taken in', function () use ($query, $data): bool {
            $messages = $this->stack->poll("$query&last=1")['messages'];
            return $messages !== [] && $messages[0]['data'] === $data;
        });
    }

    /** A channel name that no other test uses. */
    protected function channel(string $name = 'news'): string
    {
        return $name . '/' . ++self::$names;
    }

    /** A TCP port of the loopback interface that nobody listens on. */
    protected function freePort(): int
    {
        $server = stream_socket_server('tcp://127.0.0.1:0');
        return (int) substr(strrchr(stream_socket_get_name($server, false), ':'), 1);
    }

    /** @param list<Event> $events */
    protected function assertIdsIncrease(array $events): void
    {
        $before = [0, 0];
        foreach ($events as $event) {
            $id = array_map(intval(...), explode('-', $event->id));
            self::assertGreaterThan($before, $id, 'ids increase');
            $before = $id;
        }
    }
}
