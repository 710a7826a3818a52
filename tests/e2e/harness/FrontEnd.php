<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

use PHPUnit\Framework\Assert;

/** The web server between clients and daemon, in the private directory: nginx, or what SIDECAST_FRONTEND names. */
abstract class FrontEnd
{
    /** Where clients subscribe. */
    public const EVENTS = '/events';
    /** It tells the daemon at once that a client has left; else the daemon notices at its next write. */
    public const TELLS_OF_LEAVING = true;
    /** Where it keeps connections to the daemon for the next request. */
    public const KEEPS = self::EVENTS;
    /** It answers an event stream with 200 while the daemon is away. */
    public const STANDS_IN = true;
    /** What a long-poll is answered while the daemon is away. */
    public const AWAY = 503;
    /** Options that the daemon needs behind it. */
    public const DAEMON = [];
    public readonly string $address;
    protected Process $process;

    public function __construct(
        protected readonly string $directory,
        protected readonly Daemon $daemon,
        protected readonly Fpm $fpm
    ) {
        $this->address = static::takeAddress($directory);
    }

    /** @return class-string<self> */
    public static function chosen(): string
    {
        $name = getenv('SIDECAST_FRONTEND') ?: 'nginx';
        $class = __NAMESPACE__ . '\\' . ucfirst($name);
        Assert::assertTrue(is_subclass_of($class, self::class), "SIDECAST_FRONTEND: expected a front end, got $name");
        return $class;
    }

    /** Starts it and waits until it serves. */
    public function start(): void
    {
        $this->configure();
        $this->process = new Process($this->command(), "$this->directory/front-end.log");
        Loop::until(function (): bool {
            Assert::assertTrue($this->process->isRunning(), "the front end did not start:\n" . $this->log());
            return @stream_socket_client($this->address, $number, $message, 1) !== false;
        }, 'the front end to serve');
    }

    public function stop(): void
    {
        $this->process->signal(SIGTERM);
        $this->process->waitForExit();
    }

    /** Waits until it knows that the daemon is there again, where it keeps that in mind. */
    public function findAgain(): void
    {
    }

    public function connect(): HttpConnection
    {
        return new HttpConnection($this->address);
    }

    /** The URL for curl, with its socket. */
    public function url(string $uri): string
    {
        return ($this->socket() === null ? str_replace('tcp:', 'http:', $this->address) : 'http://localhost') . $uri;
    }

    /** The path of the unix socket that it listens on; null: it listens on TCP. */
    public function socket(): ?string
    {
        return str_starts_with($this->address, 'unix://') ? substr($this->address, strlen('unix://')) : null;
    }

    public function log(): string
    {
        return $this->process->err->text;
    }

    /** Writes its configuration. */
    abstract protected function configure(): void;

    /** @return list<string> that runs it in the foreground */
    abstract protected function command(): array;

    /** Where it listens, as stream_socket_client() takes it. */
    protected static function takeAddress(string $directory): string
    {
        return "unix://$directory/http.sock";
    }

    /** An address for those that listen on TCP only. */
    protected static function freeTcpAddress(): string
    {
        $server = stream_socket_server('tcp://127.0.0.1:0');
        return 'tcp://' . stream_socket_get_name($server, false);
    }

    /** The first snippet of docs/front-ends.md that is marked with this word, with its paths moved into the private directory. */
    protected function snippet(string $word, int $skip = 0): string
    {
        $text = file_get_contents(dirname(__DIR__, 3) . '/docs/front-ends.md');
        preg_match_all("/^```$word\n(.*?)^```$/ms", $text, $matches);
        Assert::assertArrayHasKey($skip, $matches[1], "a block `$word` in docs/front-ends.md");
        return strtr($matches[1][$skip], ['/run/sidecast/fastcgi.sock' => $this->daemon->socket, '/etc/sidecast' => $this->directory]);
    }

    /** The second one, for publishing: as it is, with a narrower grant, and without one, each with a name of its own. */
    protected function publishSnippets(string $word): string
    {
        $text = $this->snippet($word, 1);
        $orders = str_replace(['/publish', 'sidecast-publish', '**'], ['/publish-orders', 'sidecast-publish-orders', 'orders/*'], $text);
        $token = str_replace(['/publish', 'sidecast-publish'], ['/publish-token', 'sidecast-publish-token'], $text);
        return $text . $orders . preg_replace('/^.*SIDECAST_PUBLISH.*\n/m', '', $token, -1);
    }
}
