<?php

/* docs/tutorial-chat.md, followed word for word in an empty home directory; then two windows talk. */

declare(strict_types=1);

use PHPUnit\Framework\Assert;
use Sidecast\EndToEnd\EventStream;
use Sidecast\EndToEnd\HttpConnection;
use Sidecast\Recipes\Tutorial;

return [
    'tutorial-chat: followed step by step it gives a chat that leaves the sender out' => static function (): ?string {
        if (!is_executable('/usr/sbin/php-fpm8.2')) {
            return 'php-fpm8.2 is not there, and the tutorial is for Debian 12';
        }
        if (!Tutorial::isPossible()) {
            return 'root follows the tutorial as nobody, who may not read this checkout';
        }
        $tutorial = new Tutorial('docs/tutorial-chat.md', 'chat', '8090');
        $done = false;
        try {
            $tutorial->follow();
            $connect = static fn () => new HttpConnection("tcp://127.0.0.1:$tutorial->port");
            $page = $connect()->request('GET', '/')->wait();
            Assert::assertSame([200, 'text/html; charset=utf-8'], [$page->status, $page->header('Content-Type')], $page->body);

            $open = static function (string $window) use ($connect): EventStream {
                $connection = $connect();
                $response = $connection->request('GET', "/events?channel=chat&last=50&client=$window")->waitForHead();
                $stream = new EventStream($connection, $response);
                $stream->opened();
                $stream->expect('Hello'); // of step 3
                return $stream;
            };
            $say = static fn (string $window, string $text) => $connect()->request(
                'POST',
                '/send.php',
                ['Content-Type' => 'application/x-www-form-urlencoded'],
                http_build_query(['name' => 'Ada', 'text' => $text, 'window' => $window])
            )->wait()->status;
            [$one, $two] = [$open('one'), $open('two')];
            Assert::assertSame(204, $say('one', 'from one <b>'));
            $two->expect('{"name":"Ada","text":"from one <b>"}');
            Assert::assertSame(204, $say('two', 'from two'));
            $one->expect('{"name":"Ada","text":"from two"}'); // and its own line was not before it
            Assert::assertSame(422, $say('two', "two\nlines"));
            Assert::assertSame(0, $one->pending() + $two->pending());
            $done = true;
        } finally {
            $tutorial->stop(!$done);
        }
        return null;
    },
];
