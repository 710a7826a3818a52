<?php

declare(strict_types=1);

namespace Sidecast\Tests;

use PHPUnit\Framework\TestCase;
use Sidecast\Exception\InvalidGrant;
use Sidecast\Handoff;

final class HandoffTest extends TestCase
{
    use Scratch;

    public function testTheHeadersSayWhereToAndWhatIsGranted(): void
    {
        $handoff = Handoff::to(['user/7', 'news'])->patterns(['orders/*'])->client('tab-1')->expires(1795432800);
        self::assertSame(200, $handoff->status());
        self::assertSame(
            [
                'X-Accel-Redirect' => '@sidecast',
                'X-Sidecast-Channels' => 'user/7,news',
                'X-Sidecast-Patterns' => 'orders/*',
                'X-Sidecast-Client' => 'tab-1',
                'X-Sidecast-Expires' => '1795432800',
            ],
            $handoff->headers(),
        );
    }

    public function testWhatIsNotSaidIsNotSent(): void
    {
        $headers = Handoff::to(['0'])->client('0')->location('@notifications')->headers();
        self::assertSame(
            ['X-Accel-Redirect' => '@notifications', 'X-Sidecast-Channels' => '0', 'X-Sidecast-Client' => '0'],
            $headers,
        );
        $patterns = Handoff::make()->patterns(['a/*'])->location('/internal/x')->headers();
        self::assertSame(['X-Accel-Redirect' => '/internal/x', 'X-Sidecast-Patterns' => 'a/*'], $patterns);
    }

    public function testAHandoffStaysAsItIs(): void
    {
        $base = Handoff::to(['a']);
        $base->channels(['b'])->client('x');
        self::assertSame(['X-Accel-Redirect' => '@sidecast', 'X-Sidecast-Channels' => 'a'], $base->headers());
    }

    public function testNobodyGrantsNothingByAccident(): void
    {
        $this->expectException(InvalidGrant::class);
        $this->expectExceptionMessage('grants nothing');
        Handoff::to([])->client('x')->headers();
    }

    public function testARefusalHandsNothingOver(): void
    {
        $refusal = Handoff::refuse();
        self::assertSame(403, $refusal->status());
        self::assertSame(['Cache-Control' => 'no-store'], $refusal->headers());
        self::assertSame(['Cache-Control' => 'no-store'], $refusal->channels(['a'])->headers(), 'also with channels');
    }

    /**
     * @param \Closure(): Handoff $make
     *
     * @dataProvider widened
     */
    public function testWhatCouldWidenTheGrantIsRefused(\Closure $make, string $why): void
    {
        $this->expectException(InvalidGrant::class);
        $this->expectExceptionMessage($why);
        $make();
    }

    /** @return iterable<string, array{\Closure(): Handoff, string}> */
    public static function widened(): iterable
    {
        yield 'a comma' => [static fn () => Handoff::to(['user/7,user/8']), 'commas'];
        yield 'an asterisk' => [static fn () => Handoff::to(['user/*']), 'asterisks'];
        yield 'a newline' => [static fn () => Handoff::to(["a\r\nX-Sidecast-Channels: b"]), 'control characters'];
        yield 'a space' => [static fn () => Handoff::to(['a b']), 'spaces'];
        yield 'nothing' => [static fn () => Handoff::to(['']), '1 to 255'];
        yield 'a comma in a pattern' => [static fn () => Handoff::make()->patterns(['a/*,**']), 'commas'];
        yield 'a newline in the client' => [static fn () => Handoff::make()->client("a\nX-A: b"), 'control characters'];
        yield 'a client of blanks, which no header has' => [static fn () => Handoff::make()->client(' '), 'blank'];
        yield 'a client with a blank at its end' => [static fn () => Handoff::make()->client('ann '), 'blank'];
        yield 'a client with a blank at its start' => [static fn () => Handoff::make()->client(' ann'), 'blank'];
        yield 'a newline in the location' => [static fn () => Handoff::make()->location("@a\nX-A: b"), 'a path'];
        yield 'another host' => [static fn () => Handoff::make()->location('http://x/'), 'a path'];
        yield 'a time before all' => [static fn () => Handoff::make()->expires(0), 'since 1970'];
    }

    public function testPlainPhpSendsItWithoutTheSessionsHeadersAndWithItsLockFree(): void
    {
        $server = $this->page(<<<'PHP'
            session_save_path($directory);
            session_start();
            $_SESSION['user'] = 7;
            header('Pragma: cache');
            Sidecast\Handoff::to(['user/7'])->client('tab')->send();
            if (session_status() === PHP_SESSION_ACTIVE) { header('X-Session: open'); }
            PHP);
        [$status, $lines] = $server->get();
        self::assertSame(200, $status);
        $cookie = \preg_grep('/\ASet-Cookie: PHPSESSID=/', $lines);
        self::assertIsArray($cookie);
        self::assertCount(1, $cookie, 'the session itself goes on');
        self::assertSame(
            ['X-Accel-Redirect: @sidecast', 'X-Sidecast-Channels: user/7', 'X-Sidecast-Client: tab'],
            \array_values(\array_diff($lines, $cookie)),
        );
        $files = \glob("$this->scratch/sess_*") ?: [];
        self::assertSame('user|i:7;', \file_get_contents($files[0]));
    }

    public function testASessionThatStartsLaterSendsNoneEither(): void
    {
        $server = $this->page(<<<'PHP'
            Sidecast\Handoff::to(['a'])->send();
            session_save_path($directory);
            session_start();
            PHP);
        [, $lines] = $server->get();
        self::assertSame([], \preg_grep('/\A(Cache-Control|Expires|Pragma)/', $lines));
    }

    public function testARefusalIs403(): void
    {
        [$status, $lines] = $this->page('Sidecast\Handoff::refuse()->send();')->get();
        self::assertSame([403, ['Cache-Control: no-store']], [$status, $lines]);
    }

    public function testOfSeveralTheLastAloneCounts(): void
    {
        $wide = "Sidecast\\Handoff::to(['a'])->patterns(['**'])->client('x')->expires(9999999999)->send();";
        [, $lines] = $this->page($wide . "Sidecast\\Handoff::to(['b'])->send();")->get();
        self::assertSame(['X-Accel-Redirect: @sidecast', 'X-Sidecast-Channels: b'], $lines);
        [$status, $lines] = $this->page($wide . 'Sidecast\Handoff::refuse()->send();')->get();
        self::assertSame([403, ['Cache-Control: no-store']], [$status, $lines]);
    }

    public function testOutputThatHasBegunIsAnExceptionThatSaysWhere(): void
    {
        $server = $this->page(<<<'PHP'
            while (ob_get_level() > 0) {
                ob_end_clean();
            }
            echo 'x';
            try {
                Sidecast\Handoff::to(['a'])->send();
            } catch (Sidecast\Exception\HandoffFailed $error) {
                file_put_contents("$directory/why", $error->getMessage());
            }
            PHP);
        $server->get();
        $why = (string) \file_get_contents("$this->scratch/why");
        self::assertStringContainsString("output has begun at $this->scratch/page.php:", $why);
    }

    private function page(string $code): PhpServer
    {
        $load = \dirname(__DIR__) . '/src/load.php';
        $directory = "\$directory = '$this->scratch';";
        \file_put_contents("$this->scratch/page.php", "<?php require '$load'; $directory\nob_start();\n$code");

        return new PhpServer("$this->scratch/page.php");
    }
}
