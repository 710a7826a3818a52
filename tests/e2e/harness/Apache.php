<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** Apache httpd with the snippet of docs/front-ends.md. */
final class Apache extends FrontEnd
{
    public const TELLS_OF_LEAVING = false;
    public const KEEPS = '/kept';
    /** Started by root it runs as another user. */
    public const DAEMON = ['fastcgi.mode' => '0666'];

    protected static function takeAddress(string $directory): string
    {
        return self::freeTcpAddress();
    }

    protected function command(): array
    {
        return ['apache2', '-f', "$this->directory/apache.conf", '-DFOREGROUND'];
    }

    protected function configure(): void
    {
        $listen = substr($this->address, strlen('tcp://'));
        $user = posix_getuid() === 0 ? "User www-data\nGroup www-data" : '';
        $modules = '';
        foreach (['mpm_event', 'authz_core', 'authz_host', 'alias', 'proxy', 'proxy_fcgi', 'asis'] as $module) {
            $modules .= "LoadModule {$module}_module /usr/lib/apache2/modules/mod_$module.so\n";
        }
        $pages = dirname(__DIR__) . '/pages';
        file_put_contents("$this->directory/stream-away.asis", $this->snippet('asis'));
        file_put_contents("$this->directory/apache.conf", <<<CONF
            ServerRoot $this->directory
            ServerName localhost
            Listen $listen
            PidFile $this->directory/apache.pid
            DefaultRuntimeDir $this->directory
            ErrorLog $this->directory/apache-error.log
            $user
            $modules
            StartServers 1
            ThreadLimit 400
            ThreadsPerChild 400
            MaxRequestWorkers 400
            {$this->snippet('apache')}
            {$this->publishSnippets('apache')}
            <Location "/kept">
                ProxyPass "unix:{$this->daemon->socket}|fcgi://sidecast-kept" enablereuse=on flushpackets=on retry=0
            </Location>
            <Location "/granted">
                ProxyPass "unix:{$this->daemon->socket}|fcgi://sidecast-granted" flushpackets=on retry=0
                ProxyFCGISetEnvIf "true" SIDECAST_CHANNELS "granted/a,granted/b"
                ProxyFCGISetEnvIf "true" SIDECAST_CLIENT "from-nginx"
            </Location>
            DocumentRoot $pages
            <FilesMatch "\.php$">
                SetHandler "proxy:unix:{$this->fpm->socket}|fcgi://php"
                ProxyFCGISetEnvIf "true" SIDECAST_PUBLISH "{$this->daemon->publishEndpoint()}"
            </FilesMatch>
            CONF);
    }
}
