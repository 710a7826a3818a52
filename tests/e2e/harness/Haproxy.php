<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** HAProxy with the snippet of docs/front-ends.md. */
final class Haproxy extends FrontEnd
{
    public const KEEPS = null;

    /** It asks once in a second, and sends nobody there meanwhile. */
    public function findAgain(): void
    {
        $last = fn (string $state): int => (int) strrpos($this->log(), "Server sidecast/sidecast is $state");
        Loop::until(fn () => $last('UP') >= $last('DOWN'), 'HAProxy to find sidecast again');
    }

    protected function command(): array
    {
        return ['haproxy', '-db', '-f', "$this->directory/haproxy.conf"];
    }

    protected function configure(): void
    {
        $pages = dirname(__DIR__) . '/pages';
        file_put_contents("$this->directory/stream-away.http", $this->snippet('http'));
        file_put_contents("$this->directory/haproxy.conf", <<<CONF
            global
                maxconn 5000
                log stderr format raw local0 notice
            defaults
                mode http
                option abortonclose
                log global
                timeout connect 5s
                timeout client 60s
                timeout server 60s
            frontend site
                bind unix@$this->directory/http.sock
                use_backend granted if { path /granted }
                use_backend kept if { path /kept }
                use_backend php if { path_end .php }
                use_backend sidecast-publish if { path /publish } || { path_beg /publish/ }
                use_backend sidecast-publish-orders if { path /publish-orders }
                use_backend sidecast-publish-token if { path /publish-token }
                default_backend sidecast
            {$this->snippet('haproxy')}
            {$this->publishSnippets('haproxy')}
            fcgi-app php
                docroot $pages
                set-param SIDECAST_PUBLISH {$this->daemon->publishEndpoint()}
            backend php
                use-fcgi-app php
                server php unix@{$this->fpm->socket} proto fcgi
            fcgi-app granted
                docroot /
                no option keep-conn
                set-param SIDECAST_CHANNELS granted/a,granted/b
                set-param SIDECAST_CLIENT from-nginx
            backend granted
                option http-no-delay
                use-fcgi-app granted
                server granted unix@{$this->daemon->socket} proto fcgi
            fcgi-app kept
                docroot /
                option get-values
                option mpxs-conns
                option max-reqs 50
            backend kept
                use-fcgi-app kept
                http-reuse always
                server kept unix@{$this->daemon->socket} proto fcgi

            CONF);
    }
}
