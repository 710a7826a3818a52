<?php

/*
 * Runs what the documents show, through real nginx, php-fpm and sidecast: the recipes, the tutorial step by step, the page of
 * Ratchet's tutorial, and what docs/operations.md configures.
 *
 *     php tests/recipes/run.php [WORD]     only scenarios with WORD in their name; exit code 0: all passed
 *
 * The daemon is build/check/sidecast, or SIDECAST_BINARY. Prints `ok …`, `not ok …` or `skipped …` for each, then `<N> passed, <N> failed`.
 */

declare(strict_types=1);

use PHPUnit\Framework\AssertionFailedError;

$binary = getenv('SIDECAST_BINARY') ?: dirname(__DIR__, 2) . '/build/check/sidecast';
if (!is_file($binary)) {
    fwrite(STDERR, "recipes: $binary is not there, run `make build/check/sidecast`\n");
    exit(1);
}

require 'PHPUnit/Autoload.php';
require __DIR__ . '/../e2e/bootstrap.php';

$passed = $failed = 0;
foreach (['Site', 'Document', 'Tutorial'] as $class) {
    require __DIR__ . "/$class.php";
}
foreach (glob(__DIR__ . '/scenarios/*.php') as $file) {
    foreach (require $file as $name => $scenario) {
        if (!str_contains($name, $argv[1] ?? '')) {
            continue;
        }
        try {
            $missing = $scenario();
            if ($missing !== null) {
                echo "skipped - $name: $missing\n";
                continue;
            }
            $passed++;
            echo "ok - $name\n";
        } catch (AssertionFailedError | RuntimeException $failure) {
            $failed++;
            echo "not ok - $name\n", preg_replace('/^/m', '    ', $failure->getMessage() . "\n" . $failure->getTraceAsString()), "\n";
        }
    }
}
echo "$passed passed, $failed failed\n";
exit($failed === 0 && $passed > 0 ? 0 : 1);
