<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/**
 * Tests of a client that means harm, through a real nginx: what it is answered, and that nothing it sends is found anywhere else: not in the head of an
 * answer, not in the log, not with a bystander.
 */
abstract class HostileClientTestCase extends EndToEndTestCase
{
    protected const SHARED = ['log.level' => 'debug', 'poll.timeout' => '50ms', 'fastcgi.max_body' => '1KiB', 'sse.open_event' => 'yes'];
    /** What a client tries to bring into a head or a log. */
    protected const MARK = 'Injected';
    private const HEADERS = [
        'server', 'date', 'content-type', 'content-length', 'connection', 'keep-alive', 'transfer-encoding',
        'cache-control', 'x-accel-buffering', 'vary', 'allow', 'retry-after', 'www-authenticate',
    ];
    private EventStream $bystander;
    private string $channel;

    protected function setUp(): void
    {
        parent::setUp();
        $this->channel = $this->channel('bystander');
        $this->bystander = $this->stack->listen("channel={$this->channel}");
        $this->bystander->opened();
    }

    protected function tearDown(): void
    {
        $this->bystander->close();
        parent::tearDown();
    }

    protected static function get(string $query, string $headers = ''): string
    {
        return "GET /events?$query HTTP/1.1\r\nHost: localhost\r\n$headers\r\n";
    }

    /** What comes to a stream or to an answer, once its head and the first bytes of its body are there. */
    protected function raw(string $request): Response
    {
        $isHead = str_starts_with($request, 'HEAD ');
        $response = $this->stack->frontEnd()->connect()->raw($request, $isHead)->waitForHead();
        $response->header('Content-Type') !== 'text/event-stream' || $isHead || Loop::until(
            static fn () => $response->complete || str_contains($response->body, 'retry: '),
            'the first bytes of a stream'
        );
        return $response;
    }

    protected function assertAnswer(Response $response, int $status, ?string $code): void
    {
        self::assertSame($status, $response->status, $response->body);
        if ($code !== null) {
            self::assertSame($code, $response->json()['error']);
        }
        $this->assertNothingComesBack($response);
        $this->assertBystanderUntouched();
    }

    protected function assertNothingComesBack(Response $response): void
    {
        self::assertSame([], array_diff(array_keys($response->headers), self::HEADERS));
        self::assertStringNotContainsString(self::MARK, serialize($response->headers) . $response->body);
        self::assertStringNotContainsString(self::MARK, $this->stack->daemon->process->err->text);
    }

    protected function assertBystanderUntouched(): void
    {
        $this->stack->publish($this->channel, 'all the same');
        $this->bystander->expect('all the same');
        self::assertSame(0, $this->bystander->pending());
    }
}
