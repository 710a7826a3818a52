<?php

declare(strict_types=1);

namespace Sidecast\Tests;

use PHPUnit\Framework\TestCase;

/** functions.php in a PHP without autoloader, without PSR-3 and without extensions. */
final class FunctionsTest extends TestCase
{
    use Scratch;

    private const PAGE = 'require $argv[1] . "/functions.php";';

    /**
     * @param list<string>          $arguments
     * @param array<string, string> $environment
     *
     * @dataProvider waysToNameTheEndpoint
     */
    public function testPublishes(string $code, array $arguments, array $environment): void
    {
        $peer = new ScriptedPeer("unix://$this->scratch/peer.sock", [
            [...ScriptedPeer::handshake(), ['read', 30]],
        ]);
        $fill = fn (string $text): string => \str_replace('ENDPOINT', $peer->endpoint, $text);
        $php = new PlainPhp('-n');
        $php->run(self::PAGE . $code, \array_map($fill, $arguments), \array_map($fill, $environment));
        self::assertSame('', $php->errors);
        self::assertSame('yes', $php->output);
        $peer->bytes();
        self::assertSame("\x01\x01c\x01\x07{\"a\":1}\0\x0f{\"event\":\"eve\"}", $peer->bytes());
    }

    /** @return iterable<string, array{string, list<string>, array<string, string>}> */
    public static function waysToNameTheEndpoint(): iterable
    {
        $publish = 'sidecast_publish("c", ["a" => 1], ["event" => "eve"])';
        $wrong = 'ipc:///nowhere/publish.sock';
        yield 'environment' => ["echo $publish ? 'yes' : 'no';", [], ['SIDECAST_PUBLISH' => 'ENDPOINT']];
        yield 'constant before environment' => [
            "define('SIDECAST_PUBLISH', \$argv[2]); echo $publish ? 'yes' : 'no';",
            ['ENDPOINT'],
            ['SIDECAST_PUBLISH' => $wrong],
        ];
        yield 'option before constant' => [
            "define('SIDECAST_PUBLISH', '$wrong');"
            . 'echo sidecast_publish("c", ["a" => 1], ["event" => "eve", "endpoint" => $argv[2]]) ? "yes" : "no";',
            ['ENDPOINT'],
            [],
        ];
    }

    /** @dataProvider failures */
    public function testFailureIsFalseAndOneLineInTheErrorLog(string $call, string $why): void
    {
        $php = new PlainPhp('-n');
        $php->run(self::PAGE . "echo $call ? 'yes' : 'no';", [], ['SIDECAST_PUBLISH' => 'ipc:///nowhere/p.sock']);
        self::assertSame('no', $php->output);
        self::assertStringContainsString($why, $php->errors);
        self::assertSame(1, \substr_count($php->errors, "\n"), $php->errors);
        self::assertSame(0, $php->status);
    }

    /** @return iterable<string, array{string, string}> */
    public static function failures(): iterable
    {
        yield 'a DSN that would throw' => [
            'sidecast_publish("c", "x", ["endpoint" => "sidecast+ipc:///nowhere/p.sock?throws=yes"])',
            'No such file',
        ];
        yield 'no server' => ['sidecast_publish("c", "x")', 'No such file'];
        yield 'bad channel' => ['sidecast_publish("a b", "x")', 'spaces'];
        yield 'bad option' => ['sidecast_publish("c", "x", ["evnt" => "e"])', 'unknown option'];
        yield 'bad JSON' => ['sidecast_publish("c", NAN)', 'JSON'];
        yield 'bad endpoint' => ['sidecast_publish("c", "x", ["endpoint" => "somewhere"])', 'expected ipc://'];
        yield 'an endpoint that is no text' => ['sidecast_publish("c", "x", ["endpoint" => 5])', 'must be a string'];
    }

    public function testDefaultEndpoint(): void
    {
        $php = new PlainPhp('-n');
        $php->run(self::PAGE . 'sidecast_publish("c", "x"); echo Sidecast\Endpoint::DEFAULT;');
        self::assertSame('ipc:///run/sidecast/publish.sock', $php->output);
    }

    public function testMayBeRequiredTwiceAndBesideComposer(): void
    {
        $php = new PlainPhp('-n');
        $php->run('spl_autoload_register(fn ($c) => include $argv[1] . "/src/"
            . strtr(substr($c, strlen("Sidecast") + 1), "\\\\", "/") . ".php");
            require $argv[1] . "/functions.php"; require $argv[1] . "/functions.php";
            Sidecast\Endpoint::parse("tcp://127.0.0.1:1");
            echo sidecast_publish("a b", "x") ? "yes" : "no";');
        self::assertSame('no', $php->output);
    }

    public function testLoaderKnowsEveryFile(): void
    {
        $php = new PlainPhp('-n');
        $php->run('require $argv[1] . "/src/load.php"; echo implode("\n", get_included_files());');
        $files = new \RegexIterator(
            new \RecursiveIteratorIterator(new \RecursiveDirectoryIterator(\dirname(__DIR__) . '/src')),
            '/\.php$/',
        );
        foreach ($files as $file) {
            self::assertInstanceOf(\SplFileInfo::class, $file);
            self::assertStringContainsString((string) $file->getRealPath(), $php->output . "\n");
        }
    }
}
