<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** sidecast publish and sidecast keygen, as a shell sees them. */
final class CommandTest extends EndToEndTestCase
{
    public function test_publish_prints_the_id_under_which_the_message_arrives(): void
    {
        [$channel, $client] = $this->listener();
        $process = $this->publish([$channel, 'Hello']);
        self::assertSame([0, ''], [$process->exitCode(), $process->err->text]);
        $event = $client->next();
        self::assertSame(["{$event->id}\n", 'Hello'], [$process->out->text, $event->data]);
    }

    public function test_publish_takes_options(): void
    {
        [$channel, $client] = $this->listener();
        $this->publish(['--event', 'named "é"', '--key=k', '--ttl=60', '--no-store', '--except=somebody', $channel, '-5']);
        $event = $client->next();
        self::assertSame(['named "é"', '-5'], [$event->type, $event->data]);
        self::assertSame("{$event->id}\n", $this->publish(['--key=k', $channel, 'again'])->out->text, 'the first id');
        $this->publish(['--except=me', $channel, 'not for me']);
        $this->publish([$channel, 'for all']);
        $client->expect('not for me', 'for all');
        $messages = $this->stack->poll("channel=$channel&cursor=0&client=me")['messages'];
        self::assertSame(['for all'], array_column($messages, 'data'), 'what was not stored is not there either');
    }

    public function test_publish_reads_standard_input(): void
    {
        [$channel, $client] = $this->listener();
        $data = str_repeat("line\n", 20000) . 'end';
        file_put_contents("{$this->stack->directory}/data", $data);
        $process = Process::run(['sh', '-c', 'exec "$@" <' . "{$this->stack->directory}/data", 'sh',
            Daemon::binary(), 'publish', "--endpoint={$this->stack->daemon->confirmEndpoint()}", $channel, '-']);
        self::assertSame(0, $process->exitCode(), $process->err->text);
        $client->expect($data);
    }

    /** @dataProvider refusals */
    public function test_publish_says_why_the_server_refuses(string $says, string ...$arguments): void
    {
        $process = $this->publish($arguments);
        self::assertSame([1, ''], [$process->exitCode(), $process->out->text]);
        self::assertStringStartsWith("sidecast publish: $says", $process->err->text);
    }

    /** @return array<string, list<string>> */
    public static function refusals(): array
    {
        return [
            'a channel' => ['bad_channel the channel must be', 'a b', 'x'],
            'a ttl' => ['bad_option ttl must be', '--ttl=0', 'news', 'x'],
            'a ttl that is no JSON' => ['bad_json ', '--ttl=1.2.3', 'news', 'x'],
            'data' => ['bad_data data must be', 'news', "caf\xe9"],
        ];
    }

    /** @dataProvider mistakes */
    public function test_wrong_arguments_are_told(string $says, string ...$arguments): void
    {
        $process = Process::run([Daemon::binary(), ...$arguments]);
        self::assertSame([2, ''], [$process->exitCode(), $process->out->text]);
        self::assertMatchesRegularExpression($says, $process->err->text);
    }

    /** @return array<string, list<string>> */
    public static function mistakes(): array
    {
        return [
            'no data' => ['/^sidecast publish: expected CHANNEL and DATA/', 'publish', 'news'],
            'too much' => ['/^sidecast publish: expected CHANNEL and DATA/', 'publish', 'news', 'a', 'b'],
            'an unknown option' => ["/^sidecast publish: .*--colour/", 'publish', '--colour=red', 'news', 'x'],
            'an endpoint' => ['~--endpoint=/x: expected ipc:///path or tcp://host:port~', 'publish', '--endpoint=/x', 'news', 'x'],
            'a timeout' => ['/--timeout=2: expected a time/', 'publish', '--timeout=2', 'news', 'x'],
            'a timeout of zero' => ['/--timeout=0s: expected a time/', 'publish', '--timeout=0s', 'news', 'x'],
            'a ttl' => ['/--ttl=soon: expected a number of seconds/', 'publish', '--ttl=soon', 'news', 'x'],
            'an event' => ['/--event: expected at most 255 bytes/', 'publish', "--event=a\nb", 'news', 'x'],
            'a key' => ['/--key: expected at most 255 bytes/', 'publish', '--key=' . str_repeat('k', 256), 'news', 'x'],
            'a key of the server' => ['/--server-key: expected a key of 40 characters, or a file/', 'publish', '--server-key=abc', 'news', 'x'],
            'a key without the server\'s' => ['/expected --server-key, too/', 'publish', '--client-secret-file=/x', 'news', 'x'],
            'two places for keys' => ['/^sidecast keygen: b: expected/', 'keygen', 'a', 'b'],
            'another kind of key' => ['/^sidecast keygen: --rsa: expected/', 'keygen', '--rsa'],
            'no command' => ['/or a command/', 'pubish', 'news', 'x'],
        ];
    }

    public function test_each_command_explains_itself(): void
    {
        foreach (['publish', 'keygen'] as $command) {
            $process = Process::run([Daemon::binary(), $command, '--help']);
            self::assertSame([0, ''], [$process->exitCode(), $process->err->text]);
            self::assertStringStartsWith("Usage: sidecast $command ", $process->out->text);
            self::assertStringContainsString('Exit codes: 0 ', $process->out->text);
        }
    }

    public function test_publish_ends_in_time_when_nobody_is_there(): void
    {
        $endpoint = "ipc://{$this->stack->directory}/nobody.sock";
        $process = Process::run([Daemon::binary(), 'publish', "--endpoint=$endpoint", '--timeout=100ms', 'news', 'x']);
        self::assertSame([4, ''], [$process->exitCode(), $process->out->text]);
        self::assertSame("sidecast publish: $endpoint: no sidecast answers there within 100 ms (No such file or directory); nothing was sent\n",
            $process->err->text);
        $process = Process::run([Daemon::binary(), 'publish', "--endpoint=tcp://127.0.0.1:{$this->freePort()}", '--timeout=100ms', 'news', 'x']);
        self::assertSame(4, $process->exitCode());
    }

    public function test_publish_tells_when_it_was_sent_and_not_answered(): void
    {
        $silent = new \ZMQSocket(new \ZMQContext(1, true), \ZMQ::SOCKET_ROUTER);
        $endpoint = "ipc://{$this->stack->directory}/silent.sock";
        $silent->bind($endpoint);
        $process = Process::run([Daemon::binary(), 'publish', "--endpoint=$endpoint", '--timeout=300ms', 'news', 'x']);
        self::assertSame([5, ''], [$process->exitCode(), $process->out->text]);
        self::assertStringContainsString('may be published, or not', $process->err->text);
    }

    public function test_publish_waits_for_a_server_that_is_just_starting(): void
    {
        $daemon = $this->prepare()->daemon;
        $process = new Process([Daemon::binary(), 'publish', "--endpoint={$daemon->confirmEndpoint()}", '--timeout=20s', 'news', 'x']);
        $daemon->start();
        self::assertSame(0, $process->waitForExit(), $process->err->text);
        self::assertSame(['x'], array_column($this->stack->poll('channel=news&cursor=0')['messages'], 'data'));
    }

    public function test_publish_with_curve(): void
    {
        $directory = $this->prepare()->directory;
        $endpoint = 'tcp://127.0.0.1:' . $this->freePort();
        foreach (['server', 'client'] as $name) {
            self::assertSame(0, Process::run([Daemon::binary(), 'keygen', "$directory/$name"])->exitCode());
        }
        copy("$directory/client.public", "$directory/list");
        $this->stack->daemon->start([
            'publish.confirm_listen' => [$this->stack->daemon->confirmEndpoint(), $endpoint],
            'publish.curve_secret_file' => "$directory/server.secret", 'publish.curve_clients_file' => "$directory/list",
        ]);
        $publish = static fn (string ...$arguments) => Process::run([Daemon::binary(), 'publish', "--endpoint=$endpoint", ...$arguments]);
        $own = "--client-secret-file=$directory/client.secret";
        $patient = [$own, '--timeout=20s'];
        self::assertSame(0, $publish("--server-key=$directory/server.public", ...$patient, ...['news', 'from a file'])->exitCode());
        $key = trim(file_get_contents("$directory/server.public"));
        self::assertSame(0, $publish("--server-key=$key", ...$patient, ...['news', 'by its text'])->exitCode());
        $likeKey = str_pad('/tmp/sidecast-' . bin2hex(random_bytes(4)), 40, '-'); // 40 characters of Z85
        copy("$directory/server.public", $likeKey);
        self::assertSame(0, $publish("--server-key=$likeKey", ...$patient, ...['news', 'from a file like a key'])->exitCode());
        unlink($likeKey);
        $stranger = $publish("--server-key=$directory/server.public", '--timeout=300ms', 'news', 'not in the list');
        self::assertSame(4, $stranger->exitCode());
        self::assertStringContainsString('nothing was sent', $stranger->err->text);
        self::assertSame(4, $publish('--timeout=300ms', 'news', 'in the clear')->exitCode());
        self::assertSame(['from a file', 'by its text', 'from a file like a key'], array_column($this->stack->poll('channel=news&cursor=0')['messages'], 'data'));
    }

    public function test_keygen_makes_a_pair_and_overwrites_nothing(): void
    {
        $directory = "{$this->stack->directory}/keys";
        mkdir($directory);
        $process = Process::run([Daemon::binary(), 'keygen', $directory]);
        self::assertSame(0, $process->exitCode(), $process->err->text);
        self::assertSame($process->out->text, file_get_contents("$directory/curve.public"));
        self::assertSame([0600, 0644], [fileperms("$directory/curve.secret") & 0777, fileperms("$directory/curve.public") & 0777]);
        $again = Process::run([Daemon::binary(), 'keygen', $directory]);
        self::assertSame([1, ''], [$again->exitCode(), $again->out->text]);
        self::assertStringContainsString('File exists', $again->err->text);
        self::assertSame($process->out->text, file_get_contents("$directory/curve.public"));
    }

    /** @param list<string> $arguments */
    private function publish(array $arguments): Process
    {
        return Process::run([Daemon::binary(), 'publish', "--endpoint={$this->stack->daemon->confirmEndpoint()}", ...$arguments]);
    }

    /** @return array{string, EventStream} */
    private function listener(): array
    {
        $channel = $this->channel();
        $client = $this->stack->listen("channel=$channel");
        $client->opened();
        return [$channel, $client];
    }
}
