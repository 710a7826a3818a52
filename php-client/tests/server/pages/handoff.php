<?php

declare(strict_types=1);

/*
 * A page that decides by its query who may listen, as a page with a session would: `grant` is a JSON object of options
 * of sidecast_handoff(), with the channels.
 */

require dirname(__DIR__, 3) . '/functions.php';

session_start();
header('Content-Type: text/html; charset=ISO-8859-1'); // an old page
$grant = json_decode((string) $_GET['grant'], true);
$channels = $grant['channels'] ?? [];
unset($grant['channels']);
sidecast_handoff($channels, $grant);
