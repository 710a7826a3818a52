<?php

declare(strict_types=1);

namespace Sidecast\Tests\server;

use Sidecast\Message;
use Sidecast\Publisher;
use Sidecast\Token;
use Sidecast\Token\HmacSigner;
use Sidecast\Transport\Bearer;
use Sidecast\Transport\CurlClient;
use Sidecast\Transport\HttpClientInterface;
use Sidecast\Transport\HttpTransport;
use Sidecast\Transport\StreamClient;

/** Publishing over HTTP, through real nginx. Needs the server's endpoint `publish`. */
final class HttpTest extends ServerTestCase
{
    private const PATIENCE = 10.0;
    private const SECRET = 'a secret of thirty-two bytes or more';

    /** @dataProvider clients */
    public function testTheIdIsTheOneThatClientsGet(string $kind): void
    {
        $publisher = $this->publisher($kind);
        $client = $this->listen();
        for ($number = 1; $number <= 3; $number++) {
            $result = $publisher->publish(self::CHANNEL, (string) $number, ['event' => 'e&f']);
            self::assertNull($result->reason());
            $event = $client->next();
            self::assertSame(
                [(string) $number, 'e&f', [$event->id]],
                [$event->data, $event->type, $result->ids()],
            );
        }
    }

    /** @dataProvider clients */
    public function testEveryOptionArrives(string $kind): void
    {
        $publisher = $this->publisher($kind);
        $client = $this->daemon->fastcgi()->listen('channel=' . self::CHANNEL . '&client=me');
        $client->opened();
        $first = $publisher->publish(self::CHANNEL, '1', ['key' => 'k+%', 'ttl' => 60, 'store' => false]);
        self::assertNull($first->reason());
        self::assertSame($first->ids(), $publisher->publish(self::CHANNEL, '1', ['key' => 'k+%'])->ids());
        self::assertTrue($publisher->publish(self::CHANNEL, '2', ['except' => 'me'])->ok);
        self::assertTrue($publisher->publish(self::CHANNEL, '')->ok);
        self::assertSame(['1', ''], $client->takeData(2));
    }

    /** @dataProvider clients */
    public function testOfABatchEachItemIsToldOf(string $kind): void
    {
        $publisher = $this->publisher($kind, ['publish.max_bytes' => '10B']);
        $client = $this->listen();
        $result = $publisher->publishBatch([
            new Message(self::CHANNEL, '1'),
            new Message(self::CHANNEL, 'more than the server takes'),
            new Message(self::CHANNEL, '3'),
        ]);
        self::assertSame([1 => 'too_large'], $result->codes);
        $events = $client->take(2);
        self::assertSame([$events[0]->id, $events[1]->id], $result->ids());
    }

    /** @dataProvider clients */
    public function testAChannelThatNginxDoesNotGrantIsRefusedForGood(string $kind): void
    {
        $result = $this->publisher($kind)->publishAndConfirm('secrets', 'x', timeout: self::PATIENCE);
        self::assertSame('not_allowed', $result->code());
        self::assertStringStartsWith('HTTP 403: ', (string) $result->reason());
    }

    /** @dataProvider clients */
    public function testWhileTheServerIsDownItIsReportedAndThenGoesOn(string $kind): void
    {
        $publisher = $this->publisher($kind);
        self::assertTrue($publisher->publish(self::CHANNEL, '1')->ok);
        $this->daemon->stop();
        self::assertStringContainsString('HTTP 502', (string) $publisher->publish(self::CHANNEL, '2')->reason());
        $this->daemon->start();
        $client = $this->listen();
        self::assertTrue($publisher->publishAndConfirm(self::CHANNEL, '3', timeout: self::PATIENCE)->ok);
        self::assertSame([3], $this->take($client, 1));
    }

    /** @dataProvider clients */
    public function testAServerThatIsStoppedIsReportedInTimeAndARetryDoublesNothing(string $kind): void
    {
        $publisher = $this->publisher($kind);
        $client = $this->listen();
        self::assertTrue($publisher->publish(self::CHANNEL, '1')->ok);
        $this->daemon->process->signal(\SIGSTOP);
        $start = \hrtime(true);
        $result = $publisher->publishAndConfirm(self::CHANNEL, '2', ['key' => 'two'], self::BOUND_MS / 1000);
        self::assertLessThan(self::LIMIT_MS, (\hrtime(true) - $start) / 1e6);
        self::assertFalse($result->ok);
        $this->daemon->process->signal(\SIGCONT);
        $again = $publisher->publishAndConfirm(self::CHANNEL, '2', ['key' => 'two'], self::PATIENCE);
        self::assertTrue($again->ok, (string) $again->reason());
        self::assertTrue($publisher->publish(self::CHANNEL, '3')->ok);
        self::assertSame([1, 2, 3], $this->take($client, 3));
    }

    public function testThePublisherOfADsn(): void
    {
        $this->publisher('stream');
        $publisher = Publisher::connect('sidecast+' . $this->web()->url . '/publish?timeout=10s');
        self::assertCount(1, $publisher->publish(self::CHANNEL, 'x')->ids());
    }

    /** Needs tokens for publishing too. */
    public function testATokenSaysWhatMayBePublished(): void
    {
        \file_put_contents($this->path('secret'), self::SECRET . "\n");
        \chmod($this->path('secret'), 0600);
        $this->publisher('stream', ['token.secret_file' => $this->path('secret')]);
        $url = $this->web()->url . '/open-publish';
        $dsn = "sidecast+$url?timeout=10s&secret_file=" . \rawurlencode($this->path('secret'));
        $all = Publisher::connect($dsn)->publish('anything', 'x');
        self::assertSame([null, 1], [$all->reason(), \count($all->ids())]);

        $token = Token::make()->publish(['news'])->publishPatterns(['orders/*'])->ttl(60);
        $bearer = Bearer::signed(new HmacSigner(self::SECRET), $token);
        $some = new Publisher(new HttpTransport($url, $bearer), timeout: self::PATIENCE);
        self::assertTrue($some->publish('news', 'x')->ok);
        self::assertTrue($some->publish('orders/7', 'x')->ok);
        self::assertSame('not_allowed', $some->publish('secrets', 'x')->code());

        $none = new Publisher(new HttpTransport($url), timeout: self::PATIENCE);
        self::assertFalse($none->publish('news', 'x')->ok);
        $forged = Bearer::signed(new HmacSigner(\str_repeat('x', 32)), $token);
        $forger = new Publisher(new HttpTransport($url, $forged), timeout: self::PATIENCE);
        self::assertSame('token_invalid', $forger->publish('news', 'x')->code());
    }

    /** @return iterable<string, array{string}> */
    public static function clients(): iterable
    {
        yield 'ext-curl' => ['curl'];
        yield 'streams' => ['stream'];
    }

    /** @param array<string, string> $options of the server */
    private function publisher(string $kind, array $options = []): Publisher
    {
        $client = $this->client($kind);
        $this->daemon->start($options);

        return new Publisher(
            new HttpTransport($this->web()->url . '/publish', null, $client),
            timeout: self::PATIENCE,
        );
    }

    private function client(string $kind): HttpClientInterface
    {
        if ($kind === 'curl' && !\extension_loaded('curl')) {
            self::markTestSkipped('curl is not loaded');
        }

        return $kind === 'curl' ? new CurlClient() : new StreamClient();
    }
}
