<?php

/*
 * A publisher in a process of its own, as fast as the hub lets it, or at a rate: php flood.php ENDPOINT CHANNEL COUNT BYTES [BYTES_PER_SECOND]
 * Message n is the JSON object {"channel": CHANNEL, "data": "n ……"} with BYTES of data; `%` in CHANNEL is n, so each goes to a channel of its own.
 * Prints how many MB/s it has sent.
 */

declare(strict_types=1);

[, $endpoint, $channel, $count, $bytes] = $argv;
$rate = (float) ($argv[5] ?? INF);

$socket = new ZMQSocket(new ZMQContext(1, false), ZMQ::SOCKET_PUSH);
$socket->setSockOpt(ZMQ::SOCKOPT_SNDHWM, 10);
$socket->setSockOpt(ZMQ::SOCKOPT_LINGER, -1);
$socket->connect($endpoint);

$start = hrtime(true) / 1e9;
for ($number = 1; $number <= (int) $count; $number++) {
    $data = str_pad("$number ", (int) $bytes, '.');
    $socket->send('{"channel":"' . str_replace('%', (string) $number, $channel) . '","data":"' . $data . '"}');
    $ahead = $number * (int) $bytes / $rate - (hrtime(true) / 1e9 - $start);
    if ($ahead > 0.001) {
        usleep((int) ($ahead * 1e6));
    }
}
printf('%.1F', $count * $bytes / (hrtime(true) / 1e9 - $start) / 1e6);
