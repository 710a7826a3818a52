<?php

declare(strict_types=1);

namespace Sidecast\Exception;

/** A transport did not hand a message over; the text says why. */
final class TransportException extends \RuntimeException implements SidecastException
{
}
