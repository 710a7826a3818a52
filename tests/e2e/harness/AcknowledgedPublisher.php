<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** Publishes one message after the other, the next when the last was acknowledged; what gets no answer in time is sent again. */
final class AcknowledgedPublisher
{
    private const PATIENCE = 0.5;
    /** @var array<string, string> data by id */
    public array $acknowledged = [];
    private ?Requester $requester = null;
    private int $number = 0;
    private float $sent = 0;

    /** @param string $rest what follows its name and number in the data */
    public function __construct(
        private readonly string $endpoint,
        private readonly string $name,
        private readonly string $channel = 'news',
        private readonly string $rest = ''
    ) {
    }

    /** Takes an answer that has come, and sends what is to be sent now. */
    public function goOn(): void
    {
        $answer = $this->requester?->tryReceive();
        if ($answer) {
            if (preg_match('/^ok (\d+-\d+)$/', $answer[0], $match) === 1) {
                $this->acknowledged[$match[1]] = $this->text() . $this->rest;
                $this->number++;
            }
            $this->send();
        } elseif ($this->requester === null || Loop::now() - $this->sent > self::PATIENCE) {
            $this->requester = new Requester($this->endpoint);
            $this->send();
        }
    }

    private function text(): string
    {
        return "$this->name/$this->number";
    }

    private function send(): void
    {
        $this->requester->send($this->channel, $this->text() . $this->rest, json_encode(['key' => $this->text()], JSON_THROW_ON_ERROR));
        $this->sent = Loop::now();
    }
}
