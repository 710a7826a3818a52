<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/**
 * A FastCGI peer that means harm, on the daemon's own socket: floods, lengths that lie, requests that never end, thousands of connections.
 * tests/test_hostile_peer.c has the records of every type at every state.
 *
 * @group hostile
 */
final class HostilePeerTest extends EndToEndTestCase
{
    protected const SHARED = ['fastcgi.request_timeout' => '1min', 'fastcgi.max_body' => '1KiB', 'subscribe.max_channels' => '10'];
    private const PATIENCE_MS = 500;

    private EventStream $bystander;
    private string $channel;
    private int $messages = 0;

    protected function setUp(): void
    {
        parent::setUp();
        $this->watch();
    }

    protected function tearDown(): void
    {
        isset($this->bystander) && $this->bystander->close();
        parent::tearDown();
    }

    /** @dataProvider floods */
    public function test_a_flood_of_parameters_is_answered(string $params, int $status, ?string $code): void
    {
        foreach ([65535, 1000, 1] as $size) { // of each record's content
            if (strlen($params) / $size > 100000) {
                continue;
            }
            $connection = $this->stack->daemon->fastcgi();
            $response = $connection->expectResponse(1);
            $connection->send(FastCgi::begin(1) . self::records(FastCgi::PARAMS, $params, $size) . FastCgi::record(FastCgi::STDIN, 1, ''));
            $response->waitForHead();
            self::assertSame($status, $response->status);
            if ($code !== null) {
                self::assertSame($code, $response->json()['error']);
            }
            $connection->close();
        }
        $this->expectNothingElse();
    }

    /** @return array<string, array{string, int, ?string}> */
    public static function floods(): array
    {
        $good = FastCgi::pairs(FastCgi::params('channel=news'));
        $fill = static fn (string $pair): string => str_repeat($pair, intdiv(65536 - strlen($good), strlen($pair)));
        return [
            'empty pairs alone' => [str_repeat("\0\0", 32768), 405, 'method_not_allowed'],
            'empty pairs and a request' => [$good . $fill("\0\0"), 200, null],
            'a request behind empty pairs' => [$fill("\0\0") . $good, 200, null],
            'tiny pairs' => [$good . $fill("\1\1xy"), 200, null],
            'a header again and again' => [$good . $fill(FastCgi::pairs(['HTTP_ACCEPT' => 'a/b'])), 200, null],
            'a grant again and again' => [$good . $fill(FastCgi::pairs(['SIDECAST_CHANNELS' => 'a'])), 403, 'bad_grant'],
            'long lengths of short pairs' => [self::longPairs(FastCgi::params('channel=news')), 200, null],
            'long lengths of nothing' => [$good . $fill("\x80\0\0\0\x80\0\0\0"), 200, null],
            'names of zeros' => [$good . $fill("\4\4\0\0\0\0\0\0\0\0"), 200, null],
            'one byte too many' => [str_pad($good, 65537, "\0"), 431, 'request_too_large'],
            'a megabyte' => [str_repeat("\1\1xy", 1 << 18), 431, 'request_too_large'],
            'sixteen megabytes' => [str_repeat("\0\0", 1 << 23), 431, 'request_too_large'],
        ];
    }

    /** @dataProvider lies */
    public function test_a_length_that_lies_closes_the_connection(string $params): void
    {
        $before = $this->metrics()['protocol_errors'] ?? 0;
        foreach ([65535, 1] as $size) {
            $connection = $this->stack->daemon->fastcgi();
            $connection->send(FastCgi::begin(1) . self::records(FastCgi::PARAMS, $params, $size));
            $connection->waitForClose();
            self::assertSame([], $connection->records);
        }
        self::assertSame($before + 2, $this->metrics()['protocol_errors']);
        $this->expectNothingElse();
    }

    /** @return array<string, array{string}> */
    public static function lies(): array
    {
        $good = FastCgi::pairs(FastCgi::params('channel=news'));
        $rows = [];
        foreach (["\xff\xff\xff\xff" => 'of 2^31-1', "\x80\xff\xff\xff" => 'of 2^24-1', "\x80\1\0\0" => 'of 64 KiB', "\x7f" => 'of 127'] as $length => $name) {
            foreach (["{$length}\1xy" => 'a name', "\1{$length}xy" => 'a value', "$length{$length}xy" => 'both'] as $pair => $what) {
                $rows["$what $name"] = [$pair];
                $rows["$what $name behind a request"] = [$good . $pair];
            }
        }
        return $rows + [
            'a pair that ends in its first length' => ["$good\xff\xff"],
            'a pair without its second length' => ["$good\1"],
            'a value that lacks a byte' => ["$good\1\3xyz"],
        ];
    }

    public function test_a_body_without_end_is_answered_and_cut(): void
    {
        $connection = $this->stack->daemon->fastcgi();
        $response = $connection->expectResponse(1);
        $connection->send(FastCgi::begin(1, true) . FastCgi::streamOf(FastCgi::PARAMS, 1, FastCgi::pairs(FastCgi::params('channel=news'))));
        $this->sendForever($connection, FastCgi::record(FastCgi::STDIN, 1, str_repeat('x', 65535)));
        self::assertSame([413, 'body_too_large'], [$response->status, $response->json()['error']]);
        $this->expectNothingElse();
    }

    /** A front end that keeps no connection: the daemon closes it once it has read what it does not want. */
    public function test_a_body_that_is_too_large_ends_a_connection_that_is_not_kept(): void
    {
        $connection = $this->stack->daemon->fastcgi();
        $response = $connection->request(FastCgi::params('channel=news'), 1, false, str_repeat('x', 1000000));
        self::assertSame(413, $response->wait()->status);
        $connection->waitForClose();
        $this->expectNothingElse();
    }

    /**
     * What never becomes a request: the time runs from its first byte.
     *
     * @testWith [9, 0, "x"]
     *           [9, 0, ""]
     *           [4, 7, "x"]
     *           [8, 1, "x"]
     *           [255, 1, ""]
     */
    public function test_records_without_end_do_not_extend_the_time(int $type, int $id, string $content): void
    {
        $this->bystander->close();
        $this->start(['fastcgi.request_timeout' => self::PATIENCE_MS . 'ms']);
        $this->watch();
        $connection = $this->stack->daemon->fastcgi();
        $connection->send(FastCgi::begin(1));
        $begun = Loop::now();
        $this->sendForever($connection, FastCgi::record($type, $id, $content));
        self::assertGreaterThan(0.9 * self::PATIENCE_MS / 1000, Loop::now() - $begun);
        self::assertSame(1, $this->metrics()['requests_timed_out']);
        $this->expectNothingElse();
    }

    public function test_who_asks_without_end_and_never_reads_is_closed(): void
    {
        $connection = $this->stack->daemon->fastcgi();
        $connection->listen("channel={$this->channel}")->opened(); // no time of a request's runs
        $connection->pause();
        $questions = str_repeat(FastCgi::record(FastCgi::GET_VALUES, 0, FastCgi::pairs(['FCGI_MAX_CONNS' => ''])), 1000);
        $this->sendForever($connection, $questions);
        $connection->close();
        $this->expectNothingElse();
    }

    /** Whoever has its request half said holds a place no longer than the time for a request. */
    public function test_half_requests_in_every_place_stop_newcomers_for_their_time_alone(): void
    {
        $this->bystander->close();
        $this->start(['hub.max_clients' => '3', 'fastcgi.request_timeout' => self::PATIENCE_MS . 'ms']);
        $this->watch();
        $request = FastCgi::request(1, FastCgi::params('channel=news'));
        $half = [];
        for ($i = 0; $i < 3 * 66; $i++) {
            $half[$i] = $this->stack->daemon->fastcgi();
            $half[$i]->send(substr($request, 0, 30));
        }
        $late = $this->stack->daemon->fastcgi()->listen('channel=news');
        Loop::until(fn () => $late->pending() > 0 || $late->response->complete, 'an answer');
        $late->opened();
        $this->expectNothingElse();
    }

    /**
     * As many as there are descriptors for: silent ones, and those that stop at some byte of their request.
     */
    public function test_thousands_of_connections_that_say_nothing_stop_nobody_and_go_in_time(): void
    {
        $this->bystander->close();
        $this->start(['fastcgi.request_timeout' => '5s']);
        $this->watch();
        $this->expectNothingElse(); // so that the publisher is there, too
        $sockets = $this->stack->daemon->openSockets();
        foreach ([1, 2] as $round) {
            $streams = $this->crowd(2000);
            $this->eventually('all of them to be there', fn () => $this->metrics()['connections'] === 2001);
            $response = $this->stack->daemon->fastcgi()->request(FastCgi::params('channel=news', ['HTTP_ACCEPT' => 'application/json']))->wait();
            self::assertSame(200, $response->status, 'a newcomer is served');
            $this->expectNothingElse();
            $this->eventually('all of them to be closed', fn () => $this->metrics()['connections'] === 1);
            self::assertSame(2000, count(array_filter($streams, static fn ($stream) => fread($stream, 1) === '' && feof($stream))));
            array_map(fclose(...), $streams);
        }
        $this->eventually('their descriptors to be free', fn () => array_diff($this->stack->daemon->openSockets(), $sockets) === []);
        // a fifth of each round says nothing at all, which is no request
        self::assertSame(2 * 1600, $this->metrics()['requests_timed_out']);
        $this->expectNothingElse();
    }

    /**
     * stream_select() takes descriptors below 1024 only: these are not watched, and room is left below for what a test opens meanwhile.
     *
     * @return list<resource>
     */
    private function crowd(int $count): array
    {
        $request = FastCgi::request(1, FastCgi::params('channel=news'), true, 'body');
        $room = array_map(static fn () => fopen('/dev/null', 'r'), range(1, 20));
        $streams = [];
        for ($i = 0; $i < $count; $i++) {
            $stream = stream_socket_client("unix://{$this->stack->daemon->socket}", $number, $message, Loop::PATIENCE);
            self::assertIsResource($stream, (string) $message);
            stream_set_blocking($stream, false);
            fwrite($stream, substr($request, 0, [0, 3, 16, 60, strlen($request) - 1][$i % 5]));
            $streams[] = $stream;
        }
        array_map(fclose(...), $room);
        return $streams;
    }

    /** The same again and again, until the daemon closes the connection. */
    private function sendForever(FastCgiConnection $connection, string $bytes): void
    {
        Loop::until(function () use ($connection, $bytes): bool {
            $connection->allSent() && !$connection->refused && $connection->send($bytes);
            usleep(100);
            return $connection->closed || $connection->refused;
        }, 'the connection to be closed');
    }

    private function watch(): void
    {
        $this->channel = $this->channel('bystander');
        $this->bystander = $this->stack->daemon->fastcgi()->listen("channel={$this->channel}");
        $this->bystander->opened();
    }

    /** The bystander gets its next message, and has got nothing else meanwhile. */
    private function expectNothingElse(): void
    {
        $text = 'message ' . ++$this->messages;
        $this->stack->publish($this->channel, $text);
        $this->bystander->expect($text);
        self::assertSame(0, $this->bystander->pending());
    }

    /** @return array<string, int> those of connections that are not zero */
    private function metrics(): array
    {
        $process = $this->stack->daemon->process;
        $lines = [];
        $told = static function () use ($process, &$lines): int {
            return preg_match_all('/^notice metrics (.* requests=.*)$/m', $process->err->text, $lines);
        };
        $before = $told();
        $process->signal(SIGUSR1);
        Loop::until(static fn () => $told() > $before, 'metrics in the log');
        preg_match_all('/(\w+)=(\d+)/', end($lines[1]), $pairs);
        return array_map(intval(...), array_combine($pairs[1], $pairs[2]));
    }

    private static function records(int $type, string $content, int $size): string
    {
        $records = '';
        foreach (str_split($content, $size) as $piece) {
            $records .= FastCgi::record($type, 1, $piece);
        }
        return $records . FastCgi::record($type, 1, '');
    }

    /** @param array<string, string> $params */
    private static function longPairs(array $params): string
    {
        $bytes = '';
        foreach ($params as $name => $value) {
            $bytes .= pack('NN', strlen($name) | 0x80000000, strlen($value) | 0x80000000) . $name . $value;
        }
        return $bytes;
    }
}
