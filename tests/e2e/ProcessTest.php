<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** The program as an administrator meets it: command line, configuration, sockets. */
final class ProcessTest extends EndToEndTestCase
{
    protected const SHARED = null;

    public function test_version_and_help_are_told(): void
    {
        $version = Process::run([Daemon::binary(), '--version']);
        self::assertSame(0, $version->exitCode());
        self::assertMatchesRegularExpression('/^sidecast \d+\.\d+\.\d+/', $version->out->text);

        $help = Process::run([Daemon::binary(), '--help']);
        self::assertSame(0, $help->exitCode());
        foreach (['-c', '--check-config', '--healthcheck', 'history.keep', 'fastcgi.listen'] as $word) {
            self::assertStringContainsString($word, $help->out->text);
        }
    }

    public function test_a_good_configuration_passes_its_check_and_starts_nothing(): void
    {
        $daemon = $this->prepare(['channel "ticker"' => ['match' => ['a/*', 'b/**'], 'history.messages' => '10']])->daemon;
        $daemon->configure([]);
        $check = Process::run([Daemon::binary(), '-c', $daemon->configFile, '--check-config']);
        self::assertSame(0, $check->exitCode(), $check->err->text);
        self::assertFileDoesNotExist($daemon->socket);
    }

    /** @dataProvider mistakes */
    public function test_a_mistake_is_named_with_file_and_line_and_what_was_expected(string $text, int $line, string $says): void
    {
        $file = $this->prepare()->directory . '/wrong.ini';
        file_put_contents($file, $text);
        foreach ([['--check-config'], []] as $more) {
            $process = Process::run([Daemon::binary(), '-c', $file, ...$more]);
            self::assertGreaterThan(0, $process->exitCode());
            self::assertStringContainsString("wrong.ini:$line", $process->err->text);
            self::assertMatchesRegularExpression($says, $process->err->text);
        }
    }

    /** @return array<string, array{string, int, string}> */
    public static function mistakes(): array
    {
        return [
            'unknown option' => ["[sse]\nretry = 1s\nhartbeat = 1s\n", 3, '/hartbeat/'],
            'unknown section' => ["\n[see]\nheartbeat = 1s\n", 2, '/see/'],
            'no time' => ["[sse]\nheartbeat = soon\n", 2, '/heartbeat.*(ms|s|time)/'],
            'no size' => ["[history]\nbytes = 5 parsecs\n", 2, '/bytes.*(KiB|MiB|size)/'],
            'too small' => ["[history]\nbytes = 1KiB\n", 2, '/64 ?KiB/'],
            'no number' => ["[history]\nmessages = many\n", 2, '/messages.*number/'],
            'neither yes nor no' => ["[sse]\nopen_event = perhaps\n", 2, '/yes/'],
            'no level' => ["[log]\nlevel = loud\n", 2, '/info/'],
            'no mode' => ["[fastcgi]\nmode = 0999\n", 2, '/mode/'],
            'a line too long' => ["[access]\npublic = " . str_repeat('x', 200) . "\n", 2, '/198|long/'],
            'a section name too long' => ['[channel "' . str_repeat('x', 60) . "\"]\nmatch = a\n", 1, '/49|long/'],
            'a channel section without a pattern' => ["[channel \"x\"]\nhistory.messages = 5\n", 1, '/match/'],
            'an option that has no meaning by channel' => ["[channel \"x\"]\nmatch = a\nsse.retry = 5s\n", 3, '/retry/'],
        ];
    }

    public function test_a_missing_file_is_named(): void
    {
        $process = Process::run([Daemon::binary(), '-c', '/nonexistent/sidecast.ini']);
        self::assertGreaterThan(0, $process->exitCode());
        self::assertStringContainsString('/nonexistent/sidecast.ini', $process->err->text);
    }

    /** @testWith ["--sse.hartbeat=1s", "/hartbeat/"]
     *            ["--sse.heartbeat=soon", "/heartbeat/"]
     *            ["--frobnicate", "/frobnicate/"]
     */
    public function test_a_mistake_on_the_command_line_is_named(string $argument, string $says): void
    {
        $this->prepare()->daemon->configure([]);
        $process = Process::run([Daemon::binary(), '-c', $this->stack->daemon->configFile, $argument]);
        self::assertGreaterThan(0, $process->exitCode());
        self::assertMatchesRegularExpression($says, $process->err->text);
    }

    /**
     * Of an address that no machine has, so that nothing listens to the world even if this fails.
     *
     * @testWith ["publish.listen", "tcp://192.0.2.1:5555", "publish.insecure"]
     *           ["fastcgi.listen", "192.0.2.1:9000", "fastcgi.insecure"]
     */
    public function test_the_world_outside_is_not_let_in_by_accident(string $option, string $value, string $says): void
    {
        $this->prepare()->daemon->configure([$option => $value]);
        $process = Process::run([Daemon::binary(), '-c', $this->stack->daemon->configFile]);
        self::assertGreaterThan(0, $process->exitCode());
        self::assertStringContainsString($says, $process->err->text);
    }

    public function test_the_command_line_wins_over_the_file(): void
    {
        $daemon = $this->prepare(['sse.retry' => '1h'])->daemon;
        $daemon->arguments = ['--sse.retry=100ms'];
        $daemon->start();
        $client = $daemon->fastcgi()->listen('channel=news');
        $client->opened();
        self::assertLessThanOrEqual(150, $client->parser->retry);
    }

    public function test_health_is_told_to_nginx_and_on_the_command_line(): void
    {
        $this->start();
        $daemon = $this->stack->daemon;
        $response = $daemon->fastcgi()->request(FastCgi::params('', ['SIDECAST_ENDPOINT' => 'health']))->wait();
        self::assertSame([200, 'ok'], [$response->status, trim($response->body)]);

        $check = [Daemon::binary(), '--healthcheck', '-c', $daemon->configFile];
        self::assertSame(0, Process::run($check)->exitCode());
        $daemon->stop();
        self::assertSame(1, Process::run($check)->exitCode());
        self::assertSame(1, Process::run([...$check, '--fastcgi.listen=127.0.0.1:9'])->exitCode());
        self::assertSame(1, Process::run([...$check, '--fastcgi.listen=[::1]:9'])->exitCode());
    }

    public function test_a_second_daemon_on_the_same_sockets_does_not_start(): void
    {
        $this->start();
        $client = $this->stack->listen('channel=news');
        $client->opened();
        $second = Process::run([Daemon::binary(), '-c', $this->stack->daemon->configFile]);
        self::assertGreaterThan(0, $second->exitCode());
        self::assertStringContainsString('another sidecast is running', $second->err->text);

        $other = Process::run([Daemon::binary(), '-c', $this->stack->daemon->configFile,
            "--fastcgi.listen={$this->stack->directory}/other.sock"]);
        self::assertGreaterThan(0, $other->exitCode(), 'the publish socket alone is taken, too');
        self::assertStringContainsString('another sidecast is running', $other->err->text);

        $this->stack->publish('news', 'the first one goes on');
        $client->expect('the first one goes on');
    }

    public function test_a_socket_file_left_by_a_crash_is_replaced(): void
    {
        $this->start();
        $this->stack->daemon->kill();
        self::assertFileExists($this->stack->daemon->socket);
        self::assertFileExists($this->stack->daemon->publishSocket);
        $this->stack->daemon->start();
        $client = $this->stack->daemon->fastcgi()->listen('channel=news');
        $client->opened();
        $this->stack->publish('news', 'on new sockets');
        $client->expect('on new sockets');
    }

    public function test_a_file_that_is_no_socket_is_left_alone(): void
    {
        $daemon = $this->prepare()->daemon;
        file_put_contents($daemon->socket, 'something of value');
        $daemon->launch();
        self::assertGreaterThan(0, $daemon->process->waitForExit());
        self::assertStringContainsString($daemon->socket, $daemon->process->err->text);
        self::assertSame('something of value', file_get_contents($daemon->socket));
    }

    public function test_sockets_have_the_configured_modes(): void
    {
        $this->start(['fastcgi.mode' => '0600', 'publish.mode' => '0622']);
        self::assertSame(0600, fileperms($this->stack->daemon->socket) & 0777);
        self::assertSame(0622, fileperms($this->stack->daemon->publishSocket) & 0777);
    }

    public function test_fastcgi_over_tcp_serves_as_well(): void
    {
        $port = $this->freePort();
        $daemon = $this->prepare()->daemon;
        $daemon->start(['fastcgi.listen' => [$daemon->socket, "127.0.0.1:$port"]]);
        $client = (new FastCgiConnection("tcp://127.0.0.1:$port"))->listen('channel=news');
        $client->opened();
        $this->stack->publish('news', 'over tcp');
        $client->expect('over tcp');
    }

    public function test_the_descriptor_limit_is_raised_to_the_hard_one(): void
    {
        $daemon = $this->prepare()->daemon;
        $daemon->start([], '1024:2048');
        $limits = file_get_contents("/proc/{$daemon->process->pid}/limits");
        self::assertMatchesRegularExpression('/Max open files\s+2048\s+2048/', $limits);
    }
}
