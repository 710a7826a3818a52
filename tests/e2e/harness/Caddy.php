<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** Caddy with the snippet of docs/front-ends.md. */
final class Caddy extends FrontEnd
{
    public const TELLS_OF_LEAVING = false;
    public const KEEPS = null;
    public const AWAY = 502;

    protected static function takeAddress(string $directory): string
    {
        return self::freeTcpAddress();
    }

    protected function command(): array
    {
        return ['env', "HOME=$this->directory", 'caddy', 'run', '--adapter', 'caddyfile', '--config', "$this->directory/Caddyfile"];
    }

    protected function configure(): void
    {
        $listen = substr($this->address, strlen('tcp://'));
        file_put_contents("$this->directory/Caddyfile", <<<CONF
            {
                admin off
            }
            http://$listen, http://localhost:{$this->port()} {
                {$this->snippet('caddyfile')}
                handle /granted {
                    reverse_proxy unix/{$this->daemon->socket} {
                        transport fastcgi {
                            env SIDECAST_CHANNELS granted/a,granted/b
                            env SIDECAST_CLIENT from-nginx
                        }
                        flush_interval -1
                    }
                }
            }
            CONF);
    }

    private function port(): int
    {
        return (int) substr(strrchr($this->address, ':'), 1);
    }
}
