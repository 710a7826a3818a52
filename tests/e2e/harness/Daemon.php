<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

use PHPUnit\Framework\Assert;

/**
 * The sidecast process under test, its configuration file and its sockets. Its end is part of every test: it must exit with 0 and
 * leave no sanitizer report. SIDECAST_WORKERS says how many workers it has unless a test wants a number of its own.
 *
 * Options are written as in the file: ['sse.heartbeat' => '100ms', 'access.public' => ['a', 'b'], 'channel "x"' => ['match' => …]].
 */
final class Daemon
{
    public readonly string $socket;
    public readonly string $publishSocket;
    public readonly string $confirmSocket;
    public readonly string $configFile;
    public Process $process;
    /** @var list<string> further arguments of its command line */
    public array $arguments = [];
    /** @var array<string, string> variables of its environment besides those of the suite */
    public array $environment = [];
    /** Called when it serves. */
    public ?\Closure $whenStarted = null;
    /** What it is started with instead of making sockets itself. */
    public ?PassedSockets $passed = null;
    /** Another program than that of the suite. */
    public ?string $binary = null;
    private const DEFAULTS = [
        'access.public' => '**',
        // tests wait for events: what is periodic stays out of their way unless they ask for it
        'sse.heartbeat' => '30s',
        'hub.stop_timeout' => '10s',
        'hub.drain' => '0',
    ];
    private const SANITIZERS = '/(AddressSanitizer|LeakSanitizer|ThreadSanitizer|UndefinedBehaviorSanitizer|runtime error:|Assertion .* failed)/';

    /** @param array<string, string|list<string>|array<string, mixed>> $options */
    public function __construct(private readonly string $directory, private array $options = [])
    {
        $this->socket = "$directory/fastcgi.sock";
        $this->publishSocket = "$directory/publish.sock";
        $this->confirmSocket = "$directory/confirm.sock";
        $this->configFile = "$directory/sidecast.ini";
    }

    public static function binary(): string
    {
        $binary = getenv('SIDECAST_BINARY') ?: dirname(__DIR__, 3) . '/build/check/sidecast';
        Assert::assertFileExists($binary, 'build it first, or name one in SIDECAST_BINARY');
        return $binary;
    }

    /**
     * Starts it and waits until it serves.
     *
     * @param array<string, mixed> $options replace single options from now on
     * @param ?string $descriptors its limit of open files, "soft:hard"
     */
    public function start(array $options = [], ?string $descriptors = null): void
    {
        $this->launch($options, $descriptors);
        Loop::until(function (): bool {
            Assert::assertTrue($this->process->isRunning(), "sidecast did not start:\n" . $this->process->err->text);
            return $this->isHealthy();
        }, 'sidecast to serve');
        $this->whenStarted && ($this->whenStarted)();
    }

    /**
     * Starts it without waiting for anything, for tests of what happens then.
     *
     * @param array<string, mixed> $options
     */
    public function launch(array $options = [], ?string $descriptors = null): void
    {
        $this->configure($options);
        $limit = $descriptors === null ? [] : ['prlimit', "--nofile=$descriptors"];
        $variables = array_map(static fn ($name, $value) => "$name=$value", array_keys($this->environment), $this->environment);
        $before = [
            ...($variables === [] ? [] : ['env', ...$variables]),
            ...$this->sanitizer(),
            ...$limit,
            ...($this->passed?->launcher() ?? []),
        ];
        $command = [...$before, $this->binary ?? self::binary(), '-c', $this->configFile, ...$this->arguments];
        $this->process = new Process($command, "$this->directory/sidecast.log", $this->passed?->descriptors() ?? []);
    }

    /**
     * What comes with CURVE is put down by memmove, which libsodium calls for libzmq, on a thread of libzmq's: ThreadSanitizer sees no frame of
     * libzmq that a suppression could name. So there it looks at what our code reads and writes, and not at what functions of libc do.
     *
     * @return list<string>
     */
    private function sanitizer(): array
    {
        $has = isset($this->options['publish.curve_secret_file']);
        return $has ? ['env', 'TSAN_OPTIONS=' . getenv('TSAN_OPTIONS') . ' ignore_interceptors_accesses=1'] : [];
    }

    /** @param array<string, mixed> $options replace single options in the file */
    public function configure(array $options): void
    {
        $this->options = $options + $this->options;
        $all = $this->options + self::DEFAULTS + [
            'fastcgi.listen' => $this->socket,
            'publish.listen' => "ipc://$this->publishSocket",
            'publish.confirm_listen' => "ipc://$this->confirmSocket",
            'hub.workers' => getenv('SIDECAST_WORKERS') ?: '1',
        ];
        file_put_contents($this->configFile, self::ini($all));
    }

    /** Ends it as an administrator does and insists on a clean end. */
    public function stop(): void
    {
        $this->process->signal(SIGCONT);
        $this->process->signal(SIGTERM);
        $this->assertCleanEnd();
    }

    /** Waits for its end, which must be exit code 0 without a sanitizer's report. */
    public function assertCleanEnd(): void
    {
        Loop::until(
            fn () => !$this->isRunning(),
            'sidecast to end; its log: ' . substr($this->process->err->text, -2000)
        );
        $exit = $this->process->exitCode();
        $log = $this->process->err->text;
        Assert::assertDoesNotMatchRegularExpression(self::SANITIZERS, $log);
        Assert::assertSame(0, $exit, "exit code; the end of its log:\n" . substr($log, -2000));
    }

    /** Ends it without a chance to tidy up. */
    public function kill(): void
    {
        $this->process->signal(SIGKILL);
        $this->process->waitForExit();
    }

    public function isRunning(): bool
    {
        return isset($this->process) && $this->process->isRunning();
    }

    public function fastcgi(): FastCgiConnection
    {
        return new FastCgiConnection("unix://$this->socket");
    }

    public function publishEndpoint(): string
    {
        return "ipc://$this->publishSocket";
    }

    public function confirmEndpoint(): string
    {
        return "ipc://$this->confirmSocket";
    }

    /** @return list<string> the sockets that it has open, as the kernel numbers them */
    public function openSockets(): array
    {
        $links = array_map(static fn (string $fd) => (string) @readlink($fd), glob("/proc/{$this->process->pid}/fd/*"));
        return array_values(array_filter($links, static fn (string $link) => str_starts_with($link, 'socket:')));
    }

    /** Its loop runs, so every socket is there and every signal is heard. */
    private function isHealthy(): bool
    {
        try {
            $connection = $this->fastcgi();
        } catch (\RuntimeException) {
            return false;
        }
        $response = $connection->request(FastCgi::params('', ['SIDECAST_ENDPOINT' => 'health']));
        Loop::until(fn () => $response->complete || !$this->isRunning(), 'the answer to a question for health');
        $connection->close();
        return $response->status === 200;
    }

    /** @param array<string, mixed> $options */
    private static function ini(array $options): string
    {
        $sections = [];
        foreach ($options as $name => $value) {
            if (is_array($value) && !array_is_list($value)) {
                $sections[$name] = $value;
                continue;
            }
            [$section, $key] = explode('.', $name, 2);
            $sections[$section][$key] = $value;
        }
        $text = '';
        foreach ($sections as $section => $keys) {
            $text .= "[$section]\n";
            foreach ($keys as $key => $values) {
                foreach ((array) $values as $value) {
                    $text .= "$key = $value\n";
                }
            }
        }
        return $text;
    }
}
