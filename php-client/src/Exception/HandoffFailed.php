<?php

declare(strict_types=1);

namespace Sidecast\Exception;

/** A hand-off could not be sent; the text says why. */
final class HandoffFailed extends \RuntimeException implements SidecastException
{
}
