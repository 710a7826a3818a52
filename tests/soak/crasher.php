<?php

/*
 * A publisher that dies: sends some messages, and kills itself in the middle, for the soak:
 *
 *     php crasher.php multipart|stream ENDPOINT NAME COUNT CHANNEL …
 *
 * `multipart`: with half of the last message on the wire. `stream`: with what libzmq has not sent yet.
 */

declare(strict_types=1);

use Sidecast\EndToEnd\Publisher;
use Sidecast\EndToEnd\RawPublisher;

require '/usr/share/php/PHPUnit/Autoload.php';
require __DIR__ . '/../e2e/bootstrap.php';

[, $how, $endpoint, $name, $count] = $argv;
$channels = array_slice($argv, 5);
$publisher = $how === 'stream' ? new Publisher($endpoint) : RawPublisher::connect($endpoint);
for ($number = 0; $number < (int) $count; $number++) {
    $channel = $channels[$number % count($channels)];
    $data = "$channel $name/$number";
    $how === 'stream' ? $publisher->publish($channel, $data) : $publisher->send(RawPublisher::message($channel, $data));
}
if ($how === 'multipart') {
    $torn = "$channels[0] $name/$number torn";
    $publisher->send(substr(RawPublisher::message($channels[0], $torn, '{}'), 0, -3 - random_int(0, strlen($torn))));
    $publisher->flush();
} else {
    usleep(random_int(0, 30000));
}
posix_kill(getmypid(), SIGKILL);
