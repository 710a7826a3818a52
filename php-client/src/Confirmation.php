<?php

declare(strict_types=1);

namespace Sidecast;

/** What the server answered to one message: the ids that it has, or why it was not taken. */
final class Confirmation
{
    /**
     * @param list<string> $ids     of the message; none if it was not taken
     * @param ?string      $code    stable word for what is wrong; null if it was taken
     * @param string       $message what is wrong, for people
     */
    private function __construct(
        public readonly array $ids,
        public readonly ?string $code = null,
        public readonly string $message = '',
    ) {
    }

    /** @param list<string> $ids */
    public static function taken(array $ids): self
    {
        return new self($ids);
    }

    public static function refused(string $code, string $message): self
    {
        return new self([], $code, $message === '' ? $code : $message);
    }
}
