<?php

declare(strict_types=1);

namespace Sidecast\Tests\server;

use Sidecast\EndToEnd\EventStream;
use Sidecast\EndToEnd\FastCgi;
use Sidecast\EndToEnd\Response;
use Sidecast\Publisher;
use Sidecast\Token;
use Sidecast\Token\HmacSigner;
use Sidecast\Token\OpensslSigner;
use Sidecast\Token\Signer;

/** What Sidecast\Token signs, the real server takes. Needs tokens of the server. */
final class TokenTest extends ServerTestCase
{
    private const SECRET = 'a secret of thirty-two bytes or more';

    /** @dataProvider algorithms */
    public function testATokenLetsItsBearerListen(string $algorithm): void
    {
        $signer = $this->start($algorithm);
        $token = Token::listen(['user/7'])->patterns(['orders/*'])->client('tab-1')->ttl(60);
        $client = $this->listenWith($token->sign($signer), 'channel=user/7&channel=orders/1&client=other');
        $client->opened();
        $publisher = Publisher::connect($this->dsn('zmtp'));
        $publisher->publish('user/7', 'my own', ['except' => 'tab-1']);
        $publisher->publish('user/7', 'for me');
        $publisher->publish('orders/1', 'of the pattern');
        $client->expect('for me', 'of the pattern');
    }

    /** @return iterable<string, array{string}> */
    public static function algorithms(): iterable
    {
        yield 'HS256' => ['HS256'];
        yield 'RS256' => ['RS256'];
        yield 'ES256' => ['ES256'];
    }

    public function testItSaysNothingOfOtherChannels(): void
    {
        $signer = $this->start('HS256');
        $jwt = Token::listen(['user/7'])->ttl(60)->sign($signer);
        self::assertSame(403, $this->ask($jwt, 'channel=user/8')->status);
    }

    public function testAnotherSecretIsRefused(): void
    {
        $this->start('HS256');
        $jwt = Token::listen(['user/7'])->ttl(60)->sign(new HmacSigner(\str_repeat('x', 32)));
        self::assertSame(401, $this->ask($jwt, 'channel=user/7')->status);
    }

    public function testIssuerAndAudienceAreThoseOfTheServer(): void
    {
        $signer = $this->start('HS256', ['token.issuer' => 'shop', 'token.audience' => 'sidecast']);
        $token = Token::listen(['user/7'])->ttl(60);
        $good = $token->issuer('shop')->audience('sidecast');
        $this->listenWith($good->sign($signer), 'channel=user/7')->opened();
        self::assertSame(401, $this->ask($token->sign($signer), 'channel=user/7')->status);
        self::assertSame(401, $this->ask($good->issuer('pub')->sign($signer), 'channel=user/7')->status);
    }

    public function testItsTimesHold(): void
    {
        $signer = $this->start('HS256', ['token.leeway' => '0s']);
        $token = Token::listen(['user/7'])->ttl(2);
        self::assertSame(401, $this->ask($token->sign($signer, \time() - 5), 'channel=user/7')->status);
        self::assertSame(401, $this->ask($token->notBefore(\time() + 60)->sign($signer), 'channel=user/7')->status);
        $client = $this->listenWith($token->sign($signer), 'channel=user/7');
        $client->opened();
        self::assertSame('sidecast.expired', $client->next()->type);
        $client->waitForCleanEnd();
    }

    public function testTheCookieIsTheOneThatTheServerLooksFor(): void
    {
        $signer = $this->start('HS256');
        $jwt = Token::listen(['user/7'])->ttl(60)->sign($signer);
        $cookies = ['HTTP_COOKIE' => 'a=b; ' . Token::COOKIE . "=$jwt; c=d"];
        $this->daemon->fastcgi()->listen('channel=user/7', $cookies)->opened();
    }

    /** @param array<string, string> $options of the server */
    private function start(string $algorithm, array $options = []): Signer
    {
        $signer = $this->signer($algorithm);
        $file = $algorithm === 'HS256' ? 'token.secret_file' : 'token.keys_file';
        $this->daemon->start($options + [$file => $this->path('keys'), 'access.public' => 'nothing']);

        return $signer;
    }

    private function signer(string $algorithm): Signer
    {
        if ($algorithm === 'HS256') {
            $this->writeKeys(self::SECRET . "\n");

            return new HmacSigner(self::SECRET);
        }
        $key = \openssl_pkey_new($algorithm === 'ES256'
            ? ['curve_name' => 'prime256v1', 'private_key_type' => \OPENSSL_KEYTYPE_EC]
            : ['private_key_bits' => 2048, 'private_key_type' => \OPENSSL_KEYTYPE_RSA]);
        self::assertNotFalse($key);
        $details = \openssl_pkey_get_details($key) ?: [];
        $number = static fn (string $bytes, int $size = 0): string
            => \rtrim(\strtr(\base64_encode(\str_pad($bytes, $size, "\0", \STR_PAD_LEFT)), '+/', '-_'), '=');
        $jwk = ['alg' => $algorithm, 'kid' => 'one'];
        if ($algorithm === 'ES256') {
            $point = $details['ec'];
            $jwk += ['kty' => 'EC', 'crv' => 'P-256', 'x' => $number($point['x'], 32), 'y' => $number($point['y'], 32)];
        } else {
            $jwk += ['kty' => 'RSA', 'n' => $number($details['rsa']['n']), 'e' => $number($details['rsa']['e'])];
        }
        $this->writeKeys(\json_encode(['keys' => [$jwk]], \JSON_THROW_ON_ERROR));
        \openssl_pkey_export($key, $pem);
        $signer = new OpensslSigner($pem, 'one');
        self::assertSame($algorithm, $signer->alg());

        return $signer;
    }

    private function writeKeys(string $content): void
    {
        \file_put_contents($this->path('keys'), $content);
        \chmod($this->path('keys'), 0600);
    }

    private function listenWith(string $jwt, string $query): EventStream
    {
        return $this->daemon->fastcgi()->listen($query, ['HTTP_AUTHORIZATION' => "Bearer $jwt"]);
    }

    private function ask(string $jwt, string $query): Response
    {
        $params = FastCgi::params($query, ['HTTP_AUTHORIZATION' => "Bearer $jwt"]);
        $response = $this->daemon->fastcgi()->request($params);
        $response->wait();

        return $response;
    }
}
