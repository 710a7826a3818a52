<?php

declare(strict_types=1);

/*
 * Autoloading for the tests, with or without composer: PSR-3 comes from vendor/ or from Debian's php-psr-log.
 */

$composer = __DIR__ . '/../vendor/autoload.php';
if (is_file($composer)) {
    require $composer;
}

spl_autoload_register(static function (string $class): void {
    $roots = [
        'Sidecast\\Tests\\' => __DIR__ . '/',
        'Sidecast\\Laravel\\' => __DIR__ . '/../laravel/',
        'Sidecast\\' => __DIR__ . '/../src/',
        'Psr\\Log\\' => '/usr/share/php/Psr/Log/',
    ];
    foreach ($roots as $prefix => $directory) {
        if (str_starts_with($class, $prefix)) {
            $file = $directory . str_replace('\\', '/', substr($class, strlen($prefix))) . '.php';
            if (is_file($file)) {
                require $file;

                return;
            }
        }
    }
});
