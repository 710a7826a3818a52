<?php

declare(strict_types=1);

/*
 * A confirm endpoint of libzmq that does what it is told: `php scripted-router.php ENDPOINT SCRIPT`, SCRIPT being a
 * JSON list of what to do with each request:
 *   ["reply", FRAME …]  replies with an empty frame and these
 *   ["ignore"]          does nothing
 *   ["hold"]            replies `ok 9-9` later, just before the reply to the next request, wherever that comes from
 *   ["restart"]         closes the socket and binds it anew, without a reply
 * Reports "ready ENDPOINT", then of each request its frames as JSON, without the routing id. Ends when stdin ends.
 */

$bind = static function (string $endpoint): ZMQSocket {
    $router = (new ZMQContext(1, false))->getSocket(ZMQ::SOCKET_ROUTER);
    $router->setSockOpt(ZMQ::SOCKOPT_LINGER, 0);
    $router->setSockOpt(ZMQ::SOCKOPT_RCVTIMEO, 10000);
    $router->bind($endpoint);

    return $router;
};
$router = $bind($argv[1]);
$endpoint = rtrim((string) $router->getSockOpt(ZMQ::SOCKOPT_LAST_ENDPOINT), "\0");
echo "ready $endpoint\n";
$held = null;
foreach (json_decode($argv[2], true, 512, JSON_THROW_ON_ERROR) as $step) {
    $request = $router->recvMulti() ?: exit(1);
    $peer = array_shift($request);
    echo json_encode($request, JSON_THROW_ON_ERROR), "\n";
    if ($held !== null) {
        $router->sendmulti([$held, '', 'ok 9-9']);
        $held = null;
    }
    switch (array_shift($step)) {
        case 'reply':
            $router->sendmulti([$peer, '', ...$step]);
            break;
        case 'hold':
            $held = $peer;
            break;
        case 'restart':
            $router = null;
            $router = $bind($endpoint);
            break;
    }
}
stream_get_contents(STDIN);
