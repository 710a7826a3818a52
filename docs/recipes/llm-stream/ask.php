<?php

// Takes a question (POST: question), answers at once with an id, and then writes what the model says to answer/<id>.

declare(strict_types=1);

require '/usr/local/share/sidecast/php-client/functions.php';
require __DIR__ . '/model.php';

$question = trim($_POST['question'] ?? '');
if (!preg_match('/^.{1,500}$/Dsu', $question)) {
    http_response_code(422);
    exit;
}
$id = bin2hex(random_bytes(16));
header('Content-Type: application/json');
echo json_encode(['id' => $id]);
fastcgi_finish_request(); // the browser has its answer; the worker goes on
set_time_limit(120);

$text = '';
try {
    foreach (model($question) as $token) {
        $text .= $token;
        sidecast_publish("answer/$id", $token, ['event' => 'token']);
    }
    $last = ['text' => $text, 'error' => null];
} catch (Throwable $error) {
    error_log((string) $error);
    $last = ['text' => $text, 'error' => 'The model did not finish.'];
}
// The end carries the whole text. So a page that has missed a token is right in the end, and this one message is worth
// a second try. The key makes sure that it counts once.
for ($try = 1; $try <= 10; $try++) {
    if (sidecast_publish("answer/$id", $last, ['event' => 'end', 'key' => 'end'])) {
        break;
    }
    sleep(1);
}
