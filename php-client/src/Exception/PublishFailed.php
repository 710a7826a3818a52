<?php

declare(strict_types=1);

namespace Sidecast\Exception;

use Sidecast\PublishResult;

/** What a throwing publisher throws when not everything was handed over. */
final class PublishFailed extends \RuntimeException implements SidecastException
{
    /** @param PublishResult $result what was handed over and what was not; its first reason is the exception's text */
    public function __construct(public readonly PublishResult $result)
    {
        parent::__construct($result->reason() ?? 'not handed over');
    }
}
