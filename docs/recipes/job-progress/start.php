<?php

// Puts a job into the queue (POST: rows) and answers with its id.

declare(strict_types=1);

$rows = filter_var($_POST['rows'] ?? null, FILTER_VALIDATE_INT, ['options' => ['min_range' => 1, 'max_range' => 1_000_000]]);
if ($rows === false) {
    http_response_code(422);
    exit;
}
$id = bin2hex(random_bytes(16));
file_put_contents(__DIR__ . "/jobs/$id.new", json_encode(['rows' => $rows]));
rename(__DIR__ . "/jobs/$id.new", __DIR__ . "/jobs/$id.json"); // whole, or not there
header('Content-Type: application/json');
echo json_encode(['id' => $id]);
