<?php

declare(strict_types=1);

namespace Sidecast\Tests\server;

use PHPUnit\Framework\Assert;

/** What pages/publish.php tells. */
final class Answer
{
    /**
     * @param int          $pid        the worker
     * @param list<int>    $handedOver numbers of the messages that were
     * @param list<string> $reasons    why others were not, each once
     * @param float        $slowestMs  milliseconds of the slowest call
     * @param float        $totalMs    milliseconds of all calls together
     */
    private function __construct(
        public readonly int $pid,
        public readonly array $handedOver,
        public readonly array $reasons,
        public readonly float $slowestMs,
        public readonly float $totalMs,
    ) {
    }

    /** Waits for the end of the page. */
    public static function of(Request $request): self
    {
        $body = $request->body();
        $answer = \json_decode($body, true);
        Assert::assertIsArray($answer, "the page answered: $body");

        return new self(...$answer);
    }

    public function reason(): string
    {
        return \implode(', ', $this->reasons);
    }
}
