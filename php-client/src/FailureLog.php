<?php

declare(strict_types=1);

namespace Sidecast;

use Psr\Log\LoggerInterface;

/**
 * Tells a log of messages that were not handed over.
 *
 * @internal
 */
final class FailureLog
{
    /** One warning, if there is a logger; never the data. */
    public static function write(?LoggerInterface $logger, PublishResult $result, ?string $channel): void
    {
        $context = [
            'reason' => $result->reason(),
            'failed' => \count($result->failures),
            'total' => $result->total(),
        ];
        if ($channel !== null) {
            // it may be what a client sent: it must not forge lines of a log
            $context['channel'] = \addcslashes(\substr($channel, 0, 255), "\0..\37\177");
        }
        try {
            $logger?->warning(
                'sidecast: {failed} of {total} messages not handed over: {reason}',
                $context,
            );
        } catch (\Throwable) {
            // a log that cannot be written is no reason to break the page
        }
    }

    private function __construct()
    {
    }
}
