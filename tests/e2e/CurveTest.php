<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** Publishing over TCP with CURVE: who knows the right keys, and who does not. Keys are made by the daemon's own command. */
final class CurveTest extends EndToEndTestCase
{
    protected const SHARED = null;
    private string $endpoint;
    private string $pushEndpoint;
    /** @var array<string, array{public: string, secret: string}> */
    private array $keys = [];

    public function test_whoever_has_the_servers_key_publishes_both_ways(): void
    {
        $this->startWithCurve();
        $client = $this->listener();
        $id = $this->requester('shop')->publish('news', 'answered');
        $publisher = new \ZMQSocket(new \ZMQContext(1, true), \ZMQ::SOCKET_PUSH);
        foreach ($this->curve('shop') as $name => $key) {
            $publisher->setSockOpt(constant('ZMQ::SOCKOPT_CURVE_' . ['server' => 'SERVERKEY', 'public' => 'PUBLICKEY', 'secret' => 'SECRETKEY'][$name]), $key);
        }
        $publisher->setSockOpt(\ZMQ::SOCKOPT_LINGER, 1000);
        $publisher->connect($this->pushEndpoint);
        $publisher->sendmulti(['news', 'pushed']);
        $events = $client->take(2);
        self::assertSame(['answered', 'pushed'], array_column($events, 'data'));
        self::assertSame($id, $events[0]->id);
    }

    public function test_the_wrong_key_of_the_server_and_no_key_at_all_get_nowhere(): void
    {
        $this->startWithCurve();
        $wrong = new Requester($this->endpoint, \ZMQ::SOCKET_REQ, ['server' => $this->keys['shop']['public']] + $this->curve('shop'));
        $wrong->send('news', 'with a wrong key');
        $plain = new Requester($this->endpoint);
        $plain->send('news', 'in the clear');
        $raw = RawPublisher::connect($this->endpoint, 'DEALER');
        $raw->waitForClose();
        $this->waitForFailures(3);
        self::assertFalse($wrong->tryReceive());
        self::assertFalse($plain->tryReceive());
        $this->stack->publish('news', 'the only one');
        self::assertSame(['the only one'], array_column($this->stack->poll('channel=news&cursor=0')['messages'], 'data'));
    }

    public function test_unix_sockets_stay_as_they_are(): void
    {
        $this->startWithCurve();
        $client = $this->listener();
        (new Requester($this->stack->daemon->confirmEndpoint()))->publish('news', 'answered');
        $this->stack->publish('news', 'pushed');
        $client->expect('answered', 'pushed');
    }

    public function test_only_who_is_in_the_list_may_come_and_a_reload_changes_it(): void
    {
        $list = $this->prepare()->directory . '/clients';
        $this->makeKeys();
        file_put_contents($list, "# the shop\n{$this->keys['shop']['public']}\n");
        chmod($list, 0644);
        $this->startWithCurve(['publish.curve_clients_file' => $list]);
        $this->requester('shop')->publish('news', 'from the shop');

        $blog = $this->requester('blog');
        $blog->send('news', 'from the blog');
        $this->stack->daemon->process->waitForLog('/publisher refused: .*' . preg_quote($this->keys['blog']['public'], '/') . ' address=127\.0\.0\.1/');
        self::assertFalse($blog->tryReceive());

        file_put_contents($list, "nonsense\n");
        $this->stack->daemon->process->signal(SIGHUP);
        $this->stack->daemon->process->waitForLog('/clients:1: expected a public key of 40 characters.*the old list holds/');
        self::assertFalse($blog->tryReceive());
        $this->requester('shop')->publish('news', 'still from the shop');

        file_put_contents($list, "{$this->keys['shop']['public']}\n{$this->keys['blog']['public']}\n");
        $this->stack->daemon->process->signal(SIGHUP);
        self::assertStringStartsWith('ok ', $blog->receive()[0], 'it came back by itself');
    }

    public function test_a_key_file_that_others_can_read_is_refused(): void
    {
        $this->makeKeys();
        chmod("{$this->stack->directory}/server.secret", 0644);
        $process = $this->runDaemon();
        self::assertSame(4, $process->exitCode());
        self::assertStringContainsString('server.secret: others can read or change it: expected mode 0600', $process->err->text);
        self::assertStringNotContainsString($this->keys['server']['secret'], $process->err->text);
    }

    public function test_a_missing_or_broken_key_file_is_refused(): void
    {
        $this->makeKeys();
        $file = "{$this->stack->directory}/server.secret";
        file_put_contents($file, "{$this->keys['server']['secret']}{$this->keys['server']['secret']}\n");
        $process = $this->runDaemon();
        self::assertStringContainsString('server.secret:1: expected a key of 40 characters', $process->err->text);
        self::assertStringNotContainsString($this->keys['server']['secret'], $process->err->text);
        unlink($file);
        self::assertStringContainsString('server.secret: No such file', $this->runDaemon()->err->text);
    }

    /** Of an address that no machine has, so that nothing listens to the world: it is the address that fails, not the check. */
    public function test_with_curve_addresses_beyond_loopback_are_allowed(): void
    {
        $this->makeKeys();
        $process = $this->runDaemon(['publish.listen' => 'tcp://192.0.2.1:5555']);
        self::assertSame(4, $process->exitCode());
        self::assertStringContainsString('cannot listen on 192.0.2.1:5555', $process->err->text);
    }

    /** @param array<string, mixed> $options */
    private function startWithCurve(array $options = []): void
    {
        $this->keys !== [] || $this->makeKeys();
        $this->stack->daemon->start($options + $this->options());
    }

    /** @param array<string, mixed> $options */
    private function runDaemon(array $options = []): Process
    {
        $this->stack->daemon->configure($options + $this->options());
        return Process::run([Daemon::binary(), '-c', $this->stack->daemon->configFile]);
    }

    /** @return array<string, mixed> */
    private function options(): array
    {
        $daemon = $this->stack->daemon;
        $this->endpoint = 'tcp://127.0.0.1:' . $this->freePort();
        $this->pushEndpoint = 'tcp://127.0.0.1:' . $this->freePort();
        return [
            'publish.listen' => [$daemon->publishEndpoint(), $this->pushEndpoint],
            'publish.confirm_listen' => [$daemon->confirmEndpoint(), $this->endpoint],
            'publish.curve_secret_file' => "{$this->stack->directory}/server.secret",
        ];
    }

    private function makeKeys(): void
    {
        $directory = isset($this->stack) ? $this->stack->directory : $this->prepare()->directory;
        foreach (['server', 'shop', 'blog'] as $name) {
            $process = Process::run([Daemon::binary(), 'keygen', '--curve', "$directory/$name"]);
            self::assertSame(0, $process->exitCode(), $process->err->text);
            self::assertSame(1, preg_match('/^secret = (\S{40})$/m', file_get_contents("$directory/$name.secret"), $found));
            $this->keys[$name] = ['public' => trim($process->out->text), 'secret' => $found[1]];
        }
    }

    /** @return array{server: string, public: string, secret: string} */
    private function curve(string $name): array
    {
        return ['server' => $this->keys['server']['public']] + $this->keys[$name];
    }

    private function requester(string $name): Requester
    {
        return new Requester($this->endpoint, \ZMQ::SOCKET_REQ, $this->curve($name));
    }

    private function listener(): EventStream
    {
        $client = $this->stack->listen('channel=news');
        $client->opened();
        return $client;
    }

    private function waitForFailures(int $least): void
    {
        $this->eventually('handshakes to fail', function () use ($least): bool {
            $this->stack->daemon->process->signal(SIGUSR1);
            return preg_match_all('/publishers_failed=(\d+)/', $this->stack->daemon->process->err->text, $found) > 0
                && max(array_map(intval(...), $found[1])) >= $least;
        });
    }
}
