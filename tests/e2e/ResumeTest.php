<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/**
 * Clients that come back get what they missed, whatever way they say where they were.
 *
 * @group front-end
 */
final class ResumeTest extends EndToEndTestCase
{
    protected const SHARED = ['history.messages' => '2000'];

    public function test_a_client_cut_again_and_again_loses_and_repeats_nothing_of_1000_messages(): void
    {
        $seed = random_int(0, PHP_INT_MAX >> 32);
        mt_srand($seed);
        $channel = $this->channel();
        $client = $this->stack->listen("channel=$channel");
        $cursor = $client->opened();
        $published = 0;
        $seen = [];
        while (count($seen) < 1000) {
            $upTo = min(1000, $published + mt_rand(0, 60));
            $this->stack->publishRange($channel, 'm', $published + 1, $upTo);
            $published = $upTo;
            $events = $client->take(mt_rand(0, $published - count($seen)));
            $seen = [...$seen, ...array_column($events, 'data')];
            $cursor = $events === [] ? $cursor : end($events)->id;
            if (mt_rand(0, 2) > 0) {
                $client->close();
                $client = $this->stack->resume("channel=$channel", $cursor);
            }
        }
        self::assertSame(array_map(static fn (int $i) => "m$i", range(1, 1000)), $seen, "seed $seed");
    }

    public function test_a_client_cut_before_its_first_message_loses_nothing(): void
    {
        $channel = $this->channel();
        $client = $this->stack->listen("channel=$channel");
        $cursor = $client->opened();
        $client->close();
        $this->stack->publish($channel, 'while it was away');
        $this->stack->resume("channel=$channel", $cursor)->expect('while it was away');
    }

    /** @dataProvider spellings */
    public function test_every_spelling_of_the_cursor_is_understood(string $parameter): void
    {
        [$channel, $events] = $this->channelWith('one', 'two', 'three');
        $client = $this->stack->listen("channel=$channel&$parameter={$events[0]->id}");
        $client->expect('two', 'three');
    }

    /** @return list<array{string}> */
    public static function spellings(): array
    {
        return [['last_event_id'], ['lastEventId'], ['lastEventID'], ['Last-Event-ID'], ['cursor']];
    }

    public function test_the_header_wins_over_the_query_of_an_old_url(): void
    {
        [$channel, $events] = $this->channelWith('one', 'two', 'three');
        $this->stack->resume("channel=$channel&cursor={$events[0]->id}", $events[1]->id)->expect('three');
    }

    public function test_a_cursor_of_digits_is_a_time_and_gives_all_from_that_millisecond_on(): void
    {
        $channel = $this->channel();
        $client = $this->stack->listen("channel=$channel");
        $client->opened();
        $this->stack->publish($channel, 'before');
        $before = self::milliseconds($client->next());
        do {
            $this->stack->publish($channel, 'after');
            $after = $client->next();
        } while (self::milliseconds($after) === $before);

        $time = self::milliseconds($after);
        $again = $this->stack->listen("channel=$channel&cursor=$time");
        $first = $again->next();
        self::assertSame($after->id, $first->id);
    }

    public function test_a_time_in_the_future_counts_as_now(): void
    {
        [$channel] = $this->channelWith('old');
        $client = $this->stack->listen("channel=$channel&cursor=9999999999999");
        $this->stack->publish($channel, 'new');
        $client->expect('new');
    }

    public function test_zero_gives_all_that_history_has(): void
    {
        [$channel] = $this->channelWith('one', 'two', 'three');
        $client = $this->stack->listen("channel=$channel&cursor=0");
        $client->expect('one', 'two', 'three');
        $this->stack->publish($channel, 'four');
        $client->expect('four');
    }

    /** @testWith ["cursor=0"]
     *            ["last=5"]
     */
    public function test_who_asks_an_empty_channel_for_its_history_gets_what_comes(string $what): void
    {
        $channel = $this->channel();
        $client = $this->stack->listen("channel=$channel&$what");
        if ($what === 'last=5') {
            $client->opened();
        }
        $this->stack->publishRange($channel, 'm', 1, 3);
        $client->expect('m1', 'm2', 'm3');
    }

    public function test_last_gives_the_last_ones_of_the_merged_order_and_a_cursor_below_them(): void
    {
        [$a, $b] = [$this->channel('a'), $this->channel('b')];
        foreach ([$a, $b, $b, $a, $b] as $index => $channel) {
            $this->stack->publish($channel, "message $index");
        }
        $this->stack->listen("channel=$b&cursor=0")->take(3);

        $client = $this->stack->listen("channel=$a&channel=$b&last=3");
        $cursor = $client->opened();
        $client->expect('message 2', 'message 3', 'message 4');
        $this->stack->resume("channel=$a&channel=$b", $cursor)->expect('message 2', 'message 3', 'message 4');
    }

    public function test_last_of_more_than_there_is_gives_what_there_is(): void
    {
        [$channel] = $this->channelWith('one', 'two');
        $client = $this->stack->listen("channel=$channel&last=50");
        $client->opened();
        $client->expect('one', 'two');
    }

    public function test_a_cursor_wins_over_last(): void
    {
        [$channel, $events] = $this->channelWith('one', 'two', 'three', 'four');
        $this->stack->resume("channel=$channel&last=1", $events[1]->id)->expect('three', 'four');
    }

    public function test_a_cursor_at_the_newest_message_gives_only_what_follows(): void
    {
        [$channel, $events] = $this->channelWith('one');
        $client = $this->stack->resume("channel=$channel", $events[0]->id);
        $this->stack->publish($channel, 'two');
        $client->expect('two');
    }

    /** @dataProvider nonsense */
    public function test_a_cursor_that_cannot_be_read_is_a_gap_and_not_an_error(string $cursor): void
    {
        [$channel] = $this->channelWith('one', 'two');
        $client = $this->stack->listen("channel=$channel", ['Last-Event-ID' => $cursor]);
        self::assertNull($client->gap()['after']);
        $client->expect('one', 'two');
    }

    /** @return list<array{string}> */
    public static function nonsense(): array
    {
        return [['abc'], ['1-2-3'], ['-5'], ['5-'], ['0x10-0'], ['123 456'], ['99999999999999999999999-0'], ['1763899200123-0junk']];
    }

    public function test_an_id_above_the_newest_comes_from_a_lost_life_and_is_a_gap(): void
    {
        [$channel, $events] = $this->channelWith('one', 'two');
        $client = $this->stack->resume("channel=$channel", '9999999999999-0');
        $gap = $client->gap();
        self::assertSame('9999999999999-0', $gap['after']);
        self::assertSame($events[0]->id, $gap['oldest']);
        self::assertSame([$channel], $gap['channels']);
        $client->expect('one', 'two');
    }

    public function test_a_client_cut_right_after_the_gap_event_is_not_told_again(): void
    {
        [$channel] = $this->channelWith('one', 'two');
        $client = $this->stack->resume("channel=$channel", '9999999999999-0');
        $client->gap();
        $this->stack->resume("channel=$channel", $client->cursor())->expect('one', 'two');
    }

    public function test_a_message_left_out_by_except_is_no_gap_for_the_client_that_comes_back(): void
    {
        $channel = $this->channel();
        $client = $this->stack->listen("channel=$channel&client=alice");
        $cursor = $client->opened();
        $this->stack->publish($channel, 'hidden', ['except' => 'alice']);
        $this->stack->publish($channel, 'shown');
        $client->expect('shown');
        $this->stack->resume("channel=$channel&client=alice", $cursor)->expect('shown');
    }

    /**
     * A new channel with messages, which have been delivered when this returns.
     *
     * @return array{string, list<Event>}
     */
    private function channelWith(string ...$data): array
    {
        $channel = $this->channel();
        $client = $this->stack->listen("channel=$channel");
        $client->opened();
        foreach ($data as $one) {
            $this->stack->publish($channel, $one);
        }
        $events = $client->take(count($data));
        $client->close();
        return [$channel, $events];
    }

    private static function milliseconds(Event $event): int
    {
        return (int) explode('-', $event->id)[0];
    }
}
