<?php

declare(strict_types=1);

/*
 * Loads the classes of this suite and, from the repository around this package, those that start the server and talk to
 * it. Where there is nothing to test with, one line says so and the run ends as a success.
 *
 * SIDECAST_BINARY names another server than build/check/sidecast; with SIDECAST_MEASURE=1 the tests tell what they
 * measured.
 */

use Sidecast\Tests\server\Fpm;

$repository = dirname(__DIR__, 3);
$server = getenv('SIDECAST_BINARY') ?: "$repository/build/check/sidecast";
$missing = match (true) {
    !is_file("$repository/tests/e2e/bootstrap.php") => 'it runs from the repository of Sidecast only',
    !is_file($server) => "$server is not there (make check builds it)",
    glob('/usr/sbin/php-fpm*') === [] => 'php-fpm is not installed',
    default => null,
};
if ($missing !== null) {
    echo "php-client server suite skipped: $missing\n";
    exit(0);
}

// before the harness registers its own end of everything, which would leave the workers of php-fpm behind
register_shutdown_function(static fn () => class_exists(Fpm::class, false) && Fpm::stopAll());
require "$repository/tests/e2e/bootstrap.php";
require dirname(__DIR__) . '/bootstrap.php';
