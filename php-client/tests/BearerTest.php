<?php

declare(strict_types=1);

namespace Sidecast\Tests;

use PHPUnit\Framework\TestCase;
use Sidecast\Dsn;
use Sidecast\Exception\InvalidConfiguration;
use Sidecast\Publisher;
use Sidecast\Token;
use Sidecast\Token\HmacSigner;
use Sidecast\Transport\Bearer;

final class BearerTest extends TestCase
{
    use Scratch;

    private const SECRET = '0123456789abcdef0123456789abcdef';

    public function testWithoutAnOptionThereIsNone(): void
    {
        self::assertNull(Bearer::of(null, null, null));
    }

    public function testATokenOfAFileIsWithoutItsLineEnd(): void
    {
        \file_put_contents("$this->scratch/token", "a.b.c\n");
        self::assertSame('Bearer a.b.c', Bearer::of(null, "$this->scratch/token", null)?->header());
    }

    public function testWithASecretATokenIsMadeForEachRequest(): void
    {
        \file_put_contents("$this->scratch/secret", self::SECRET . "\r\n");
        $header = (string) Bearer::of(null, null, "$this->scratch/secret")?->header();
        [$signed, $claims, $signature] = \explode('.', \substr($header, \strlen('Bearer ')));
        $good = \hash_hmac('sha256', "$signed.$claims", self::SECRET, true);
        self::assertSame(\rtrim(\strtr(\base64_encode($good), '+/', '-_'), '='), $signature);
        $claims = \json_decode((string) \base64_decode(\strtr($claims, '-_', '+/')), true);
        self::assertSame(['**'], $claims['publish']);
        self::assertArrayNotHasKey('channels', $claims);
        self::assertSame(60, $claims['exp'] - $claims['iat']);
    }

    public function testATokenOfOnesOwnGrantsLess(): void
    {
        $token = Token::make()->publish(['news'])->ttl(5);
        $header = Bearer::signed(new HmacSigner(self::SECRET), $token)->header();
        $claims = \json_decode((string) \base64_decode(\strtr(\explode('.', $header)[1], '-_', '+/')), true);
        self::assertSame(['news'], $claims['publish']);
    }

    public function testADumpTellsNeitherTokenNorSecret(): void
    {
        \file_put_contents("$this->scratch/secret", self::SECRET);
        $signed = \print_r(Publisher::connect("sidecast+http://a/p?secret_file=$this->scratch/secret"), true);
        self::assertStringNotContainsString(self::SECRET, $signed);
        $fixed = \print_r(Publisher::connect('sidecast+http://a/p?token=a.b.not-for-a-dump'), true);
        self::assertStringContainsString('http://a/p', $fixed);
        self::assertStringNotContainsString('not-for-a-dump', $fixed);
        self::assertStringNotContainsString('not-for-a-dump', \print_r(Dsn::parse('sidecast+http://a/?token=not-for-a-dump'), true));
    }

    /**
     * @param array{?string, ?string, ?string} $options
     *
     * @dataProvider bad
     */
    public function testBadOnesAreRefusedAtOnce(array $options, string $why): void
    {
        $this->expectException(InvalidConfiguration::class);
        $this->expectExceptionMessage($why);
        Bearer::of(...$options);
    }

    /** @return iterable<string, array{array{?string, ?string, ?string}, string}> */
    public static function bad(): iterable
    {
        yield 'two' => [['a', '/b', null], 'is enough'];
        yield 'no file' => [[null, '/nowhere/token', null], 'token_file: /nowhere/token cannot be read'];
        yield 'no secret' => [[null, null, '/nowhere/secret'], 'secret_file: /nowhere/secret cannot be read'];
        yield 'a header of its own' => [["a\r\nX: b", null, null], 'a bearer token has'];
        yield 'nothing' => [['', null, null], 'a bearer token has'];
    }
}
