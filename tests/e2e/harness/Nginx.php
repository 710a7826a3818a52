<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

use PHPUnit\Framework\Assert;

/** nginx with the project's own snippets, on a unix socket in the private directory. */
final class Nginx extends FrontEnd
{
    /** Of a server with nginx's own limits, and little patience. */
    public readonly string $strictSocket;
    public readonly string $accessLog;
    private readonly string $config;

    public function __construct(string $directory, Daemon $daemon, Fpm $fpm)
    {
        parent::__construct($directory, $daemon, $fpm);
        $this->strictSocket = "$directory/strict.sock";
        $this->accessLog = "$directory/access.log";
        $this->config = "$directory/nginx.conf";
    }

    /** Reloads and waits until the new worker process is there. */
    public function reload(): void
    {
        $before = $this->workers();
        $this->process->signal(SIGHUP);
        Loop::until(fn () => array_diff($this->workers(), $before) !== [], 'a new nginx worker');
    }

    /** @return list<int> process ids, old workers that shut down included */
    public function workers(): array
    {
        $children = (string) @file_get_contents("/proc/{$this->process->pid}/task/{$this->process->pid}/children");
        return array_map(intval(...), array_filter(explode(' ', $children)));
    }

    protected function configure(): void
    {
        mkdir("$this->directory/snippets");
        foreach (['http', 'errors', 'location', 'handoff', 'page', 'publish'] as $snippet) {
            $this->adapt("sidecast-$snippet.conf");
        }
        file_put_contents($this->config, $this->configuration());
        file_put_contents("$this->directory/php.conf", $this->pages());
    }

    protected function command(): array
    {
        return ['nginx', '-p', $this->directory, '-c', $this->config, '-e', 'stderr', '-g', 'daemon off;'];
    }

    /** Copies a snippet of the project with its paths moved into the private directory, as its user would adapt it. */
    private function adapt(string $name): void
    {
        $text = file_get_contents(dirname(__DIR__, 3) . "/nginx/$name");
        $moved = strtr($text, [
            'unix:/run/sidecast/fastcgi.sock' => "unix:{$this->daemon->socket}",
            '/var/log/nginx/sidecast.log' => $this->accessLog,
        ]);
        file_put_contents("$this->directory/snippets/$name", $moved);
    }

    /** The publish snippet as somebody adapts it who wants larger bodies. */
    private function publishLarge(): string
    {
        $text = file_get_contents("$this->directory/snippets/sidecast-publish.conf");
        $larger = preg_replace('/^client_max_body_size .*;$/m', 'client_max_body_size 64m;', $text, -1, $count);
        Assert::assertSame(1, $count);
        return $larger;
    }

    private function configuration(): string
    {
        $user = posix_getuid() === 0 ? "user root;\n" : '';
        $events = self::EVENTS;
        return <<<CONF
            {$user}worker_processes 1;
            worker_rlimit_nofile 8192;
            pid $this->directory/nginx.pid;
            error_log stderr notice;
            events { worker_connections 8192; }
            http {
                access_log off;
                client_body_temp_path $this->directory/body;
                fastcgi_temp_path $this->directory/fastcgi;
                proxy_temp_path $this->directory/proxy;
                uwsgi_temp_path $this->directory/uwsgi;
                scgi_temp_path $this->directory/scgi;
                include snippets/sidecast-http.conf;
                server {
                    listen unix:$this->directory/http.sock backlog=4096;
                    client_max_body_size 8m;
                    large_client_header_buffers 4 80k;
                    request_pool_size 768;
                    include snippets/sidecast-errors.conf;
                    include snippets/sidecast-handoff.conf;
                    location = $events {
                        include snippets/sidecast-location.conf;
                    }
                    location = /granted {
                        include snippets/sidecast-location.conf;
                        fastcgi_param SIDECAST_CHANNELS granted/a,granted/b;
                        fastcgi_param SIDECAST_CLIENT from-nginx;
                    }
                    location = /patterns {
                        include snippets/sidecast-location.conf;
                        fastcgi_param SIDECAST_PATTERNS **;
                    }
                    location = /events.php {
                        include snippets/sidecast-page.conf;
                        include php.conf;
                    }
                    location = /publish {
                        if (\$http_origin) { return 403; }
                        include snippets/sidecast-publish.conf;
                        fastcgi_param SIDECAST_PUBLISH **;
                    }
                    location = /publish-token {
                        include snippets/sidecast-publish.conf;
                    }
                    location = /publish-orders {
                        include snippets/sidecast-publish.conf;
                        fastcgi_param SIDECAST_PUBLISH orders/*;
                    }
                    location = /publish/large {
                        {$this->publishLarge()}
                        fastcgi_param SIDECAST_PUBLISH **;
                    }
                    location = /publish/unbuffered {
                        {$this->publishLarge()}
                        fastcgi_param SIDECAST_PUBLISH **;
                        fastcgi_request_buffering off;
                    }
                    location ~ \.php$ {
                        include php.conf;
                    }
                }
                server {
                    listen unix:$this->strictSocket;
                    client_header_timeout 1s;
                    client_body_timeout 1s;
                    include snippets/sidecast-errors.conf;
                    location = $events {
                        include snippets/sidecast-location.conf;
                    }
                }
            }
            CONF;
    }

    /** How a request for a page reaches php-fpm. */
    private function pages(): string
    {
        $pages = dirname(__DIR__) . '/pages';
        return <<<CONF
            root $pages;
            fastcgi_param REQUEST_METHOD \$request_method;
            fastcgi_param QUERY_STRING \$query_string;
            fastcgi_param CONTENT_TYPE \$content_type;
            fastcgi_param CONTENT_LENGTH \$content_length;
            fastcgi_param SCRIPT_FILENAME \$document_root\$fastcgi_script_name;
            fastcgi_param SIDECAST_PUBLISH {$this->daemon->publishEndpoint()};
            fastcgi_pass unix:{$this->fpm->socket};
            CONF;
    }
}
