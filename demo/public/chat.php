<?php

// Takes one chat message (POST: client, name, text) and publishes it to all windows but the sender's.

declare(strict_types=1);

require __DIR__ . '/../../php-client/functions.php';

/** A field of 1 to $max characters without control characters, or an end with 422. */
function field(string $name, int $max): string
{
    $value = $_POST[$name] ?? null;
    if (!is_string($value) || !preg_match('/^[^\p{Cc}]{1,' . $max . '}$/Du', trim($value))) {
        http_response_code(422);
        exit("$name: 1 to $max characters");
    }

    return trim($value);
}

header('Content-Type: text/plain; charset=utf-8');
if ($_SERVER['REQUEST_METHOD'] !== 'POST') {
    http_response_code(405);
    exit('POST only');
}

$client = field('client', 32);
$name = field('name', 30);
$text = field('text', 500);

// <shown>
$sent = sidecast_publish(
    'chat',
    ['name' => $name, 'text' => $text],
    ['event' => 'chat', 'except' => $client] // all but the sender
);
http_response_code($sent ? 204 : 503);
// </shown>
