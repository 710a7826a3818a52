<?php

declare(strict_types=1);

namespace Sidecast\Recipes;

use PHPUnit\Framework\Assert;
use Sidecast\EndToEnd\Loop;
use Sidecast\EndToEnd\Process;

/**
 * Somebody who follows a tutorial in an empty home directory: saves its files, types its commands into a shell, compares what they
 * print. What `sudo` does is done already. Root follows it as nobody, since the tutorial is for ordinary users.
 */
final class Tutorial
{
    private const NOBODY = 65534;
    private const AS_NOBODY = ['setpriv', '--reuid=' . self::NOBODY, '--regid=' . self::NOBODY, '--clear-groups'];
    public readonly int $port;
    private readonly string $home;
    private readonly string $root;
    private ?Process $servers = null;
    private string $output = '';

    /** @param string $work the directory of the tutorial, in the home directory */
    public function __construct(private readonly string $path, private readonly string $work, private readonly string $printedPort)
    {
        $this->root = dirname(__DIR__, 2);
        $this->home = "$this->root/build/recipes/" . bin2hex(random_bytes(4));
        mkdir($this->home, 0755, true);
        symlink($this->root, "$this->home/sidecast");
        if (posix_getuid() === 0) {
            chown($this->home, self::NOBODY);
        }
        $server = stream_socket_server('tcp://127.0.0.1:0');
        $this->port = (int) substr(strrchr(stream_socket_get_name($server, false), ':'), 1);
    }

    /** Whether who follows it may read the checkout, which may lie in root's own directory. */
    public static function isPossible(): bool
    {
        $test = ['test', '-r', dirname(__DIR__, 2) . '/README.md'];
        return posix_getuid() !== 0 || Process::run([...self::AS_NOBODY, ...$test])->exitCode() === 0;
    }

    public function follow(): void
    {
        foreach ((new Document($this->path))->blocks() as $block) {
            $text = str_replace($this->printedPort, (string) $this->port, $block['text']);
            match (true) {
                $block['file'] !== null => $this->save($block['file'], $text),
                $block['language'] === 'sh' => $this->type(trim($text)),
                $block['language'] === 'output' => $this->compare($text),
                default => Assert::fail("$this->path: what is to be done with a block of {$block['language']}?"),
            };
        }
    }

    public function stop(bool $keep): void
    {
        if ($this->servers !== null) {
            $this->servers->signal(SIGTERM);
            $this->servers->waitForExit();
        }
        if (!$keep) {
            Process::run(['rm', '-rf', $this->home]);
        }
    }

    /** What the servers have said. */
    public function log(): string
    {
        return (string) $this->servers?->err->text . $this->servers?->out->text;
    }

    private function save(string $name, string $text): void
    {
        $file = "$this->home/$this->work/$name";
        file_put_contents($file, $text);
        if (posix_getuid() === 0) {
            chown($file, self::NOBODY);
        }
    }

    private function type(string $commands): void
    {
        $commands = preg_replace('/^sudo .*\n?/m', '', $commands);
        if ($commands === '') {
            return;
        }
        if (str_ends_with($commands, 'start.sh')) {
            $this->servers = new Process($this->shell("exec $commands"), "$this->home/servers.log");
            Loop::until(function (): bool {
                Assert::assertTrue($this->servers->isRunning(), 'the servers have ended: ' . $this->log());
                return str_contains($this->log(), 'is ready')
                    && $this->answers("unix://$this->home/$this->work/run/php.sock")
                    && $this->answers("tcp://127.0.0.1:$this->port");
            }, "the servers of the tutorial; see $this->home");
            return;
        }
        $process = new Process($this->shell("set -e\n$commands", builds: str_contains($commands, 'make ')));
        $process->waitForExit(300);
        $this->output = $process->out->text;
        Assert::assertSame(0, $process->exitCode(), "$commands\n" . $process->err->text);
    }

    private function answers(string $address): bool
    {
        $connection = @stream_socket_client($address, $number, $message, 1);
        return $connection !== false && fclose($connection);
    }

    /** Ids are examples. */
    private function compare(string $expected): void
    {
        $plain = static fn (string $text) => preg_replace('/\d{13}-\d+/', 'ID', trim($text));
        Assert::assertSame($plain($expected), $plain($this->output));
    }

    /**
     * Who builds must be able to write to build/; everything else is done as an ordinary user.
     *
     * @return list<string>
     */
    private function shell(string $commands, bool $builds = false): array
    {
        $directory = is_dir("$this->home/$this->work") ? "$this->home/$this->work" : $this->home;
        $nobody = posix_getuid() === 0 && !$builds
            ? self::AS_NOBODY
            : [];
        return [...$nobody, 'env', '-C', $directory, "HOME=$this->home", 'sh', '-c', $commands];
    }
}
