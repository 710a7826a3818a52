<?php

declare(strict_types=1);

namespace Sidecast\Tests;

use PHPUnit\Framework\TestCase;
use Sidecast\Exception\InvalidGrant;
use Sidecast\Exception\SidecastException;
use Sidecast\Token;
use Sidecast\Token\HmacSigner;

final class TokenTest extends TestCase
{
    private const NOW = 1795432800;

    private HmacSigner $signer;

    protected function setUp(): void
    {
        $this->signer = new HmacSigner(\str_repeat('s', 32), 'key-1');
    }

    public function testEveryClaimIsThereAndTheSignatureIsGood(): void
    {
        $token = Token::listen(['room-1', 'orders/7'])
            ->patterns(['orders/*'])
            ->client('user-7')
            ->publish(['room-1'])
            ->publishPatterns(['chat/**'])
            ->notBefore(self::NOW - 5)
            ->issuer('shop')
            ->audience('sidecast')
            ->ttl(3600);
        self::assertSame(
            [
                'channels' => ['room-1', 'orders/7', 'orders/*'],
                'sub' => 'user-7',
                'publish' => ['room-1', 'chat/**'],
                'nbf' => self::NOW - 5,
                'iss' => 'shop',
                'aud' => 'sidecast',
                'iat' => self::NOW,
                'exp' => self::NOW + 3600,
            ],
            $this->claims($token),
        );
        [$header, $claims, $signature] = \explode('.', $token->sign($this->signer, self::NOW));
        self::assertSame(['typ' => 'JWT', 'alg' => 'HS256', 'kid' => 'key-1'], self::decode($header));
        $good = \hash_hmac('sha256', "$header.$claims", \str_repeat('s', 32), true);
        self::assertSame(\bin2hex($good), \bin2hex((string) \base64_decode(\strtr($signature, '-_', '+/'))));
        self::assertDoesNotMatchRegularExpression('~[=+/]~', $token->sign($this->signer, self::NOW));
    }

    public function testATokenThatIsNotSignedStaysAsItIs(): void
    {
        $base = Token::listen(['a'])->ttl(60);
        $more = $base->channels(['b', 'a'])->client('x');
        self::assertSame(['channels' => ['a'], 'iat' => self::NOW, 'exp' => self::NOW + 60], $this->claims($base));
        self::assertSame(['a', 'b'], $this->claims($more)['channels']);
    }

    public function testWithoutAKeyIdTheHeaderHasNone(): void
    {
        $signer = new HmacSigner(\str_repeat('s', 32));
        [$header] = \explode('.', Token::listen(['a'])->ttl(60)->sign($signer));
        self::assertSame(['typ' => 'JWT', 'alg' => 'HS256'], self::decode($header));
    }

    public function testNamesOutsideAsciiStayAsTheyAre(): void
    {
        self::assertSame(['café/ü'], $this->claims(Token::listen(['café/ü'])->ttl(1))['channels']);
    }

    /**
     * @param \Closure(): Token $make
     *
     * @dataProvider widened
     */
    public function testWhatCouldWidenTheGrantIsRefused(\Closure $make, string $why): void
    {
        $this->expectException(InvalidGrant::class);
        $this->expectExceptionMessage($why);
        $make();
    }

    /** @return iterable<string, array{\Closure(): Token, string}> */
    public static function widened(): iterable
    {
        yield 'an asterisk in listen()' => [static fn () => Token::listen(['user/*']), 'asterisks'];
        yield 'an asterisk in channels()' => [static fn () => Token::make()->channels(['a', '**']), 'asterisks'];
        yield 'an asterisk in publish()' => [static fn () => Token::make()->publish(['*']), 'asterisks'];
        yield 'a comma' => [static fn () => Token::listen(['a,b']), 'commas'];
        yield 'a comma in a pattern' => [static fn () => Token::make()->patterns(['a/*,b']), 'commas'];
        yield 'a space' => [static fn () => Token::listen(['a b']), 'spaces'];
        yield 'a newline' => [static fn () => Token::listen(["a\n"]), 'control characters'];
        yield 'nothing' => [static fn () => Token::listen(['']), '1 to 255 bytes'];
        yield 'too long' => [static fn () => Token::listen([\str_repeat('a', 256)]), '1 to 255 bytes'];
        yield 'no UTF-8' => [static fn () => Token::listen(["\xff"]), 'UTF-8'];
        // @phpstan-ignore-next-line a wrong type is the point
        yield 'no text' => [static fn () => Token::listen([7]), 'strings'];
        yield 'a client that is nobody' => [static fn () => Token::make()->client(''), 'client must have 1'];
        yield 'a client with a newline' => [static fn () => Token::make()->client("a\nb"), 'control characters'];
        yield 'no time at all' => [static fn () => Token::make()->ttl(0), 'at least 1 second'];
    }

    public function testATokenNeedsAnEnd(): void
    {
        $this->expectException(InvalidGrant::class);
        $this->expectExceptionMessage('needs a ttl');
        Token::listen(['a'])->sign($this->signer);
    }

    public function testATokenThatGrantsNothingIsNotSigned(): void
    {
        $this->expectException(InvalidGrant::class);
        $this->expectExceptionMessage('grants nothing');
        Token::listen([])->patterns([])->client('x')->ttl(60)->sign($this->signer);
    }

    public function testATokenThatTheServerWouldNotReadIsNotSigned(): void
    {
        $channels = \array_map(static fn (int $i): string => "user/$i/" . \str_repeat('x', 80), \range(1, 100));
        $this->expectException(InvalidGrant::class);
        $this->expectExceptionMessage('at most 8 KiB');
        Token::listen($channels)->ttl(60)->sign($this->signer);
    }

    public function testAClaimThatIsNoUtf8IsAnExceptionOfThisPackage(): void
    {
        $this->expectException(SidecastException::class);
        Token::listen(['a'])->ttl(60)->issuer("\xff")->sign($this->signer);
    }

    public function testTheCookieIsForTheServerAlone(): void
    {
        $token = Token::listen(['a'])->ttl(60);
        self::assertSame('sidecast_token', Token::COOKIE);
        self::assertSame(
            [
                'expires' => self::NOW + 60,
                'path' => '/events',
                'secure' => true,
                'httponly' => true,
                'samesite' => 'Lax',
            ],
            $token->cookie('/events', now: self::NOW),
        );
        self::assertFalse($token->cookie(secure: false)['secure']);
    }

    /** @return array<string, mixed> */
    private function claims(Token $token): array
    {
        return self::decode(\explode('.', $token->sign($this->signer, self::NOW))[1]);
    }

    /** @return array<string, mixed> */
    private static function decode(string $part): array
    {
        return \json_decode((string) \base64_decode(\strtr($part, '-_', '+/')), true, 512, \JSON_THROW_ON_ERROR);
    }
}
