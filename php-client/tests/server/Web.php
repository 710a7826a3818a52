<?php

declare(strict_types=1);

namespace Sidecast\Tests\server;

use PHPUnit\Framework\Assert;
use Sidecast\EndToEnd\HttpConnection;
use Sidecast\EndToEnd\Loop;
use Sidecast\EndToEnd\Process;

/**
 * nginx on a unix socket and on a port: /publish, /open-publish (nginx grants nothing: a token decides), the pages of this
 * suite, and @sidecast, to which they hand over.
 */
final class Web
{
    public readonly string $url;
    private readonly Process $process;

    public function __construct(private readonly string $directory, string $server, int $port)
    {
        $this->url = "http://127.0.0.1:$port";
        \file_put_contents("$directory/nginx.conf", self::configuration($directory, $server, $port));
        $this->process = new Process(
            ['nginx', '-p', $directory, '-c', "$directory/nginx.conf", '-e', 'stderr', '-g', 'daemon off;'],
            "$directory/nginx.log",
        );
        Loop::until(function (): bool {
            Assert::assertTrue($this->process->isRunning(), "nginx did not start:\n" . $this->process->err->text);
            return @\stream_socket_client("unix://$this->directory/http.sock") !== false;
        }, 'nginx to serve');
    }

    public function connect(): HttpConnection
    {
        return new HttpConnection("unix://$this->directory/http.sock");
    }

    public function stop(): void
    {
        $this->process->signal(\SIGTERM);
        $this->process->waitForExit();
    }

    private static function configuration(string $directory, string $server, int $port): string
    {
        $pages = __DIR__ . '/pages';
        $user = \posix_getuid() === 0 ? "user root;\n" : '';

        return <<<CONF
            {$user}worker_processes 1;
            pid $directory/nginx.pid;
            error_log stderr notice;
            events { worker_connections 200; }
            http {
                access_log off;
                client_body_temp_path $directory/body;
                fastcgi_temp_path $directory/fastcgi;
                proxy_temp_path $directory/proxy;
                uwsgi_temp_path $directory/uwsgi;
                scgi_temp_path $directory/scgi;
                client_max_body_size 8m;
                server {
                    listen unix:$directory/http.sock;
                    listen 127.0.0.1:$port;
                    fastcgi_buffering off;
                    location = /publish {
                        fastcgi_param REQUEST_METHOD \$request_method;
                        fastcgi_param QUERY_STRING \$query_string;
                        fastcgi_param CONTENT_TYPE \$content_type;
                        fastcgi_param CONTENT_LENGTH \$content_length;
                        fastcgi_param SIDECAST_ENDPOINT publish;
                        fastcgi_param SIDECAST_PUBLISH numbers,allowed/*;
                        fastcgi_pass unix:$server;
                    }
                    location = /open-publish {
                        fastcgi_param REQUEST_METHOD \$request_method;
                        fastcgi_param QUERY_STRING \$query_string;
                        fastcgi_param CONTENT_TYPE \$content_type;
                        fastcgi_param CONTENT_LENGTH \$content_length;
                        fastcgi_param SIDECAST_ENDPOINT publish;
                        fastcgi_pass unix:$server;
                    }
                    location ~ \.php$ {
                        fastcgi_param REQUEST_METHOD \$request_method;
                        fastcgi_param QUERY_STRING \$query_string;
                        fastcgi_param SCRIPT_FILENAME $pages\$fastcgi_script_name;
                        fastcgi_pass unix:$directory/php.sock;
                    }
                    location @sidecast {
                        set \$channels \$upstream_http_x_sidecast_channels;
                        set \$patterns \$upstream_http_x_sidecast_patterns;
                        set \$client \$upstream_http_x_sidecast_client;
                        set \$expires \$upstream_http_x_sidecast_expires;
                        fastcgi_param REQUEST_METHOD \$request_method;
                        fastcgi_param QUERY_STRING \$query_string;
                        fastcgi_param SIDECAST_CHANNELS \$channels;
                        fastcgi_param SIDECAST_PATTERNS \$patterns;
                        fastcgi_param SIDECAST_CLIENT \$client;
                        fastcgi_param SIDECAST_EXPIRES \$expires;
                        fastcgi_pass unix:$server;
                    }
                }
            }
            CONF;
    }
}
