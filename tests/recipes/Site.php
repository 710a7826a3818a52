<?php

declare(strict_types=1);

namespace Sidecast\Recipes;

use PHPUnit\Framework\Assert;
use Sidecast\EndToEnd\Daemon;
use Sidecast\EndToEnd\EventStream;
use Sidecast\EndToEnd\HttpConnection;
use Sidecast\EndToEnd\Loop;
use Sidecast\EndToEnd\Process;
use Sidecast\EndToEnd\Response;

/**
 * One recipe as a site of its own: its files, copied into a private directory, served by real nginx and php-fpm (two workers)
 * with sidecast behind them. Only the paths of an installed system are changed, as its user would.
 */
final class Site
{
    private const ROOT = __DIR__ . '/../..';
    public readonly string $directory;
    public readonly string $pages;
    public readonly Daemon $daemon;
    private readonly string $recipe;
    private ?Process $nginx = null;
    private ?Process $fpm = null;
    /** @var list<Process> */
    private array $others = [];

    /**
     * @param string       $folder with pages, nginx.conf and, if need be, sidecast.conf; below the project's root
     * @param list<string> $php    further arguments of php-fpm
     */
    public function __construct(string $folder, private readonly array $php = [])
    {
        $this->recipe = self::root() . "/$folder";
        $this->directory = self::root() . '/build/recipes/' . bin2hex(random_bytes(4));
        $this->pages = "$this->directory/pages";
        mkdir("$this->pages/jobs", 0755, true);
        mkdir("$this->directory/snippets");
        mkdir("$this->directory/sessions");
        Assert::assertLessThan(90, strlen($this->directory), 'the path to build/ is too long for unix sockets');
        foreach (glob("$this->recipe/*.{php,html}", GLOB_BRACE) as $file) {
            $this->copy($file, "$this->pages/" . basename($file));
        }
        foreach (glob(self::root() . '/nginx/sidecast-*.conf') as $file) {
            $this->copy($file, "$this->directory/snippets/" . basename($file));
        }
        $this->copy("$this->recipe/nginx.conf", "$this->directory/recipe.conf");
        $this->copy('/etc/nginx/fastcgi_params', "$this->directory/fastcgi_params");
        $this->daemon = new Daemon($this->directory);
    }

    /**
     * Runs the scenario while the site is up; after a failure its logs are kept.
     *
     * @param callable(self): void $scenario
     */
    public function during(callable $scenario): void
    {
        $done = false;
        try {
            $this->start();
            $scenario($this);
            $done = true;
        } finally {
            $this->stop(!$done);
        }
    }

    public function start(): void
    {
        $this->startDaemon();
        $this->startFpm();
        file_put_contents("$this->directory/nginx.conf", $this->nginxConfiguration());
        $this->nginx = new Process(
            ['nginx', '-p', $this->directory, '-c', "$this->directory/nginx.conf", '-e', 'stderr', '-g', 'daemon off;'],
            "$this->directory/nginx.log"
        );
        $this->waitFor($this->nginx, 'http.sock');
    }

    /** The daemon with the recipe's own configuration behind the two addresses. */
    public function startDaemon(): void
    {
        $this->daemon->configure(['access.public' => []]);
        $own = "$this->recipe/sidecast.conf";
        $config = "[fastcgi]\nlisten = {$this->daemon->socket}\n[publish]\nlisten = {$this->daemon->publishEndpoint()}\n"
            . "confirm_listen = {$this->daemon->confirmEndpoint()}\n"
            . (is_file($own) ? file_get_contents($own) : '');
        file_put_contents("$this->directory/recipe.ini", $config);
        $this->daemon->process = new Process([Daemon::binary(), '-c', "$this->directory/recipe.ini"], "$this->directory/sidecast.log");
        $this->waitFor($this->daemon->process, 'fastcgi.sock');
        $this->daemon->process->waitForLog('/ is ready/');
    }

    public function startFpm(): void
    {
        $root = posix_getuid() === 0;
        $identity = $root ? "user = root\ngroup = root" : '';
        file_put_contents("$this->directory/fpm.conf", <<<CONF
            [global]
            error_log = /proc/self/fd/2
            [pages]
            $identity
            listen = $this->directory/php.sock
            pm = static
            pm.max_children = 2
            catch_workers_output = yes
            php_admin_value[session.save_path] = $this->directory/sessions
            CONF);
        $binary = glob('/usr/sbin/php-fpm*')[0] ?? Assert::fail('php-fpm is not installed');
        $this->fpm = new Process(
            [$binary, '-n', ...$this->php, '-y', "$this->directory/fpm.conf", '-F', ...($root ? ['-R'] : [])],
            "$this->directory/fpm.log"
        );
        $this->waitFor($this->fpm, 'php.sock');
    }

    public function stopFpm(): void
    {
        $this->fpm->signal(SIGTERM);
        $this->fpm->waitForExit();
    }

    /** Starts one of the recipe's scripts on the command line. */
    public function startScript(string $name): Process
    {
        return $this->others[] = new Process(
            ['env', "SIDECAST_PUBLISH={$this->daemon->publishEndpoint()}", PHP_BINARY, '-n', "$this->pages/$name"],
            "$this->directory/$name.log"
        );
    }

    /** Insists on the daemon's clean end. */
    public function stop(bool $keep): void
    {
        try {
            if ($this->daemon->isRunning()) {
                $this->daemon->stop();
            }
        } finally {
            foreach (array_filter([...$this->others, $this->nginx, $this->fpm]) as $process) {
                $process->signal(SIGTERM);
                $process->waitForExit();
            }
        }
        if (!$keep) {
            Process::run(['rm', '-rf', $this->directory]);
        }
    }

    /** @param array<string, string> $headers */
    public function get(string $uri, array $headers = []): Response
    {
        return $this->begin('GET', $uri, $headers)->wait();
    }

    /**
     * Sends a form, as the pages do.
     *
     * @param array<string, string> $fields
     * @param array<string, string> $headers
     */
    public function post(string $uri, array $fields, array $headers = []): Response
    {
        $headers += ['Content-Type' => 'application/x-www-form-urlencoded'];
        return $this->begin('POST', $uri, $headers, http_build_query($fields))->wait();
    }

    /**
     * As EventSource: an event stream, or a failure.
     *
     * @param array<string, string> $headers
     */
    public function listen(string $uri, array $headers = []): EventStream
    {
        $connection = $this->connect();
        $response = $connection->request('GET', $uri, $headers + ['Accept' => 'text/event-stream'])->waitForHead();
        Assert::assertSame(200, $response->status, $response->body);
        return new EventStream($connection, $response);
    }

    /** @param array<string, string> $headers */
    private function begin(string $method, string $uri, array $headers, string $body = ''): Response
    {
        return $this->connect()->request($method, $uri, $headers, $body);
    }

    private function connect(): HttpConnection
    {
        return new HttpConnection("unix://$this->directory/http.sock");
    }

    private function waitFor(Process $process, string $socket): void
    {
        Loop::until(function () use ($process, $socket): bool {
            Assert::assertTrue($process->isRunning(), "$socket: the server did not start:\n" . $process->err->text);
            $connection = @stream_socket_client("unix://$this->directory/$socket", $number, $message, 1);
            return $connection !== false && fclose($connection);
        }, "$socket to answer");
    }

    private static function root(): string
    {
        return realpath(self::ROOT);
    }

    private function copy(string $from, string $to): void
    {
        file_put_contents($to, strtr(file_get_contents($from), [
            '/usr/local/share/sidecast/php-client/' => self::root() . '/php-client/',
            'unix:/run/php/php8.2-fpm.sock' => "unix:$this->directory/php.sock",
            'unix:/run/sidecast/fastcgi.sock' => "unix:$this->directory/fastcgi.sock",
            '/var/log/nginx/sidecast.log' => "$this->directory/events.log",
        ]));
    }

    private function nginxConfiguration(): string
    {
        $user = posix_getuid() === 0 ? "user root;\n" : '';
        return <<<CONF
            {$user}worker_processes 1;
            pid $this->directory/nginx.pid;
            error_log stderr notice;
            events { worker_connections 1000; }
            http {
                access_log off;
                client_body_temp_path $this->directory/body;
                fastcgi_temp_path $this->directory/fastcgi;
                proxy_temp_path $this->directory/proxy;
                uwsgi_temp_path $this->directory/uwsgi;
                scgi_temp_path $this->directory/scgi;
                types { text/html html; }
                include snippets/sidecast-http.conf;
                server {
                    listen unix:$this->directory/http.sock;
                    root $this->pages;
                    index index.php index.html;
                    include snippets/sidecast-errors.conf;
                    include recipe.conf;
                    location ~ \.php$ {
                        include fastcgi_params;
                        fastcgi_param SCRIPT_FILENAME \$document_root\$fastcgi_script_name;
                        fastcgi_param SIDECAST_PUBLISH {$this->daemon->publishEndpoint()};
                        fastcgi_pass unix:$this->directory/php.sock;
                    }
                }
            }
            CONF;
    }
}
