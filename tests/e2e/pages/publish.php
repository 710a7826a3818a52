<?php

/*
 * A page that publishes with the project's PHP client. Reads {"with": "zmq"|"zmtp"|"function", "messages": [[channel, data, options], …],
 * "batch": bool} and answers for each message whether it was handed over.
 */

declare(strict_types=1);

use Sidecast\Endpoint;
use Sidecast\Publisher;
use Sidecast\Transport\ZmqTransport;
use Sidecast\Transport\ZmtpTransport;

require dirname(__DIR__, 3) . '/php-client/functions.php';
require_once dirname(__DIR__, 3) . '/php-client/src/load.php';

$input = json_decode(file_get_contents('php://input'), true);
$endpoint = Endpoint::parse(getenv('SIDECAST_PUBLISH'));
$publisher = match ($input['with']) {
    'zmq' => new Publisher(new ZmqTransport($endpoint)),
    'zmtp' => new Publisher(new ZmtpTransport($endpoint)),
    'function' => null,
};

if ($input['batch'] ?? false) {
    $items = array_map(static fn (array $m) => ['channel' => $m[0], 'data' => $m[1]] + ($m[2] ?? []), $input['messages']);
    $answer = $publisher->publishBatch($items)->handedOver;
} else {
    $answer = array_map(
        static fn (array $m) => $publisher === null
            ? sidecast_publish($m[0], $m[1], $m[2] ?? [])
            : $publisher->publish($m[0], $m[1], $m[2] ?? [])->ok,
        $input['messages'],
    );
}
header('Content-Type: application/json');
echo json_encode($answer);
