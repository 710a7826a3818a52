<?php

/*
 * Loads the harness (one class per file in harness/) and makes sure that an interrupted run leaves no process behind:
 * a signal becomes an ordinary exit, and Process kills at exit what it started and has not yet stopped.
 */

declare(strict_types=1);

spl_autoload_register(static function (string $class): void {
    $prefix = 'Sidecast\\EndToEnd\\';
    $file = __DIR__ . '/harness/' . substr($class, strlen($prefix)) . '.php';
    if (str_starts_with($class, $prefix) && is_file($file)) {
        require $file;
    }
});

pcntl_async_signals(true);
foreach ([SIGINT, SIGTERM, SIGHUP] as $signal) {
    pcntl_signal($signal, static fn (int $caught) => exit(128 + $caught));
}
