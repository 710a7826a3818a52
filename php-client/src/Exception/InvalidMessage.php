<?php

declare(strict_types=1);

namespace Sidecast\Exception;

/** The message breaks a rule of the protocol: the server would drop it without an answer. */
final class InvalidMessage extends \InvalidArgumentException implements SidecastException
{
}
