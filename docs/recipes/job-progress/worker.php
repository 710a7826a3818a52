<?php

// php worker.php: does the jobs of the queue, one after the other, until it is ended. One such process is enough here.

declare(strict_types=1);

require '/usr/local/share/sidecast/php-client/functions.php';

const LEAST_SECONDS_BETWEEN_NEWS = 0.2; // nobody reads faster

/** Tells how far a job is; what is final is told again until it has been handed over, for at most a minute. */
function tell(string $id, string $event, array $data): void
{
    $tries = $event === 'progress' ? 1 : 60;
    while (!sidecast_publish("job/$id", $data, ['event' => $event]) && --$tries > 0) {
        sleep(1);
    }
}

function work(string $id, int $rows): void
{
    $told = 0.0;
    for ($row = 1; $row <= $rows; $row++) {
        usleep(1000); // the work
        if (microtime(true) - $told >= LEAST_SECONDS_BETWEEN_NEWS) {
            $told = microtime(true);
            tell($id, 'progress', ['done' => $row, 'of' => $rows]);
        }
    }
    tell($id, 'done', ['done' => $rows, 'of' => $rows]);
}

while (true) {
    foreach (glob(__DIR__ . '/jobs/*.json') as $file) {
        $id = basename($file, '.json');
        try {
            work($id, json_decode(file_get_contents($file), true)['rows']);
        } catch (Throwable $error) {
            error_log((string) $error);
            tell($id, 'failed', []);
        }
        unlink($file);
    }
    usleep(200_000);
}
