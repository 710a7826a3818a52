<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** lighttpd with the snippet of docs/front-ends.md. */
final class Lighttpd extends FrontEnd
{
    public const TELLS_OF_LEAVING = false;
    public const KEEPS = null;
    public const STANDS_IN = false;

    protected function command(): array
    {
        return ['lighttpd', '-D', '-f', "$this->directory/lighttpd.conf"];
    }

    protected function configure(): void
    {
        file_put_contents("$this->directory/lighttpd.conf", <<<CONF
            server.document-root = "$this->directory"
            server.bind = "$this->directory/http.sock"
            server.max-fds = 8192
            server.max-connections = 4000
            server.modules = ()
            {$this->snippet('lighttpd')}
            \$HTTP["url"] == "/granted" {
                server.stream-response-body = 2
                fastcgi.server = ("" => ((
                    "socket" => "{$this->daemon->socket}",
                    "check-local" => "disable"
                )))
                setenv.set-environment = ("SIDECAST_CHANNELS" => "granted/a,granted/b", "SIDECAST_CLIENT" => "from-nginx")
            }
            server.modules += ("mod_setenv")
            CONF);
    }
}
