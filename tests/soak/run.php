<?php

/*
 * Sidecast behind nginx for a long time, with all that happens to it, and the books of what each client got:
 *
 *     SOAK_SECONDS=1800 SOAK_CLIENTS=500 SOAK_SEED=… php tests/soak/run.php      exit code 0: all checks hold
 *
 * In less than a minute, or with few clients, not all that is to happen does, and that fails, too.
 *
 * Needs build/sidecast and build/check/sidecast. What happens when is drawn from the seed, which is printed; how it comes out is a matter of time.
 * The last line is `<N> passed, <N> failed`. The time is that of the acts (Soak.php); breaks between them come on top, at most some minutes.
 */

declare(strict_types=1);

use Sidecast\EndToEnd\Stack;
use Sidecast\Soak\Findings;
use Sidecast\Soak\Soak;

require '/usr/share/php/PHPUnit/Autoload.php';
require __DIR__ . '/../e2e/bootstrap.php';

spl_autoload_register(static function (string $class): void {
    $file = __DIR__ . '/' . substr($class, strlen('Sidecast\\Soak\\')) . '.php';
    if (str_starts_with($class, 'Sidecast\\Soak\\') && is_file($file)) {
        require $file;
    }
});

// with an exit right here, ZeroMQ would wait for its sockets for ever
foreach ([SIGINT, SIGTERM, SIGHUP] as $signal) {
    pcntl_signal($signal, static fn (int $caught) => throw new RuntimeException("interrupted by signal $caught"));
}

$seconds = (float) (getenv('SOAK_SECONDS') ?: 1800);
$clients = (int) (getenv('SOAK_CLIENTS') ?: 500);
$seed = (int) (getenv('SOAK_SEED') ?: random_int(1, 1000000000));
echo "SOAK_SEED=$seed SOAK_SECONDS=$seconds SOAK_CLIENTS=$clients\n";
if ($seconds > 86400 || $clients > 800) { // stream_select() looks at descriptors below 1024 only
    throw new InvalidArgumentException('expected at most 86400 seconds and 800 clients');
}
mt_srand($seed);
ini_set('memory_limit', '2G');

$findings = new Findings();
$stack = new Stack();
try {
    (new Soak($stack, $findings, $seconds, $clients))->run();
} catch (Throwable $error) {
    $findings->add(Findings::ENDS, get_class($error) . ": {$error->getMessage()} in {$error->getFile()}:{$error->getLine()}");
}
if (!$findings->isEmpty()) {
    echo $stack->logs(), "the logs stay in $stack->directory\n";
}
try {
    $stack->stop(!$findings->isEmpty());
} catch (Throwable $error) {
    $findings->add(Findings::ENDS, $error->getMessage());
}
exit($findings->report() ? 0 : 1);
