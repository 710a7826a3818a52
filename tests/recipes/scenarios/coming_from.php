<?php

/* What the "coming from" documents show as files. */

declare(strict_types=1);

use PHPUnit\Framework\Assert;
use Sidecast\EndToEnd\Process;
use Sidecast\Recipes\Document;
use Sidecast\Recipes\Site;

/** @param array<string, string> $files */
$withFiles = static function (array $files, array $php, callable $scenario): void {
    $folder = 'build/recipes/' . bin2hex(random_bytes(4));
    $path = dirname(__DIR__, 3) . "/$folder";
    mkdir($path, 0755, true);
    foreach ($files as $name => $text) {
        file_put_contents("$path/$name", $text);
    }
    try {
        (new Site($folder, $php))->during($scenario);
    } finally {
        Process::run(['rm', '-rf', $path]);
    }
};

return [
    "ratchet: the tutorial's page works unchanged" => static function () use ($withFiles): void {
        $files = array_column((new Document('docs/coming-from-ratchet.md'))->blocks(), 'text', 'file');
        $server = stream_socket_server('tcp://127.0.0.1:0');
        $free = substr(strrchr(stream_socket_get_name($server, false), ':'), 1);
        fclose($server);
        $files = array_map(static fn (string $text) => str_replace('127.0.0.1:5555', "127.0.0.1:$free", $text), $files);
        unset($files['']);
        $withFiles($files, ['-d', 'extension=zmq.so'], static function (Site $site): void {
            $stream = $site->listen('/events?channel=kittens');
            $stream->opened();
            $connected = static fn () => count($site->daemon->openSockets());
            for ($i = 1; $i <= 10; $i++) {
                $fields = ['category' => 'kittens', 'title' => "Fluffy $i", 'article' => 'Miaow'];
                Assert::assertSame(200, $site->post('/post.php', $fields)->status);
                $event = $stream->next();
                Assert::assertSame('message', $event->type);
                Assert::assertSame($fields, array_diff_key($event->json(), ['when' => 0]));
            }
            $before = $connected();
            for ($i = 1; $i <= 10; $i++) {
                $site->post('/post.php', ['category' => 'kittens', 'title' => "again $i", 'article' => 'Miaow']);
                $stream->next();
            }
            Assert::assertLessThanOrEqual($before + 1, $connected(), 'a page does not connect anew each time');
            Assert::assertSame(403, $site->get('/events?channel=dogs')->status);
        });
    },

    'nchan: its URLs can be kept' => static function () use ($withFiles): void {
        $nginx = (new Document('docs/coming-from-nchan.md'))->only('nginx');
        $page = '<?php require "/usr/local/share/sidecast/php-client/functions.php"; '
            . (new Document('docs/coming-from-nchan.md'))->only('php');
        $withFiles(['nginx.conf' => $nginx, 'publish.php' => $page], [], static function (Site $site): void {
            $stream = $site->listen('/sub/news');
            $stream->opened();
            $other = $site->listen('/sub/sports?channel=sports');
            $other->opened();
            Assert::assertSame(200, $site->get('/publish.php')->status);
            $event = $stream->next();
            Assert::assertSame(['headline', ['title' => 'Hello']], [$event->type, $event->json()]);
            Assert::assertSame(0, $other->pending());
            Assert::assertSame(403, $site->get('/sub/sports?channel=news')->status);
        });
    },
];
