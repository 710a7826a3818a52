<?php

declare(strict_types=1);

/*
 * A stream server that does what it is told: `php scripted-peer.php ADDRESS SCRIPT`, SCRIPT being a JSON list of
 * connections, each a list of steps:
 *   ["send", HEX]       writes these bytes
 *   ["drip", HEX, MS]   writes them one at a time, with a pause before each
 *   ["read", N]         reads exactly N bytes and reports them
 *   ["sip", N, BYTES, MS]  the same, in portions of so many bytes with a pause before each
 *   ["read head"]       reads up to an empty line (CRLF CRLF) and reports it
 *   ["flood", N]        writes an HTTP answer whose body has N bytes, as long as they are taken
 *   ["digest", N]       reads exactly N bytes and reports their MD5
 *   ["read all"]        reads to the end and reports it
 *   ["pause"]           waits for a line on stdin
 *   ["deafen"]          takes no more bytes, but keeps the connection: the client's next write fails
 *   ["close"]           closes; a connection without this step stays open until the end
 * Reports "ready ADDRESS", then what was read in hexadecimal, a line each. Ends when stdin ends.
 */

/** @param resource $stream */
function read_exactly($stream, int $length, int $portion, int $pauseMs): string
{
    $bytes = '';
    while (strlen($bytes) < $length && !feof($stream)) {
        if ($pauseMs > 0) {
            usleep($pauseMs * 1000);
        }
        $bytes .= fread($stream, min($portion, $length - strlen($bytes)));
    }

    return $bytes;
}

/**
 * @param resource          $stream
 * @param list<string|int>  $step
 */
function run_step($stream, array $step): void
{
    switch ($step[0]) {
        case 'send':
            fwrite($stream, hex2bin($step[1]));
            break;
        case 'drip':
            foreach (str_split(hex2bin($step[1])) as $byte) {
                usleep($step[2] * 1000);
                @fwrite($stream, $byte);
            }
            break;
        case 'read':
            echo bin2hex(read_exactly($stream, $step[1], $step[1], 0)), "\n";
            break;
        case 'read head':
            for ($head = ''; !str_ends_with($head, "\r\n\r\n") && !feof($stream);) {
                $head .= fread($stream, 1);
            }
            echo bin2hex($head), "\n";
            break;
        case 'digest':
            echo md5(read_exactly($stream, $step[1], 65536, 0)), "\n";
            break;
        case 'flood':
            @fwrite($stream, "HTTP/1.1 200 OK\r\nContent-Length: $step[1]\r\n\r\n" . str_repeat('x', $step[1]));
            break;
        case 'sip':
            echo bin2hex(read_exactly($stream, $step[1], $step[2], $step[3])), "\n";
            break;
        case 'read all':
            echo bin2hex(stream_get_contents($stream)), "\n";
            break;
        case 'pause':
            fgets(STDIN);
            break;
        case 'deafen':
            stream_socket_shutdown($stream, STREAM_SHUT_RD);
            echo "deaf\n";
            break;
        case 'close':
            fclose($stream);
            echo "closed\n";
            break;
        default:
            throw new LogicException("unknown step $step[0]");
    }
}

$server = stream_socket_server($argv[1]) ?: exit(1);
echo 'ready ', stream_socket_get_name($server, false), "\n";
$open = [];
foreach (json_decode($argv[2], true, 512, JSON_THROW_ON_ERROR) as $steps) {
    $stream = stream_socket_accept($server, 10) ?: exit(1);
    stream_set_read_buffer($stream, 0);
    $open[] = $stream;
    foreach ($steps as $step) {
        run_step($stream, $step);
    }
}
stream_get_contents(STDIN);
