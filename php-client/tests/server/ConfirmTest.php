<?php

declare(strict_types=1);

namespace Sidecast\Tests\server;

use Sidecast\Message;
use Sidecast\Publisher;

/** publishAndConfirm() over ZeroMQ. Needs publish.confirm_listen of the server. */
final class ConfirmTest extends ServerTestCase
{
    private const PATIENCE = 10.0;

    /** @dataProvider transportsAndSchemes */
    public function testTheIdIsTheOneThatClientsGet(string $transport, string $scheme): void
    {
        $publisher = $this->confirming($transport, $scheme);
        $client = $this->listen();
        for ($number = 1; $number <= 3; $number++) {
            $result = $publisher->publishAndConfirm(self::CHANNEL, (string) $number, timeout: self::PATIENCE);
            self::assertNull($result->reason());
            $event = $client->next();
            self::assertSame([(string) $number, [$event->id]], [$event->data, $result->ids()]);
        }
    }

    /** @dataProvider transports */
    public function testWhatIsConfirmedIsThereForWhoeverComesNow(string $transport, string $scheme): void
    {
        $publisher = $this->confirming($transport, $scheme);
        for ($number = 1; $number <= 50; $number++) {
            $result = $publisher->publishAndConfirm(self::CHANNEL, (string) $number, timeout: self::PATIENCE);
            self::assertTrue($result->ok, (string) $result->reason());
            $late = $this->daemon->fastcgi()->listen('channel=' . self::CHANNEL . '&last=1');
            $late->opened();
            self::assertSame([$number], $this->take($late, 1));
            $late->close();
        }
    }

    /** @dataProvider transports */
    public function testTheSameKeyIsTheSameMessage(string $transport, string $scheme): void
    {
        $publisher = $this->confirming($transport, $scheme);
        $client = $this->listen();
        $options = ['key' => 'payment-99'];
        $first = $publisher->publishAndConfirm(self::CHANNEL, '1', $options, self::PATIENCE);
        $again = $publisher->publishAndConfirm(self::CHANNEL, '1', $options, self::PATIENCE);
        self::assertSame($first->ids(), $again->ids());
        $publisher->publishAndConfirm(self::CHANNEL, '2', timeout: self::PATIENCE);
        self::assertSame([1, 2], $this->take($client, 2));
    }

    /** @dataProvider transports */
    public function testOfABatchEachItemIsToldOf(string $transport, string $scheme): void
    {
        $publisher = $this->confirming($transport, $scheme, ['publish.max_bytes' => '10B']);
        $client = $this->listen();
        $result = $publisher->publishBatchAndConfirm([
            new Message(self::CHANNEL, '1'),
            new Message(self::CHANNEL, 'more than the server takes'),
            new Message(self::CHANNEL, '3'),
        ], self::PATIENCE);
        self::assertSame([1], \array_keys($result->failures));
        self::assertSame([1 => 'too_large'], $result->codes);
        $events = $client->take(2);
        self::assertSame(['1', '3'], [$events[0]->data, $events[1]->data]);
        self::assertSame([$events[0]->id, $events[1]->id], $result->ids());
        self::assertSame('too_large', $publisher->publishAndConfirm(self::CHANNEL, 'again too much')->code());
    }

    /** @dataProvider transports */
    public function testALargeBatchIsConfirmedWhole(string $transport, string $scheme): void
    {
        $publisher = $this->confirming($transport, $scheme);
        $client = $this->listen();
        $messages = \array_map(static fn (int $i): Message => new Message(self::CHANNEL, (string) $i), \range(1, 2500));
        $start = \hrtime(true);
        $result = $publisher->publishBatchAndConfirm($messages, self::PATIENCE);
        $this->measured(\sprintf('2500 confirmed in %.0f ms', (\hrtime(true) - $start) / 1e6));
        self::assertCount(2500, \array_unique($result->ids()));
        self::assertSame(\range(1, 2500), $this->take($client, 2500));
    }

    /** @dataProvider transports */
    public function testAServerThatIsStoppedIsReportedAndARetryDoublesNothing(string $transport, string $scheme): void
    {
        $publisher = $this->confirming($transport, $scheme);
        $client = $this->listen();
        self::assertTrue($publisher->publishAndConfirm(self::CHANNEL, '1', timeout: self::PATIENCE)->ok);
        $this->daemon->process->signal(\SIGSTOP);
        $start = \hrtime(true);
        $result = $publisher->publishAndConfirm(self::CHANNEL, '2', ['key' => 'two'], self::BOUND_MS / 1000);
        self::assertLessThan(self::LIMIT_MS, (\hrtime(true) - $start) / 1e6);
        self::assertSame([false, null], [$result->ok, $result->code()]);
        $this->daemon->process->signal(\SIGCONT);
        $result = $publisher->publishAndConfirm(self::CHANNEL, '2', ['key' => 'two'], self::PATIENCE);
        self::assertTrue($result->ok, (string) $result->reason());
        self::assertTrue($publisher->publishAndConfirm(self::CHANNEL, '3', timeout: self::PATIENCE)->ok);
        self::assertSame([1, 2, 3], $this->take($client, 3), 'though the first attempts arrived late');
    }

    /** @dataProvider transports */
    public function testARestartOfTheServerIsSurvived(string $transport, string $scheme): void
    {
        $publisher = $this->confirming($transport, $scheme);
        self::assertTrue($publisher->publishAndConfirm(self::CHANNEL, '1', timeout: self::PATIENCE)->ok);
        $this->daemon->stop();
        $down = $publisher->publishAndConfirm(self::CHANNEL, '2', timeout: self::BOUND_MS / 1000);
        self::assertStringStartsWith('not confirmed', (string) $down->reason());
        $this->daemon->start();
        $client = $this->listen();
        self::assertTrue($publisher->publishAndConfirm(self::CHANNEL, '3', timeout: self::PATIENCE)->ok);
        self::assertSame([3], $this->take($client, 1), 'what was given up is never sent later');
    }

    /** @param array<string, string> $options of the server */
    private function confirming(string $transport, string $scheme, array $options = []): Publisher
    {
        $port = self::freePort();
        $this->daemon->start($options + [
            'publish.confirm_listen' => ["ipc://{$this->path('confirm.sock')}", "tcp://127.0.0.1:$port"],
        ]);
        $confirm = $scheme === 'tcp' ? "&confirm=tcp://127.0.0.1:$port" : '';

        return Publisher::connect($this->dsn($transport, $scheme, $confirm));
    }
}
