<?php

declare(strict_types=1);

/*
 * A page that publishes numbered messages and tells what became of them. Reads {"dsn", "channel", "first", "count",
 * "bytes", "batch", "progress"}: data is the number, filled up to so many bytes; a file named by progress gets a byte
 * for each call that has returned.
 */

use Sidecast\Message;
use Sidecast\Publisher;

require dirname(__DIR__, 3) . '/src/load.php';

$input = json_decode((string) file_get_contents('php://input'), true);
$input += ['bytes' => 0, 'batch' => false, 'progress' => null];
$publisher = Publisher::connect($input['dsn']);
$handedOver = [];
$reasons = [];
$slowest = 0.0;
$numbers = $input['count'] === 0 ? [] : range($input['first'], $input['first'] + $input['count'] - 1);
$data = static fn (int $number): string => str_pad((string) $number, $input['bytes'], ' ');
$start = hrtime(true);
if ($input['batch']) {
    $messages = array_map(static fn (int $number): Message => new Message($input['channel'], $data($number)), $numbers);
    $result = $publisher->publishBatch($messages);
    $handedOver = array_values(array_diff_key($numbers, $result->failures));
    $reasons = array_values(array_unique($result->failures));
} else {
    foreach ($numbers as $number) {
        $before = hrtime(true);
        $result = $publisher->publish($input['channel'], $data($number));
        $slowest = max($slowest, (hrtime(true) - $before) / 1e6);
        $result->ok ? $handedOver[] = $number : $reasons[$result->reason()] = true;
        if ($input['progress'] !== null) {
            file_put_contents($input['progress'], '.', FILE_APPEND);
        }
    }
    $reasons = array_keys($reasons);
}
$total = (hrtime(true) - $start) / 1e6;
header('Content-Type: application/json');
echo json_encode([
    'pid' => getmypid(),
    'handedOver' => $handedOver,
    'reasons' => $reasons,
    'slowestMs' => $input['batch'] ? $total : $slowest,
    'totalMs' => $total,
]);
