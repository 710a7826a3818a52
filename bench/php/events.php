<?php

/* A page that hands its clients off: whoever comes is logged in by the first request of the session. */

declare(strict_types=1);

session_start();
$user = $_SESSION['user'] ??= 'alice';
session_write_close();
header_remove('Cache-Control');
header('X-Accel-Redirect: @sidecast');
header("X-Sidecast-Channels: bench/0,user/$user");
