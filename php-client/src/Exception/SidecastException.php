<?php

declare(strict_types=1);

namespace Sidecast\Exception;

/** Marks every exception of this package: `catch (SidecastException)` catches them all. */
interface SidecastException extends \Throwable
{
}
