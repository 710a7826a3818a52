<?php

declare(strict_types=1);

namespace Sidecast\Tests;

/** Finds a framework's own classes: those of vendor/, else those of Debian's packages. */
final class Framework
{
    /**
     * Makes the classes loadable.
     *
     * @param array<string, string> $classes class => directory below /usr/share/php that Debian has it in
     *
     * @return ?string the first class that is nowhere
     */
    public static function missing(array $classes): ?string
    {
        foreach ($classes as $class => $directory) {
            $debian = "/usr/share/php/$directory/autoload.php";
            if (!\class_exists($class) && \is_file($debian)) {
                require_once $debian;
            }
            if (!\class_exists($class)) {
                return $class;
            }
        }

        return null;
    }
}
