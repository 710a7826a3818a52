<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** Publishing that is answered: what a reply promises, and when there is none. */
final class ConfirmTest extends EndToEndTestCase
{
    protected const SHARED = ['publish.max_bytes' => '64KiB'];

    public function test_an_answer_has_the_id_under_which_the_message_arrives(): void
    {
        [$channel, $client] = $this->listener();
        $requester = $this->requester();
        $ids = [
            $requester->publish($channel, 'two frames'),
            $requester->publish($channel, 'three frames', '{"event":"named"}'),
            $requester->publish(json_encode(['channel' => $channel, 'data' => 'one frame'])),
        ];
        $events = $client->take(3);
        self::assertSame($ids, array_column($events, 'id'));
        self::assertSame(['two frames', 'three frames', 'one frame'], array_column($events, 'data'));
    }

    public function test_whoever_asks_after_the_answer_finds_the_message(): void
    {
        $channel = $this->channel();
        $requester = $this->requester();
        for ($i = 0; $i < 50; $i++) {
            $id = $requester->publish($channel, "message $i");
            $answer = $this->stack->poll("channel=$channel&last=1");
            self::assertSame([[$id, "message $i"]], array_map(static fn ($m) => [$m['id'], $m['data']], $answer['messages']));
        }
    }

    public function test_a_dealer_gets_back_the_delimiter_that_it_sent_and_none_otherwise(): void
    {
        $dealer = $this->requester(\ZMQ::SOCKET_DEALER);
        $channel = $this->channel();
        self::assertMatchesRegularExpression('/^ok \S+$/', implode('|', $dealer->ask($channel, 'x')));
        self::assertMatchesRegularExpression('/^\|ok \S+$/', implode('|', $dealer->ask('', $channel, 'x')));
        self::assertMatchesRegularExpression('/^\|error bad_frames /', implode('|', $dealer->ask('')));
    }

    /** @dataProvider mistakes */
    public function test_what_breaks_a_rule_is_answered_with_a_stable_word(string $code, string ...$frames): void
    {
        $requester = $this->requester();
        $reply = $requester->ask(...array_map(fn (string $frame) => str_replace('CHANNEL', 'news', $frame), $frames));
        self::assertCount(1, $reply);
        self::assertMatchesRegularExpression("/^error $code .{10}/", $reply[0]);
        $requester->publish($this->channel(), 'the next one');
    }

    /** @return array<string, list<string>> */
    public static function mistakes(): array
    {
        return [
            'four frames' => ['bad_frames', 'CHANNEL', 'x', '{}', 'x'],
            'not JSON' => ['bad_json', '{"channel":"CHANNEL"'],
            'an empty frame' => ['bad_json', ''],
            'an empty batch' => ['bad_json', '[]'],
            'a key twice' => ['bad_json', '{"channel":"CHANNEL","data":1,"data":2}'],
            'an unknown option' => ['bad_option', 'CHANNEL', 'x', '{"colour":"red"}'],
            'options that are no object' => ['bad_option', 'CHANNEL', 'x', '[]'],
            'a bad channel' => ['bad_channel', 'a b', 'x'],
            'no channel' => ['bad_channel', '{"data":1}'],
            'data that is not UTF-8' => ['bad_data', 'CHANNEL', "caf\xe9"],
            'data that is too large' => ['too_large', 'CHANNEL', str_repeat('x', 65537)],
        ];
    }

    public function test_a_batch_is_answered_item_by_item(): void
    {
        [$channel, $client] = $this->listener();
        $reply = $this->requester()->ask(json_encode([
            ['channel' => $channel, 'data' => 'one'], ['channel' => 'a b', 'data' => 'lost'], ['channel' => $channel, 'data' => 'two'],
        ]));
        $events = $client->take(2);
        self::assertSame(["ok {$events[0]->id}", "ok {$events[1]->id}"], [$reply[0], $reply[2]]);
        self::assertStringStartsWith('error bad_channel ', $reply[1]);
        self::assertCount(3, $reply);
    }

    public function test_a_message_for_several_channels_is_answered_with_an_id_for_each_in_list_order(): void
    {
        [$a, $b] = [$this->channel('a'), $this->channel('b')];
        $client = $this->stack->listen("channel=$a&channel=$b&envelope=1");
        $client->opened();
        $reply = $this->requester()->ask(json_encode(['channels' => [$b, $a], 'data' => 'for both']));
        $events = $client->take(2);
        self::assertSame([$b, $a], array_map(static fn (Event $event) => $event->json()['channel'], $events));
        self::assertSame(["ok {$events[0]->id} {$events[1]->id}"], $reply);
    }

    public function test_a_repeated_key_is_answered_with_the_first_id(): void
    {
        [$channel, $client] = $this->listener();
        $first = $this->requester()->publish($channel, 'first', '{"key":"order-1"}');
        self::assertSame($first, $this->requester()->publish($channel, 'again', '{"key":"order-1"}'));
        $this->requester()->publish($channel, 'another');
        $client->expect('first', 'another');
    }

    public function test_sixty_thousand_requests_at_once_get_as_many_answers_in_their_order(): void
    {
        $dealer = $this->requester(\ZMQ::SOCKET_DEALER);
        $channel = $this->channel();
        for ($i = 0; $i < 60000; $i++) {
            $i % 100 === 50 ? $dealer->send($channel, "$i", '{"ttl":0}') : $dealer->send($channel, "$i");
        }
        $events = [];
        for ($i = 0; $i < 60000; $i++) {
            [$line] = $dealer->receive();
            if ($i % 100 === 50) {
                self::assertStringStartsWith('error bad_option ', $line);
                continue;
            }
            self::assertStringStartsWith('ok ', $line);
            $events[] = new Event('message', '', substr($line, 3), true);
        }
        self::assertFalse($dealer->tryReceive());
        $this->assertIdsIncrease($events);
        $newest = $this->stack->poll("channel=$channel&last=1")['messages'][0];
        self::assertSame(['59999', end($events)->id], [$newest['data'], $newest['id']]);
    }

    public function test_both_ways_of_publishing_go_on_while_the_other_is_busy(): void
    {
        [$channel, $client] = $this->listener();
        $busy = $this->channel('busy');
        $dealer = $this->requester(\ZMQ::SOCKET_DEALER);
        for ($i = 0; $i < 20000; $i++) {
            $dealer->send($busy, "$i");
        }
        $this->stack->publish($channel, 'pushed');
        $client->expect('pushed');
        $answered = 0;
        while ($dealer->tryReceive() !== false) {
            $answered++;
        }
        self::assertLessThan(20000, $answered, 'PUSH did not wait for all requests');
        while ($answered++ < 20000) {
            $dealer->receive();
        }
    }

    public function test_a_client_that_goes_in_the_middle_of_a_request_leaves_nothing_behind(): void
    {
        $this->start();
        $raw = RawPublisher::connect($this->stack->daemon->confirmEndpoint(), 'DEALER');
        $before = count($this->stack->daemon->openSockets());
        for ($i = 0; $i < 20; $i++) {
            $gone = RawPublisher::connect($this->stack->daemon->confirmEndpoint(), 'DEALER');
            $gone->send(RawPublisher::frameHead(4, true) . 'news' . RawPublisher::frameHead(100) . 'half');
            $gone->flush();
            $gone->close();
        }
        $whole = RawPublisher::connect($this->stack->daemon->confirmEndpoint(), 'DEALER');
        $whole->send(RawPublisher::message('news', 'whole, but who asked has gone'));
        $whole->flush();
        $whole->close();
        $this->requester()->publish('news', 'still here');
        self::assertSame(['whole, but who asked has gone', 'still here'],
            array_column($this->stack->poll('channel=news&cursor=0')['messages'], 'data'));
        $this->eventually('connections to be gone', fn () => count($this->stack->daemon->openSockets()) <= $before + 8);
        self::assertTrue($raw->isReady());
        $this->stack->daemon->process->signal(SIGUSR1);
        $this->stack->daemon->process->waitForLog('/ confirmations=2 /');
    }

    public function test_publishers_of_both_kinds_are_counted_together(): void
    {
        $this->start(['publish.max_connections' => '4']);
        $endpoints = [$this->stack->daemon->publishEndpoint(), $this->stack->daemon->confirmEndpoint()];
        $let = [];
        foreach (range(0, 3) as $i) {
            $let[] = RawPublisher::connect($endpoints[$i % 2], $i % 2 ? 'DEALER' : 'PUSH');
        }
        foreach ($endpoints as $endpoint) {
            $refused = RawPublisher::connect($endpoint);
            $refused->waitForClose();
            self::assertFalse($refused->isReady());
        }
        array_shift($let)->close();
        $this->eventually('a place', fn () => RawPublisher::connect($endpoints[1], 'DEALER')->isReady());
    }

    /** @testWith ["stop"]
     *            ["kill"]
     */
    public function test_after_a_restart_requests_are_answered_again(string $how): void
    {
        $this->start();
        $requester = $this->requester();
        $first = $requester->publish('news', 'before', '{"key":"k"}');
        $this->stack->daemon->$how();
        self::assertSame($how === 'kill', file_exists($this->stack->daemon->confirmSocket));
        $this->stack->daemon->start();
        $second = $requester->publish('news', 'after', '{"key":"k"}');
        $this->assertIdsIncrease([new Event('', '', $first, true), new Event('', '', $second, true)]);
        self::assertSame(['after'], array_column($this->stack->poll('channel=news&cursor=0')['messages'], 'data'));
    }

    public function test_what_is_answered_at_the_end_is_delivered_and_answers_are_not_lost(): void
    {
        $this->start();
        $client = $this->stack->listen('channel=news');
        $client->opened();
        $dealer = $this->requester(\ZMQ::SOCKET_DEALER);
        for ($i = 0; $i < 20000; $i++) {
            $dealer->send('news', "$i");
        }
        $dealer->receive();
        $this->stack->daemon->process->signal(SIGTERM);
        $client->waitForCleanEnd();
        $this->stack->daemon->assertCleanEnd();

        $answered = 1;
        while (($reply = $dealer->tryReceive()) !== false) {
            self::assertStringStartsWith('ok ', $reply[0]);
            $answered++;
        }
        self::assertSame(20000, $answered, 'what was taken in by then is answered');
        self::assertSame('19999', $client->takeData(20000)[19999]);
        self::assertFileDoesNotExist($this->stack->daemon->confirmSocket);
    }

    public function test_requests_that_never_pause_are_cut_and_every_answer_holds(): void
    {
        $this->start(['hub.stop_timeout' => '2s']);
        $client = $this->stack->listen('channel=news');
        $client->opened();
        $dealer = $this->requester(\ZMQ::SOCKET_DEALER);
        $answered = [];
        $turns = 0;
        $takeAnswers = static function () use ($dealer, &$answered): void {
            while (($reply = $dealer->tryReceive()) !== false) {
                $answered[] = substr($reply[0], 3);
            }
        };
        Loop::until(function () use ($dealer, $takeAnswers, &$turns): bool {
            for ($j = 0; $j < 20; $j++) {
                $dealer->send('news', 'x');
            }
            $takeAnswers();
            ++$turns === 50 && $this->stack->daemon->process->signal(SIGTERM);
            return !$this->stack->daemon->isRunning();
        }, 'the end of a daemon that is never left alone');
        $this->stack->daemon->assertCleanEnd();
        $client->waitForCleanEnd();
        $takeAnswers();
        $delivered = array_column($client->take($client->pending()), 'id');
        self::assertSame([], array_diff($answered, $delivered), 'nothing is answered that nobody gets');
        self::assertNotSame([], $answered);
    }

    public function test_without_an_endpoint_nothing_is_there(): void
    {
        $this->start(['publish.confirm_listen' => '']);
        self::assertFileDoesNotExist($this->stack->daemon->confirmSocket);
        $this->stack->publish('news', 'pushed');
        $this->waitForNewest('channel=news', 'pushed');
    }

    private function requester(int $type = \ZMQ::SOCKET_REQ): Requester
    {
        return new Requester($this->stack->daemon->confirmEndpoint(), $type);
    }

    /** @return array{string, EventStream} */
    private function listener(): array
    {
        $channel = $this->channel();
        $client = $this->stack->listen("channel=$channel");
        $client->opened();
        return [$channel, $client];
    }
}
