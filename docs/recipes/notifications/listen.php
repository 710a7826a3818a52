<?php

// Who is logged in may listen to one channel: the own. This takes a worker for a millisecond, not for the whole stream.

declare(strict_types=1);

require '/usr/local/share/sidecast/php-client/functions.php';

session_start(['read_and_close' => true]); // no lock, so that the user's other pages need not wait

if (!isset($_SESSION['user'])) {
    http_response_code(401);
    exit;
}
sidecast_handoff(["user/{$_SESSION['user']}"]);
