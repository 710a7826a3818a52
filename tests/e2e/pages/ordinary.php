<?php

/*
 * An ordinary page that uses php-zmq by itself, with nothing of the project: send() for one frame, sendmulti() for more. Persistent, bounded
 * linger, never blocking: the recipe that cannot hang a page.
 */

$context = new ZMQContext(1, true);
$socket = new ZMQSocket($context, ZMQ::SOCKET_PUSH, 'publish', function (ZMQSocket $socket) {
    $socket->setSockOpt(ZMQ::SOCKOPT_LINGER, 1000);
    $socket->setSockOpt(ZMQ::SOCKOPT_SNDHWM, 10000);
    $socket->connect($_SERVER['SIDECAST_PUBLISH']);
});

$queued = [];
foreach (json_decode(file_get_contents('php://input'), true) as $frames) {
    $result = is_string($frames)
        ? $socket->send($frames, ZMQ::MODE_DONTWAIT)
        : $socket->sendmulti($frames, ZMQ::MODE_DONTWAIT);
    $queued[] = $result !== false;
}
header('Content-Type: application/json');
echo json_encode($queued);
