<?php

declare(strict_types=1);

namespace Sidecast\Tests;

use PHPUnit\Framework\TestCase;
use Sidecast\Exception\TransportException;
use Sidecast\Transport\CurlClient;
use Sidecast\Transport\HttpClientInterface;
use Sidecast\Transport\StreamClient;

/** Both HTTP clients against a server that follows a script. */
final class HttpClientTest extends TestCase
{
    private const TIMEOUT = 5.0;

    /** Bound used where it is meant to be reached, and what a loaded machine may add to it. */
    private const SHORT = 0.1;
    private const SLACK = 0.5;

    /** More than a socket's buffers hold. */
    private const LARGE_BYTES = 8388608;

    /** @dataProvider clients */
    public function testARequestIsWholeAndItsAnswerComesBack(string $client): void
    {
        $accepted = self::answer('202 Accepted', '{"ids":[]}');
        $peer = $this->peer([[['read head'], ['read', 4], ['send', $accepted], ['close']]]);
        $url = $this->url($peer, '/p?channel=a');
        $answer = $this->client($client)->post($url, ['X-A' => 'b'], 'body', self::TIMEOUT);
        self::assertSame([202, '{"ids":[]}'], $answer);
        $head = \explode("\r\n", $peer->bytes());
        self::assertStringStartsWith('POST /p?channel=a HTTP/1.', $head[0]);
        self::assertContains('X-A: b', $head);
        self::assertContains('Content-Length: 4', $head);
        self::assertContains('Host: ' . \substr($peer->endpoint, 6), $head);
        self::assertSame('body', $peer->bytes());
    }

    /** @dataProvider clients */
    public function testALargeBodyArrivesThroughManyPartialWrites(string $client): void
    {
        $body = \random_bytes(self::LARGE_BYTES);
        $peer = $this->peer([[
            ['read head'],
            ['digest', self::LARGE_BYTES],
            ['send', self::answer('202 Accepted', '{}')],
            ['close'],
        ]]);
        self::assertSame([202, '{}'], $this->client($client)->post($this->url($peer), [], $body, 10.0));
        self::assertStringNotContainsString('Expect', $peer->bytes(), 'curl would wait for it');
        self::assertSame(\md5($body), $peer->report());
    }

    /** @dataProvider clients */
    public function testAnAddressWithoutAPathIsItsRoot(string $client): void
    {
        $peer = $this->peer([[['read head'], ['send', self::answer('200 OK', '')], ['close']]]);
        $this->client($client)->post($this->url($peer, '?a=b'), [], '', self::TIMEOUT);
        self::assertStringStartsWith('POST /?a=b HTTP/1.', $peer->bytes());
    }

    /** @dataProvider clients */
    public function testAServerThatNeverAnswersIsReportedInTime(string $client): void
    {
        $this->assertFailsInTime($client, $this->peer([[['read head']]]), 'in time');
    }

    /** @dataProvider clients */
    public function testAnAnswerThatDripsDoesNotStretchTheBound(string $client): void
    {
        $peer = $this->peer([[['read head'], ['drip', self::answer('202 Accepted', '{}'), 30]]]);
        $this->assertFailsInTime($client, $peer, 'in time');
    }

    /** @dataProvider clients */
    public function testAServerThatIsNotThereIsReportedAtOnce(string $client): void
    {
        $peer = $this->peer([]);
        $peer->stop();
        $this->assertFailsInTime($client, $peer, 'cannot connect');
    }

    /** @dataProvider clients */
    public function testAnAnswerThatIsCutIsNone(string $client): void
    {
        $cut = \bin2hex("HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\n{");
        $this->expectException(TransportException::class);
        $peer = $this->peer([[['read head'], ['send', $cut], ['close']]]);
        $this->client($client)->post($this->url($peer), [], '', self::TIMEOUT);
    }

    /** @dataProvider clients */
    public function testAnAnswerThatIsTooLargeIsNotTaken(string $client): void
    {
        $peer = $this->peer([[['read head'], ['flood', HttpClientInterface::ANSWER_BYTES + 100000], ['close']]]);
        $this->expectException(TransportException::class);
        $this->expectExceptionMessage('too large');
        $this->client($client)->post($this->url($peer), [], '', self::TIMEOUT);
    }

    /** @dataProvider clients */
    public function testARedirectIsNotFollowedForATokenIsForThisServerOnly(string $client): void
    {
        $redirect = \bin2hex("HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
        $peer = $this->peer([[['read head'], ['send', $redirect], ['close']]]);
        self::assertSame([307, ''], $this->client($client)->post($this->url($peer), [], '', self::TIMEOUT));
    }

    /** @dataProvider clients */
    public function testErrorHandlerOfThePageIsNotCalled(string $client): void
    {
        $peer = $this->peer([]);
        $peer->stop();
        \set_error_handler(static function (int $level, string $text): never {
            throw new \ErrorException($text);
        });
        try {
            $this->expectException(TransportException::class);
            $this->client($client)->post($this->url($peer), [], '', self::TIMEOUT);
        } finally {
            \restore_error_handler();
        }
    }

    /** @requires extension curl */
    public function testCurlKeepsTheConnectionForTheNextRequest(): void
    {
        $answer = self::answer('202 Accepted', '{}');
        $peer = $this->peer([[['read head'], ['send', $answer], ['read head'], ['send', $answer]]]);
        $client = new CurlClient();
        self::assertSame([202, '{}'], $client->post($this->url($peer), [], '', self::TIMEOUT));
        self::assertSame([202, '{}'], $client->post($this->url($peer), [], '', self::TIMEOUT));
    }

    /** @return iterable<string, array{string}> */
    public static function clients(): iterable
    {
        yield 'ext-curl' => ['curl'];
        yield 'streams' => ['stream'];
    }

    private function client(string $name): HttpClientInterface
    {
        if ($name === 'curl' && !\extension_loaded('curl')) {
            self::markTestSkipped('curl is not loaded');
        }

        return $name === 'curl' ? new CurlClient() : new StreamClient();
    }

    /** @param list<list<list<string|int>>> $script */
    private function peer(array $script): ScriptedPeer
    {
        return new ScriptedPeer('tcp://127.0.0.1:0', $script);
    }

    private function url(ScriptedPeer $peer, string $path = '/'): string
    {
        return 'http://' . \substr($peer->endpoint, \strlen('tcp://')) . $path;
    }

    private static function answer(string $status, string $body): string
    {
        return \bin2hex("HTTP/1.1 $status\r\nContent-Length: " . \strlen($body) . "\r\n\r\n$body");
    }

    private function assertFailsInTime(string $client, ScriptedPeer $peer, string $why): void
    {
        $start = \hrtime(true);
        try {
            $this->client($client)->post($this->url($peer), [], '', self::SHORT);
            self::fail('it was answered');
        } catch (TransportException $error) {
            self::assertStringContainsString($why, $error->getMessage());
        }
        self::assertLessThan(self::SHORT + self::SLACK, (\hrtime(true) - $start) / 1e9);
    }
}
