<?php

/* The files that docs/operations.md shows are accepted by those who read them. */

declare(strict_types=1);

use PHPUnit\Framework\Assert;
use Sidecast\EndToEnd\Daemon;
use Sidecast\EndToEnd\Process;
use Sidecast\Recipes\Document;

$operations = new Document('docs/operations.md');
$files = array_column($operations->blocks(), 'text', 'file');

/** @param callable(string): void $scenario gets a directory */
$inDirectory = static function (callable $scenario): callable {
    return static function () use ($scenario): ?string {
        $directory = dirname(__DIR__, 3) . '/build/recipes/' . bin2hex(random_bytes(4));
        mkdir($directory, 0755, true);
        $said = $scenario($directory);
        Process::run(['rm', '-rf', $directory]);
        return $said;
    };
};

/** @param list<string> $command */
$accepts = static function (array $command): void {
    $process = Process::run($command);
    Assert::assertSame(0, $process->exitCode(), implode(' ', $command) . "\n" . $process->out->text . $process->err->text);
};

return [
    'operations: sidecast accepts its configuration' => $inDirectory(static function (string $directory) use ($files, $accepts): void {
        file_put_contents("$directory/sidecast.conf", $files['sidecast.conf']);
        $accepts([Daemon::binary(), '-c', "$directory/sidecast.conf", '--check-config']);
    }),

    'operations: systemd accepts the service and its sockets' => $inDirectory(static function (string $directory) use ($files): ?string {
        if (!is_executable('/usr/bin/systemd-analyze')) {
            return 'systemd-analyze is not there';
        }
        $units = array_filter($files, static fn (string $name) => preg_match('/\.(service|socket)$/', $name) === 1, ARRAY_FILTER_USE_KEY);
        Assert::assertCount(4, $units);
        foreach ($units as $name => $unit) {
            file_put_contents("$directory/$name", str_replace('/usr/local/bin/sidecast', Daemon::binary(), $unit));
        }
        $paths = array_map(static fn (string $name) => "$directory/$name", array_keys($units));
        $process = Process::run(['systemd-analyze', 'verify', '--man=no', ...$paths]);
        $said = $process->out->text . $process->err->text;
        Assert::assertSame(0, $process->exitCode(), $said);
        // an unknown key or value is a warning with the unit's name and line, and exit code 0
        Assert::assertDoesNotMatchRegularExpression('~sidecast(-\w+)?\.(service|socket):~', $said);
        return null;
    }),

    'operations: nginx accepts the TLS server' => $inDirectory(static function (string $directory) use ($operations, $accepts): ?string {
        if (!is_executable('/usr/bin/openssl')) {
            return 'openssl is not there';
        }
        $accepts(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=example.org', '-days', '1',
            '-keyout', "$directory/example.org.key", '-out', "$directory/example.org.pem"]);
        mkdir("$directory/snippets");
        foreach (glob(dirname(__DIR__, 3) . '/nginx/sidecast-*.conf') as $snippet) {
            $text = str_replace('/var/log/nginx/', "$directory/", file_get_contents($snippet));
            file_put_contents("$directory/snippets/" . basename($snippet), $text);
        }
        // nginx -t binds what it is told to
        $server = str_replace(['/etc/ssl/', 'listen 443'], ["$directory/", "listen unix:$directory/https.sock"], $operations->only('nginx'));
        $temporary = implode(' ', array_map(
            static fn (string $what) => "{$what}_temp_path $directory/$what;",
            ['client_body', 'fastcgi', 'proxy', 'scgi', 'uwsgi']
        ));
        file_put_contents("$directory/nginx.conf", "pid $directory/nginx.pid;\nevents { }\nhttp {\naccess_log off; $temporary\n"
            . "include snippets/sidecast-http.conf;\n$server}\n");
        $accepts(['nginx', '-t', '-p', $directory, '-c', "$directory/nginx.conf", '-e', 'stderr']);
        return null;
    }),
];
