<?php

declare(strict_types=1);

namespace Sidecast;

use Sidecast\Exception\TransportException;
use Sidecast\Transport\ConfirmingTransportInterface;
use Sidecast\Transport\TransportInterface;

/**
 * How a batch goes through a transport: once, or again and again until it is confirmed.
 *
 * @internal
 */
final class Delivery
{
    /** Seconds between two attempts. */
    private const PAUSE = 0.01;

    /** Seconds below which an attempt gets all the time that is left, not half of it. */
    private const LAST = 0.1;

    /** The server's words for what passes: asking again may help. */
    private const TRANSIENT = ['no_memory', 'unavailable'];

    /** A key that nobody else has: 128 random bits. */
    public static function key(): string
    {
        return \bin2hex(\random_bytes(16));
    }

    /**
     * Sends once; knows what became of each item only if the transport waits for that anyway.
     *
     * @return \Closure(non-empty-list<string>, int, float): ?list<Confirmation>
     */
    public static function once(TransportInterface $transport): \Closure
    {
        return static function (array $frames, int $items, float $seconds) use ($transport): ?array {
            if ($transport instanceof ConfirmingTransportInterface && $transport->alwaysConfirms()) {
                return $transport->request($frames, $items, $seconds);
            }
            $transport->send($frames, $seconds);

            return null;
        };
    }

    /**
     * Asks until there is an answer or the time is over. An attempt waits for half of what is left, since a request may
     * be lost without a word. Each item needs a key: the server may have published it and only the answer was lost.
     *
     * @return \Closure(non-empty-list<string>, int, float): list<Confirmation>
     */
    public static function confirmed(TransportInterface $transport): \Closure
    {
        return static function (array $frames, int $items, float $seconds) use ($transport): array {
            if (!$transport instanceof ConfirmingTransportInterface) {
                throw new TransportException('this transport cannot confirm: ' . $transport::class);
            }
            $deadline = \hrtime(true) + (int) ($seconds * 1e9);
            do {
                $confirmations = null;
                $left = ($deadline - \hrtime(true)) / 1e9;
                try {
                    $confirmations = $transport->request($frames, $items, $left > self::LAST ? $left / 2 : $left);
                    $reason = null;
                } catch (TransportException $error) {
                    $reason = $error;
                }
                $again = $reason !== null || self::isTransient($confirmations ?? []);
            } while ($again && self::pause($deadline));

            $why = 'not confirmed: ' . $reason?->getMessage();

            return $confirmations ?? throw new TransportException($why, 0, $reason);
        };
    }

    /** @param list<Confirmation> $confirmations */
    private static function isTransient(array $confirmations): bool
    {
        foreach ($confirmations as $confirmation) {
            if (\in_array($confirmation->code, self::TRANSIENT, true)) {
                return true;
            }
        }

        return false;
    }

    /** Waits a little; false: there is no time for another attempt. */
    private static function pause(int $deadline): bool
    {
        if ($deadline - \hrtime(true) < 2e9 * self::PAUSE) {
            return false;
        }
        \usleep((int) (1e6 * self::PAUSE));

        return true;
    }

    private function __construct()
    {
    }
}
