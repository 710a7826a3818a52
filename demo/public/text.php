<?php

// Answers at once and then goes on writing: a stand-in for a language model or any other slow source (POST: id, topic).

declare(strict_types=1);

require __DIR__ . '/../../php-client/functions.php';

$texts = require __DIR__ . '/../texts.php';
$id = $_POST['id'] ?? null;
$topic = $_POST['topic'] ?? null;

if (!is_string($id) || !preg_match('/^[0-9a-f]{16}$/D', $id) || !is_string($topic) || !isset($texts[$topic])) {
    http_response_code(422);
    header('Content-Type: text/plain; charset=utf-8');
    exit('id: 16 hexadecimal digits; topic: one of ' . implode(', ', array_keys($texts)));
}
$tokens = preg_split('/(?=\s)/', $texts[$topic]['text'], -1, PREG_SPLIT_NO_EMPTY);

// <shown>
http_response_code(202);
fastcgi_finish_request(); // the browser has its answer

foreach ($tokens as $token) {
    sidecast_publish("text/$id", $token, ['event' => 'token']);
    usleep(random_int(20_000, 100_000));
}
sidecast_publish("text/$id", 'end', ['event' => 'end']);
// </shown>
