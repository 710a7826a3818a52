<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** What publishers may send, and what becomes of it. */
final class PublishTest extends EndToEndTestCase
{
    protected const SHARED = ['publish.max_bytes' => '64KiB'];

    public function test_two_frames_are_channel_and_data(): void
    {
        [$channel, $client] = $this->listener();
        $this->stack->publisher()->send($channel, '{"looks": "like json"}');
        $client->expect('{"looks": "like json"}');
    }

    public function test_three_frames_are_channel_data_and_options(): void
    {
        [$channel, $client] = $this->listener();
        $this->stack->publisher()->send($channel, 'data', '{"event": "named", "ttl": 60, "store": true}');
        $event = $client->next();
        self::assertSame(['named', 'data'], [$event->type, $event->data]);
    }

    public function test_one_frame_is_an_object_with_options(): void
    {
        [$channel, $client] = $this->listener();
        $this->stack->publisher()->send(json_encode(['channel' => $channel, 'event' => 'named', 'data' => "line\nline"]));
        $event = $client->next();
        self::assertSame(['named', "line\nline"], [$event->type, $event->data]);
    }

    public function test_an_array_of_objects_is_a_batch_in_its_order(): void
    {
        [$channel, $client] = $this->listener();
        $items = array_map(static fn (int $i) => ['channel' => $channel, 'data' => "item $i"], range(1, 100));
        $this->stack->publisher()->send(json_encode($items));
        $events = $client->take(100);
        self::assertSame(array_column($items, 'data'), array_column($events, 'data'));
        $this->assertIdsIncrease($events);
    }

    public function test_a_bad_item_of_a_batch_is_dropped_alone(): void
    {
        [$channel, $client] = $this->listener();
        $name = json_encode($channel);
        $item = static fn (string $channel, string $data) => "{\"channel\":$channel,\"data\":\"$data\"}";
        $this->stack->publisher()->send('[' . $item($name, 'one') . ',' . $item('"a b"', 'two') . ',' . $item($name, 'three') . ']');
        $client->expect('one', 'three');
    }

    public function test_channels_make_one_message_each_in_list_order(): void
    {
        [$a, $b] = [$this->channel('a'), $this->channel('b')];
        $client = $this->stack->listen("channel=$a&channel=$b&envelope=1");
        $client->opened();
        $this->stack->publisher()->send(json_encode(['channels' => [$b, $a], 'data' => 'for both']));
        $events = $client->take(2);
        self::assertSame([$b, $a], array_map(static fn (Event $event) => $event->json()['channel'], $events));
        $this->assertIdsIncrease($events);
    }

    /** @dataProvider values */
    public function test_a_json_value_keeps_the_publishers_own_bytes(string $value): void
    {
        [$channel, $client] = $this->listener();
        $this->stack->publisher()->send('{"channel":' . json_encode($channel) . ',"data":' . $value . '}');
        $client->expect($value);
    }

    /** @return list<array{string}> */
    public static function values(): array
    {
        return [
            ['0.1'], ['1e3'], ['12345678901234567890'], ['-0.0'], ['true'], ['null'], ['[]'],
            ['{"z":1,"a":[0.10, 1E5 ],"m":{"deep":"\u00e9"}}'],
        ];
    }

    public function test_a_json_string_is_sent_as_what_it_says(): void
    {
        [$channel, $client] = $this->listener();
        $this->stack->publisher()->send('{"data":"\u00e9\n\ud83d\udc18 \"","channel":' . json_encode($channel) . '}');
        $client->expect("é\n🐘 \"");
    }

    public function test_an_object_without_data_is_itself_the_data(): void
    {
        [$channel, $client] = $this->listener();
        $object = '{"channel": ' . json_encode($channel) . ', "event": "not an option here", "price": 0.10}';
        $this->stack->publisher()->send($object);
        $event = $client->next();
        self::assertSame(['message', $object], [$event->type, $event->data]);
    }

    public function test_a_page_of_the_push_integration_tutorial_works_over_tcp(): void
    {
        $endpoint = 'tcp://127.0.0.1:' . $this->freePort();
        $socket = $this->prepare()->daemon->publishSocket;
        $this->stack->daemon->start(['publish.listen' => ["ipc://$socket", $endpoint], 'publish.channel_key' => 'category']);
        $client = $this->stack->listen('channel=kittensCategory');
        $client->opened();

        $entry = json_encode(['category' => 'kittensCategory', 'title' => 'Kittens', 'article' => 'Cats < dogs', 'when' => 1763899200]);
        (new Publisher($endpoint))->send($entry);
        $client->expect($entry);
    }

    public function test_a_repeated_key_is_dropped_on_its_channel_only(): void
    {
        [$a, $b] = [$this->channel('a'), $this->channel('b')];
        $client = $this->stack->listen("channel=$a&channel=$b");
        $client->opened();
        $this->stack->publish($a, 'first', ['key' => 'order-1']);
        $this->stack->publish($a, 'repeated', ['key' => 'order-1']);
        $this->stack->publish($a, 'another key', ['key' => 'order-2']);
        $this->stack->publish($b, 'another channel', ['key' => 'order-1']);
        $client->expect('first', 'another key', 'another channel');
    }

    /** @dataProvider mistakes */
    public function test_what_breaks_a_rule_is_dropped_whole_and_the_next_message_arrives(string ...$frames): void
    {
        [$channel, $client] = $this->listener();
        $this->stack->publisher()->send(...array_map(static fn (string $frame) => str_replace('CHANNEL', $channel, $frame), $frames));
        $this->stack->publish($channel, 'the next one');
        $client->expect('the next one');
    }

    /** @return array<string, list<string>> */
    public static function mistakes(): array
    {
        $object = static fn (string $more) => ['{"channel":"CHANNEL","data":"x",' . $more . '}'];
        $options = static fn (string $options) => ['CHANNEL', 'x', $options];
        return [
            'not JSON' => ['{"channel":"CHANNEL","data":"x"'],
            'empty frame' => [''],
            'a JSON text that is no object' => ['"CHANNEL"'],
            'something after the object' => ['{"channel":"CHANNEL","data":"x"} {}'],
            'no channel' => ['{"data":"x"}'],
            'a channel that is no string' => ['{"channel":5,"data":"x"}'],
            'channels that are no strings' => ['{"channels":["CHANNEL",5],"data":"x"}'],
            'a pattern among channels' => ['{"channels":["CHANNEL","CHANNEL*"],"data":"x"}'],
            'channel and channels' => $object('"channels":["CHANNEL"]'),
            'unknown option' => $object('"colour":"red"'),
            'unknown option in the third frame' => $options('{"colour":"red"}'),
            'a key twice' => $object('"data":"y"'),
            'an option twice' => $options('{"event":"a","event":"b"}'),
            'event of the wrong type' => $object('"event":5'),
            'event with a line end' => $object('"event":"a\nb"'),
            'event with a NUL' => $object('"event":"a\u0000b"'),
            'event too long' => $object('"event":"' . str_repeat('e', 256) . '"'),
            'ttl of zero' => $object('"ttl":0'),
            'ttl as text' => $object('"ttl":"60"'),
            'store as text' => $object('"store":"no"'),
            'key too long' => $object('"key":"' . str_repeat('k', 256) . '"'),
            'except of the wrong type' => $object('"except":["a"]'),
            'options that are no object' => $options('["event"]'),
            'options that are not JSON' => $options('event=a'),
            'four frames' => ['CHANNEL', 'x', '{}', 'x'],
            'data too large' => ['CHANNEL', str_repeat('x', 65537)],
            'data not UTF-8' => ['CHANNEL', "caf\xe9"],
            'half a surrogate in JSON' => ['{"channel":"CHANNEL","data":"\ud83d"}'],
        ];
    }

    public function test_the_log_says_why_a_message_was_dropped_but_not_what_was_in_it(): void
    {
        $this->start();
        $client = $this->stack->listen('channel=news');
        $client->opened();
        $this->stack->publish('news', 'private words', ['colour' => 'private value']);
        $this->stack->publish('news', 'next');
        $client->expect('next');
        $this->stack->daemon->process->waitForLog('/option/');
        self::assertStringNotContainsString('private', $this->stack->daemon->process->err->text);
    }

    /** @dataProvider badNames */
    public function test_a_message_to_an_impossible_channel_stops_nothing(string $name): void
    {
        [$channel, $client] = $this->listener();
        $this->stack->publisher()->send($name, 'x');
        $this->stack->publish($channel, 'the next one');
        $client->expect('the next one');
    }

    /** @return list<array{string}> */
    public static function badNames(): array
    {
        return [[''], ['a b'], ['a,b'], ['a*'], ["a\nb"], ["a\x7fb"], ["a\0b"], ["caf\xe9"], [str_repeat('n', 256)]];
    }

    public function test_data_of_exactly_the_limit_arrives(): void
    {
        [$channel, $client] = $this->listener();
        $this->stack->publish($channel, str_repeat('x', 65536));
        $client->expect(str_repeat('x', 65536));
    }

    public function test_names_of_exactly_255_bytes_arrive(): void
    {
        $channel = str_pad($this->channel(), 255, 'n');
        $client = $this->stack->listen("channel=$channel");
        $client->opened();
        $this->stack->publish($channel, 'x', ['event' => str_repeat('e', 255), 'key' => str_repeat('k', 255), 'except' => str_repeat('c', 255)]);
        self::assertSame(str_repeat('e', 255), $client->next()->type);
    }

    public function test_a_frame_above_the_limit_cuts_only_its_publisher(): void
    {
        $this->start(['publish.max_frame_bytes' => '64KiB', 'publish.max_bytes' => '32KiB']);
        $client = $this->stack->listen('channel=news');
        $client->opened();
        $rude = RawPublisher::connect($this->stack->daemon->publishEndpoint());
        $polite = RawPublisher::connect($this->stack->daemon->publishEndpoint());
        $rude->send(RawPublisher::message('news', 'before'));
        $client->expect('before');

        $rude->send(RawPublisher::frameHead(65537));
        $rude->waitForClose();
        $polite->send(RawPublisher::message('news', 'after'));
        $client->expect('after');
        self::assertTrue($polite->isReady());
    }

    public function test_a_publisher_that_speaks_something_else_stops_nothing(): void
    {
        [$channel, $client] = $this->listener();
        $stranger = new RawPublisher("unix://{$this->stack->daemon->publishSocket}");
        $stranger->send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" . str_repeat('x', 200));
        $stranger->flush();
        $this->stack->publish($channel, 'still here');
        $client->expect('still here');
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
