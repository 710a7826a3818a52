<?php

/*
 * Logs in and out. Reads {"user": string|null, "grant": {"Channels": "a,b", …}, "status": int}; a session without a user is ended. Grant and status (200)
 * are kept in the session for events.php.
 */

declare(strict_types=1);

$input = json_decode(file_get_contents('php://input'), true);
session_start();
if ($input['user'] === null) {
    $_SESSION = [];
    session_destroy();
} else {
    $_SESSION = $input;
}
header('Content-Type: application/json');
echo json_encode(['cookie' => session_name() . '=' . session_id()]);
