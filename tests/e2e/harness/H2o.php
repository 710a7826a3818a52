<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** h2o with the snippet of docs/front-ends.md. */
final class H2o extends FrontEnd
{
    public const TELLS_OF_LEAVING = false;
    public const STANDS_IN = false;

    /** Not as an administrator does: it would wait ten seconds for clients that are still connected. */
    public function stop(): void
    {
        $this->process->signal(SIGKILL);
        $this->process->waitForExit();
    }

    protected function command(): array
    {
        return ['h2o', '-m', 'worker', '-c', "$this->directory/h2o.conf"];
    }

    protected function configure(): void
    {
        $user = posix_getuid() === 0 ? 'user: root' : '';
        file_put_contents("$this->directory/h2o.conf", <<<CONF
            num-threads: 1
            max-connections: 5000
            pid-file: $this->directory/h2o.pid
            $user
            listen:
              type: unix
              port: $this->directory/http.sock
            hosts:
              default:
                paths:

            CONF . $this->indented('yaml') . <<<CONF

                  /granted:
                    fastcgi.connect:
                      type: unix
                      port: {$this->daemon->socket}
                    setenv:
                      SIDECAST_CHANNELS: "granted/a,granted/b"
                      SIDECAST_CLIENT: from-nginx

            CONF);
    }

    /** The snippet, as deep as its place in the file is. */
    private function indented(string $word): string
    {
        return preg_replace('/^/m', '      ', rtrim($this->snippet($word)));
    }
}
