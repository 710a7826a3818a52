<?php

/* The recipes: their pages, as a browser uses them. */

declare(strict_types=1);

use PHPUnit\Framework\Assert;
use Sidecast\EndToEnd\EventStream;
use Sidecast\EndToEnd\Loop;
use Sidecast\Recipes\Site;

/** @param callable(Site): void $scenario */
$with = static function (string $recipe, callable $scenario): callable {
    return static function () use ($recipe, $scenario): void {
        (new Site("docs/recipes/$recipe"))->during($scenario);
    };
};

/** @return array<string, string> the header with the cookie of a new session */
$logIn = static function (Site $site, string $name): array {
    $response = $site->post('/index.php', ['login' => $name]);
    Assert::assertSame(303, $response->status, $response->body);
    Assert::assertMatchesRegularExpression('/PHPSESSID=[^;]+/', $response->header('Set-Cookie'));
    preg_match_all('/PHPSESSID=[^;]+/', $response->header('Set-Cookie'), $cookies);
    return ['Cookie' => end($cookies[0])];
};

/** @return array<string, mixed> the data of the next event, which must have this name */
$next = static function (EventStream $stream, string $name): array {
    $event = $stream->next();
    Assert::assertSame($name, $event->type, $event->data);
    return $event->json();
};

/** A refused or unreachable server must not end an EventSource. */
$assertComesBack = static function (Site $site, string $uri, array $headers): void {
    $response = $site->get($uri, $headers + ['Accept' => 'text/event-stream']);
    Assert::assertSame(200, $response->status, $response->body);
    // PHP's charset stays; EventSource takes it, as it is UTF-8
    Assert::assertMatchesRegularExpression('~^text/event-stream(; charset=UTF-8)?$~', $response->header('Content-Type'));
    Assert::assertMatchesRegularExpression('/^:\nretry: \d+\n$/', $response->body);
};

return [
    'notifications: each user gets the own ones only' => $with('notifications', static function (Site $site) use ($logIn, $next): void {
        [$ada, $bob] = [$logIn($site, 'ada'), $logIn($site, 'bob')];
        Assert::assertStringContainsString('Notifications for ada', $site->get('/', $ada)->body);
        $adas = $site->listen('/notifications?last=20', $ada);
        $adas->opened();
        $bobs = $site->listen('/notifications?last=20', $bob);
        $bobs->opened();
        Assert::assertSame(204, $site->post('/notify.php', ['to' => 'ada', 'text' => 'Hello <Ada>'], $bob)->status);
        Assert::assertSame(204, $site->post('/notify.php', ['to' => 'bob', 'text' => 'Hello Bob'], $ada)->status);
        Assert::assertSame(['from' => 'bob', 'text' => 'Hello <Ada>'], $next($adas, 'notification'));
        Assert::assertSame(['from' => 'ada', 'text' => 'Hello Bob'], $next($bobs, 'notification'));
        $cursor = $adas->cursor();
        $adas->close();
        $site->post('/notify.php', ['to' => 'ada', 'text' => 'while away'], $bob);
        $again = $site->listen('/notifications?last=20', $ada + ['Last-Event-ID' => $cursor]);
        Assert::assertSame('while away', $next($again, 'notification')['text']);
    }),

    'notifications: nobody listens without a session, or to others' => $with('notifications', static function (Site $site) use ($logIn): void {
        Assert::assertSame(401, $site->get('/notifications')->status);
        Assert::assertSame(401, $site->get('/notifications', ['X-Sidecast-Channels' => 'user/ada'])->status);
        Assert::assertSame(404, $site->get('/@sidecast')->status);
        $ada = $logIn($site, 'ada');
        Assert::assertSame(403, $site->get('/notifications?channel=user/bob', $ada)->status);
        Assert::assertSame(403, $site->get('/notifications?channel=user/bob', $ada + ['X-Sidecast-Channels' => 'user/bob'])->status);
        Assert::assertSame(401, $site->post('/notify.php', ['to' => 'ada', 'text' => 'x'])->status);
        // a page that forgets the header lets nobody in, whatever the browser asks for
        file_put_contents("$site->pages/forgets.php", '<?php header("X-Accel-Redirect: @sidecast");');
        Assert::assertSame(403, $site->get('/forgets.php?channel=user/ada', $ada)->status);
        file_put_contents("$site->pages/empty.php", '<?php header("X-Sidecast-Channels;"); header("X-Accel-Redirect: @sidecast");');
        Assert::assertSame(403, $site->get('/empty.php?channel=user/ada', ['X-Sidecast-Channels' => 'user/ada'])->status);
    }),

    'notifications: ten streams leave two FPM workers free' => $with('notifications', static function (Site $site) use ($logIn, $next): void {
        $ada = $logIn($site, 'ada');
        $streams = [];
        for ($i = 0; $i < 10; $i++) {
            $streams[$i] = $site->listen('/notifications', $ada);
            $streams[$i]->opened();
        }
        Assert::assertSame(204, $site->post('/notify.php', ['to' => 'ada', 'text' => 'all'], $ada)->status);
        foreach ($streams as $stream) {
            Assert::assertSame('all', $next($stream, 'notification')['text']);
        }
    }),

    'notifications: EventSource survives restarts of sidecast and of PHP-FPM' => $with(
        'notifications',
        static function (Site $site) use ($logIn, $next, $assertComesBack): void {
            $ada = $logIn($site, 'ada');
            $stream = $site->listen('/notifications', $ada);
            $stream->opened();
            $site->daemon->stop();
            $stream->waitForCleanEnd();
            $assertComesBack($site, '/notifications', $ada);
            $site->startDaemon();
            $site->stopFpm();
            $assertComesBack($site, '/notifications', $ada);
            $site->startFpm();
            $page = file_get_contents("$site->pages/listen.php");
            file_put_contents("$site->pages/listen.php", '<?php http_response_code(500);');
            $assertComesBack($site, '/notifications', $ada);
            file_put_contents("$site->pages/listen.php", $page);
            $stream = $site->listen('/notifications', $ada);
            $stream->opened();
            $site->post('/notify.php', ['to' => 'ada', 'text' => 'still there'], $ada);
            Assert::assertSame('still there', $next($stream, 'notification')['text']);
        }
    ),

    'dashboard: the page has the totals of its moment, and the stream all that come after it' => $with(
        'dashboard',
        static function (Site $site) use ($next): void {
            Assert::assertSame(204, $site->post('/order.php', ['cents' => '1000'])->status);
            $page = $site->get('/')->body;
            Assert::assertStringContainsString('show({"orders":1,"cents":1000});', $page);
            Assert::assertSame(1, preg_match("~new EventSource\('(/dashboard\?cursor=\d{13})'\)~", $page, $match));
            $site->post('/order.php', ['cents' => '250']);           // between the page and its stream
            $stream = $site->listen($match[1]);
            do {
                $totals = $next($stream, 'totals'); // the first order again, if it came to the hub after the page's moment
            } while ($totals['orders'] < 2);
            Assert::assertSame(['orders' => 2, 'cents' => 1250], $totals);
            $site->post('/order.php', ['cents' => '50']);
            Assert::assertSame(['orders' => 3, 'cents' => 1300], $next($stream, 'totals'));
            Assert::assertSame(422, $site->post('/order.php', ['cents' => '-5'])->status);
            Assert::assertSame(403, $site->get('/dashboard?channel=other')->status);
        }
    ),

    'llm-stream: the answer arrives while PHP goes on, and its end has all of it' => $with('llm-stream', static function (Site $site): void {
        Assert::assertStringContainsString('<form', $site->get('/')->body);
        $response = $site->post('/ask.php', ['question' => 'Why?']);
        $id = $response->json()['id'];
        $stream = $site->listen("/answers?channel=answer/$id&cursor=0");
        $text = '';
        while (($event = $stream->next())->type === 'token') {
            $text .= $event->data;
        }
        Assert::assertSame('end', $event->type, $event->data);
        Assert::assertStringContainsString('“Why?”', $text);
        Assert::assertSame(['text' => $text, 'error' => null], $event->json());
        $reads = $stream->connection->reads;
        Assert::assertGreaterThan(3, count($reads), 'it came piece by piece');
        // late: everything is still there, in one go
        $late = $site->listen("/answers?channel=answer/$id&cursor=0");
        Assert::assertSame(substr($text, 0, 3), $late->next()->data);
    }),

    'llm-stream: a model that fails is told, and strangers hear nothing' => $with('llm-stream', static function (Site $site) use ($next): void {
        $id = $site->post('/ask.php', ['question' => 'fail'])->json()['id'];
        $end = $next($site->listen("/answers?channel=answer/$id&cursor=0"), 'end');
        Assert::assertSame('The model did not finish.', $end['error']);
        Assert::assertSame(422, $site->post('/ask.php', ['question' => ' '])->status);
        Assert::assertSame(403, $site->get('/answers?channel=other')->status);
        Assert::assertSame(403, $site->get('/answers?channel=answer/*')->status);
    }),

    'job-progress: a page sees the job move on, and one that comes later sees where it is' => $with(
        'job-progress',
        static function (Site $site) use ($next): void {
            Assert::assertStringContainsString('<progress', $site->get('/')->body);
            $id = $site->post('/start.php', ['rows' => '600'])->json()['id'];
            Assert::assertSame(403, $site->get("/jobs/$id.json")->status);
            $stream = $site->listen("/progress?channel=job/$id&last=1");
            $stream->opened();
            $site->startScript('worker.php');
            $before = 0;
            while (($event = $stream->next())->type === 'progress') {
                Assert::assertGreaterThan($before, $event->json()['done']);
                Assert::assertSame(600, $event->json()['of']);
                $before = $event->json()['done'];
            }
            Assert::assertSame('done', $event->type);
            Assert::assertGreaterThan(0, $before, 'there was progress before the end');
            $late = $site->listen("/progress?channel=job/$id&last=1");
            $late->opened();
            Assert::assertSame(['done' => 600, 'of' => 600], $next($late, 'done'));
        }
    ),

    'job-progress: a job that cannot be done says so, and the next one is done' => $with(
        'job-progress',
        static function (Site $site) use ($next): void {
            $bad = str_repeat('0', 32);
            file_put_contents("$site->pages/jobs/$bad.json", '{"rows": "many"}');
            $id = $site->post('/start.php', ['rows' => '3'])->json()['id'];
            $stream = $site->listen("/progress?channel=job/$bad&channel=job/$id");
            $stream->opened();
            $site->startScript('worker.php');
            Assert::assertSame([], $next($stream, 'failed'));
            while (($event = $stream->next())->type === 'progress') {
            }
            Assert::assertSame('done', $event->type);
            Loop::until(static fn () => glob("$site->pages/jobs/*") === [], 'an empty queue');
        }
    ),
];
