<?php

/*
 * Performs the examples of docs/protocol.md on the real daemon and compares byte for byte:
 *
 *     php tests/protocol/run.php [FILE]      exit code 0: all as written
 *
 * The daemon is build/check/sidecast, or SIDECAST_BINARY. The blocks under one heading are one example, with a daemon of its own:
 *
 *     config        lines for its configuration file
 *     publish       one multipart message; a line `--` separates frames
 *     confirm       the same, to publish.confirm_listen through a REQ socket
 *     reply         the frames of its reply
 *     dropped       the reason with which the message before was dropped, as logged
 *     request NAME  an HTTP request, perhaps a blank line and its body; `fastcgi_param` lines are what nginx adds
 *     sse NAME      what comes next on its event stream
 *     poll, answer, error, refused NAME   its whole answer
 *
 * A SIDECAST_EXPIRES is as far from now as it is from 1795432800, when the examples play.
 *
 * Without a Status line only the body is compared. Ids stand for the daemon's (see Ids); a time in `retry:` and `Retry-After:`
 * must be in the range that the document names, and a Content-Length be true. CRLF of header lines is written as LF.
 */

declare(strict_types=1);

use Sidecast\EndToEnd\FastCgi;
use Sidecast\Protocol\Block;
use Sidecast\Protocol\Examples;
use Sidecast\Protocol\Exchange;
use Sidecast\Protocol\Ids;
use Sidecast\Protocol\Sidecast;

require __DIR__ . '/../e2e/harness/FastCgi.php';
require __DIR__ . '/Examples.php';
require __DIR__ . '/Sidecast.php';

/** @return array<string, string> FastCGI parameters as nginx would set them */
function parameters(string $http): array
{
    $lines = explode("\n", rtrim($http, "\n"));
    if (preg_match('~^(\S+) /\S*?(?:\?(\S*))? HTTP/1\.1$~', array_shift($lines), $match) !== 1) {
        throw new RuntimeException('a request begins with METHOD /path?query HTTP/1.1');
    }
    $params = ['REQUEST_METHOD' => $match[1], 'QUERY_STRING' => $match[2] ?? ''];
    foreach ($lines as $line) {
        if (preg_match('/^fastcgi_param (\S+) (\S+);$/', $line, $match) === 1) {
            $params[$match[1]] = trim($match[2], '"');
        } elseif (preg_match('/^Content-Type: (.*)$/', $line, $match) === 1) {
            $params['CONTENT_TYPE'] = $match[1];
        } elseif (preg_match('/^([\w-]+): (.*)$/', $line, $match) === 1) {
            $params['HTTP_' . strtoupper(strtr($match[1], '-', '_'))] = $match[2];
        } else {
            throw new RuntimeException("not a line of a request: $line");
        }
    }

    if (isset($params['SIDECAST_EXPIRES'])) {
        $params['SIDECAST_EXPIRES'] = (string) (time() + $params['SIDECAST_EXPIRES'] - 1795432800);
    }

    return $params;
}

function isLongPoll(Block $request): bool
{
    return preg_match('~^Accept: application/json$|transport=poll~m', $request->text) === 1;
}

/** The text without what chance decides, if it is in the range for it: times, and the length of what has a time in it. */
function withoutChance(string $text, string $kind): string
{
    [$least, $most] = $kind === 'refused' ? [5000, 30000] : [1500, 4500];
    [, $body] = explode("\n\n", $text, 2) + [1 => ''];
    if ($kind === 'refused') {
        $text = str_replace("\nContent-Length: " . strlen($body) . "\n\n", "\nContent-Length: #\n\n", $text);
    }
    $text = (string) preg_replace_callback(
        '/^retry: (\d+)$/m',
        static fn (array $time) => $time[1] >= $least && $time[1] <= $most ? 'retry: #' : $time[0],
        $text
    );

    return (string) preg_replace_callback(
        '/^Retry-After: (\d+)$/m',
        static fn (array $time) => $time[1] >= 5 && $time[1] <= 30 ? 'Retry-After: #' : $time[0],
        $text
    );
}

/** What the exchange has brought and no block before has named. */
function fresh(Exchange $exchange, bool $withHead): string
{
    $output = $exchange->output;
    $head = strpos($output, "\r\n\r\n");
    if ($head === false) {
        return '';
    }
    if ($exchange->compared > 0) {
        return substr($output, $exchange->compared);
    }
    $body = substr($output, $head + 4);

    return $withHead ? str_replace("\r\n", "\n", substr($output, 0, $head + 4)) . $body : $body;
}

function compare(Block $block, Exchange $exchange, Ids $ids): ?string
{
    $isStream = $block->kind === 'sse';
    $expected = withoutChance($block->text, $block->kind);
    $withHead = str_starts_with($expected, 'Status:');
    $actual = '';
    $isSame = static function () use ($block, $exchange, $ids, $expected, $withHead, $isStream, &$actual): bool {
        $actual = withoutChance(fresh($exchange, $withHead), $block->kind);

        return ($isStream || $exchange->ended) && $ids->match($expected, $actual);
    };
    if (!$exchange->waitUntil($isSame)) {
        return "line $block->line: expected\n$expected-- got\n$actual" . ($exchange->ended ? "-- and its end\n" : '');
    }
    $exchange->compared = strlen($exchange->output);

    return null;
}

/** The log of the daemon has the reason, after what it had before. */
function compareDrop(Block $block, Sidecast $sidecast, int &$logSize): ?string
{
    $log = substr($sidecast->log(), $logSize);
    $logSize += strlen($log);
    $expected = 'publication dropped: ' . rtrim($block->text, "\n") . "\n";

    return substr_count($log, 'publication dropped') === 1 && str_ends_with($log, $expected)
        ? null
        : "line $block->line: expected\n{$expected}-- got\n$log";
}

/**
 * @param list<Block> $blocks
 * @return list<string> what is not as written
 */
function perform(array $blocks, Sidecast $sidecast): array
{
    $ids = new Ids();
    $exchanges = [];
    $faults = [];
    $reply = [];
    $logSize = strlen($sidecast->log());
    foreach ($blocks as $block) {
        $fault = null;
        switch ($block->kind) {
            case 'config':
                break;
            case 'publish':
                $sidecast->publish(preg_split('/\n--\n/', substr($block->text, 0, -1)));
                $sidecast->sync();
                break;
            case 'confirm':
                $reply = $sidecast->confirm(preg_split('/\n--\n/', substr($block->text, 0, -1)));
                $logSize = strlen($sidecast->log()); // the answer says what the log says
                break;
            case 'reply':
                $actual = implode("\n--\n", $reply) . "\n";
                $fault = $ids->match($block->text, $actual) ? null : "line $block->line: expected\n$block->text-- got\n$actual";
                break;
            case 'dropped':
                $fault = compareDrop($block, $sidecast, $logSize);
                break;
            case 'request':
                [$head, $body] = explode("\n\n", substr($block->text, 0, -1), 2) + [1 => ''];
                $exchanges[$block->name] = $exchange = $sidecast->request(parameters($ids->apply($head)), $body);
                if (!isLongPoll($block)) { // which begins only with its end
                    $exchange->waitUntil(static fn () => $exchange->output !== '');
                }
                break;
            default:
                $fault = compare($block, $exchanges[$block->name], $ids);
        }
        if ($fault !== null) {
            $faults[] = $fault;
        }
    }

    return [...$faults, ...surplus($exchanges, $sidecast)];
}

/**
 * What came and no block has named, but for heartbeats. Whatever was published is on its way when the sync arrives.
 *
 * @param array<string, Exchange> $exchanges
 * @return list<string>
 */
function surplus(array $exchanges, Sidecast $sidecast): array
{
    $sidecast->sync();
    $faults = [];
    foreach ($exchanges as $name => $exchange) {
        $exchange->read();
        $rest = str_replace(":\n", '', fresh($exchange, false));
        if ($rest !== '') {
            $faults[] = "request $name: more came than is written:\n$rest";
        }
    }

    return $faults;
}

$file = $argv[1] ?? __DIR__ . '/../../docs/protocol.md';
$binary = getenv('SIDECAST_BINARY') ?: __DIR__ . '/../../build/check/sidecast';
$passed = $failed = 0;
foreach (Examples::read($file) as $heading => $blocks) {
    $config = implode('', array_map(static fn (Block $block) => $block->kind === 'config' ? $block->text : '', $blocks));
    $sidecast = new Sidecast($binary, $config);
    try {
        $faults = perform($blocks, $sidecast);
    } catch (Throwable $error) {
        $faults = [$error->getMessage()];
    }
    $faults = array_filter([...$faults, $sidecast->stop()]);
    $faults === [] ? $passed++ : $failed++;
    foreach ($faults as $fault) {
        echo "FAILED $heading\n$fault\n";
    }
}
echo "$passed passed, $failed failed\n";
exit($failed > 0 || $passed === 0 ? 1 : 0);
