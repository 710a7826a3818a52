<?php

declare(strict_types=1);

namespace Sidecast\Transport;

use Sidecast\Confirmation;
use Sidecast\Exception\TransportException;

/**
 * Reads what the confirm endpoint replies: an empty frame, then one for each item: `ok <id> …` or `error <code>
 * <message>`.
 *
 * @internal
 */
final class Replies
{
    private const ID = '[0-9]{1,20}-[0-9]{1,20}';

    /**
     * @param list<string> $frames the empty one included
     * @param int          $items  how many messages were asked about
     *
     * @return list<Confirmation> one for each item, in order
     *
     * @throws TransportException if it is no such reply
     */
    public static function parse(array $frames, int $items): array
    {
        if (\array_shift($frames) !== '') {
            throw new TransportException('the reply of the confirm endpoint does not begin with an empty frame');
        }
        $confirmations = \array_map(self::confirmation(...), $frames);
        if (\count($confirmations) === 1 && $confirmations[0]->code !== null) {
            return \array_fill(0, $items, $confirmations[0]); // all of it was refused at once
        }
        if (\count($confirmations) !== $items) {
            throw new TransportException(\sprintf(
                'the confirm endpoint replied for %d messages, there were %d',
                \count($confirmations),
                $items,
            ));
        }

        return $confirmations;
    }

    /** @throws TransportException */
    private static function confirmation(string $frame): Confirmation
    {
        if (\preg_match('/\Aok((?: ' . self::ID . ')+)\z/', $frame, $match) === 1) {
            return Confirmation::taken(\explode(' ', \substr($match[1], 1)));
        }
        if (\preg_match('/\Aerror ([a-z0-9_]{1,64})(?: (.*))?\z/s', $frame, $match) === 1) {
            return Confirmation::refused($match[1], $match[2] ?? '');
        }

        throw new TransportException('the confirm endpoint replied neither ok nor error');
    }

    private function __construct()
    {
    }
}
