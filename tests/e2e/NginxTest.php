<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/**
 * The snippets that users include, in a real nginx.
 *
 * @group nginx
 */
final class NginxTest extends EndToEndTestCase
{
    public function test_a_reload_leaves_streams_alone(): void
    {
        $channel = $this->channel();
        $before = $this->stack->listen("channel=$channel");
        $before->opened();
        $this->stack->publish($channel, 'before the reload');
        $before->expect('before the reload');

        $this->stack->nginx()->reload();
        $this->stack->publish($channel, 'after the reload');
        $before->expect('after the reload');
        $after = $this->stack->listen("channel=$channel&last=1");
        $after->opened();
        $after->expect('after the reload');
    }

    public function test_a_long_poll_is_told_when_to_come_back_while_sidecast_is_away(): void
    {
        $this->start();
        $this->stack->poll('channel=news');
        $this->stack->daemon->stop();
        $poll = $this->stack->startPoll('channel=news')->wait();
        self::assertSame(503, $poll->status);
        self::assertStringStartsWith('application/json', $poll->header('Content-Type'));
        self::assertGreaterThanOrEqual(5, (int) $poll->header('Retry-After'));
        self::assertSame(['error', 'message'], array_keys($poll->json()));
    }

    public function test_the_access_log_never_holds_the_query(): void
    {
        $this->stack->startPoll('channel=news&token=secret-token')->wait();
        $this->stack->request('GET', '/events?token=secret-token', ['Referer' => 'http://localhost/?token=secret-token'])->wait();
        $log = $this->stack->nginx()->accessLog;
        $this->eventually('two lines in the access log', fn () => is_file($log) && substr_count(file_get_contents($log), "\n") >= 2);
        self::assertStringContainsString('GET /events ', file_get_contents($log));
        self::assertStringNotContainsString('secret-token', file_get_contents($log));
    }

    /** More than sidecast takes for a whole request: it would be a 431 if nginx passed them on. */
    public function test_cookies_stay_in_nginx(): void
    {
        $cookies = ['Cookie' => str_repeat('c', 70000)];
        $channel = $this->channel();
        $cursor = $this->stack->now();
        $stream = $this->stack->listen("channel=$channel", $cookies);
        $stream->opened();
        $this->stack->publish($channel, 'm');
        $stream->expect('m');
        $headers = $cookies + ['Accept' => 'application/json', 'Last-Event-ID' => $cursor];
        $poll = $this->stack->request('GET', "/events?channel=$channel", $headers)->wait();
        self::assertSame('m', $poll->json()['messages'][0]['data']);
    }
}
