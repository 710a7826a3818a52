<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

use PHPUnit\Framework\Assert;

/**
 * A listener for floods: keeps no message. Of each channel it has the number that the last one began with, and it insists that numbers and ids rise, and that
 * nothing is missing without a gap. Channels are told apart by the envelope.
 */
final class Tally extends Connection
{
    /** @var array<string, int> by channel */
    public array $last = [];
    public int $messages = 0;
    public int $gaps = 0;
    /** @var array<string, true> channels of which something may be missing, as a gap told */
    private array $lost = [];
    private string $records = '';
    private string $text = '';
    private bool $inBody = false;
    /** @var array{int, int} */
    private array $id = [0, 0];

    public function __construct(string $socket, string $query)
    {
        parent::__construct("unix://$socket");
        $this->send(FastCgi::request(1, FastCgi::params("$query&envelope=1")));
        Loop::until(fn () => $this->id !== [0, 0] || $this->closed, 'the open event');
    }

    /** @param array<string, int> $numbers the last of each channel */
    public function waitFor(array $numbers, float $seconds = Loop::PATIENCE): void
    {
        Loop::until(fn () => $this->closed || array_intersect_key($this->last, $numbers) == $numbers, 'the last messages', $seconds);
        Assert::assertEquals($numbers, array_intersect_key($this->last, $numbers));
    }

    protected function received(string $bytes): void
    {
        $this->records .= $bytes;
        for ($at = 0; strlen($this->records) - $at >= 8; $at += $size) {
            $size = 8 + unpack('n', $this->records, $at + 4)[1];
            if (strlen($this->records) - $at < $size) {
                break;
            }
            $this->take(substr($this->records, $at + 8, $size - 8));
        }
        $this->records = substr($this->records, $at);
    }

    private function take(string $content): void
    {
        $this->text .= $content;
        if (!$this->inBody && ($end = strpos($this->text, "\r\n\r\n")) !== false) {
            $this->text = substr($this->text, $end + 4);
            $this->inBody = true;
        }
        // only what came just now can hold the end of an event
        if (!$this->inBody || !str_contains(substr($this->text, -strlen($content) - 1), "\n\n")) {
            return;
        }
        $events = explode("\n\n", $this->text);
        $this->text = array_pop($events);
        array_map($this->event(...), $events);
    }

    private function event(string $event): void
    {
        $head = substr($event, 0, 2000);
        Assert::assertSame(1, preg_match('/^id: (\d+)-(\d+)$/m', $head, $match), $head);
        $id = [(int) $match[1], (int) $match[2]];
        if (str_contains($head, 'event: sidecast.gap')) {
            $this->gaps++;
            $this->lost += array_fill_keys(json_decode(substr($event, strpos($event, 'data: ') + 6), true)['channels'], true);
        } elseif (preg_match('/^data: \{"channel":"([^"]*)","event":[^,]*,"data":"(\d+) /m', $head, $match) === 1) {
            Assert::assertGreaterThan($this->id, $id, 'ids rise');
            $this->message($match[1], (int) $match[2]);
        }
        $this->id = max($this->id, $id);
    }

    private function message(string $channel, int $number): void
    {
        $before = $this->last[$channel] ?? 0;
        if (isset($this->lost[$channel])) {
            Assert::assertGreaterThan($before, $number, "the order of $channel");
            unset($this->lost[$channel]);
        } else {
            Assert::assertSame($before + 1, $number, "$channel: nothing is missing without a gap");
        }
        $this->last[$channel] = $number;
        $this->messages++;
    }
}
