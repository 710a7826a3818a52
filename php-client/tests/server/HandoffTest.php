<?php

declare(strict_types=1);

namespace Sidecast\Tests\server;

use Sidecast\EndToEnd\EventStream;
use Sidecast\EndToEnd\Response;
use Sidecast\Publisher;

/** A page with a session hands over, through real nginx and php-fpm, to the real server. */
final class HandoffTest extends ServerTestCase
{
    private const PRIVATE = ['access.public' => 'nothing'];

    public function testTheStreamIsTheServersAndTheWorkerIsFree(): void
    {
        $stream = $this->handOver(['channels' => ['user/7']], 'channel=user/7');
        $stream->opened();
        $this->assertNoWorkerIsStuck();
        self::assertSame('text/event-stream; charset=UTF-8', $stream->response->header('Content-Type'));
        self::assertSame('no-store', $stream->response->header('Cache-Control'));
        self::assertNull($stream->response->header('Pragma'), 'of the session');
        self::assertNull($stream->response->header('Expires'), 'of the session');
        self::assertNotNull($stream->response->header('Set-Cookie'), 'the session itself goes on');
        self::assertTrue($this->publisher()->publish('user/7', 'for you')->ok);
        $stream->expect('for you');
    }

    public function testTheClientOfTheHandoffIsTheOneThatCanBeLeftOut(): void
    {
        $stream = $this->handOver(['channels' => ['room'], 'client' => 'tab-1'], 'channel=room&client=somebody');
        $stream->opened();
        $this->publisher()->publish('room', 'my own', ['except' => 'tab-1']);
        $this->publisher()->publish('room', 'of another', ['except' => 'somebody']);
        $stream->expect('of another');
    }

    public function testAnotherChannelIsRefusedByTheServer(): void
    {
        self::assertSame(403, $this->ask(['channels' => ['user/7']], 'channel=user/8')->status);
    }

    /**
     * @param array<string, mixed> $grant
     *
     * @dataProvider refused
     */
    public function testWhatCannotBeGrantedIs403ThroughNginxToo(array $grant): void
    {
        self::assertSame(403, $this->ask($grant, 'channel=a')->status);
    }

    /** @return iterable<string, array{array<string, mixed>}> */
    public static function refused(): iterable
    {
        yield 'nothing' => [['channels' => []]];
        yield 'a comma' => [['channels' => ['a,b']]];
        yield 'an asterisk' => [['channels' => ['*']]];
        yield 'a newline' => [['channels' => ["a\nX-Sidecast-Channels: b"]]];
    }

    /** Needs SIDECAST_PATTERNS of the server. */
    public function testAPatternGrantsWhatItMatches(): void
    {
        $stream = $this->handOver(['patterns' => ['orders/*']], 'channel=orders/7');
        $stream->opened();
        $this->publisher()->publish('orders/7', 'shipped');
        $stream->expect('shipped');
        $refused = $this->web()->connect()->request('GET', $this->uri(['patterns' => ['orders/*']], 'channel=a'));
        $refused->wait();
        self::assertSame(403, $refused->status);
    }

    /** Needs SIDECAST_EXPIRES of the server. */
    public function testTheStreamEndsWhenThePermissionDoes(): void
    {
        $stream = $this->handOver(['channels' => ['a'], 'expires' => \time() + 2], 'channel=a');
        $stream->opened();
        self::assertSame('sidecast.expired', $stream->next()->type);
        $stream->waitForCleanEnd();
    }

    /** @param array<string, mixed> $grant */
    private function handOver(array $grant, string $query): EventStream
    {
        $this->startAll();
        $connection = $this->web()->connect();

        return new EventStream($connection, $connection->request('GET', $this->uri($grant, $query)));
    }

    /** @param array<string, mixed> $grant */
    private function ask(array $grant, string $query): Response
    {
        $this->startAll();
        $response = $this->web()->connect()->request('GET', $this->uri($grant, $query));
        $response->wait();

        return $response;
    }

    private function startAll(): void
    {
        $this->daemon->start(self::PRIVATE);
        $this->fpm();
        $this->web();
    }

    /** @param array<string, mixed> $grant */
    private function uri(array $grant, string $query): string
    {
        return '/handoff.php?grant=' . \rawurlencode(\json_encode($grant, \JSON_THROW_ON_ERROR)) . "&$query";
    }

    private function publisher(): Publisher
    {
        return Publisher::connect($this->dsn('zmtp'));
    }
}
