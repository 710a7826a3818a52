<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/**
 * A client that means harm, in good HTTP: queries, tokens and cursors of every shape.
 *
 * @group hostile
 */
final class HostileQueryTest extends HostileClientTestCase
{
    /** @dataProvider queries */
    public function test_a_query_is_answered(string $query, int $status, ?string $code = null): void
    {
        foreach (['text/event-stream', 'application/json'] as $accept) {
            $this->assertAnswer($this->raw(self::get($query, "Accept: $accept\r\n")), $status, $code);
        }
    }

    /** @return array<string, array{0: string, 1: int, 2?: ?string}> */
    public static function queries(): array
    {
        $name = static fn (int $bytes): string => str_repeat('n', $bytes);
        return [
            // channels
            'a name of 255 bytes' => ['channel=' . $name(255), 200],
            'a name of 256 bytes' => ['channel=' . $name(256), 400, 'bad_channel'],
            'a name of 255 bytes, each escaped' => ['channel=' . str_repeat('%6e', 255), 200],
            'a name of 256 bytes, each escaped' => ['channel=' . str_repeat('%6e', 256), 400, 'bad_channel'],
            'a name of 60000 bytes' => ['channel=' . $name(60000), 400, 'bad_channel'],
            'a pattern of 60000 stars' => ['channel=' . str_repeat('*', 60000), 400, 'bad_channel'],
            'a pattern of 255 stars' => ['channel=' . str_repeat('*', 255), 403, 'not_allowed'],
            'a line feed in the name' => ['channel=a%0a' . self::MARK, 400, 'bad_channel'],
            'a header in the name' => ['channel=a%0d%0a' . self::MARK . ':%201%0d%0a%0d%0a<script>', 400, 'bad_channel'],
            'an event in the name' => ['channel=a%0a%0adata:%20' . self::MARK . '%0a%0a', 400, 'bad_channel'],
            'a NUL in the name' => ['channel=a%00b', 400, 'bad_channel'],
            'a NUL behind the name' => ['channel=a%00', 400, 'bad_channel'],
            'every control character' => ['channel=' . implode('&channel=', array_map(static fn ($byte) => sprintf('a%%%02x', $byte), [...range(0, 31), 127])), 400, 'bad_channel'],
            'a C1 control character' => ['channel=a%c2%85b', 400, 'bad_channel'],
            'markup in the name' => ['channel=%3Cscript%3Ealert(%22' . self::MARK . '%22)%3C/script%3E', 200],
            'escaped twice' => ['channel=a%250d%250a', 200],
            'many slashes and dots' => ['channel=../../../../etc/passwd', 200],
            'UTF-8 raw' => ["channel=\u{e4}\u{20ac}\u{1f600}", 200],
            'Latin-1 raw' => ["channel=\xe9", 400, 'bad_query'],
            'Latin-1 escaped' => ['channel=%e9', 400, 'bad_query'],
            'an overlong slash' => ['channel=%c0%af', 400, 'bad_query'],
            'a surrogate' => ['channel=%ed%a0%80', 400, 'bad_query'],
            'above U+10FFFF' => ['channel=%f4%90%80%80', 400, 'bad_query'],
            'half a character' => ['channel=%e2%82', 400, 'bad_query'],
            'no escape at all' => ['channel=%zz', 400, 'bad_query'],
            'half an escape' => ['channel=a%4', 400, 'bad_query'],
            'a percent sign at the end' => ['channel=a%', 400, 'bad_query'],
            'a broken escape in an unknown key' => ['channel=a&%zz=1', 400, 'bad_query'],
            'a broken escape in an unknown value' => ['channel=a&x=%zz', 200],
            'an escaped key' => ['%63hannel=a', 200],
            'another case' => ['CHANNEL=a', 400, 'no_channel'],
            'as PHP writes arrays' => ['channel[]=a', 400, 'no_channel'],
            'a NUL in the key' => ['channel%00=a', 400, 'no_channel'],
            'a plus' => ['channel=a+b', 400, 'bad_channel'],
            'a semicolon is part of the name' => ['channel=a;channel=b', 200],
            'ampersands alone' => [str_repeat('&', 5000), 400, 'no_channel'],
            'equals signs alone' => [str_repeat('=', 5000), 400, 'no_channel'],
            'no query' => ['', 400, 'no_channel'],
            'a second question mark' => ['channel=a?channel=b', 200],
            // how many
            '100 channels' => [self::channels(100), 200],
            '101 channels' => [self::channels(101), 400, 'too_many_channels'],
            '1000 channels' => [self::channels(1000), 400, 'too_many_channels'],
            '1000 times the same' => [str_repeat('channel=a&', 1000), 200],
            '5000 unknown keys' => ['channel=a&' . str_repeat('x=1&', 5000), 200],
            // other options
            'a header in the client id' => ['channel=a&client=x%0d%0a' . self::MARK . ':1', 400, 'bad_query'],
            'a NUL in the client id' => ['channel=a&client=x%00y', 400, 'bad_query'],
            'a client id of 256 bytes' => ['channel=a&client=' . $name(256), 400, 'bad_query'],
            'last=0' => ['channel=a&last=0', 400, 'bad_query'],
            'last=-1' => ['channel=a&last=-1', 400, 'bad_query'],
            'last=1.5' => ['channel=a&last=1.5', 400, 'bad_query'],
            'last=1e3' => ['channel=a&last=1e3', 400, 'bad_query'],
            'last=0x10' => ['channel=a&last=0x10', 400, 'bad_query'],
            'last=%201' => ['channel=a&last=%201', 400, 'bad_query'],
            'last in other digits' => ['channel=a&last=%d9%a3', 400, 'bad_query'],
            'last beyond all numbers' => ['channel=a&last=' . str_repeat('9', 200), 200],
            'another transport' => ['channel=a&transport=websocket', 400, 'bad_query'],
            'another envelope' => ['channel=a&envelope=2', 400, 'bad_query'],
            'an endpoint of its own' => ['channel=a&SIDECAST_ENDPOINT=publish', 200],
            // tokens, to a server that has no keys
            'an empty token' => ['channel=a&token=', 200],
            'a token' => ['channel=a&token=' . self::MARK, 401, 'token_not_supported'],
            'a token of 60000 bytes' => ['channel=a&token=' . $name(60000), 401, 'token_not_supported'],
            'a token with a broken escape' => ['channel=a&token=%zz', 401, 'token_not_supported'],
        ];
    }

    /** A server with keys says which of its rules a token breaks, and nothing of the token. */
    public function test_tokens_of_every_shape_are_refused(): void
    {
        $this->prepare(['log.level' => 'debug']);
        file_put_contents("{$this->stack->directory}/secret", Token::SECRET);
        chmod("{$this->stack->directory}/secret", 0600);
        $this->stack->daemon->start(['token.secret_file' => "{$this->stack->directory}/secret"]);
        $encode = static fn (mixed $json): string => rtrim(strtr(base64_encode(is_string($json) ? $json : json_encode($json)), '+/', '-_'), '=');
        $claims = ['exp' => time() + 60, 'channels' => ['a'], 'x' => self::MARK];
        $good = Token::make($claims);
        [$head, $body, $signature] = explode('.', $good);
        $none = $encode(['alg' => 'none']);
        $shapes = [
            'x', '.', '..', '...', 'a.b.c', "$none.$body.", "$none.$body.$signature", "$head.$body", "$head.$body.", "$good.", "$good$signature", "$head..$signature",
            "$head.$body." . strrev($signature), $encode(['alg' => 'HS512']) . ".$body.$signature", $encode('{') . ".$body.$signature", $encode(str_repeat('[', 5000)) . ".$body.$signature",
            str_repeat('a', 8000), str_repeat('.', 8000), self::MARK . "%0d%0a{$good}", "%00$good", Token::make(['exp' => 1] + $claims), Token::make(['exp' => null] + $claims),
            Token::make(['exp' => '99999999999'] + $claims), Token::make(['exp' => -1e300] + $claims), Token::make(['channels' => 'a'] + $claims),
            Token::make(['channels' => ["a\r\n" . self::MARK]] + $claims), Token::make($claims, str_repeat('q', 32)),
        ];
        foreach ($shapes as $shape) {
            $response = $this->raw(self::get("channel=a&token=$shape"));
            self::assertSame(401, $response->status, $shape);
            self::assertContains($response->json()['error'], ['token_invalid', 'token_expired'], $shape);
            $this->assertNothingComesBack($response);
        }
        self::assertSame(200, $this->raw(self::get("channel=a&token=$good"))->status);
        self::assertStringNotContainsString($signature, $this->stack->daemon->process->err->text);
    }

    /**
     * Cursors of every shape, in every place: never an error, but a gap, or all, or from now on.
     *
     * @dataProvider cursors
     */
    public function test_a_cursor_of_any_shape_is_no_error(string $cursor, string $after): void
    {
        $isGap = $after !== 'no gap';
        $queries = [];
        foreach (['last_event_id', 'lastEventId', 'lastEventID', 'Last-Event-ID', 'cursor'] as $name) {
            $queries[$name] = self::get("channel=a&$name=" . rawurlencode($cursor), "Accept: application/json\r\n");
        }
        if (strcspn($cursor, "\r\n\0") === strlen($cursor) && trim($cursor) === $cursor) {
            $queries['a header'] = self::get('channel=a', "Accept: application/json\r\nLast-Event-ID: $cursor\r\n");
            $queries['a header against the query'] = self::get('channel=a&cursor=0', "Accept: application/json\r\nLast-Event-ID: $cursor\r\n");
        }
        foreach ($queries as $place => $request) {
            $response = $this->raw($request);
            self::assertSame(200, $response->status, $place);
            self::assertSame($isGap, $response->json()['gap'], $place);
            $this->assertNothingComesBack($response);
        }
        $stream = $this->raw(self::get('channel=a&cursor=' . rawurlencode($cursor)));
        self::assertSame(200, $stream->waitForHead()->status);
        self::assertSame($after, preg_match('/^event: sidecast.gap\ndata: {"after":(.*?),/m', $stream->body, $match) === 1 ? $match[1] : 'no gap');
        $this->assertNothingComesBack($stream);
        $this->assertBystanderUntouched();
    }

    /** @return array<string, array{string, string}> what the gap event says of the cursor */
    public static function cursors(): array
    {
        $cannotBeRead = [
            '-', '-1', '1-', '-1-0', '1--1', '1-0-0', '1.5', '1e3', '0x10', '0x10-0', '+1', '1_000', '1,5', ' 1', '1 ', ' 1-0', "1-0\t", "1\u{a0}", '1 -0',
            "\u{661}", "\u{ff11}", "1\0", "\0", "1-0\r\n" . self::MARK . ': 1', "1-0\n\ndata: " . self::MARK, "\x01", "\x7f", "\xff\xfe", "\xc0\xb0",
            'latest', 'now', '$', '*', 'null', 'undefined', 'NaN', 'Infinity', '[object Object]', 'true', '%', '%30', '%zz', '1-*', '<script>' . self::MARK . '</script>',
            "'; DROP TABLE", '../../etc/passwd', '${jndi:x}', '%n%n%s', str_repeat('9', 21), str_repeat('9', 255), str_repeat('9', 256), str_repeat('9', 7000),
            '18446744073709551616', '18446744073709551616-0', '0-18446744073709551616', str_repeat('1-', 127), str_repeat("\u{20ac}", 85),
        ];
        $rows = [];
        foreach ($cannotBeRead as $cursor) {
            $rows[substr(json_encode($cursor, JSON_INVALID_UTF8_SUBSTITUTE), 0, 30) . ' ' . strlen($cursor)] = [$cursor, 'null'];
        }
        return $rows + [
            'an old id' => ['1-0', '"1-0"'],
            'an old id with zeros in front' => ['0000000001-0000', '"1-0"'],
            'the first id' => ['0-0', '"0-0"'],
            'an old time' => ['1', '"1"'],
            'an old time with zeros in front' => ['0001', '"1"'],
            'the largest id' => ['18446744073709551615-18446744073709551615', '"18446744073709551615-18446744073709551615"'],
            'none' => ['', 'no gap'],
            'zero' => ['0', 'no gap'],
            'zeros' => [str_repeat('0', 255), 'no gap'],
            'the largest time' => ['18446744073709551615', 'no gap'],
            'a time to come' => ['99999999999999', 'no gap'],
        ];
    }

    /** @testWith ["cursor=%", true]
     *            ["cursor=%zz", true]
     *            ["cursor=%0", true]
     *            ["cursor=x&cursor=0", false]
     *            ["cursor=0&last_event_id=x", true]
     *            ["cursor=x&last_event_id=", true]
     *            ["cursor=x&last=1", true]
     *            ["cursor=&last_event_id=&last=1", false]
     */
    public function test_cursors_that_contradict_each_other_are_no_error(string $query, bool $isGap): void
    {
        self::assertSame($isGap, $this->stack->poll("channel=a&$query")['gap']);
    }

    public function test_the_first_of_two_last_event_id_headers_is_taken(): void
    {
        $twice = "Accept: application/json\r\nLast-Event-ID: 0\r\nLast-Event-ID: x\r\nLast_Event_ID: y\r\n";
        self::assertFalse($this->raw(self::get('channel=a', $twice))->json()['gap']);
    }

    public function test_a_last_event_id_of_60000_bytes_is_a_gap(): void
    {
        $response = $this->raw(self::get('channel=a', "Accept: application/json\r\nLast-Event-ID: " . str_repeat('9', 60000) . "\r\n"));
        self::assertSame([200, true], [$response->status, $response->json()['gap']]);
    }

    public function test_a_thousand_channels_are_heard_where_they_are_allowed(): void
    {
        $this->start(['subscribe.max_channels' => '1000']);
        $stream = $this->stack->listen(self::channels(1000) . '&envelope=1');
        $stream->opened();
        foreach ([0, 999, 500] as $number) {
            $this->stack->publish("c/$number", "to $number");
            self::assertSame("c/$number", $stream->next()->json()['channel']);
        }
        self::assertSame('too_many_channels', $this->stack->request('GET', '/events?' . self::channels(1001))->json()['error']);
    }

    public function test_names_that_are_code_elsewhere_come_back_escaped(): void
    {
        foreach (['"}]}', '\\', '\\"', "'", '</script>', "\u{2028}", '{{x}}', '%s%n', '${x}', "data:\u{feff}"] as $name) {
            $stream = $this->stack->listen('channel=' . rawurlencode($name) . '&cursor=x&envelope=1');
            self::assertSame([$name], $stream->gap()['channels']);
            $this->stack->publish($name, $name, ['event' => 'named']);
            self::assertSame(['channel' => $name, 'event' => 'named', 'data' => $name], $stream->next()->json());
            self::assertSame($name, $this->stack->poll('channel=' . rawurlencode($name) . '&last=1')['messages'][0]['channel']);
            $stream->close();
        }
    }

    /** What is dropped is named by its rule, in the log and in the answer, and never quoted. */
    public function test_nothing_that_a_publisher_sends_is_in_the_log(): void
    {
        $mark = self::MARK;
        $frames = [
            ["a\r\nnotice $mark", 'data'], ["{\"channel\": \"a\", \"$mark\": 1, \"data\": 1}"], ['{"channel": "a b", "data": "' . $mark . '"}'], ["{{$mark}"],
            ['a', 'data', "{\"event\": \"a\\n$mark\"}"], ['a', "\xff$mark"], [$mark, $mark, '{}', $mark],
        ];
        foreach ($frames as $number => $message) {
            $requester = new Requester($this->stack->daemon->confirmEndpoint());
            self::assertStringNotContainsString($mark, implode($requester->ask(...$message)), "message $number");
            $query = rawurlencode($message[0]);
            $response = $this->stack->request('POST', "/publish?channel=$query&$mark=1", ["X-$mark" => $mark], $message[1] ?? $message[0]);
            self::assertSame(400, $response->wait()->status, "message $number");
            $this->assertNothingComesBack($response);
        }
        $this->stack->daemon->process->waitForLog('/publication dropped: /');
        $this->assertBystanderUntouched();
    }

    private static function channels(int $count): string
    {
        return implode('&', array_map(static fn (int $number) => "channel=c/$number", range(0, $count - 1)));
    }
}
