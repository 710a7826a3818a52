<?php

// An order comes in (POST: cents).

declare(strict_types=1);

require '/usr/local/share/sidecast/php-client/functions.php';
require __DIR__ . '/totals.php';

$cents = filter_var($_POST['cents'] ?? null, FILTER_VALIDATE_INT, ['options' => ['min_range' => 1]]);
if ($cents === false) {
    http_response_code(422);
    exit;
}
sidecast_publish('dashboard', count_order($cents), ['event' => 'totals']);
http_response_code(204);
