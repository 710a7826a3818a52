<?php

// Something happens for another user (POST: to, text).

declare(strict_types=1);

require '/usr/local/share/sidecast/php-client/functions.php';

session_start(['read_and_close' => true]);
$from = $_SESSION['user'] ?? null;
$to = $_POST['to'] ?? '';
$text = $_POST['text'] ?? '';

if ($from === null) {
    http_response_code(401);
    exit;
}
if (!preg_match('/^[a-z]{1,20}$/D', $to) || !preg_match('/^.{1,200}$/Dsu', $text)) {
    http_response_code(422);
    exit;
}
// Here your site stores it. What is published is only for those who have a page open.
sidecast_publish("user/$to", ['from' => $from, 'text' => $text], ['event' => 'notification']);
http_response_code(204);
