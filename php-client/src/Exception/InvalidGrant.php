<?php

declare(strict_types=1);

namespace Sidecast\Exception;

/** A token or a hand-off cannot be made so; the text says which rule it breaks. */
final class InvalidGrant extends \InvalidArgumentException implements SidecastException
{
}
