<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** A PHP page with a session decides who listens; real php-fpm, real nginx, the project's snippets. */
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
