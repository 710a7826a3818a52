<?php

declare(strict_types=1);

namespace Sidecast\Tests;

use PHPUnit\Framework\TestCase;
use Sidecast\Endpoint;
use Sidecast\Exception\TransportException;
use Sidecast\Message;
use Sidecast\Publisher;
use Sidecast\Transport\ConfirmingTransportInterface;
use Sidecast\Transport\ZmqTransport;
use Sidecast\Transport\ZmtpTransport;

/**
 * Confirmed publishing, with both transports, through a real ROUTER socket of libzmq.
 *
 * @requires extension zmq
 */
final class LibzmqConfirmTest extends TestCase
{
    use Scratch;

    private const TIMEOUT = 5.0;
    private const SHORT = 0.1;
    private const SLACK = 0.5;

    /** @dataProvider transports */
    public function testAMessageIsSentWithAKeyAndItsIdComesBack(string $kind, string $address): void
    {
        $router = $this->router([['reply', 'ok 5-0'], ['reply', 'ok 5-1']], $address);
        $publisher = $this->publisher($kind, $router);
        $result = $publisher->publishAndConfirm('c', 'text', ['event' => 'e'], self::TIMEOUT);
        self::assertSame(null, $result->reason());
        self::assertSame(['5-0'], $result->ids());
        self::assertSame(['5-1'], $publisher->publishAndConfirm('c', '', ['key' => 'mine'], self::TIMEOUT)->ids());

        [$delimiter, $channel, $data, $options] = $router->request();
        self::assertSame(['', 'c', 'text'], [$delimiter, $channel, $data]);
        $options = \json_decode($options, true);
        self::assertSame('e', $options['event']);
        self::assertMatchesRegularExpression('/\A[0-9a-f]{32}\z/', $options['key']);
        self::assertSame(['', 'c', '', '{"key":"mine"}'], $router->request());
    }

    /** @dataProvider transports */
    public function testWhatTheServerRefusesHasACode(string $kind, string $address): void
    {
        $router = $this->router([['reply', 'error bad_data it is bad']], $address);
        $result = $this->publisher($kind, $router)->publishAndConfirm('c', 'x', timeout: self::TIMEOUT);
        self::assertFalse($result->ok);
        self::assertSame(['bad_data', 'it is bad', []], [$result->code(), $result->reason(), $result->ids()]);
    }

    /** @dataProvider transports */
    public function testOfABatchEachItemIsToldOf(string $kind, string $address): void
    {
        $router = $this->router([['reply', 'ok 1-0', 'error bad_data no', 'ok 1-1']], $address);
        $result = $this->publisher($kind, $router)->publishBatchAndConfirm([
            new Message('a', '1', key: 'mine'),
            ['channel' => 'a b', 'data' => 'never sent'],
            ['channel' => 'b', 'data' => '2'],
            ['channel' => 'c', 'data' => '3'],
        ], self::TIMEOUT);
        self::assertSame(2, $result->handedOver);
        self::assertSame([1, 2], \array_keys($result->failures));
        self::assertSame([2 => 'bad_data'], $result->codes);
        self::assertSame(['1-0', '1-1'], $result->ids());
        self::assertSame([['1-0'], [], ['1-1']], [$result->ids(0), $result->ids(2), $result->ids(3)]);
        [$delimiter, $json] = $router->request();
        $items = \json_decode($json, true);
        self::assertSame(['', ['a', 'b', 'c']], [$delimiter, \array_column($items, 'channel')]);
        self::assertSame('mine', $items[0]['key']);
        self::assertCount(3, \array_unique(\array_column($items, 'key')));
    }

    /** @dataProvider transports */
    public function testARetryHasTheSameKeySoThatNothingIsPublishedTwice(string $kind, string $address): void
    {
        $router = $this->router([['ignore'], ['reply', 'ok 5-0']], $address);
        $result = $this->publisher($kind, $router)->publishAndConfirm('c', 'x', timeout: 1.0);
        self::assertSame(['5-0'], $result->ids());
        $first = $router->request();
        self::assertSame($first, $router->request());
        self::assertStringContainsString('"key":"', $first[3]);
    }

    /** @dataProvider transports */
    public function testARestartOfTheServerInTheMiddleIsSurvived(string $kind, string $address): void
    {
        $router = $this->router([['reply', 'ok 1-0'], ['restart'], ['reply', 'ok 2-0']], $address);
        $publisher = $this->publisher($kind, $router);
        self::assertSame(['1-0'], $publisher->publishAndConfirm('c', '1', timeout: self::TIMEOUT)->ids());
        self::assertSame(['2-0'], $publisher->publishAndConfirm('c', '2', timeout: 2.0)->ids());
    }

    /** @dataProvider transports */
    public function testALateReplyNeverAnswersTheNextRequest(string $kind, string $address): void
    {
        $router = $this->router([['hold'], ['reply', 'ok 2-0']], $address);
        $transport = $this->transport($kind, $router);
        try {
            $transport->request(['c', '1'], 1, self::SHORT);
            self::fail('it was confirmed');
        } catch (TransportException $error) {
            self::assertStringContainsString('in time', $error->getMessage());
        }
        self::assertSame(['2-0'], $transport->request(['c', '2'], 1, self::TIMEOUT)[0]->ids);
    }

    /** @dataProvider transports */
    public function testAServerThatIsNotThereIsReportedInTime(string $kind): void
    {
        $endpoint = Endpoint::parse("ipc://$this->scratch/confirm.sock");
        $publisher = new Publisher($kind === 'zmq'
            ? new ZmqTransport($endpoint, confirm: $endpoint)
            : new ZmtpTransport($endpoint, $endpoint));
        $start = \hrtime(true);
        $result = $publisher->publishAndConfirm('c', 'x', timeout: self::SHORT);
        self::assertLessThan(self::SHORT + self::SLACK, (\hrtime(true) - $start) / 1e9);
        self::assertStringStartsWith('not confirmed: ', (string) $result->reason());
        self::assertNull($result->code(), 'it was not the server that said so');
    }

    /** @dataProvider transports */
    public function testAServerThatNeverRepliesIsReportedInTime(string $kind, string $address): void
    {
        $router = $this->router(\array_fill(0, 50, ['ignore']), $address);
        $start = \hrtime(true);
        $result = $this->publisher($kind, $router)->publishAndConfirm('c', 'x', timeout: 0.3);
        self::assertLessThan(0.3 + self::SLACK, (\hrtime(true) - $start) / 1e9);
        self::assertFalse($result->ok);
    }

    /** @return iterable<string, array{string, string}> */
    public static function transports(): iterable
    {
        yield 'ext-zmq, ipc' => ['zmq', 'ipc'];
        yield 'ext-zmq, tcp' => ['zmq', 'tcp://127.0.0.1:*'];
        yield 'pure PHP, ipc' => ['zmtp', 'ipc'];
        yield 'pure PHP, tcp' => ['zmtp', 'tcp://127.0.0.1:*'];
    }

    /** @param list<non-empty-list<string>> $script */
    private function router(array $script, string $address): ScriptedRouter
    {
        return new ScriptedRouter($address === 'ipc' ? "ipc://$this->scratch/confirm.sock" : $address, $script);
    }

    private function transport(string $kind, ScriptedRouter $router): ConfirmingTransportInterface
    {
        $publish = Endpoint::parse("ipc://$this->scratch/publish.sock");
        $confirm = Endpoint::parse($router->endpoint);

        return $kind === 'zmq'
            ? new ZmqTransport($publish, confirm: $confirm)
            : new ZmtpTransport($publish, $confirm);
    }

    private function publisher(string $kind, ScriptedRouter $router): Publisher
    {
        return new Publisher($this->transport($kind, $router));
    }
}
