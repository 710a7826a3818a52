<?php

declare(strict_types=1);

namespace Sidecast\Transport;

use Sidecast\Confirmation;
use Sidecast\Exception\TransportException;

/**
 * Reads what the server answers to publishing over HTTP: 202 and `{"ids": […], "errors": […]}`, else
 * `{"error": …, "message": …}`.
 *
 * @internal
 */
final class HttpAnswers
{
    /** Asking again may help: request timeout, too many requests. */
    private const TRANSIENT = [408, 429];

    /**
     * @param int $items how many messages it was, each for one channel
     *
     * @return list<Confirmation> one for each item, in order
     *
     * @throws TransportException if it says nothing of them: the server is overloaded, or it is no answer of Sidecast's
     */
    public static function parse(int $status, string $body, int $items): array
    {
        $answer = \json_decode($body, true);
        $answer = \is_array($answer) ? $answer : [];
        if ($status >= 200 && $status < 300) {
            return self::taken($answer, $items);
        }
        $message = \is_string($answer['message'] ?? null) ? $answer['message'] : "it is no answer of Sidecast's";
        if ($status < 400 || $status >= 500 || \in_array($status, self::TRANSIENT, true)) {
            throw new TransportException("HTTP $status: $message");
        }
        $code = \is_string($answer['error'] ?? null) ? $answer['error'] : "http_$status";

        return \array_fill(0, $items, Confirmation::refused($code, "HTTP $status: $message"));
    }

    /**
     * @param array<array-key, mixed> $answer its ids stand for the items, null for one that was not taken
     *
     * @return list<Confirmation>
     *
     * @throws TransportException
     */
    private static function taken(array $answer, int $items): array
    {
        $ids = $answer['ids'] ?? null;
        if (!\is_array($ids) || \count($ids) !== $items) {
            throw new TransportException("the answer has not one id for each message: it is no answer of Sidecast's");
        }
        $confirmations = \array_map(
            static fn (mixed $id): Confirmation => \is_string($id)
                ? Confirmation::taken([$id])
                : Confirmation::refused('refused', 'the server does not say why'),
            \array_values($ids),
        );
        foreach (\is_array($answer['errors'] ?? null) ? $answer['errors'] : [] as $error) {
            $item = $error['item'] ?? null;
            if (isset($confirmations[$item]) && $confirmations[$item]->code !== null) {
                $confirmations[$item] = Confirmation::refused((string) $error['error'], (string) $error['message']);
            }
        }

        return $confirmations;
    }

    private function __construct()
    {
    }
}
