<?php

declare(strict_types=1);

namespace Sidecast\Tests;

use PHPUnit\Framework\TestCase;
use Sidecast\Exception\InvalidConfiguration;
use Sidecast\Message;
use Sidecast\Publisher;
use Sidecast\Transport\Bearer;
use Sidecast\Transport\HttpTransport;

final class HttpTransportTest extends TestCase
{
    private const URL = 'http://127.0.0.1:8080/publish';
    private const TAKEN = [202, '{"ids":["1795432800000-0"]}'];

    public function testAMessageIsItsDataWithChannelAndOptionsInTheQuery(): void
    {
        $client = new RecordingHttpClient(self::TAKEN);
        $options = ['event' => 'e&f', 'except' => 'me', 'ttl' => 5, 'store' => false, 'key' => 'k'];
        $result = $this->publisher($client)->publish('a/ü', 'data', $options);
        self::assertTrue($result->ok);
        self::assertSame(['1795432800000-0'], $result->ids(), 'HTTP always says');
        [$url, $headers, $body] = $client->requests[0];
        self::assertSame(self::URL . '?channel=a%2F%C3%BC&event=e%26f&except=me&ttl=5&store=false&key=k', $url);
        self::assertSame(
            ['Content-Type' => 'text/plain; charset=utf-8', 'Accept' => 'application/json'],
            $headers,
        );
        self::assertSame('data', $body);
    }

    public function testABatchIsOneJsonDocument(): void
    {
        $client = new RecordingHttpClient([202, '{"ids":["1-0","1-1"]}']);
        $result = $this->publisher($client)->publishBatch([new Message('a', '1'), new Message('b', '2')]);
        self::assertSame(['1-0', '1-1'], $result->ids());
        [$url, $headers, $body] = $client->requests[0];
        self::assertSame([self::URL, 'application/json'], [$url, $headers['Content-Type']]);
        self::assertSame('[{"channel":"a","data":"1"},{"channel":"b","data":"2"}]', $body);
    }

    public function testTheTokenIsShown(): void
    {
        $client = new RecordingHttpClient(self::TAKEN);
        (new Publisher(new HttpTransport(self::URL, Bearer::fixed('a.b-c_d'), $client)))->publish('c', 'x');
        self::assertSame('Bearer a.b-c_d', $client->requests[0][1]['Authorization']);
    }

    public function testWhatTheServerTookOfABatchIsToldItemByItem(): void
    {
        $client = new RecordingHttpClient([
            202,
            '{"ids":["1-0",null,"1-1"],"errors":[{"item":1,"error":"bad_channel","message":"it is bad"}]}',
        ]);
        $result = $this->publisher($client)->publishBatch([
            new Message('a', '1'),
            ['channel' => 'a b', 'data' => 'never sent'],
            new Message('b', '2'),
            new Message('c', '3'),
        ]);
        self::assertSame(2, $result->handedOver);
        self::assertSame([1, 2], \array_keys($result->failures));
        self::assertSame('it is bad', $result->failures[2]);
        self::assertSame([2 => 'bad_channel'], $result->codes);
        self::assertSame(['1-1'], $result->ids(3));
    }

    /**
     * @param array{int, string} $answer
     *
     * @dataProvider refusals
     */
    public function testARefusalIsFinal(array $answer, string $code, string $why): void
    {
        $client = new RecordingHttpClient($answer);
        $result = $this->publisher($client)->publishAndConfirm('c', 'x');
        self::assertFalse($result->ok);
        self::assertSame($code, $result->code());
        self::assertStringContainsString($why, (string) $result->reason());
        self::assertCount(1, $client->requests, 'asking again would not help');
    }

    /** @return iterable<string, array{array{int, string}, string, string}> */
    public static function refusals(): iterable
    {
        yield 'a bad token' => [[401, '{"error":"token_expired","message":"get a new one"}'], 'token_expired', 'get a'];
        yield 'another channel' => [[403, '{"error":"not_allowed","message":"no"}'], 'not_allowed', 'HTTP 403: no'];
        yield 'a wrong path' => [[404, '<html>'], 'http_404', "no answer of Sidecast's"];
        yield 'too large for nginx' => [[413, '<html>'], 'http_413', 'HTTP 413'];
        yield 'an item that is not explained' => [[202, '{"ids":[null]}'], 'refused', 'does not say why'];
    }

    /**
     * @param array{int, string} $answer
     *
     * @dataProvider passing
     */
    public function testWhatPassesIsTriedAgainWithTheSameKey(array $answer): void
    {
        $client = new RecordingHttpClient($answer, self::TAKEN);
        $result = $this->publisher($client)->publishAndConfirm('c', 'x');
        self::assertSame(['1795432800000-0'], $result->ids());
        self::assertCount(2, $client->requests);
        self::assertSame($client->requests[0], $client->requests[1]);
        self::assertMatchesRegularExpression('/\?channel=c&key=[0-9a-f]{32}\z/', $client->requests[0][0]);
    }

    /** @return iterable<string, array{array{int, string}}> */
    public static function passing(): iterable
    {
        yield 'overloaded' => [[503, '{"error":"unavailable","message":"later"}']];
        yield 'nginx alone' => [[502, '<html>']];
        yield 'too many requests' => [[429, '']];
        yield 'a redirect' => [[302, '']];
        yield 'short of memory' => [[202, '{"ids":[null],"errors":[{"item":0,"error":"no_memory","message":"m"}]}']];
        yield 'another page that says 200' => [[200, '<html>']];
        yield 'too few ids' => [[202, '{"ids":[]}']];
    }

    public function testPublishTriesOnce(): void
    {
        $client = new RecordingHttpClient([503, '{"error":"unavailable","message":"later"}']);
        self::assertSame('HTTP 503: later', $this->publisher($client)->publish('c', 'x')->reason());
        self::assertCount(1, $client->requests);
        self::assertStringNotContainsString('key=', $client->requests[0][0]);
    }

    public function testSendIsAnExceptionForWhatIsNotTaken(): void
    {
        $client = new RecordingHttpClient([403, '{"error":"no","message":"not you"}']);
        $transport = new HttpTransport(self::URL, null, $client);
        $this->expectExceptionMessage('HTTP 403: not you');
        $transport->send(['c', 'x'], 1.0);
    }

    /** @dataProvider addresses */
    public function testAddress(string $url, bool $good): void
    {
        if (!$good) {
            $this->expectException(InvalidConfiguration::class);
        }
        self::assertSame($url, HttpTransport::url($url));
    }

    /** @return iterable<string, array{string, bool}> */
    public static function addresses(): iterable
    {
        yield 'a host' => ['http://example.org', true];
        yield 'port and path' => ['https://example.org:8443/a/b%20c', true];
        yield 'IPv6' => ['http://[::1]:80/', true];
        yield 'a user' => ['http://me:secret@example.org/', false];
        yield 'a query' => ['http://example.org/?a=b', false];
        yield 'a fragment' => ['http://example.org/#a', false];
        yield 'a newline' => ["http://example.org/a\n", false];
        yield 'another scheme' => ['ftp://example.org/', false];
        yield 'nothing' => ['http://', false];
    }

    private function publisher(RecordingHttpClient $client): Publisher
    {
        return new Publisher(new HttpTransport(self::URL, null, $client));
    }
}
