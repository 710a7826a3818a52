<?php

/*
 * A page that hands its request off, with nothing of the project: it looks into the session and says what this user may listen to.
 */

declare(strict_types=1);

session_start();
$user = $_SESSION['user'] ?? null;
$grant = $_SESSION['grant'] ?? [];
session_write_close(); // else the user's next page waits for this one

if ($user === null) {
    http_response_code(403);
    exit;
}
header('X-Accel-Redirect: @sidecast');
foreach ($grant as $name => $value) {
    header("X-Sidecast-$name: $value");
}
http_response_code($_SESSION['status'] ?? 200);
