<?php

declare(strict_types=1);

namespace Sidecast\Tests\server;

use Sidecast\EndToEnd\Daemon;
use Sidecast\EndToEnd\Process;
use Sidecast\Publisher;

/** CURVE through ext-zmq. Needs publish.curve_secret_file and `sidecast keygen` of the server. */
final class CurveTest extends ServerTestCase
{
    private string $confirm = '';

    public function testPublishedAndConfirmedEncrypted(): void
    {
        $options = $this->start(['client']);
        $client = $this->listen();
        $publisher = Publisher::connect($this->dsn('zmq', 'tcp', $options . $this->keyFile('client')));
        self::assertTrue($publisher->publish(self::CHANNEL, '1')->ok);
        self::assertSame([1], $this->take($client, 1));
        $result = $publisher->publishAndConfirm(self::CHANNEL, '2', timeout: 10.0);
        self::assertSame([null, 1], [$result->reason(), \count($result->ids())]);
        self::assertSame([2], $this->take($client, 1));
    }

    public function testAClientThatTheServerDoesNotKnowIsNotConfirmed(): void
    {
        $options = $this->start(['client']);
        $this->keygen('stranger');
        $publisher = Publisher::connect($this->dsn('zmq', 'tcp', $options . $this->keyFile('stranger')));
        self::assertFalse($publisher->publishAndConfirm(self::CHANNEL, 'x', timeout: 0.5)->ok);
    }

    public function testPurePhpIsToldThatItCannot(): void
    {
        $this->start(['client']);
        $result = Publisher::connect($this->dsn('zmtp', 'tcp'))->publish(self::CHANNEL, 'x');
        self::assertStringContainsString('CURVE', (string) $result->reason());
    }

    /**
     * @param list<string> $known clients
     *
     * @return string options of a DSN
     */
    private function start(array $known): string
    {
        $this->keygen('server');
        $list = '';
        foreach ($known as $name) {
            $list .= $this->keygen($name) . "\n";
        }
        \file_put_contents($this->path('known'), $list);
        $this->confirm = 'tcp://127.0.0.1:' . self::freePort();
        $this->daemon->start([
            'publish.confirm_listen' => $this->confirm,
            'publish.curve_secret_file' => $this->path('server.secret'),
            'publish.curve_clients_file' => $this->path('known'),
        ]);

        return "&confirm=$this->confirm&server_key=" . \rawurlencode($this->publicKey('server'));
    }

    private function keyFile(string $name): string
    {
        return '&client_key_file=' . \rawurlencode($this->path("$name.secret"));
    }

    private function keygen(string $name): string
    {
        Process::run([Daemon::binary(), 'keygen', '--curve', $this->path($name)]);

        return $this->publicKey($name);
    }

    private function publicKey(string $name): string
    {
        $file = (string) \file_get_contents($this->path("$name.public"));
        self::assertSame(1, \preg_match('/^(?:public\s*=\s*)?(\S{40})$/m', $file, $match), $file);

        return $match[1];
    }
}
