<?php

// Feeds the chart: an ordinary command-line script, four values a second until it is ended.

declare(strict_types=1);

// <shown>
require __DIR__ . '/../php-client/functions.php';

$value = 50.0;

while (true) {
    $value += (50 - $value) / 25 + random_int(-70, 70) / 10;
    $value = max(0, min(100, round($value, 1)));
    sidecast_publish('chart', ['value' => $value], ['event' => 'chart']);
    usleep(250_000);
}
// </shown>
