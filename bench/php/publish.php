<?php

/*
 * A page that publishes one message and says how long that took, in microseconds: in the call that publishes, and with what a
 * page needs before it (loading the client or making the handle). FastCGI parameters: BENCH_SIDECAST (ipc endpoint), BENCH_NCHAN
 * (URL of the publisher).
 *
 *     publish.php?how=zmtp (the client in pure PHP) | zmq (with ext-zmq) | raw (ext-zmq alone, on the same persistent socket) |
 *                 curl (POST to nchan) | stream (the same without curl)
 */

declare(strict_types=1);

function sidecast(string $transport): Closure
{
    require __DIR__ . '/../../php-client/src/load.php';
    $publisher = Sidecast\Publisher::connect('sidecast+' . $_SERVER['BENCH_SIDECAST'] . '?transport=' . $transport);

    return static fn (string $channel, string $data) => $publisher->publish($channel, $data)->reason();
}

/** The publishing call is sendmulti() and nothing else. */
function raw(): Closure
{
    $endpoint = $_SERVER['BENCH_SIDECAST'];
    $context = new ZMQContext(1, true);
    // the name of the client's own socket: it comes after it, so that this one is connected
    $socket = $context->getSocket(ZMQ::SOCKET_PUSH, "sidecast $endpoint 10000", static fn (ZMQSocket $new) => $new->connect($endpoint));

    return static fn (string $channel, string $data) => $socket->sendmulti([$channel, $data], ZMQ::MODE_DONTWAIT) ? null : 'queue full';
}

function curl(): Closure
{
    $handle = curl_init();
    curl_setopt_array($handle, [CURLOPT_RETURNTRANSFER => true, CURLOPT_POST => true, CURLOPT_HTTPHEADER => ['Content-Type: text/plain']]);

    return static function (string $channel, string $data) use ($handle): ?string {
        curl_setopt($handle, CURLOPT_URL, $_SERVER['BENCH_NCHAN'] . rawurlencode($channel));
        curl_setopt($handle, CURLOPT_POSTFIELDS, $data);
        curl_exec($handle);
        $status = curl_getinfo($handle, CURLINFO_RESPONSE_CODE);

        return $status === 201 || $status === 202 ? null : "status $status " . curl_error($handle);
    };
}

function stream(): Closure
{
    return static function (string $channel, string $data): ?string {
        $http = ['method' => 'POST', 'header' => 'Content-Type: text/plain', 'content' => $data];
        $answer = file_get_contents($_SERVER['BENCH_NCHAN'] . rawurlencode($channel), false, stream_context_create(['http' => $http]));

        return $answer === false ? 'no answer' : null;
    };
}

$data = str_repeat('x', 200);
$began = hrtime(true);
$publish = match ($_GET['how'] ?? '') {
    'zmtp', 'zmq' => sidecast($_GET['how']),
    'raw' => raw(),
    'curl' => curl(),
    'stream' => stream(),
};
$ready = hrtime(true);
$failure = $publish('bench/page', $data);
$ended = hrtime(true);
if ($failure !== null) {
    http_response_code(500);
}
echo $failure ?? sprintf("%.1f %.1f", ($ended - $ready) / 1e3, ($ended - $began) / 1e3), "\n";
