<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/**
 * A PHP page with a session decides who listens; real php-fpm, real nginx, the project's snippets.
 *
 * @group nginx
 */
final class HandoffTest extends EndToEndTestCase
{
    private const PAGE = '/events.php';

    public function test_who_is_logged_in_gets_the_channels_of_the_session(): void
    {
        [$a, $b] = [$this->channel(), $this->channel()];
        $session = $this->logIn(['Channels' => "$a,$b"]);
        $stream = $this->stack->listen('', $session, self::PAGE);
        $stream->opened();
        $this->stack->publish($a, 'to a');
        $this->stack->publish($b, 'to b');
        $stream->expect('to a', 'to b');
    }

    public function test_who_is_not_logged_in_gets_the_pages_own_answer(): void
    {
        self::assertSame(403, $this->statusOf(self::PAGE));
    }

    public function test_who_logs_out_cannot_come_back(): void
    {
        $session = $this->logIn(['Channels' => $this->channel()]);
        $stream = $this->stack->listen('', $session, self::PAGE);
        $cursor = $stream->opened();
        $this->stack->page('session.php', ['user' => null], $session);
        $stream->close();
        self::assertSame(403, $this->statusOf(self::PAGE, $session + ['Last-Event-ID' => $cursor]));
    }

    public function test_query_and_last_event_id_survive_the_page(): void
    {
        [$a, $b] = [$this->channel(), $this->channel()];
        $session = $this->logIn(['Channels' => "$a,$b"]);
        $cursor = $this->stack->now();
        $this->stack->publish($a, 'missed');
        $this->stack->publish($b, 'not asked for');
        $stream = $this->stack->listen("channel=$a&envelope=1", $session + ['Last-Event-ID' => $cursor], self::PAGE);
        self::assertSame(['channel' => $a, 'event' => null, 'data' => 'missed'], $stream->next()->json());
        $poll = $this->stack->request('GET', self::PAGE . "?channel=$b&cursor=$cursor", $session + ['Accept' => 'application/json'])->wait();
        self::assertSame('not asked for', $poll->json()['messages'][0]['data']);
    }

    public function test_the_method_survives_the_page(): void
    {
        $session = $this->logIn(['Channels' => $this->channel()]);
        $response = $this->stack->request('POST', self::PAGE, $session, 'body')->wait();
        self::assertSame([405, 'method_not_allowed'], [$response->status, $response->json()['error']]);
        self::assertSame(200, $this->stack->request('HEAD', self::PAGE, $session)->wait()->status);
    }

    /** @dataProvider grantsOfNothing */
    public function test_a_page_that_names_no_channel_lets_nobody_listen(array $grant): void
    {
        $session = $this->logIn($grant);
        self::assertSame(403, $this->statusOf(self::PAGE, $session));
        self::assertSame(403, $this->statusOf(self::PAGE . '?channel=news/public', $session), 'not to public channels either');
    }

    public static function grantsOfNothing(): array
    {
        return [
            'nothing set' => [[]],
            'set and empty' => [['Channels' => '']],
            'a client alone' => [['Client' => 'alice']],
            'commas' => [['Channels' => ' , ,']],
        ];
    }

    /** @testWith [403]
     *            [401]
     *            [404]
     *            [302]
     */
    public function test_a_page_that_says_no_lets_nobody_listen_whatever_its_headers_say(int $status): void
    {
        $channel = $this->channel();
        foreach ([['Channels' => $channel], ['Patterns' => '**'], ['Channels' => $channel, 'Patterns' => '**']] as $grant) {
            $session = ['Cookie' => $this->stack->page('session.php', ['user' => 'alice', 'grant' => $grant, 'status' => $status])['cookie']];
            self::assertSame(403, $this->statusOf(self::PAGE, $session));
            self::assertSame(403, $this->statusOf(self::PAGE . "?channel=$channel", $session));
        }
    }

    public function test_what_a_browser_forges_counts_for_nothing(): void
    {
        $own = $this->channel();
        $forged = [
            'X-Sidecast-Channels' => 'secret', 'X-Sidecast-Patterns' => '**', 'X-Sidecast-Client' => 'somebody', 'X-Sidecast-Expires' => '9999999999',
            'SIDECAST-CHANNELS' => 'secret', 'SIDECAST_CHANNELS' => 'secret', 'X-Accel-Redirect' => '@sidecast',
        ];
        $session = $this->logIn(['Channels' => $own]);
        self::assertSame(403, $this->statusOf(self::PAGE . '?channel=secret', $forged + $session));
        self::assertSame(403, $this->statusOf(self::PAGE, $forged), 'without a session');
        self::assertSame(403, $this->statusOf(self::PAGE, $forged + $this->logIn([])), 'with a page that names no channel');
        $stream = $this->stack->listen('', $forged + $session, self::PAGE);
        $stream->opened();
        $this->stack->publish('secret', 'not for everybody');
        $this->stack->publish($own, 'not for somebody', ['except' => 'somebody']);
        $stream->expect('not for somebody');
    }

    public function test_nobody_reaches_the_hand_off_without_the_page(): void
    {
        self::assertSame(404, $this->statusOf('/@sidecast'));
    }

    public function test_names_are_never_patterns(): void
    {
        $response = $this->stack->request('GET', self::PAGE, $this->logIn(['Channels' => 'room-*']))->wait();
        self::assertSame([400, 'bad_channel'], [$response->status, $response->json()['error']]);
    }

    public function test_the_client_of_the_page_is_the_one_that_except_means(): void
    {
        $channel = $this->channel();
        $stream = $this->stack->listen('client=bob', $this->logIn(['Channels' => $channel, 'Client' => 'alice']), self::PAGE);
        $stream->opened();
        $this->stack->publish($channel, 'not for alice', ['except' => 'alice']);
        $this->stack->publish($channel, 'not for bob', ['except' => 'bob']);
        $stream->expect('not for bob');
    }

    public function test_patterns_of_the_page_cover_channels_that_are_yet_to_come(): void
    {
        [$own, $orders] = [$this->channel(), $this->channel('orders')];
        $session = $this->logIn(['Channels' => $own, 'Patterns' => "$orders/*"]);
        $all = $this->stack->listen('envelope=1', $session, self::PAGE);
        $one = $this->stack->listen("channel=$orders/new", $session, self::PAGE);
        $some = $this->stack->listen('channel=' . rawurlencode("$orders/n*"), $session, self::PAGE);
        foreach ([$all, $one, $some] as $stream) {
            $stream->opened();
        }
        $this->stack->publish("$orders/old", 'old');
        $this->stack->publish("$orders/new", 'new');
        $this->stack->publish("$orders/new/lines", 'for nobody');
        $this->stack->publish($own, 'own');
        $this->stack->publish("$orders/new", 'end');
        $told = array_map(static fn (Event $event) => [$event->json()['channel'], $event->json()['data']], $all->take(4));
        self::assertSame([["$orders/old", 'old'], ["$orders/new", 'new'], [$own, 'own'], ["$orders/new", 'end']], $told);
        $one->expect('new', 'end');
        $some->expect('new', 'end');
    }

    public function test_patterns_alone_are_a_grant(): void
    {
        $orders = $this->channel('orders');
        $session = $this->logIn(['Patterns' => "$orders/**"]);
        $stream = $this->stack->listen('', $session, self::PAGE);
        $cursor = $stream->opened();
        $this->stack->publish("$orders/7/lines", 'first');
        $stream->expect('first');
        $stream->close();
        $this->stack->publish("$orders/8", 'missed');
        $this->stack->listen('', $session + ['Last-Event-ID' => $cursor], self::PAGE)->expect('first', 'missed');
    }

    /** @testWith ["channel=orders/**"]
     *            ["channel=orders/7/lines"]
     *            ["channel=*"]
     *            ["channel=orders/7&channel=**"]
     *            ["channel=orders/7%2C**"]
     *            ["channel=%2Forders/7"]
     */
    public function test_what_the_patterns_do_not_cover_is_refused(string $query): void
    {
        $status = $this->statusOf(self::PAGE . "?$query", $this->logIn(['Patterns' => 'orders/*']));
        self::assertContains($status, [400, 403]);
    }

    public function test_a_permission_ends_when_the_page_says_and_is_asked_for_anew(): void
    {
        $channel = $this->channel();
        $end = time() + 2;
        $session = $this->logIn(['Channels' => $channel, 'Expires' => (string) $end]);
        $stream = $this->stack->listen('', $session, self::PAGE);
        $stream->opened();
        $poll = $this->stack->request('GET', self::PAGE . '?cursor=' . $this->stack->now(), $session + ['Accept' => 'application/json']);
        $this->stack->publish('elsewhere', 'not for them');
        $event = $stream->next();
        self::assertSame(['sidecast.expired', ['cursor' => $event->id]], [$event->type, $event->json()]);
        $stream->waitForCleanEnd();
        self::assertEqualsWithDelta($end, microtime(true), 0.9);
        self::assertSame([], $poll->wait()->json()['messages']);

        $this->stack->publish($channel, 'meanwhile');
        $response = $this->stack->request('GET', self::PAGE, $session + ['Accept' => 'application/json'])->wait();
        self::assertSame([403, 'grant_expired'], [$response->status, $response->json()['error']], 'a page that still says so');
        $later = $this->logIn(['Channels' => $channel, 'Expires' => (string) ($end + 3600)]);
        $this->stack->listen('', $later + ['Last-Event-ID' => $event->id], self::PAGE)->expect('meanwhile');
    }

    /** @testWith ["tomorrow"]
     *            ["1e12"]
     *            ["-1"]
     *            ["99999999999 0"]
     */
    public function test_an_end_that_is_no_time_refuses(string $expires): void
    {
        $session = $this->logIn(['Channels' => $this->channel(), 'Expires' => $expires]);
        $response = $this->stack->request('GET', self::PAGE, $session)->wait();
        self::assertSame([403, 'bad_expires'], [$response->status, $response->json()['error']]);
    }

    public function test_a_browser_neither_moves_the_end_nor_widens_the_patterns(): void
    {
        $orders = $this->channel('orders');
        $forged = ['X-Sidecast-Expires' => '9999999999', 'X-Sidecast-Patterns' => '**', 'Sidecast-Patterns' => '**'];
        $session = $forged + $this->logIn(['Patterns' => "$orders/*", 'Expires' => (string) (time() - 1)]);
        self::assertSame(403, $this->statusOf(self::PAGE, $session));
        $session = $forged + $this->logIn(['Patterns' => "$orders/*"]);
        self::assertSame(403, $this->statusOf(self::PAGE . '?channel=**&SIDECAST_PATTERNS=**&X-Sidecast-Patterns=**', $session));
    }

    public function test_no_token_widens_what_the_page_grants(): void
    {
        $stack = $this->prepare();
        $stack->daemon->start(['token.secret_file' => Token::keyFile("$stack->directory/secret", Token::SECRET)]);
        $token = Token::make(['channels' => ['**']]);
        $session = $this->logIn(['Channels' => 'mine']);
        $cookie = ['Cookie' => $session['Cookie'] . "; sidecast_token=$token"];
        foreach ([$session + ['Authorization' => "Bearer $token"], $cookie] as $headers) {
            self::assertSame(403, $this->statusOf(self::PAGE . '?channel=secret', $headers));
        }
        self::assertSame(403, $this->statusOf(self::PAGE . "?channel=secret&token=$token", $session));
        self::assertSame(403, $this->statusOf(self::PAGE . "?token=$token", $this->logIn([])));
    }

    public function test_options_and_head_hold_nothing(): void
    {
        $session = $this->logIn(['Channels' => $this->channel()]);
        self::assertSame(204, $this->stack->request('OPTIONS', self::PAGE, $session)->wait()->status);
        self::assertSame(403, $this->stack->request('OPTIONS', self::PAGE)->wait()->status, 'the page decides');
        self::assertSame(403, $this->stack->request('HEAD', self::PAGE . '?channel=secret', $session)->wait()->status);
    }

    public function test_the_query_of_the_page_is_in_no_access_log(): void
    {
        $this->start();
        $session = $this->logIn(['Channels' => $this->channel()]);
        $this->statusOf(self::PAGE . '?token=not-for-the-log');                         // the page's own answer
        $this->statusOf(self::PAGE . '?channel=secret&token=not-for-the-log', $session); // handed off
        $this->stack->fpm()->stop();
        $this->statusOf(self::PAGE . '?token=not-for-the-log', $session);                // an error page
        $log = $this->stack->nginx()->accessLog;
        $this->eventually('three lines in the access log', fn () => substr_count((string) @file_get_contents($log), '/events.php ') >= 3);
        self::assertStringNotContainsString('not-for-the-log', file_get_contents($log));
        $this->stack->fpm()->start();
    }

    public function test_four_kilobytes_of_channels_fit(): void
    {
        $names = [];
        while (strlen(implode(',', $names)) < 4096 - 60) {
            $names[] = $this->channel(str_repeat('n', 40));
        }
        $names[] = str_repeat('m', 4096 - strlen(implode(',', $names)) - 1);
        self::assertSame(4096, strlen(implode(',', $names)));
        $stream = $this->stack->listen('', $this->logIn(['Channels' => implode(',', $names)]), self::PAGE);
        $stream->opened();
        $this->stack->publish(end($names), 'to the last');
        $this->stack->publish($names[0], 'to the first');
        $stream->expect('to the last', 'to the first');
    }

    public function test_the_worker_of_php_is_free_at_once(): void
    {
        $session = $this->logIn(['Channels' => $channel = $this->channel()]);
        $streams = [];
        for ($i = 0; $i < 20; $i++) { // php-fpm has two workers
            $streams[] = $this->stack->listen('', $session, self::PAGE);
        }
        $streams[19]->opened();
        $this->stack->page('publish.php', ['with' => 'function', 'messages' => [[$channel, 'for all']]]);
        foreach ($streams as $i => $stream) {
            $i === 19 || $stream->opened();
            $stream->expect('for all');
        }
    }

    public function test_what_php_says_about_caching_comes_once(): void
    {
        $headers = $this->stack->listen('', $this->logIn(['Channels' => $this->channel()]), self::PAGE)->response->headers;
        self::assertSame(['no-cache'], $headers['cache-control']);
        self::assertCount(1, $headers['expires']);
        self::assertCount(1, $headers['content-type']);
        self::assertStringStartsWith('text/event-stream', $headers['content-type'][0]);
    }

    public function test_clients_come_back_while_php_is_away(): void
    {
        $this->start();
        $session = $this->logIn(['Channels' => $channel = $this->channel()]);
        $stream = $this->stack->listen('', $session, self::PAGE);
        $cursor = $stream->opened();
        $stream->close();
        $this->stack->fpm()->stop();

        for ($i = 0; $i < 20; $i++) {
            $away = $this->stack->listen('', $session + ['Last-Event-ID' => $cursor], self::PAGE); // 200
            $away->waitForCleanEnd();
            self::assertStringStartsWith('text/event-stream', $away->response->header('Content-Type'));
            self::assertGreaterThanOrEqual(5000, $away->parser->retry);
        }
        $poll = $this->stack->request('GET', self::PAGE, $session + ['Accept' => 'application/json'])->wait();
        self::assertSame(503, $poll->status);
        $this->stack->publish($channel, 'meanwhile');

        $this->stack->fpm()->start();
        $this->stack->listen('', $session + ['Last-Event-ID' => $cursor], self::PAGE)->expect('meanwhile');
    }

    /** @return array<string, string> the header that belongs to a new session with this grant */
    private function logIn(array $grant): array
    {
        return ['Cookie' => $this->stack->page('session.php', ['user' => 'alice', 'grant' => $grant])['cookie']];
    }

    private function statusOf(string $uri, array $headers = []): int
    {
        return $this->stack->request('GET', $uri, $headers + ['Accept' => 'text/event-stream'])->wait()->status;
    }
}
