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

    public function testConfirmedPublishingGivesTheId(): void
    {
        $hello = 64 + 2 + 28;
        $ready = '0429' . '055245414459' . '0b536f636b65742d54797065' . '00000006' . '524f55544552'
            . '084964656e74697479' . '00000000';
        $peer = new ScriptedPeer("unix://$this->scratch/confirm.sock", [[
            ['read', $hello],
            ['send', ScriptedPeer::GREETING . $ready . '0100' . '0008' . \bin2hex('ok 12-34')],
        ]]);
        self::assertSame("ipc://$this->scratch/confirm.sock", $peer->endpoint);
        $php = new PlainPhp('-n');
        $php->run(
            self::PAGE . 'var_dump(sidecast_publish_and_confirm("c", ["a" => 1], ["timeout" => 5]));',
            [],
            ['SIDECAST_PUBLISH' => "ipc://$this->scratch/publish.sock"],
        );
        self::assertSame(['', "string(5) \"12-34\"\n"], [$php->errors, $php->output]);
    }

    /** @dataProvider unconfirmed */
    public function testWhatIsNotConfirmedIsNullAndOneLineInTheErrorLog(string $call, string $why): void
    {
        $php = new PlainPhp('-n');
        $php->run(self::PAGE . "var_dump($call);", [], ['SIDECAST_PUBLISH' => 'ipc:///nowhere/p.sock']);
        self::assertSame("NULL\n", $php->output);
        self::assertStringContainsString($why, $php->errors);
        self::assertSame(1, \substr_count($php->errors, "\n"), $php->errors);
    }

    /** @return iterable<string, array{string, string}> */
    public static function unconfirmed(): iterable
    {
        $call = 'sidecast_publish_and_confirm("c", "x", ';
        yield 'no server' => [$call . '["timeout" => 0.01])', 'not confirmed: not confirmed: cannot connect'];
        yield 'a bad time' => [$call . '["timeout" => "soon"])', 'number of seconds'];
        yield 'no bound' => [$call . '["timeout" => 0])', 'above 0'];
        yield 'token: no secret' => ['sidecast_token(["a"])', 'sidecast_token: the secret of HS256'];
        yield 'token: an asterisk' => ['sidecast_token(["*"], ["secret" => str_repeat("s", 32)])', 'asterisks'];
        yield 'token: a bad option' => ['sidecast_token(["a"], ["tll" => 5])', 'unknown option "tll"'];
        $many = 'array_map(fn ($i) => "channel/$i" . str_repeat("x", 30), range(1, 80))';
        $options = '["cookie" => "/", "secret" => str_repeat("s", 32)]';
        yield 'token: too large for a cookie' => ["sidecast_token($many, $options)", 'in a cookie has at most 4 KiB'];
        yield 'token: a wrong type' => ['sidecast_token(["a"], ["ttl" => "5"])', 'must be of type int'];
    }

    public function testATokenByTheSecretOfTheEnvironment(): void
    {
        $php = new PlainPhp('-n');
        $php->run(
            self::PAGE . 'echo sidecast_token(["a"], ["client" => "me", "publish" => ["b"], "patterns" => ["c/*"]]);',
            [],
            ['SIDECAST_TOKEN_SECRET' => \str_repeat('s', 32)],
        );
        self::assertSame('', $php->errors);
        $claims = \json_decode((string) \base64_decode(\strtr(\explode('.', $php->output)[1], '-_', '+/')), true);
        self::assertSame(3600, $claims['exp'] - $claims['iat']);
        unset($claims['exp'], $claims['iat']);
        self::assertSame(['channels' => ['a', 'c/*'], 'sub' => 'me', 'publish' => ['b']], $claims);
    }

    public function testATokenAsACookie(): void
    {
        $secret = \str_repeat('s', 32);
        $options = "['secret' => '$secret', 'ttl' => 60, 'cookie' => '/events']";
        [, $lines] = $this->page("sidecast_token(['a'], $options);")->get();
        self::assertCount(1, $lines);
        self::assertMatchesRegularExpression(
            '~\ASet-Cookie: sidecast_token=[\w.-]+; expires=.*; path=/events; secure; HttpOnly; SameSite=Lax\z~',
            $lines[0],
        );
    }

    public function testAHandoff(): void
    {
        $page = $this->page("sidecast_handoff(['user/7'], ['client' => 'tab', 'location' => '@live']);");
        self::assertSame(
            [200, ['X-Accel-Redirect: @live', 'X-Sidecast-Channels: user/7', 'X-Sidecast-Client: tab']],
            $page->get(),
        );
    }

    /** @dataProvider refusedHandoffs */
    public function testAHandoffThatCannotBeIs403(string $call): void
    {
        self::assertSame([403, ['Cache-Control: no-store']], $this->page($call)->get());
    }

    /** @return iterable<string, array{string}> */
    public static function refusedHandoffs(): iterable
    {
        yield 'nothing' => ['sidecast_handoff([]);'];
        yield 'a comma' => ['sidecast_handoff(["a,b"]);'];
        yield 'a wrong type' => ['sidecast_handoff(["a"], ["expires" => "never"]);'];
        yield 'an unknown option' => ['sidecast_handoff(["a"], ["expire" => 5]);'];
    }

    private function page(string $code): PhpServer
    {
        $functions = \dirname(__DIR__) . '/functions.php';
        \file_put_contents("$this->scratch/page.php", "<?php require '$functions'; $code");

        return new PhpServer("$this->scratch/page.php");
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
