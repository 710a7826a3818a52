<?php

declare(strict_types=1);

namespace Sidecast\Exception;

/** An endpoint, a bound or a transport that cannot work, whatever is published. */
final class InvalidConfiguration extends \InvalidArgumentException implements SidecastException
{
}
