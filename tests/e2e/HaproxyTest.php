<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/**
 * A front end that keeps connections, counts request ids up on them, and would multiplex. Its snippet does not let it: HAProxy 2.6 says
 * nothing when a client leaves a stream on a kept connection.
 *
 * @group haproxy
 */
final class HaproxyTest extends EndToEndTestCase
{
    public function test_long_polls_one_after_the_other_use_one_connection_with_ids_of_their_own(): void
    {
        $this->start();
        $this->stack->frontEnd();
        $none = $this->stack->daemon->openSockets();
        $cursor = $this->stack->now();
        for ($i = 0; $i < 5; $i++) {
            $poll = $this->poll("channel=news&cursor=$cursor");
            $this->stack->publish('news', "m$i");
            self::assertSame(["m$i"], array_column($poll->json()['messages'], 'data'));
            $cursor = $poll->json()['cursor'];
            $this->eventually('one connection', fn () => count(array_diff($this->stack->daemon->openSockets(), $none)) === 1);
        }
    }

    public function test_who_would_multiplex_is_told_that_it_cannot_and_opens_another_connection(): void
    {
        $this->start();
        $cursor = $this->stack->now();
        $none = $this->stack->daemon->openSockets();
        $polls = [];
        for ($i = 1; $i <= 5; $i++) {
            $polls[] = $this->poll("channel=news&cursor=$cursor");
            $this->eventually("connection $i", fn () => count(array_diff($this->stack->daemon->openSockets(), $none)) === $i);
        }
        $this->stack->publish('news', 'for all');
        foreach ($polls as $poll) {
            self::assertSame(['for all'], array_column($poll->json()['messages'], 'data'));
        }
    }

    private function poll(string $query): Response
    {
        return $this->stack->request('GET', "/kept?$query", ['Accept' => 'application/json']);
    }
}
