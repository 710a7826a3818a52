<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** HAProxy with the snippet of docs/front-ends.md. */
final class Haproxy extends FrontEnd
{
    public const KEEPS = false;

    protected function command(): array
    {
        return ['haproxy', '-db', '-f', "$this->directory/haproxy.conf"];
    }

    protected function configure(): void
    {
        file_put_contents("$this->directory/stream-away.http", $this->snippet('http'));
        file_put_contents("$this->directory/haproxy.conf", <<<CONF
            global
                maxconn 1000
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
                default_backend sidecast
            {$this->snippet('haproxy')}
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
